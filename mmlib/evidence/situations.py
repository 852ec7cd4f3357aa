"""What a reader who asks "which one?" may have before them, and what is said of it.

A field in braces is filled from the tables: `{scenario|column|row}` by a mean,
`{scenario|column|row over other}` by a verdict with its interval, where the other row may be of
another scenario, `scenario:other`; `{scenario|column|worst}` by the lowest seed of any method.
"""

from typing import NamedTuple

from mmlib.evidence.studies import KNOWN


class Situation(NamedTuple):
    """What one may have: a title, a question, the scenario and the column that answer it, and
    sentences for two statements; `beside`: a second scenario, set next to the first in the worlds
    that hold it."""

    title: str
    question: str
    scenario: str
    column: str
    cost: tuple[str, ...]
    never: tuple[str, ...]
    beside: str = ""


SITUATIONS = (
    Situation(
        "Clean data",
        "Training and test data are whole, and one modality learns faster: which method is right "
        "most often?",
        "imbalanced",
        "fused",
        (
            "The losses bring one option more, their weight, and two networks have no layer that "
            "sees both modalities.",
        ),
        (
            "Where both modalities learn alike (*balanced*), *joint + unimodal losses* against "
            "*joint concat*: {balanced|fused|joint-unimodal over joint}.",
            "There *two networks* against *joint concat*: {balanced|fused|ensemble over joint}.",
            "No class of these data can be told only from both modalities at once; for such "
            "classes logits that are added cannot do, and no table here says what would.",
        ),
    ),
    Situation(
        "Corrupted data",
        "Almost a third of the pictures and a tenth of the sounds are ruined, in training, too: "
        "which method still learns?",
        "corrupted",
        "fused",
        (
            "Options were chosen on clean validation data; the best ones for ruined data may be "
            "others. Look at every seed: the worst of this table is {corrupted|fused|worst}.",
        ),
        (
            "*OGM-GE* against *joint concat*: {corrupted|fused|ogm-ge over joint}.",
            "*Sustained boosting* against *joint concat*: {corrupted|fused|boosting over joint}.",
            "*CAL* with a clipped gradient against *joint + unimodal losses*: "
            "{corrupted|fused|cal, clipped over joint-unimodal}.",
        ),
    ),
    Situation(
        "Noise at test time",
        "Training data are whole, but noise hits half of the test samples: which method keeps "
        "being right?",
        "imbalanced",
        "noisy",
        (
            "Of its own accuracy *joint concat* loses {imbalanced|lost|joint} % to this noise. The "
            "share that *joint + unimodal losses* loses, against that (below is better): "
            "{imbalanced|lost|joint-unimodal over joint}.",
        ),
        (
            "If you know the noise, train with it: *joint + unimodal losses, trained with noise* "
            "against those trained without: {imbalanced|noisy|trained with noise over "
            "joint-unimodal}.",
            "*Modality dropout* against *joint + unimodal losses*: "
            "{imbalanced|noisy|modality-dropout over joint-unimodal}.",
        ),
    ),
    Situation(
        "Few voices",
        "Three speakers are in the training data, and strangers speak in the test: what does a "
        "remedy bring, and what would more speakers?",
        "imbalanced",
        "fused",
        ("No time to compute buys a voice: recordings do.",),
        (
            "Before any remedy, record the people whom you want to understand: *joint concat* "
            "that knows the speakers, against *joint + unimodal losses* among strangers: "
            f"{{{KNOWN}|fused|joint over imbalanced:joint-unimodal}}.",
            "*Joint + unimodal losses* that know the speakers, against the same among strangers: "
            f"{{{KNOWN}|fused|joint-unimodal over imbalanced:joint-unimodal}}.",
        ),
        beside=KNOWN,
    ),
)

WORTH = {  # lesson -> what its method is still worth knowing for
    "02_sample_valuation": (
        "**Sample valuation** gives every sample a value for each modality. On ruined data a low "
        "value finds a ruined sound with an area under the ROC curve of "
        "{corrupted|auc_audio|valuation} per cent (50 is chance).",
        "On a network with unimodal losses the same value has "
        "{corrupted|auc_audio|joint-unimodal}: the measure does not need the method.",
    ),
    "03_boosting": (
        "**Sustained boosting** shows how far more classifiers bring a weak modality. The picture "
        "alone, against the same losses with one classifier: "
        "{imbalanced|visual|boosting over boosting-base}.",
    ),
    "04_detached_learning": (
        "**Detached learning** finds *effective dimensions*: of 64 features of the sound, "
        "{imbalanced|taught_audio|detached} are taught by the picture, which tells the classes "
        "apart better there. So the weak modality knows something, and you see what.",
        "The certainty of a head alone finds a ruined picture without any label, at "
        "{corrupted|auc_certainty_visual|detached} per cent.",
    ),
    "05_gmm_gap_loss": (
        "**The GMM gap loss** measures by how much the modalities differ on a sample. The gap's "
        "sign and size find a ruined sound at {corrupted|auc_gap_audio|gap} per cent; its "
        "mixture's posterior finds samples with anything ruined at "
        "{corrupted|auc_posterior|gap}.",
        "And it teaches to doubt a mixture: one fits data with one kind of samples, too.",
    ),
    "06_cal_with_aib": (
        "**CAL with AIB** measures what a code keeps of its modality: "
        "{imbalanced|divergence_audio|cal} nats of the sound and "
        "{imbalanced|divergence_visual|cal} of the picture.",
        "Its confidence needs no label, and a low share of it finds a ruined picture at "
        "{corrupted|auc_confidence_visual|cal} per cent; with unimodal losses alone it is "
        "{corrupted|auc_confidence_visual|joint-unimodal}.",
        "Its symmetric twins show how to test a claim that one modality has to be treated "
        "otherwise than the other.",
    ),
}
