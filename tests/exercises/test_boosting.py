"""Answers that the checks take, and wrong ones with the hint that each gets."""

import copy

import torch
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
    check_residual_loss,
    check_untrained,
)
from mmlib.methods.boosting import residual_loss, weaker_modality


def residual_label(previous, target, smoothing):
    y = F.one_hot(target, previous.shape[1])
    return y - smoothing * y * previous.detach().softmax(1)


def grow(model, optimizer, modality, known=True, keep=True):
    width, hidden = model.first[modality][0].in_features, model.first[modality][0].out_features
    new = nn.Linear(width, hidden)
    nn.init.zeros_(new.bias)
    if keep:
        model.first[modality].append(new)
    if known:
        optimizer.add_param_group({"params": list(new.parameters())})
    return new


def of_lesson_sizes(model, optimizer, modality):
    new = nn.Linear(64, 32)
    nn.init.zeros_(new.bias)
    model.first[modality].append(new)
    optimizer.add_param_group({"params": list(new.parameters())})
    return new


def own_option(**options):
    def grown(model, optimizer, modality):
        new = grow(model, optimizer, modality, known=False)
        optimizer.add_param_group({"params": list(new.parameters()), **options})
        return new

    return grown


def copied(model, optimizer, modality):
    new = copy.deepcopy(model.first[modality][0])
    model.first[modality].append(new)
    optimizer.add_param_group({"params": list(new.parameters())})
    return new


def zeroed(model, optimizer, modality):
    new = grow(model, optimizer, modality)
    nn.init.zeros_(new.weight)
    return new


def replaced(model, optimizer, modality):
    new = grow(model, optimizer, modality)
    model.first[modality][0] = nn.Linear(64, 32)
    return new


def biased(model, optimizer, modality):
    new = grow(model, optimizer, modality)
    new.reset_parameters()
    return new


def uniform(model, optimizer, modality):
    new = grow(model, optimizer, modality)
    nn.init.xavier_uniform_(new.weight)
    return new


def only_new(model, optimizer, modality):
    new = grow(model, optimizer, modality, known=False)
    optimizer.param_groups[0]["params"] = [*model.second.parameters(), *new.parameters()]
    return new


def frozen(model, optimizer, modality):
    return grow(model, optimizer, modality).requires_grad_(False)


def untrained(model, optimizer):
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [
        name for name, p in model.named_parameters() if id(p) not in known or not p.requires_grad
    ]


def equal_in_value(model, optimizer):
    known = [p for group in optimizer.param_groups for p in group["params"]]
    return [
        name
        for name, p in model.named_parameters()
        if not any(p.shape == q.shape and torch.equal(p, q) for q in known)
    ]


def in_list(model, optimizer):
    known = [p for group in optimizer.param_groups for p in group["params"]]
    return [name for name, p in model.named_parameters() if p not in known]


def weights(previous, target, smoothing, detach=True):
    p = (previous.detach() if detach else previous).softmax(1)
    return 1 - smoothing * p.gather(1, target[:, None]).squeeze(1)


def each_ce(new, target):
    return F.cross_entropy(new, target, reduction="none")


def missing(fused, alone, rate):
    return (1 - rate) * fused + rate * sum(alone.values()) / len(alone)


def additive_loss(new, previous, target):
    return F.cross_entropy(previous.detach() + new, target)


RIGHT = {
    check_residual_label: residual_label,
    check_assignment: weaker_modality,
    check_residual_loss: residual_loss,
    check_grow: grow,
    check_untrained: untrained,
    check_missing: missing,
    check_additive_loss: additive_loss,
}

WRONG = [
    (check_residual_label, lambda z, y, s: F.one_hot(y, 4) - s * z.detach().softmax(1), "mask it"),
    (check_residual_label, lambda z, y, s: residual_label(z, y, 1), "not used"),
    (check_residual_label, lambda z, y, s: F.one_hot(y, 4) * (1 - s * z.softmax(1)), "detach p"),
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
    (
        check_residual_label,
        lambda z, y, s: F.one_hot(y, 4) * (1 + s * z.detach().softmax(1)),
        "not added",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: (weights(z, y, s) * each_ce(new, y)).sum(),
        "give the mean",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: weights(z, y, s) * each_ce(new, y),
        "take their mean",
    ),
    (check_residual_loss, lambda new, z, y, s: F.cross_entropy(new, y), "plain loss"),
    (check_residual_loss, lambda new, z, y, s: residual_loss(new, z, y, 1.0), "not used"),
    (
        check_residual_loss,
        lambda new, z, y, s: ((1 - weights(z, y, s)) * each_ce(new, y)).mean(),
        "1 is missing",
    ),
    (check_residual_loss, lambda new, z, y, s: residual_loss(new, z, y, s) * 3, "not the mean of"),
    (check_residual_loss, lambda new, z, y, s: residual_loss(new, new, y, s), "not of the newest"),
    (check_residual_loss, lambda new, z, y, s: residual_loss(z, new, y, s), "newest alone"),
    (
        check_residual_loss,
        lambda new, z, y, s: ((2 - weights(z, y, s)) * each_ce(new, y)).mean(),
        "sign is turned",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: weights(z, y, s).mean() * F.cross_entropy(new, y),
        "reduction='none'",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: (weights(z, y, s)[:, None] * each_ce(new, y)).mean(),
        "both of shape .B,.",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: (weights(z, y, s) * each_ce(new, y)).sum() / weights(z, y, s).sum(),
        "size of the batch",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: (weights(z, y, s, detach=False) * each_ce(new, y)).mean(),
        "detach the earlier",
    ),
    (
        check_residual_loss,
        lambda new, z, y, s: residual_loss(new.detach(), z, y, s),
        "no gradient flows to the newest",
    ),
    (check_assignment, lambda s, d: min(s, key=s.get), "the answer is None"),
    (
        check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) > (1 + d) * min(s.values()) else None,
        "0.51, 'text'.*answer is None.*not with the largest",
    ),
    (
        check_assignment,
        lambda s, d: (
            min(s, key=s.get)
            if sum(s.values()) - min(s.values()) > (1 + d) * min(s.values())
            else None
        ),
        "or with their sum",
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
        "0.15 the answer is 'visual'.*leaves the lowest out",
    ),
    (
        check_assignment,
        lambda s, d: min(s, key=s.get) if max(s.values()) - min(s.values()) > d else None,
        "the answer is 'visual'",
    ),
    (
        check_assignment,
        lambda s, d: (
            min(s, key=s.get)
            if (sum(s.values()) - min(s.values())) / (len(s) - 1) - min(s.values()) > d
            else None
        ),
        "no difference",
    ),
    (
        check_assignment,
        lambda s, d: next(
            (m for m, x in s.items() if (sum(s.values()) - x) / (len(s) - 1) > (1 + d) * x),
            None,
        ),
        "the lowest gets it",
    ),
    (check_grow, lambda *a: grow(*a, known=False), "as in the released code"),
    (
        check_grow,
        lambda m, o, name: (grow(m, o, name, known=False), o.__init__(m.parameters(), 0.1))[0],
        "lost its momentum",
    ),
    (check_grow, lambda *a: grow(*a, keep=False), "append one"),
    (check_grow, lambda m, o, name: grow(m, o, "audio"), "append one"),
    (check_grow, copied, "copy of the old one"),
    (check_grow, zeroed, "ReLU passes no gradient"),
    (check_grow, biased, "bias starts at 0"),
    (check_grow, replaced, "old classifier is gone"),
    (check_grow, own_option(lr=0.5), "with lr 0.5, all others with 0.1"),
    (check_grow, own_option(weight_decay=0.0), "with weight_decay 0.0"),
    (check_grow, only_new, "lost old parameters"),
    (check_grow, frozen, "is frozen"),
    (check_grow, of_lesson_sizes, "give a Linear of the sizes"),
    (check_untrained, lambda m, o: [name for name, _ in m.named_parameters()], "all can learn"),
    (
        check_untrained,
        lambda m, o: [name for name, p in m.named_parameters() if p.grad is None],
        "groups, not `p.grad`",
    ),
    (check_untrained, in_list, "sizes differ: compare by identity"),
    (check_untrained, lambda m, o: [], "missing from your list"),
    (
        check_untrained,
        lambda m, o: untrained(m, torch.optim.SGD(o.param_groups[0]["params"], 0.1)),
        "all optimizer.param_groups",
    ),
    (check_untrained, equal_in_value, "by identity"),
    (
        check_untrained,
        lambda m, o: [n for n in untrained(m, o) if n != "second.bias"],
        "but frozen",
    ),
    (
        check_missing,
        lambda fused, alone, r: (1 - r) * fused + r / 2 * sum(alone.values()),
        "divide by M",
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


def test_a_newcomer_may_be_given_the_rate_of_the_others():
    check_grow(own_option(lr=0.1))


def test_the_weights_of_a_newcomer_may_be_drawn_otherwise():
    check_grow(uniform)
