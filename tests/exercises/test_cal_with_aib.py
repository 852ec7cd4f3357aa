"""Answers that the checks take, and wrong ones with the hint that each gets."""

import numpy as np
import torch
import torch.nn.functional as F

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_calibrated_confidence,
    check_draw_code,
    check_kl_between,
    check_potential,
    check_scaled,
    check_temperature_for,
)


def draw_code(mean, log_var, noise):
    return mean + (0.5 * log_var).exp() * noise


def kl_channels(m_1, l_1, m_2, l_2):
    return 0.5 * (l_2 - l_1 + (l_1.exp() + (m_1 - m_2) ** 2) / l_2.exp() - 1)


def temperature_for(largest, modalities):
    return 1 / np.log(largest * (modalities - 1) / (1 - largest))


def scaled(x, factor):
    return factor * x + (1 - factor) * x.detach()


def scaled_by_hook(x, factor, new=True):
    x = x.clone() if new else x
    x.register_hook(lambda gradient: factor * gradient)
    return x


def confident(z):
    return 1 - torch.special.entr(z.softmax(1)).sum(1).mean().item() / np.log(z.shape[1])


def best_temperature(z, target, temperatures, pick=min):
    return pick(temperatures, key=lambda t: F.cross_entropy(z / t, target).item())


def calibrated_confidence(z, target, temperatures, pick=min):
    return confident(z / best_temperature(z, target, temperatures, pick))


def potential(losses, k, over=None, least=0.0):
    if len(losses) <= k:
        return 0.0
    now, before = losses[-1], losses[-1 - k]
    return max((before - now) / (over(losses, k) if over else before), least)


def drop_from_the_largest(losses, k):
    return max(0.0, 1 - losses[-1] / max(losses[-1 - k :])) if len(losses) > k else 0.0


def drop_to_the_smallest(losses, k):
    window = losses[-1 - k :]
    return max(0.0, 1 - min(window) / window[0]) if len(losses) > k else 0.0


RIGHT = {
    check_draw_code: draw_code,
    check_kl_between: lambda *parts: kl_channels(*parts).sum(1),
    check_temperature_for: temperature_for,
    check_scaled: scaled,
    check_calibrated_confidence: calibrated_confidence,
    check_potential: potential,
}

WRONG = [
    (
        check_draw_code,
        lambda mean, log_var, noise: mean + noise.mul_((0.5 * log_var).exp().detach()),
        "not in place",
    ),
    (check_draw_code, lambda m, v, e: m + v.exp() * e, "is the variance"),
    (check_draw_code, lambda m, v, e: m + v * e, "is a logarithm"),
    (check_draw_code, lambda m, v, e: m + e, "scale it by sigma"),
    (check_draw_code, lambda m, v, e: m, "code at test time"),
    (check_draw_code, lambda m, v, e: draw_code(m, v, e) - m, "mean is missing"),
    (check_draw_code, lambda m, v, e: torch.normal(m, (v / 2).exp()), "given noise"),
    (check_draw_code, lambda m, v, e: draw_code(m, v.detach(), e), "reaches log_var"),
    (check_draw_code, lambda m, v, e: draw_code(m, v, e).detach(), "reaches mean"),
    (check_draw_code, lambda m, v, e: draw_code(m, v, e).sum(1), "give .5, 4."),
    (check_kl_between, lambda *g: kl_channels(*g).sum(1).detach(), "detach nothing"),
    (check_kl_between, kl_channels, "sum over the channels, dim=1"),
    (check_kl_between, lambda *a: kl_channels(*a).sum(0), "not over the batch"),
    (check_kl_between, lambda *a: kl_channels(*a).mean(1), "not a mean"),
    (check_kl_between, lambda *a: kl_channels(*a).sum(), "do not sum over the batch"),
    (check_kl_between, lambda *a: kl_channels(*a).sum(1).mean(), "do not average"),
    (check_kl_between, lambda m, v, n, w: kl_channels(n, w, m, v).sum(1), "turned round"),
    (check_kl_between, lambda *a: 2 * kl_channels(*a).sum(1), "factor 1/2"),
    (check_kl_between, lambda *a: (kl_channels(*a) + 0.5).sum(1), "- 1 is missing"),
    (check_kl_between, lambda m, v, n, w: kl_channels(m, v, 0 * n, 0 * w).sum(1), "from N.0, 1."),
    (
        check_kl_between,
        lambda m, v, n, w: kl_channels(m - n, v, 0 * n, 0 * w).sum(1),
        "not yet stretched",
    ),
    (
        check_kl_between,
        lambda m, v, n, w: 0.5 * (w - v + (v - w).exp() + (m - n) ** 2 - 1).sum(1),
        "divide by its variance",
    ),
    (
        check_kl_between,
        lambda m, v, n, w: 0.5 * ((v.exp() + (m - n) ** 2) / w.exp() - 1).sum(1),
        "logarithms are missing",
    ),
    (check_kl_between, lambda m, v, n, w: kl_channels(m, 2 * v, n, 2 * w).sum(1), "not of sigma"),
    (check_kl_between, lambda *a: kl_channels(*a).sum(1) + 1, "for the first sample"),
    (check_temperature_for, lambda w, M: np.log(w * (M - 1) / (1 - w)), "turned round"),
    (check_temperature_for, lambda w, M: temperature_for(w, 2), "M - 1 others"),
    (check_temperature_for, lambda w, M: temperature_for(w, M + 1), "M - 1 have score 0"),
    (check_temperature_for, lambda w, M: 2 * temperature_for(w, M), "not by 2"),
    (check_temperature_for, lambda w, M: 1 / np.log(w), "W is a share"),
    (check_temperature_for, lambda w, M: -np.log(w / (1 - w)), "sign is turned"),
    (check_temperature_for, lambda w, M: 0.3, "gives W = "),
    (check_scaled, lambda x, f: f * x, "values are scaled"),
    (check_scaled, lambda x, f: x + f, "come back unchanged"),
    (check_scaled, lambda x, f: x.detach(), "no gradient"),
    (check_scaled, lambda x, f: x.clone(), "is not scaled"),
    (check_scaled, lambda x, f: scaled_by_hook(x, f, new=False), "all uses of x"),
    (check_scaled, lambda x, f: scaled(x, 1 - f), "swap the two parts"),
    (check_scaled, lambda x, f: scaled(x, 1 / f), "divides by the factor"),
    (check_scaled, lambda x, f: scaled(x, 1 + f), "plain part is too much"),
    (check_scaled, lambda x, f: scaled(x, 7.0), "times as large"),
    (
        check_calibrated_confidence,
        lambda z, target, temperatures: confident(z / temperatures[0]),
        "nor by accuracy",
    ),
    (check_calibrated_confidence, lambda z, y, t: confident(z), "is not used"),
    (check_calibrated_confidence, best_temperature, "that is the temperature"),
    (check_calibrated_confidence, lambda *a: 1 - calibrated_confidence(*a), "1 minus it"),
    (
        check_calibrated_confidence,
        lambda z, y, t: confident(z * best_temperature(z, y, t)),
        "do not multiply",
    ),
    (
        check_calibrated_confidence,
        lambda *a: calibrated_confidence(*a, pick=max),
        "highest cross-entropy",
    ),
    (
        check_calibrated_confidence,
        lambda z, y, t: max(confident(z / k) for k in t),
        "not by the confidence itself|highest cross-entropy",
    ),
    (
        check_calibrated_confidence,
        lambda z, y, t: min(confident(z / k) for k in t),
        "not by the confidence itself|highest cross-entropy",
    ),
    (
        check_calibrated_confidence,
        lambda z, y, t: (z.argmax(1) == y).float().mean(),
        "that is the accuracy",
    ),
    (
        check_calibrated_confidence,
        lambda z, y, t: min(F.cross_entropy(z / k, y) for k in t),
        "that is the cross-entropy",
    ),
    (check_calibrated_confidence, lambda z, y, t: 0.123, "at temperature"),
    (check_potential, drop_from_the_largest, "not from the largest"),
    (check_potential, drop_to_the_smallest, "not to the smallest"),
    (check_potential, lambda x, k: x[0] - x[-1], "stops with IndexError"),
    (check_potential, lambda x, k: potential([9.0] + x, k), "before k"),
    (check_potential, lambda x, k: potential(x, k, lambda x, k: 1.0), "relative"),
    (check_potential, lambda x, k: -potential(x, k), "sign is turned"),
    (check_potential, lambda x, k: potential(x, k, lambda x, k: x[-1]), "earlier"),
    (check_potential, lambda x, k: x[-1] / x[-1 - k] if len(x) > k else 0.0, "1 minus this share"),
    (check_potential, lambda x, k: potential(x, k, lambda x, k: x[0]), "over the first"),
    (check_potential, lambda x, k: 1 - x[-1] / x[0] if len(x) > k else 0.0, "only the last k"),
    (check_potential, lambda x, k: 1 - x[-1] / x[-k] if len(x) > k else 0.0, "losses.-1 - k"),
    (check_potential, lambda x, k: potential(x, k, least=-9.0), "rising loss"),
    (check_potential, lambda x, k: 0.37 if len(x) > k else 0.0, "for .2.0"),
]


def test_a_gradient_may_be_scaled_by_a_hook(capsys):
    check_scaled(scaled_by_hook)
    assert capsys.readouterr().out.endswith(": passed\n")
