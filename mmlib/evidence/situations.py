"""What a reader who asks "which one?" may have before them, and what is said of it.

A field in braces is filled from the tables: `{scenario|column|row}` by a mean,
`{scenario|column|row over other}` by a verdict with its interval, where the other row may be of
another scenario, `scenario:other`; `{scenario|column|worst}` by the lowest seed of any method.
"""

from typing import NamedTuple

from mmlib.evidence.studies import KNOWN


class Situation(NamedTuple):
    """What one may have: a title, a question, the scenario and the column that answer it, and
    sentences for three statements; `beside`: a second scenario, set next to the first in the worlds
    that hold it."""

    title: str
    question: str
    scenario: str
    column: str
    cost: tuple[str, ...]
    never: tuple[str, ...]
    more: tuple[str, ...] = ()
    beside: str = ""


SITUATIONS = (
    Situation(
        "Clean data",
        "Training and test data are whole, and one modality learns faster: which method is right "
        "most often?",
        "imbalanced",
        "fused",
        (
            "Unimodal losses bring one option more, their weight. Two networks have no layer that "
            "sees both modalities.",
        ),
        (
            "First look whether joint training leaves a modality behind at all. The "
            "picture's probe in *joint concat*, against that in a network of its own: "
            "{imbalanced|probe_visual|joint over ensemble}.",
            "Is it still worth it where both modalities learn alike (*balanced*)? *Joint + "
            "unimodal losses* against *joint concat*: {balanced|fused|joint-unimodal over joint}.",
            "In these data each modality alone can tell every class. Added logits cannot find a "
            "class that shows only in both together; no table here has one.",
        ),
        (
            "Is it the values of the samples that count? *Valuation + unimodal losses* against as "
            "many copies of random samples: "
            "{imbalanced|fused|valuation + unimodal losses over random copies + unimodal losses}.",
        ),
    ),
    Situation(
        "Corrupted data",
        "Almost a third of the pictures and a tenth of the sounds are ruined, in training, too: "
        "which method still learns?",
        "corrupted",
        "fused",
        (
            "The mean hides single seeds, so train several: the worst one of all rows has "
            "{corrupted|fused|worst}.",
            "Options were chosen on clean validation data. Those that are best for ruined data may "
            "be others.",
        ),
        (
            "*OGM-GE* against *joint concat*: {corrupted|fused|ogm-ge over joint}.",
            "*Sustained boosting* against *joint concat*: {corrupted|fused|boosting over joint}.",
        ),
        (
            "Clip the gradient? *Joint + unimodal losses* with a clipped gradient against those "
            "without: {corrupted|fused|joint-unimodal, clipped over joint-unimodal}. The bound was "
            "chosen for CAL, on ruined validation data.",
            "CAL needs it, since it loses whole seeds without. Clipped, against *joint + unimodal "
            "losses* that are clipped, at its rate and weight: "
            "{corrupted|fused|cal, clipped over joint-unimodal, CAL's options, clipped}.",
        ),
    ),
    Situation(
        "Noise at test time",
        "Training data are whole, but noise hits half of the test samples: which method keeps "
        "being right?",
        "imbalanced",
        "noisy",
        (
            "Does it lose less to the noise, or does it only begin higher? *Joint concat* loses a "
            "share of its own accuracy of {imbalanced|lost|joint}. The share that *joint + "
            "unimodal losses* loses, against that (below is better): "
            "{imbalanced|lost|joint-unimodal over joint}.",
        ),
        (
            "If you know the noise, train with it. *Joint + unimodal losses* trained with noise "
            "against those without: {imbalanced|noisy|trained with noise over joint-unimodal}. On "
            "clean data that costs; the same against the same: {imbalanced|fused|trained with "
            "noise over joint-unimodal}.",
            "Does modality dropout help? Against *joint + unimodal losses*: "
            "{imbalanced|noisy|modality-dropout over joint-unimodal}.",
        ),
    ),
    Situation(
        "Few voices",
        "Three speakers are in the training data, and strangers speak in the test: what does a "
        "remedy bring, and what would it be worth to know the speakers?",
        "imbalanced",
        "fused",
        ("Another voice costs a recording; no computing time replaces it.",),
        (
            "Can you record the people whom you want to understand? *Joint concat* that knows its "
            "speakers, against *joint + unimodal losses* among strangers: "
            f"{{{KNOWN}|fused|joint over imbalanced:joint-unimodal}}.",
            "Both at once: *joint + unimodal losses* that know the speakers, against the same "
            "among strangers: "
            f"{{{KNOWN}|fused|joint-unimodal over imbalanced:joint-unimodal}}.",
        ),
        beside=KNOWN,
    ),
)

WORTH = {  # lesson -> what its method is still worth knowing for
    "02_sample_valuation": (
        "**Sample valuation** gives each modality a value for every single sample. On ruined data "
        "a low value finds the ruined sounds with an area under the ROC curve of "
        "{corrupted|auc_audio|valuation}; 50 % is chance.",
        "A network with unimodal losses can be valued, too: {corrupted|auc_audio|joint-unimodal}; "
        "that the sound alone is wrong finds them with {corrupted|auc_wrong_audio|valuation}.",
    ),
    "03_boosting": (
        "**Sustained boosting** shows what more classifiers do for a weak modality. The picture "
        "alone, against the same losses with one classifier: "
        "{imbalanced|visual|boosting over boosting-base}.",
    ),
    "04_detached_learning": (
        "**Detached learning** finds *effective dimensions*. Of the sound's 64 features, "
        "{imbalanced|taught_audio|detached} are taught by the picture: dimensions that stand out "
        "among the picture's own and not among the sound's. That is relative; its lesson finds the "
        "picture ahead in few of them. What the pull brings the sound, as many random dimensions "
        "bring as well.",
        "The certainty of the picture's own head finds the ruined pictures without a label, with "
        "an area of {corrupted|auc_certainty_visual|detached}; in a network with unimodal losses a "
        "low share of the confidence does, with {corrupted|auc_confidence_visual|joint-unimodal}.",
    ),
    "05_gmm_gap_loss": (
        "**The GMM gap loss** measures how far the modalities are apart on a sample, and on which "
        "side. That finds the ruined sounds with an area of {corrupted|auc_gap_audio|gap}; in a "
        "network with unimodal losses alone, {corrupted|auc_gap_audio|joint-unimodal}.",
        "Its mixture's posterior finds samples with anything ruined with "
        "{corrupted|auc_posterior|gap}. So it teaches to test a mixture before one believes it: a "
        "mixture also fits data with one kind of samples.",
    ),
    "06_cal_with_aib": (
        "**CAL with AIB** measures how far a code is from a prior, in nats a dimension, a bound on "
        "what it keeps of its modality: the sound's {imbalanced|divergence_audio|cal}; the "
        "picture's {imbalanced|divergence_visual|cal}.",
        "Its confidence needs no label. A low share of it finds the ruined pictures with an area "
        "of {corrupted|auc_confidence_visual|cal}; in a network with unimodal losses alone, "
        "{corrupted|auc_confidence_visual|joint-unimodal}.",
        "Its symmetric twins show how to test whether one modality has to be treated otherwise "
        "than the other.",
    ),
}
