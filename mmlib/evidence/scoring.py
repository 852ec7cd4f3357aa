"""What a row of the tables says of a trained method: scores on the held-out split."""

import math

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from mmlib.data import AVDigits
from mmlib.evaluation import accuracy, collect, linear_probe, macro_f1, probe_encoders
from mmlib.methods.cal import sample_weights
from mmlib.methods.controls.gap import HardPosterior, PermutedPosterior, Purified
from mmlib.methods.detached import Detached, certainty_weights, separability
from mmlib.methods.gap import Gap, fit_gap_mixture, modality_gap
from mmlib.methods.valuation import contributions
from mmlib.training import Method

TEMPERATURES = (math.inf, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05)  # of equal ones the mildest wins


def score(method: Method, train: AVDigits, held_out: AVDigits, val: AVDigits | None = None) -> dict:
    """Accuracy and macro-F1 of the fused logits, accuracy of each modality's own, each encoder's
    linear probe; with `val` (`held_out` is the test split) also what the other functions add."""
    logits = collect(method.predict, held_out)
    scores = {m: accuracy(logits[m], held_out.target) for m in logits}
    scores["macro_f1"] = macro_f1(logits["fused"], held_out.target)
    probes = probe_encoders(method.model, train, held_out)
    scores |= {f"probe_{m}": probe for m, probe in probes.items()}
    if val is None:
        return scores
    val_logits = collect(method.predict, val)
    scores |= with_validation(val_logits, val, logits, held_out)
    scores |= of_gap(val_logits, val, logits, held_out)
    scores |= of_contribution(logits, held_out)
    if isinstance(method, Detached):
        scores |= of_heads(method.model, val, held_out)
        scores |= of_fresh_heads(method.model, train, val, held_out)
        scores |= of_dimensions(method, train)
    if isinstance(method, Purified) and method.kept is not None:
        shares = train.target[method.kept].bincount() / train.target.bincount()
        scores |= {"kept": len(method.kept) / len(train), "kept_least": shares.min()}
    return scores


def with_validation(
    val_logits: dict[str, Tensor], val: AVDigits, logits: dict[str, Tensor], test: AVDigits
) -> dict[str, float]:
    """Test scores that take something from validation: fusion weights, and a table of bits.

    `fused_weighted`: the best weight of two modalities' logits on validation; `fused_normalised`:
    each modality's logits over their deviation there. Where modalities were ruined, the area under
    the ROC curve with which each of three scores finds the ruined one: a low contribution (`auc`),
    the modality alone being wrong (`auc_wrong`), and the best rule on the three correctness bits,
    the share of ruined samples in each of their eight cells, estimated on validation (`auc_bits`).
    """

    def mix(z: dict[str, Tensor], w: float) -> Tensor:
        return (1 - w) * z["audio"] + w * z["visual"]

    weights = torch.linspace(0, 1, 21).tolist()
    best = max(weights, key=lambda w: accuracy(mix(val_logits, w), val.target))
    level = {m: z / val_logits[m].std() for m, z in logits.items()}
    scores = {
        "weight_visual": best,
        "fused_weighted": accuracy(mix(logits, best), test.target),
        "fused_normalised": accuracy(mix(level, 0.5), test.target),
    }
    if not test.truth["ruined"].any():
        return scores
    phi, cells = contributions(logits, test.target), _cells(logits, test.target)
    val_cells = _cells(val_logits, val.target)
    for which, m in enumerate(("audio", "visual"), start=1):
        ruined, val_ruined = test.truth["ruined"] == which, val.truth["ruined"] == which
        share = [val_ruined[val_cells == cell].float().mean().nan_to_num() for cell in range(8)]
        wrong = logits[m].argmax(1) != test.target
        for name, score in (
            ("auc", -phi[m]),
            ("auc_wrong", wrong),
            ("auc_bits", torch.stack(share)[cells]),
        ):
            scores[f"{name}_{m}"] = roc_auc_score(ruined, score)
    return scores


def _cells(logits: dict[str, Tensor], target: Tensor) -> Tensor:
    """Which of 2 x 2 x 2 cells a sample is in: sound right, picture right, both together right."""
    bits = [(logits[m].argmax(1) == target).long() for m in ("audio", "visual", "fused")]
    return bits[0] + 2 * bits[1] + 4 * bits[2]


def of_gap(
    val_logits: dict[str, Tensor], val: AVDigits, logits: dict[str, Tensor], test: AVDigits
) -> dict[str, float]:
    """The gap of lesson 5 on test: its mean size, each modality's mean score of the true class, the
    weight of the imbalanced component of a mixture fitted there. Where modalities were ruined, how
    well the samples that have one are found (area under the ROC curve) by the posterior of a
    mixture fitted on validation, by the gap's size, by one modality alone being right; and how well
    a ruined sound, a ruined picture is found by the sign of the gap."""
    gap = modality_gap(logits["audio"], logits["visual"], test.target)
    mixture = fit_gap_mixture(gap)
    scores = {"gap_mean": gap.abs().mean(), "gap_imbalanced": mixture.weights[1]}
    scores["gap_degenerate"] = mixture.degenerate
    for m in ("audio", "visual"):
        truth = logits[m].softmax(1).gather(1, test.target.unsqueeze(1))
        scores[f"score_{m}"] = truth.mean()
    ruined = test.truth["ruined"]
    if not ruined.any():
        return scores
    val_mixture = fit_gap_mixture(
        modality_gap(val_logits["audio"], val_logits["visual"], val.target)
    )
    scores["val_degenerate"] = val_mixture.degenerate  # then the posterior is 0 for all
    scores["val_monotone"] = val_mixture.monotone
    right = {m: logits[m].argmax(1) == test.target for m in ("audio", "visual")}
    for name, found in (
        ("posterior", val_mixture.posterior(gap)),
        ("gap", gap.abs()),
        ("disagree", right["audio"] != right["visual"]),
    ):
        scores[f"auc_{name}"] = roc_auc_score(ruined > 0, found)
    scores["auc_gap_audio"] = roc_auc_score(ruined == 1, -gap)
    scores["auc_gap_visual"] = roc_auc_score(ruined == 2, gap)
    return scores


def of_first_mixture(method: Gap, train: AVDigits) -> dict[str, float]:
    """The mixture after the warm-up, on train: what it says, and how well its posterior finds the
    samples that have a ruined modality (`auc_first`)."""
    mixture, ruined = method.mixture, train.truth["ruined"] > 0
    scores = {
        "first_separation": mixture.separation,
        "first_degenerate": mixture.degenerate,
        "first_imbalanced": mixture.weights[1],
        "first_bic": mixture.bic[1] - mixture.bic[2],
        "first_monotone": mixture.monotone,
    }
    if ruined.any() and not isinstance(method, HardPosterior | PermutedPosterior):
        scores["auc_first"] = roc_auc_score(ruined, method.posterior)
    return scores


def of_contribution(logits: dict[str, Tensor], test: AVDigits) -> dict[str, float]:
    """Lesson 6's contribution on test, of two modalities: the mean over samples of W, the sound's.
    Where modalities were ruined, how well (area under the ROC curve) a ruined one is found by a low
    W, by a low share of the information, and by a low share of the confidence, which needs no
    target."""
    truth = {
        m: z.softmax(1).gather(1, test.target.unsqueeze(1)).squeeze(1) for m, z in logits.items()
    }
    chance = torch.full_like(truth["fused"], 1 / len(test.classes))
    alone = {m: logits[m] for m in ("audio", "visual")}
    utility = {frozenset([m]): truth[m] for m in alone}
    utility |= {frozenset(): chance, frozenset(alone): truth["fused"]}
    ruined, scores = test.truth["ruined"], {}
    for name, alpha in (("contribution", 0.5), ("information", 1.0), ("confidence", 0.0)):
        W = sample_weights(utility, alone, alpha)
        if name == "contribution":
            scores["contribution_test"] = W["audio"].mean()
        if ruined.any():
            for which, m in enumerate(W, start=1):
                scores[f"auc_{name}_{m}"] = roc_auc_score(ruined == which, -W[m])
    return scores


def of_heads(model: nn.Module, val: AVDigits, test: AVDigits) -> dict[str, float]:
    """What lesson 4 does with its heads on test: accuracy of the concatenation head (`concat`), of
    the modalities' heads added (`fused_heads`), of all heads at equal weight (`fused_uniform`), of
    certainty weights at the temperature that is best on validation (`fused_tuned`,
    `inverse_temperature`, 0 for equal weights); the mean over samples of the largest over the
    smallest weight. Where modalities were ruined: accuracy on those samples, and the area under the
    ROC curve with which a low weight of a modality's head finds that it was ruined."""
    val_heads, heads = (
        collect(lambda x: model.head_logits(model.features(x)), data) for data in (val, test)
    )

    def fuse(logits: dict[str, Tensor], temperature: float) -> Tensor:
        weights = certainty_weights(logits, temperature)
        return sum(weights[head].unsqueeze(1) * z for head, z in logits.items())

    best = max(TEMPERATURES, key=lambda t: accuracy(fuse(val_heads, t), val.target))
    uniform, weighted = (fuse(heads, t) for t in (math.inf, model.certainty_temperature))
    weights = certainty_weights(heads, model.certainty_temperature)
    spread = torch.stack(list(weights.values()))
    scores = {
        "concat": accuracy(heads["concat"], test.target),
        "fused_heads": accuracy(heads["audio"] + heads["visual"], test.target),
        "fused_uniform": accuracy(uniform, test.target),
        "fused_tuned": accuracy(fuse(heads, best), test.target),
        "inverse_temperature": 1 / best,
        "weight_ratio": (spread.amax(0) / spread.amin(0)).mean(),
    }
    ruined = test.truth["ruined"]
    if ruined.any():
        rows = ruined > 0
        scores["fused_ruined"] = accuracy(weighted[rows], test.target[rows])
        scores["fused_uniform_ruined"] = accuracy(uniform[rows], test.target[rows])
        for which, m in enumerate(("audio", "visual"), start=1):
            scores[f"auc_weight_{m}"] = roc_auc_score(ruined == which, -weights[m])
            certain = heads[m].softmax(1).amax(1)
            scores[f"auc_certainty_{m}"] = roc_auc_score(ruined == which, -certain)
    return scores


def of_fresh_heads(
    model: nn.Module, train: AVDigits, val: AVDigits, test: AVDigits
) -> dict[str, float]:
    """Lesson 4's second stage: accuracy on test of a linear head on both features side by side,
    fitted on samples that the encoders have learnt from (`seen_head`), or on as many that they have
    not (`fresh_head`): half of validation. The mean of both halves, and of two such parts of the
    training data."""
    held_out = _side_by_side(model, test)
    half = len(val) // 2
    scores = {}
    for name, data in (("seen_head", train), ("fresh_head", val)):
        features = _side_by_side(model, data)
        scores[name] = sum(
            linear_probe(features[rows], data.target[rows], held_out, test.target) / 2
            for rows in (slice(half), slice(half, 2 * half))
        )
    return scores


def _side_by_side(model: nn.Module, data: AVDigits) -> Tensor:
    return torch.cat(list(collect(model.features, data).values()), dim=1)


def of_dimensions(method: Detached, train: AVDigits) -> dict[str, float]:
    """Lesson 4's dimensions after training: in how many each modality was taught (or would have
    been), and their separability now, on train."""
    features = collect(method.model.features, train)
    scores = {}
    for student, teacher in (("audio", "visual"), ("visual", "audio")):
        taught = method.teaches[teacher, student]
        r = separability(features[student], train.target)
        scores[f"taught_{student}"] = taught.sum()
        scores[f"separability_{student}"] = r.mean()
        scores[f"separability_taught_{student}"] = r[taught].mean() if taught.any() else math.nan
    return scores
