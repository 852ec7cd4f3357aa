"""Answers that the checks take, and wrong ones with the hint that each gets."""

import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from answers import (  # noqa: F401
    interval,
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_feature_gradient,
    check_imbalance_ratio,
    check_optimizer,
    check_paired_interval,
    check_weighted_loss,
)


def feature_gradient(weight, logits, target):
    return (logits.softmax(1) - F.one_hot(target, logits.shape[1])) @ weight / len(target)


def imbalance_ratio(z_a, z_v, target):
    s_a, s_v = (z.softmax(1).gather(1, target[:, None]).sum() for z in (z_a, z_v))
    return s_a / s_v


def weighted_loss(logits, target, weights):
    loss = F.cross_entropy(logits["fused"], target)
    return loss + sum(w * F.cross_entropy(logits[m], target) for m, w in weights.items())


def make_optimizer(model, lr, factor):
    rest = [p for n, p in model.named_parameters() if not n.startswith("encoders.visual")]
    visual = {"params": model.encoders["visual"].parameters(), "lr": factor * lr}
    return torch.optim.SGD([{"params": rest}, visual], lr, momentum=0.9, weight_decay=1e-4)


def without_decay(model, lr, factor):
    optimizer = make_optimizer(model, lr, factor)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    return optimizer


def same(z, target, dim=1):
    return z.softmax(dim).gather(1, target[:, None])


RIGHT = {
    check_feature_gradient: feature_gradient,
    check_imbalance_ratio: imbalance_ratio,
    check_weighted_loss: weighted_loss,
    check_paired_interval: interval,
    check_optimizer: make_optimizer,
}

WRONG = [
    (check_feature_gradient, lambda W, z, y: -feature_gradient(W, z, y), "sign"),
    (check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y) * 6, "mean"),
    (check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y).sum(0), "shape"),
    (check_feature_gradient, lambda W, z, y: (z.softmax(0) - F.one_hot(y, 4)) @ W / 6, "dim=1"),
    (check_feature_gradient, lambda W, z, y: W.T @ z, "samples are rows"),
    (check_imbalance_ratio, lambda a, v, y: imbalance_ratio(v, a, y), "rho_v"),
    (check_imbalance_ratio, lambda a, v, y: (same(a, y) / same(v, y)).mean(), "divide the sums"),
    (check_imbalance_ratio, lambda a, v, y: same(a, y, 0).sum() / same(v, y, 0).sum(), "dim=1"),
    (
        check_imbalance_ratio,
        lambda a, v, y: a.softmax(1).amax(1).sum() / v.softmax(1).amax(1).sum(),
        "true class",
    ),
    (check_imbalance_ratio, lambda a, v, y: same(a, y) / same(v, y), "one number"),
    (check_imbalance_ratio, lambda a, v, y: {"audio": 1.0}, "not a dict"),
    (
        check_weighted_loss,
        lambda z, y, w: weighted_loss(z, y, w) - F.cross_entropy(z["fused"], y),
        "fused loss is missing",
    ),
    (
        check_weighted_loss,
        lambda z, y, w: weighted_loss(z, y, dict.fromkeys(w, 1.0)),
        "weights are not used",
    ),
    (check_weighted_loss, lambda z, y, w: weighted_loss(z, y, w).detach(), "gradient"),
    (
        check_weighted_loss,
        lambda z, y, w: sum(
            F.cross_entropy(z[m], y) * {"fused": 1, **w}[m] for m in ("audio", "visual", "fused")
        ),
        "names from weights",
    ),
    (
        check_weighted_loss,
        lambda z, y, w: sum(w[m] * F.cross_entropy(z[m], y) for m in z),
        "also holds 'fused'",
    ),
    (check_weighted_loss, lambda z, y, w: 2 * weighted_loss(z, y, w), "not CE"),
    (
        check_paired_interval,
        lambda a, b: (
            (a - b).mean(),
            (a - b).mean() - 1.96 * (a - b).std(ddof=1) / 5**0.5,
            (a - b).mean() + 1.96 * (a - b).std(ddof=1) / 5**0.5,
        ),
        "1.96",
    ),
    (check_paired_interval, lambda a, b: interval(b, a), "a - b"),
    (check_paired_interval, lambda a, b: interval(a, b)[:2], "three numbers"),
    (
        check_optimizer,
        lambda model, lr, factor: torch.optim.SGD(model.encoders["visual"].parameters(), lr, 0.9),
        "never be trained",
    ),
    (
        check_optimizer,
        lambda model, lr, factor: torch.optim.SGD(model.parameters(), lr, 0.9),
        "learning rate",
    ),
    (check_optimizer, without_decay, "weight decay"),
    (
        check_optimizer,
        lambda model, lr, factor: torch.optim.Adam(model.parameters(), lr),
        "torch.optim.SGD",
    ),
]


def test_interval_variants():
    def with_half(half):
        return lambda a, b: (
            (a - b).mean(),
            (a - b).mean() - half(a, b),
            (a - b).mean() + half(a, b),
        )

    t = stats.t.ppf(0.975, 4)
    unpaired = stats.t.ppf(0.975, 8)
    for half, hint in (
        (lambda a, b: unpaired * ((a.var(ddof=1) + b.var(ddof=1)) / 5) ** 0.5, "unpaired"),
        (lambda a, b: t * (a - b).std() / 5**0.5, "ddof=1"),
        (lambda a, b: t * (a - b).std(ddof=1), "square root of n"),
        (lambda a, b: stats.t.ppf(0.95, 4) * (a - b).std(ddof=1) / 5**0.5, "2.5 %"),
    ):
        with pytest.raises(AssertionError, match=hint):
            check_paired_interval(with_half(half))
