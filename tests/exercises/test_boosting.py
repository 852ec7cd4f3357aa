"""Answers that the checks take, and wrong ones with the hint that each gets."""

import torch.nn.functional as F
from torch import nn

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_additive_loss,
    check_assignment,
    check_grow,
    check_missing,
    check_residual_label,
)
from mmlib.methods.boosting import weaker_modality


def residual_label(previous, target, smoothing):
    y = F.one_hot(target, previous.shape[1])
    return y - smoothing * y * previous.detach().softmax(1)


def grow(model, optimizer, modality, known=True, keep=True):
    new = nn.Linear(64, 32)
    if keep:
        model.first[modality].append(new)
    if known:
        optimizer.add_param_group({"params": list(new.parameters())})
    return new


def missing(fused, alone, rate):
    return (1 - rate) * fused + rate * sum(alone.values()) / len(alone)


def additive_loss(new, previous, target):
    return F.cross_entropy(previous.detach() + new, target)


RIGHT = {
    check_residual_label: residual_label,
    check_assignment: weaker_modality,
    check_grow: grow,
    check_missing: missing,
    check_additive_loss: additive_loss,
}

WRONG = [
    (check_residual_label, lambda z, y, s: F.one_hot(y, 4) - s * z.detach().softmax(1), "mask it"),
    (check_residual_label, lambda z, y, s: residual_label(z, y, 1), "not used"),
    (check_residual_label, lambda z, y, s: F.one_hot(y, 4) * (1 - s * z.softmax(1)), "detach q"),
    (
        check_residual_label,
        lambda z, y, s: F.one_hot(y, 4) * (1 - s * z.detach().softmax(0)),
        "dim=1",
    ),
    (
        check_residual_label,
        lambda z, y, s: residual_label(z, y, s)[:, : int(y.max()) + 1],
        "give .B, K.",
    ),
    (check_assignment, lambda s, d: min(s, key=s.get), "the answer is None"),
    (
        check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) > (1 + d) * min(s.values()) else None,
        "0.51, 'text'.*answer is None",
    ),
    (
        check_assignment,
        lambda s, d: "visual" if s["audio"] / s["visual"] > 1 + d else weaker_modality(s, d),
        "multiply instead",
    ),
    (
        check_assignment,
        lambda s, d: (
            min(s, key=s.get) if sum(s.values()) / len(s) > (1 + d) * min(s.values()) else None
        ),
        "0.15 the answer is 'visual'",
    ),
    (
        check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) - min(s.values()) > d else None,
        "the answer is 'visual'",
    ),
    (check_grow, lambda *a: grow(*a, known=False), "as in the released code"),
    (
        check_grow,
        lambda m, o, name: (grow(m, o, name, known=False), o.__init__(m.parameters(), 0.1))[0],
        "lost its momentum",
    ),
    (check_grow, lambda *a: grow(*a, keep=False), "append one"),
    (check_grow, lambda m, o, name: grow(m, o, "audio"), "append one"),
    (
        check_missing,
        lambda fused, alone, r: (1 - r) * fused + r / 2 * sum(alone.values()),
        "divide by n",
    ),
    (
        check_missing,
        lambda fused, alone, r: (1 - r) * fused + r * sum(alone.values()),
        "mean over modalities",
    ),
    (
        check_additive_loss,
        lambda new, old, y: F.cross_entropy(new + old, y),
        "earlier classifiers move",
    ),
    (check_additive_loss, lambda new, old, y: F.cross_entropy(new, y), "added"),
    (check_additive_loss, lambda new, old, y: 6 * additive_loss(new, old, y), "mean"),
]
