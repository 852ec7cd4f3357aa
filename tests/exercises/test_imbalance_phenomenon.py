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
    check_coefficient,
    check_feature_gradient,
    check_imbalance_ratio,
    check_joint_logits,
    check_louder_loss,
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


def joint_logits(h, W, b, biases=1, mean=False):
    share = {m: h[m] @ W[m].T for m in h}
    z = sum(share.values()) / (len(h) if mean else 1)
    return {m: share[m] + b for m in h} | {"fused": z + biases * b}


def coefficient(rho, alpha):
    return torch.where(rho > 1, 1 - torch.tanh(alpha * rho), 1.0)


def louder_loss(z, y, w):
    return F.cross_entropy((1 - w) * z["audio"] + w * z["visual"], y)


def mixed_probabilities(z, y, w):
    mixed = (1 - w) * z["audio"].softmax(1) + w * z["visual"].softmax(1)
    return F.nll_loss(mixed.log(), y)


def two_losses(z, y, w):
    return (1 - w) * F.cross_entropy(z["audio"], y) + w * F.cross_entropy(z["visual"], y)


def without_fused(*arguments):
    return {m: z for m, z in joint_logits(*arguments).items() if m != "fused"}


RIGHT = {
    check_joint_logits: joint_logits,
    check_coefficient: coefficient,
    check_louder_loss: louder_loss,
    check_feature_gradient: feature_gradient,
    check_imbalance_ratio: imbalance_ratio,
    check_weighted_loss: weighted_loss,
    check_paired_interval: interval,
    check_optimizer: make_optimizer,
}

WRONG = [
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, b, biases=len(h)), "bias once"),
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, b, biases=0), "fused lacks the bias"),
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, b, mean=True), "not their mean"),
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, 0 * b), "audio lacks the bias"),
    (
        check_joint_logits,
        lambda h, W, b: dict.fromkeys([*h, "fused"], joint_logits(h, W, b)["fused"]),
        "must not hold the other",
    ),
    (check_joint_logits, lambda h, W, b: {m: h[m] @ W[m] + b for m in h}, "turn W"),
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, b)["fused"], "give a dict"),
    (check_joint_logits, without_fused, "give a dict"),
    (
        check_joint_logits,
        lambda h, W, b: joint_logits({m: h[m] for m in ("audio", "visual")}, W, b),
        "take the names from h",
    ),
    (check_coefficient, lambda rho, alpha: 1 - torch.tanh(alpha * rho), "only a modality"),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho > 1, 1.0, 1 - torch.tanh(alpha * rho)),
        "turned round",
    ),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho > 1, torch.tanh(alpha * rho), 1.0),
        "1 minus",
    ),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho > 1, 1 - alpha * torch.tanh(rho), 1.0),
        "inside the tanh",
    ),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho > 1, 1 - torch.tanh(rho), 1.0),
        "alpha is not used",
    ),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho >= 1, 1 - torch.tanh(alpha * rho), 1.0),
        "nobody is ahead",
    ),
    (
        check_coefficient,
        lambda rho, alpha: torch.where(rho > 1, 1 - torch.tanh(alpha * (rho - 1)), 1.0),
        "not of rho - 1",
    ),
    (check_joint_logits, lambda h, W, b: joint_logits(h, W, b / len(h)), "the whole bias"),
    (check_coefficient, lambda rho, alpha: 1.0 if rho <= 1 else 0.5, "torch.where, not with `if`"),
    (check_coefficient, lambda rho, alpha: coefficient(rho, alpha).mean(), "as many numbers"),
    (check_louder_loss, two_losses, "a sum of two losses"),
    (check_louder_loss, lambda z, y, w: louder_loss(z, y, 1 - w), "w belongs to the picture"),
    (
        check_louder_loss,
        lambda z, y, w: F.cross_entropy(z["audio"] + w * z["visual"], y),
        "keeps 1 - w",
    ),
    (check_louder_loss, mixed_probabilities, "not the probabilities"),
    (check_louder_loss, lambda z, y, w: F.cross_entropy(z["fused"], y), "not the cross-entropy"),
    (check_louder_loss, lambda z, y, w: louder_loss(z, y, w).detach(), "no gradient flows"),
    (check_louder_loss, lambda z, y, w: louder_loss(z, y, 0.8), "written in"),
    (check_feature_gradient, lambda W, z, y: z.softmax(1) @ W / 6, "e_y is missing"),
    (check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y) / 4, "not by B and K"),
    (
        check_weighted_loss,
        lambda z, y, w: (
            F.cross_entropy(z["fused"], y)
            + sum(w[m] * F.cross_entropy(z[m], y) for m in w) / len(w)
        ),
        "not a mean",
    ),
    (check_weighted_loss, lambda z, y, w: 6 * weighted_loss(z, y, w), "not its sum"),
    (check_weighted_loss, lambda z, y, w: -weighted_loss(z, y, w), "sign is turned"),
    (
        check_optimizer,
        lambda model, lr, factor: torch.optim.SGD(
            [{"params": model.parameters()}, {"params": model.encoders["visual"].parameters()}], lr
        ),
        "one group",
    ),
    (check_feature_gradient, lambda W, z, y: -feature_gradient(W, z, y), "sign"),
    (check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y) * 6, "mean"),
    (check_feature_gradient, lambda W, z, y: feature_gradient(W, z, y).sum(0), "shape"),
    (check_feature_gradient, lambda W, z, y: (z.softmax(0) - F.one_hot(y, 4)) @ W / 6, "dim=1"),
    (check_feature_gradient, lambda W, z, y: W.T @ z, "samples are rows"),
    (check_imbalance_ratio, lambda a, v, y: imbalance_ratio(v, a, y), "rho_v"),
    (check_imbalance_ratio, lambda a, v, y: (same(a, y) / same(v, y)).mean(), "divide the means"),
    (check_imbalance_ratio, lambda a, v, y: same(a, y, 0).sum() / same(v, y, 0).sum(), "dim=1"),
    (
        check_imbalance_ratio,
        lambda a, v, y: a.softmax(1).amax(1).sum() / v.softmax(1).amax(1).sum(),
        "true class",
    ),
    (check_imbalance_ratio, lambda a, v, y: same(a, y) / same(v, y), "one number"),
    (check_imbalance_ratio, lambda a, v, y: {"audio": 1.0}, "not a dict"),
    (check_imbalance_ratio, lambda a, v, y: imbalance_ratio(a, v, y).item(), "drop .item()"),
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
        check_weighted_loss,
        lambda z, y, w: weighted_loss({m: x.softmax(1) for m, x in z.items()}, y, w),
        "takes logits",
    ),
    (
        check_imbalance_ratio,
        lambda a, v, y: a.gather(1, y[:, None]).mean() / v.gather(1, y[:, None]).mean(),
        "a softmax of the logits first",
    ),
    (
        check_imbalance_ratio,
        lambda a, v, y: a.softmax(1)[:, y].mean() / v.softmax(1)[:, y].mean(),
        "a column for each sample",
    ),
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
    (check_paired_interval, lambda a, b: sorted(interval(a, b)), "mean, low, high"),
    (
        check_paired_interval,
        lambda a, b: (interval(a, b)[0], interval(a, b)[1:]),
        "give three numbers",
    ),
    (check_paired_interval, lambda a, b: interval(abs(a - b), 0 * a), "each one's sign"),
    (check_feature_gradient, lambda W, z, y: (z - F.one_hot(y, 4)) @ W / 6, "where p should"),
    (
        check_feature_gradient,
        lambda W, z, y: (z.softmax(1) - F.one_hot(y)) @ W / len(y),
        "number of classes",
    ),
    (
        check_feature_gradient,
        lambda W, z, y: (z.softmax(1) - F.one_hot(y, 10)) @ W / len(y),
        "not always 10",
    ),
    (
        check_feature_gradient,
        lambda W, z, y: (z.softmax(1) - F.one_hot(y, 4)) @ W / z.shape[1],
        "not by K",
    ),
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
        (lambda a, b: stats.t.ppf(0.975, 5) * (a - b).std(ddof=1) / 5**0.5, "degrees of freedom"),
        (lambda a, b: t * (a - b).std(ddof=1), "square root of S"),
        (lambda a, b: t * (a - b).std(ddof=1) / len(a), "square root of S"),
        (lambda a, b: stats.t.ppf(0.95, 4) * (a - b).std(ddof=1) / 5**0.5, "2.5 %"),
        (lambda a, b: t * (a - b).std(ddof=1) / 5**0.5, "S is the number"),
        (lambda a, b: t * (a - b).std(ddof=1) / len(a) ** 0.5, "S is the number"),
    ):
        with pytest.raises(AssertionError, match=hint):
            check_paired_interval(with_half(half))
