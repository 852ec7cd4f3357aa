"""The checks of lesson 6, CAL with its information bottleneck."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.exercises.checking import agrees, call, compare, exercise, has_shape, normal


@exercise("Exercise 1, a code that is drawn")
def check_draw_code(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean, log_var, noise)` is the code, `(B, d)`, with gradient to both."""
    mean, log_var, noise = normal(3, 5, 4)
    learned = mean.requires_grad_(), log_var.requires_grad_()
    sigma = (0.5 * log_var).exp()
    wanted = mean + sigma * noise
    changed = "noise has changed: compute anew, not in place"
    given = call(answer, mean, log_var, noise, unchanged=changed)
    given = has_shape(given, (5, 4), "the code is {}; give (5, 4)")
    mistakes = {
        "exp(log_var) is the variance; the noise takes sigma": mean + log_var.exp() * noise,
        "log_var is a logarithm: sigma = exp(log_var / 2)": mean + log_var * noise,
        "the noise has deviation 1 here; scale it by sigma": mean + noise,
        "that is the mean, the code at test time; in training it is drawn": mean,
        "the mean is missing": sigma * noise,
        "not mean + sigma * noise; draw nothing yourself, use the given noise": ...,
    }
    compare(given, wanted, mistakes)
    slopes = (None, None)
    if given.requires_grad:
        slopes = torch.autograd.grad(given.square().sum(), learned, allow_unused=True)
    right = torch.autograd.grad(wanted.square().sum(), learned)
    for name, slope, good in zip(("mean", "log_var"), slopes, right, strict=True):
        reached = slope is not None and agrees(slope, good)
        assert reached, f"no right gradient reaches {name}: detach nothing"


@exercise("Exercise 2, the divergence of two Gaussians")
def check_kl_between(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean_1, log_var_1, mean_2, log_var_2)` is the divergence, `(B,)`."""
    m_1, l_1, m_2, l_2 = normal(4, 6, 3).requires_grad_()

    def kl(m_1, l_1, m_2, l_2):
        return 0.5 * (l_2 - l_1 + (l_1.exp() + (m_1 - m_2) ** 2) / l_2.exp() - 1)  # (B, d)

    given = torch.as_tensor(call(answer, m_1, l_1, m_2, l_2))
    each = kl(m_1, l_1, m_2, l_2)
    wanted = each.sum(1)
    unstretched = (each + 0.5 * (m_1 - m_2) ** 2 * (1 - 1 / l_2.exp())).sum(1)
    other_shape = ... if given.shape != wanted.shape else ()
    no_logarithms = (each - 0.5 * (l_2 - l_1)).sum(1)
    mistakes = {
        "sum over the channels, dim=1": each,
        "sum over the channels, dim=1, not over the batch": each.sum(0),
        "nats add up over the channels: a sum, not a mean": each.mean(1),
        "one number a sample, (B,): do not sum over the batch": wanted.sum(),
        "one number a sample, (B,): do not average over the batch": wanted.mean(),
        "turned round: the first Gaussian's from the second": kl(m_2, l_2, m_1, l_1).sum(1),
        "the factor 1/2 is missing": 2 * wanted,
        "the - 1 is missing: equal Gaussians have divergence 0": wanted + 1.5,
        "that is the divergence from N(0, 1)": kl(m_1, l_1, 0 * m_2, 0 * l_2).sum(1),
        "shifted, and not yet stretched": kl(m_1 - m_2, l_1, 0 * m_2, 0 * l_2).sum(1),
        "the squared distance is measured in deviations of the second: divide by its variance": (
            unstretched
        ),
        "the logarithms are missing: log of the second variance over the first": no_logarithms,
        "log_var is of the variance, not of sigma": kl(m_1, 2 * l_1, m_2, 2 * l_2).sum(1),
        f"the result is {tuple(given.shape)}; give one a sample, (B,)": other_shape,
        f"{given.flatten()[0].item():.3f} for the first sample, not {wanted[0]:.3f}": ...,
    }
    compare(given, wanted, mistakes)
    assert given.requires_grad, "no gradient reaches the Gaussians: it is a loss, detach nothing"


@exercise("Exercise 3, the largest W")
def check_temperature_for(answer: Callable[[float, int], float]) -> None:
    """Lesson 6: `answer(largest, modalities)` is T with `softmax((1, 0, ...) / T)[0] = largest`."""
    for W, M in ((0.9, 2), (0.98, 2), (0.9, 3), (0.6, 4)):
        given = float(call(answer, W, M))
        rest = 1 - W
        log_odds = np.log(W * (M - 1) / rest)
        first = np.exp(1 / given) if given else np.nan
        share = first / (first + M - 1)
        mistakes = {
            "turned round: e^(1/T) is what you know": log_odds,
            "the sign is turned": -np.log(W / rest),
            "there are M - 1 others in the softmax, not one": 1 / np.log(W / rest),
            "of M modalities M - 1 have score 0": 1 / np.log(W * M / rest),
            "the scores differ by 1, not by 2": 2 / log_odds,
            "W is a share: the others' e^0 stands below too": 1 / np.log(W),
            f"T = {given:.3f} with {M} modalities gives W = {share:.3f}, not {W}": ...,
        }
        compare(given, 1 / log_odds, mistakes)


@exercise("Exercise 4, a gradient scaled by hand")
def check_scaled(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Lesson 6: `answer(x, factor)` has x's values; through it x gets `factor` times the slope."""
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], requires_grad=True)
    for factor in (1.5, 0.25):
        h = 1.0 * x  # not a leaf, as an encoder's output
        given = torch.as_tensor(call(answer, h, factor))
        mistakes = {
            "the values are scaled: only the gradient should be": factor * h,
            "the values of x should come back unchanged": ...,
        }
        compare(given, h, mistakes)
        assert given.requires_grad, "no gradient flows: part of x has to stay attached"
        (slope,) = torch.autograd.grad((given**2).sum() + (3 * h).sum(), x)
        through, beside = 2 * x.detach(), 3.0
        mistakes = {
            "the gradient is not scaled": through + beside,
            "all uses of x are scaled: take a new tensor first": factor * (through + beside),
            "that is 1 - factor: swap the two parts": (1 - factor) * through + beside,
            "that divides by the factor": through / factor + beside,
            "that is 1 + factor: the plain part is too much": (1 + factor) * through + beside,
            f"the slope through it should be {factor} times as large": ...,
        }
        compare(slope, factor * through + beside, mistakes)


@exercise("Exercise 5, confidence after calibration")
def check_calibrated_confidence(answer: Callable[[Tensor, Tensor, Sequence[float]], float]) -> None:
    """Lesson 6: `answer(z, target, temperatures)` is D of the logits over the best temperature."""
    target, noise = torch.arange(400) % 4, normal(400, 4)
    temperatures = [0.5, 1.0, 2.0, 4.0, 8.0, 100.0]

    def confidence(z: Tensor) -> float:
        return 1 - torch.special.entr(z.softmax(1)).sum(1).mean().item() / np.log(z.shape[1])

    for z in (noise + 1.5 * F.one_hot(target, 4), 4 * (noise + F.one_hot(target, 4)), 5 * noise):
        given = float(call(answer, z, target, temperatures))
        losses = {t: F.cross_entropy(z / t, target).item() for t in temperatures}
        best, worst = min(losses, key=losses.get), max(losses, key=losses.get)
        times = min(temperatures, key=lambda t: F.cross_entropy(t * z, target))
        multiplied = confidence(times * z), confidence(best * z)
        all_of_them = [confidence(z / t) for t in temperatures]
        wanted = confidence(z / best)
        mistakes = {
            "the temperature is not used: divide the logits before the softmax": confidence(z),
            "that is the temperature; give the confidence it leads to": best,
            "that is the entropy's share; confidence is 1 minus it": 1 - wanted,
            "divide by the temperature, do not multiply": multiplied,
            "that temperature has the highest cross-entropy, not the lowest": confidence(z / worst),
            "choose by cross-entropy on the target, not by the confidence itself, nor by "
            "accuracy, which no temperature changes": (max(all_of_them), min(all_of_them)),
            "that is the accuracy": (z.argmax(1) == target).float().mean(),
            "that is the cross-entropy; give the confidence": min(losses.values()),
            f"{given:.3f}; at temperature {best:g} it is {wanted:.3f}": ...,
        }
        compare(given, wanted, mistakes)


@exercise("Exercise 6, dynamic potential")
def check_potential(answer: Callable[[Sequence[float], int], float]) -> None:
    """Lesson 6: `answer(losses, k)` is the relative drop over the last k epochs, not below 0."""
    for losses in ([], [2.0], [2.0, 1.5]):
        given = call(answer, list(losses), 2)
        assert float(given) == 0, f"{given} after {len(losses)} epochs; give 0 before k + 1 = 3"
    down, bumpy = [2.0, 1.6, 1.0, 0.8], [1.6, 2.4, 1.8, 3.0, 1.0, 1.5]
    for losses, k in ((down, 1), (down, 2), ([2.0, 1.5, 1.0], 2), (bumpy, 4), (bumpy, 2)):
        given, window = float(call(answer, list(losses), k)), losses[-1 - k :]
        before, last = window[0], losses[-1]
        wanted = 1 - last / before
        mistakes = {
            "relative: over the loss of k epochs ago": before - last,
            "the sign is turned: a falling loss has potential": -wanted,
            "over the *earlier* loss, so that it is at most 1": (before - last) / last,
            "the drop, 1 minus this share": last / before,
            "over the loss of k epochs ago, not over the first": (before - last) / losses[0],
            "only the last k epochs count": 1 - last / losses[0],
            "k epochs back is losses[-1 - k]": 1 - last / losses[-k],
            "from the loss k epochs ago, not from the largest since": 1 - last / max(window),
            "to the last loss, not to the smallest": 1 - min(window) / before,
            f"{given:.3f} for {losses} and k = {k}, not {wanted:.3f}": ...,
        }
        compare(given, wanted, mistakes)
    rising = float(call(answer, [1.0, 1.2, 1.5], 2))
    assert rising == 0, "a rising loss has potential 0, not a negative one"
