"""What the evidence pages say of tables, scenarios and columns."""

import re
from typing import NamedTuple

from mmlib.evidence.robustness import ATTACKED, ATTACKS, CONDITIONS, SEVERITIES
from mmlib.evidence.robustness import STEPS as ATTACK_STEPS
from mmlib.evidence.studies import HUMAN, KNOWN, SYNTHETIC

QUESTIONS = {  # table -> the lesson that uses it, what it asks
    "baselines": (
        "01_imbalance_phenomenon",
        "Does training together leave one encoder behind, and what do simple remedies bring?",
    ),
    "valuation": (
        "02_sample_valuation",
        "Does it help to train more on the samples and modalities that contribute little?",
    ),
    "boosting": (
        "03_boosting",
        "Do more classifiers help the weak modality, and is it their number or the heavier loss?",
    ),
    "detached": (
        "04_detached_learning",
        "Do modalities learn from each other once they no longer compete?",
    ),
    "gap": (
        "05_gmm_gap_loss",
        "Does a mixture over the gap tell which samples need which loss?",
    ),
    "cal": (
        "06_cal_with_aib",
        "Does it pay to accelerate the strong modality and to compress the weak one?",
    ),
    "combinations": ("07_noise_robustness", "Do two remedies together do better than one?"),
    "noise": ("07_noise_robustness", "Which method keeps its accuracy under noise at test time?"),
}
SCENARIOS = {
    "imbalanced": "the sound learns faster than the picture",
    "corrupted": "as imbalanced; 30 % of the pictures and 10 % of the sounds are ruined",
    "balanced": "both modalities alike",
    "flipped": "the picture learns faster than the sound",
    KNOWN: "as imbalanced, but the speakers of the test are among those of the training",
    "samplewise": "half of the samples have a ruined sound, the others a ruined picture",
}
WORLDS = {
    SYNTHETIC: "words spoken by 101 synthetic voices, of which 20 are in the training data, the "
    "same for every seed. So an interval does not cover which voices one has.",
    HUMAN: "3,000 recordings of six speakers: three in the training data, one in validation, two "
    "in the test, dealt anew for every seed. So an interval covers whose voices one has, and is "
    "wider; since the deals overlap, it may still be too narrow. Validation is one speaker: "
    "options are chosen over six seeds, in which each speaker is it once, from a smaller grid. "
    "Their splits hold the speakers of these tests, too, since there are but six; what knows them "
    "is the choice of options, no network.",
}
FUSED = {"fused": ("fused", "")}
OUTCOMES = {  # table -> column that its intervals are of -> heading, what it says
    "boosting": FUSED | {
        "visual": ("picture alone", "accuracy of the picture's own logits."),
    },
    "detached": FUSED | {
        f"{column}_{m}": (f"separability, {name}", f"{where.format(name)}, on training data: the "
                          "share of samples whose class has the nearest mean in a dimension.")
        for column, where in (
            ("separability_taught", "a mean over the dimensions in which the {} is taught, or "
             "would be, each arm's own, so that arms are not compared on the same dimensions"),
            ("separability", "a mean over all dimensions of the {}"),
        )
        for m, name in (("audio", "sound"), ("visual", "picture"))
    },
    "noise": {
        "noisy": ("with noise", "accuracy of the fused logits where noise of severity 10 hits half "
                  "of the samples, a mean over the four kinds of the README's table."),
        "lost": ("lost to noise", "the share of its clean accuracy that an arm loses to that "
                 "noise; less is better."),
    },
}  # fmt: skip

UNITS = {  # what a mean is multiplied by, how it is written
    "%": (100, "{:.1f}"),
    "x": (1, "{:.1f}x"),
    "n": (1, "{:.1f}"),
    "nn": (1, "{:.2f}"),
}
# group, then column: heading (unit): what it says. In the columns that have both modalities' names
# `audio` stands for `visual` as well.
_TEXT = """
[Each modality alone, the encoders, the samples]
audio: sound alone (%): accuracy of the sound's own logits
visual: picture alone (%): accuracy of the picture's own logits
probe_audio: sound's probe (%): accuracy of a linear probe on the features of the sound's encoder
probe_visual: picture's probe (%): the same for the picture's encoder
macro_f1: macro-F1 (%): of the fused logits, a mean over classes
samples: samples (x): training samples visited, over joint concat's

[Fusion weights from validation]
fused_weighted: best weight (%): accuracy of both modalities' logits added with the best weight on
  validation
weight_visual: its share (%): that weight of the picture; 50 is even
fused_normalised: same scale (%): accuracy of both logits added after each is divided by its
  deviation on validation

[The cost of watching]
looked_at: looked at (x): training samples that were only passed through the network, over joint
  concat's visited ones

[The gap between the modalities]
gap_mean: gap (%): mean absolute difference between the modalities' probabilities of the true class
score_audio: sound's score (%): mean probability that the sound's logits give the true class
score_visual: picture's score (%): the same for the picture
gap_imbalanced: imbalanced (%): weight of the imbalanced component of a mixture that is fitted to
  the gaps on test
gap_degenerate: degenerate (%): share of the seeds where that mixture has no two components
val_degenerate: on validation (%): the same of a mixture fitted on validation
val_monotone: monotone (%): share of the seeds where that mixture's posterior grows with the gap

[The first mixture, on training data]
first_separation: separation (nn): of its components, in their deviations
first_degenerate: degenerate (%): share of the seeds where it has no two components
first_imbalanced: imbalanced (%): weight of its imbalanced component
first_bic: BIC gain (n): by which two components are better than one (BIC of one less BIC of two)
first_monotone: monotone (%): share of the seeds where its posterior grows with the gap
auc_first: finds ruined (%): area under the ROC curve with which its posterior finds samples with
  a ruined modality

[Finding samples with a ruined modality: area under the ROC curve, 50 is chance]
auc_posterior: posterior (%): of a mixture of gaps, fitted on validation
auc_gap: gap's size (%): without a mixture
auc_disagree: disagreement (%): one modality alone is right, the other is wrong

[Finding a ruined sound: area under the ROC curve, 50 is chance]
auc_audio: contribution (%): by a low Shapley value of the modality (lesson 2)
auc_wrong_audio: is wrong (%): the modality alone is wrong
auc_bits_audio: three bits (%): the best rule on who is right (sound, picture, both together),
  from validation
auc_gap_audio: gap's sign (%): by the gap's sign and size
auc_contribution_audio: W (%): by a low contribution W of the modality (lesson 6)
auc_information_audio: information (%): by a low share of the information
auc_confidence_audio: confidence (%): by a low share of the confidence, which needs no target

[What lesson 6 measures]
contribution_test: W on test (%): the sound's contribution W, a mean over test samples
contribution_audio: sound's W (%): its contribution in the last epoch of training
contribution_visual: picture's W (%): the same for the picture
divergence_audio: sound's divergence (nn): of its code from the prior, in nats
divergence_visual: picture's divergence (nn): the same for the picture

[The parts of the contribution, in the last epoch]
information_audio: sound's information (nn): as lesson 6 defines it
information_visual: picture's information (nn): the same for the picture
confidence_audio: sound's confidence (nn): as the method's lesson defines it
confidence_visual: picture's confidence (nn): the same for the picture

[Classifiers]
classifiers_audio: sound's (n): classifiers of the sound at the end of training
classifiers_visual: picture's (n): classifiers of the picture at the end of training

[Heads and how they are weighed]
concat: fusion head (%): accuracy of the head on both features
fused_heads: heads added (%): accuracy of the modalities' own heads added
fused_uniform: all added (%): accuracy of all heads at equal weight
fused_tuned: tuned (%): accuracy of certainty weights at the temperature that is best on validation
inverse_temperature: 1 / temperature (n): of that choice; 0 is equal weights
weight_ratio: weight ratio (nn): largest over smallest certainty weight, a mean over samples

[The second stage: a head on both features, fitted anew]
seen_head: seen (%): fitted on as many training samples as half of validation has, a mean of two
  such parts
fresh_head: fresh (%): fitted on half of validation, a mean of both halves

[Heads where a modality is ruined]
fused_ruined: weighed (%): accuracy with certainty weights on samples with a ruined modality
fused_uniform_ruined: equal (%): the same with equal weights
auc_weight_audio: low weight, sound (%): area under the ROC curve with which a low weight finds a
  ruined sound
auc_certainty_audio: doubt, sound (%): the same by a low certainty of the sound's head alone
auc_weight_visual: low weight, picture (%): the same for a ruined picture
auc_certainty_visual: doubt, picture (%): the same for a ruined picture

[Dimensions and their separability]
taught_audio: sound taught (n): dimensions in which the sound was pulled towards the picture, or
  would have been
separability_audio: sound's (%): separability of the sound's dimensions after training
separability_taught_audio: of the taught (%): the same on the taught dimensions
taught_visual: picture taught (n): dimensions in which the picture was pulled towards the sound,
  or would have been
separability_visual: picture's (%): separability of the picture's dimensions after training
separability_taught_visual: of the taught (%): the same on the taught dimensions

[Clipping]
clipped: clipped (%): share of the training steps in which the gradient is clipped

[Samples kept for the last epochs]
kept: kept (%): share of the training samples
kept_least: least kept (%): the smallest share of any class
"""


class Column(NamedTuple):
    """A column of the tables: what stands above it, its unit (of `UNITS`), what it says."""

    heading: str
    unit: str
    meaning: str

    def write(self, mean: float) -> str:
        """A mean over seeds, as it stands on a page."""
        factor, form = UNITS[self.unit]
        return form.format(factor * mean)


def _read(text: str) -> dict[str, dict[str, Column]]:
    groups = {}
    for entry in re.split(r"\n(?! )", text.strip()):
        if entry.startswith("["):
            group = groups[entry.strip("[]")] = {}
        elif entry:
            pattern = r"(\w+): (.*?) \((\S+)\): (.*)"
            column, *words = re.fullmatch(pattern, re.sub(r"\n +", " ", entry)).groups()
            group[column] = Column(*words)
    return groups


def _with_pictures(groups: dict[str, dict[str, Column]]) -> dict[str, dict[str, Column]]:
    """What is said of finding a ruined sound is said of a ruined picture, next to it."""
    found = {}
    for title, columns in groups.items():
        found[title] = columns
        if "ruined sound" in title:
            other = {name.replace("_audio", "_visual"): x for name, x in columns.items()}
            found[title.replace("ruined sound", "ruined picture")] = other
    return found


GROUPS = _with_pictures(_read(_TEXT))  # title -> column of the tables -> what it is

_NOISE_KINDS = {
    "fused": ("Fused accuracy", "accuracy of the fused logits"),
    "certain": ("Logits weighed by certainty", "accuracy of both modalities' logits, weighed"),
    "error": ("Calibration", "expected calibration error of the fused logits; less is better"),
}


def _noise_groups() -> dict[str, dict[str, Column]]:
    """The noise table's columns: a group for each kind of score, attack or noise, and severity."""
    groups = {}
    for kind, (title, meaning) in _NOISE_KINDS.items():
        for sort, names in (("noise", CONDITIONS), *((a, _attacks(a)) for a in ATTACK_STEPS)):
            for severity in reversed(SEVERITIES):
                what = f"noise of severity {severity}"
                if sort != "noise":
                    what = f"{sort.upper()} of severity {severity} on {ATTACKED} samples"
                columns = {f"{kind} {name}, {severity}": Column(name, "%", "") for name in names}
                groups[f"{title} under {what} ({meaning})"] = columns
    return groups


def _attacks(attack: str) -> list[str]:
    return [f"{which} {attack}" for which in ATTACKS]


NOISE_GROUPS = _noise_groups()
