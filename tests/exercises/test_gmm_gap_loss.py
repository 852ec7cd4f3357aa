"""Answers that the checks take, and wrong ones with the hint that each gets."""

import torch
import torch.nn.functional as F

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_distribution_shift,
    check_informed_weights,
    check_maximise,
    check_responsibilities,
    check_turning_point,
)


def responsibilities(x, mu, var, pi):
    return (pi.log() - 0.5 * ((x[:, None] - mu) ** 2 / var + var.log())).softmax(1)


def maximise(x, gamma, floor, over=None, around=None):
    mass = gamma.sum(0)
    mu = gamma.T @ x / (mass if over is None else over)
    square = (x[:, None] - (mu if around is None else around)) ** 2
    return mu, ((gamma * square).sum(0) / mass).clamp(min=floor), mass / len(x)


def turning_point(mu, var, pi):
    return (mu / var).diff() / (1 / var).diff()


def distribution_shift(d, r, mu_b, var_b, weighted=True):
    w = r.detach() / r.detach().sum() if weighted else torch.full_like(r, 1 / len(r)).detach()
    mean = (w * d).sum()
    variance = (w * (d - mean) ** 2).sum()
    return 0.5 * ((variance + (mean - mu_b) ** 2) / var_b - 1 - (variance / var_b).log())


def informed_weights(r, s_a, s_v, classes, both=False, other=1.0):
    known = torch.minimum(s_a, s_v) if both else torch.maximum(s_a, s_v)
    w = torch.where(known > 1 / classes, 2 - r.detach(), torch.as_tensor(other))
    return w / w.mean()


RIGHT = {
    check_responsibilities: responsibilities,
    check_maximise: maximise,
    check_turning_point: turning_point,
    check_distribution_shift: distribution_shift,
    check_informed_weights: informed_weights,
}

WRONG = [
    (check_responsibilities, lambda *a: responsibilities(*a).T, "transpose"),
    (
        check_responsibilities,
        lambda x, mu, var, pi: responsibilities(x, mu, var, torch.ones_like(pi)),
        "weights pi are not used",
    ),
    (
        check_responsibilities,
        lambda x, mu, var, pi: responsibilities(x, mu, var**2, pi),
        "not the deviation",
    ),
    (
        check_responsibilities,
        lambda x, mu, var, pi: (pi.log() - 0.5 * (x[:, None] - mu) ** 2 / var).softmax(1),
        "factor 1 / sigma",
    ),
    (
        check_responsibilities,
        lambda x, mu, var, pi: (
            pi.log() - 0.5 * ((x[:, None] - mu) ** 2 / var + var.log())
        ).softmax(0),
        "not over the samples",
    ),
    (
        check_responsibilities,
        lambda x, mu, var, pi: (
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi
        ),
        "adds up to 1",
    ),
    (check_responsibilities, lambda *a: responsibilities(*a).log(), "not their logarithms"),
    (
        check_responsibilities,
        lambda x, mu, var, pi: F.normalize(
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi, 1, 1, 0
        ),
        "far from every Gaussian",
    ),
    (
        check_responsibilities,
        lambda x, mu, var, pi: F.normalize(
            torch.distributions.Normal(mu, var.sqrt()).log_prob(x[:, None]).exp() * pi, 1, 1
        ),
        "do not add a small number",
    ),
    (check_maximise, lambda x, g, f: maximise(x, g, f, over=len(x)), "not by N"),
    (check_maximise, lambda x, g, f: maximise(x, g, f, over=1), "divide by N_j"),
    (check_maximise, lambda x, g, f: maximise(x, g, f, around=0), "subtract the mean"),
    (check_maximise, lambda x, g, f: maximise(x, g, f, around=x.mean()), "new. mean"),
    (
        check_maximise,
        lambda x, g, f: maximise(x, F.one_hot(g.argmax(1), 2).double(), f),
        "not the Gaussian with the largest",
    ),
    (check_maximise, lambda x, g, f: (*maximise(x, g, f)[:2], g.sum(0)), "add up to 1"),
    (
        check_maximise,
        lambda x, g, f: [t.sqrt() if k == 1 else t for k, t in enumerate(maximise(x, g, f))],
        "not deviations",
    ),
    (check_maximise, lambda x, g, f: maximise(x, g, 0.0), "keep it at floor"),
    (check_maximise, lambda x, g, f: maximise(x, g, f)[0], "three tensors"),
    (
        check_maximise,
        lambda x, g, f: tuple(t + f if k == 1 else t for k, t in enumerate(maximise(x, g, 0.0))),
        "var should be|lower limit",
    ),
    (check_turning_point, lambda mu, var, pi: -turning_point(mu, var, pi), "sign"),
    (check_turning_point, lambda mu, var, pi: mu.mean(), "half-way"),
    (
        check_turning_point,
        lambda mu, var, pi: turning_point(mu, var.sqrt(), pi),
        "not the deviations",
    ),
    (check_turning_point, lambda mu, var, pi: mu[0], "have slope"),
    (
        check_turning_point,
        lambda mu, var, pi: turning_point(mu, 1 / var, pi),
        "divide by the variances",
    ),
    (
        check_distribution_shift,
        lambda d, r, m, v: distribution_shift(d, r, m, v, weighted=False),
        "r is not used",
    ),
    (check_distribution_shift, lambda *a: 2 * distribution_shift(*a), "factor 1/2"),
    (check_distribution_shift, lambda *a: distribution_shift(*a) + 0.5, "equal Gaussians is 0"),
    (check_distribution_shift, lambda *a: distribution_shift(*a).detach(), "no gradient"),
    (
        check_distribution_shift,
        lambda d, r, m, v: distribution_shift(d, r, m, v) + 0 * r.sum() + (r - r.detach()).sum(),
        "reaches r",
    ),
    (check_distribution_shift, lambda d, r, m, v: d * r, "one number"),
    (
        check_informed_weights,
        lambda r, a, v, k: informed_weights(r, a, v, k, both=True),
        "one that knows is enough",
    ),
    (
        check_informed_weights,
        lambda r, a, v, k: informed_weights(r, a, v, k, other=0.0),
        "not dropped",
    ),
    (check_informed_weights, lambda r, a, v, k: 2 - r, "without its mean"),
    (check_informed_weights, lambda r, a, v, k: (2 - r) / (2 - r).mean(), "weight 1 before"),
    (
        check_informed_weights,
        lambda r, a, v, k: torch.where(torch.maximum(a, v) > 1 / k, 2 - r, 1),
        "change the learning rate",
    ),
    (check_informed_weights, lambda r, a, v, k: informed_weights(r, a, v, k) + 0 * r, "detach"),
]
