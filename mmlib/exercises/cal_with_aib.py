"""The checks of lesson 6."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.exercises.checking import agrees, call, exercise


@exercise("Exercise 1, a code that is drawn")
def check_draw_code(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean, log_var, noise)` is the code, `(B, d)`, with gradient to both."""
    generator = torch.Generator().manual_seed(0)
    mean, log_var, noise = torch.randn(3, 5, 4, generator=generator)
    mean.requires_grad_()
    log_var.requires_grad_()
    kept = noise.clone()
    given = torch.as_tensor(call(answer, mean, log_var, noise))
    if not torch.equal(noise, kept):
        raise AssertionError("noise has changed: compute anew, not in place")
    wanted = mean + (0.5 * log_var).exp() * noise
    if given.shape != wanted.shape:
        raise AssertionError(f"the code is {tuple(given.shape)}; give {tuple(wanted.shape)}")
    for wrong, hint in (
        (mean + log_var.exp() * noise, "exp(log_var) is the variance; the noise takes sigma"),
        (mean + log_var * noise, "log_var is a logarithm: sigma = exp(log_var / 2)"),
        (mean + noise, "the noise has deviation 1 here; scale it by sigma"),
        (mean, "that is the mean, the code at test time; in training it is drawn"),
        ((0.5 * log_var).exp() * noise, "the mean is missing"),
    ):
        if agrees(given.detach(), wrong.detach()):
            raise AssertionError(hint)
    if not agrees(given.detach(), wanted.detach()):
        raise AssertionError("not mean + sigma * noise; draw nothing yourself, use the given noise")
    slopes = (None, None)
    if given.requires_grad:
        slopes = torch.autograd.grad(given.square().sum(), (mean, log_var), allow_unused=True)
    right = torch.autograd.grad(wanted.square().sum(), (mean, log_var))
    for name, slope, good in zip(("mean", "log_var"), slopes, right, strict=True):
        if slope is None or not agrees(slope, good):
            raise AssertionError(f"no right gradient reaches {name}: detach nothing")


@exercise("Exercise 2, the divergence of two Gaussians")
def check_kl_between(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean_1, log_var_1, mean_2, log_var_2)` is the divergence, `(B,)`."""
    generator = torch.Generator().manual_seed(0)
    m_1, l_1, m_2, l_2 = torch.randn(4, 6, 3, generator=generator).requires_grad_()

    def channels(m_1, l_1, m_2, l_2):
        return 0.5 * (l_2 - l_1 + (l_1.exp() + (m_1 - m_2) ** 2) / l_2.exp() - 1)  # (B, d)

    given = torch.as_tensor(call(answer, m_1, l_1, m_2, l_2))
    each = channels(m_1, l_1, m_2, l_2)
    wanted = each.sum(1)
    for wrong, hint in (
        (each, "sum over the channels, dim=1"),
        (each.sum(0), "sum over the channels, dim=1, not over the batch"),
        (each.mean(1), "nats add up over the channels: a sum, not a mean"),
        (wanted.sum(), "one number a sample, (B,): do not sum over the batch"),
        (wanted.mean(), "one number a sample, (B,): do not average over the batch"),
        (channels(m_2, l_2, m_1, l_1).sum(1), "turned round: the first Gaussian's from the second"),
        (2 * wanted, "the factor 1/2 is missing"),
        (wanted + 1.5, "the - 1 is missing: equal Gaussians have divergence 0"),
        (channels(m_1, l_1, 0 * m_2, 0 * l_2).sum(1), "that is the divergence from N(0, 1)"),
        (channels(m_1 - m_2, l_1, 0 * m_2, 0 * l_2).sum(1), "shifted, and not yet stretched"),
        (
            (each + 0.5 * (m_1 - m_2) ** 2 * (1 - 1 / l_2.exp())).sum(1),
            "the squared distance is measured in deviations of the second: divide by its variance",
        ),
        (
            (each - 0.5 * (l_2 - l_1)).sum(1),
            "the logarithms are missing: log of the second variance over the first",
        ),
        (channels(m_1, 2 * l_1, m_2, 2 * l_2).sum(1), "log_var is of the variance, not of sigma"),
    ):
        if agrees(given, wrong):
            raise AssertionError(hint)
    if given.shape != wanted.shape:
        raise AssertionError(f"the result is {tuple(given.shape)}; give one a sample, (B,)")
    if not agrees(given, wanted):
        raise AssertionError(f"{given[0].item():.3f} for the first sample, not {wanted[0]:.3f}")
    if not given.requires_grad:
        raise AssertionError("no gradient reaches the Gaussians: it is a loss, detach nothing")


@exercise("Exercise 3, the largest W")
def check_temperature_for(answer: Callable[[float, int], float]) -> None:
    """Lesson 6: `answer(largest, modalities)` is T with `softmax((1, 0, ...) / T)[0] = largest`."""
    for largest, M in ((0.9, 2), (0.98, 2), (0.9, 3), (0.6, 4)):
        given = float(call(answer, largest, M))
        odds = largest * (M - 1) / (1 - largest)
        for wrong, hint in (
            (np.log(odds), "turned round: e^(1/T) is what you know"),
            (-np.log(largest / (1 - largest)), "the sign is turned"),
            (1 / np.log(largest / (1 - largest)), "there are M - 1 others in the softmax, not one"),
            (1 / np.log(largest * M / (1 - largest)), "of M modalities M - 1 have score 0"),
            (2 / np.log(odds), "the scores differ by 1, not by 2"),
            (1 / np.log(largest), "W is a share: the others' e^0 stands below too"),
        ):
            if np.isclose(given, wrong) and not np.isclose(wrong, 1 / np.log(odds)):
                raise AssertionError(hint)
        if not np.isclose(given, 1 / np.log(odds)):
            first = np.exp(1 / given) if given else np.nan
            raise AssertionError(
                f"T = {given:.3f} with {M} modalities gives W = {first / (first + M - 1):.3f}, "
                f"not {largest}"
            )


@exercise("Exercise 4, a gradient scaled by hand")
def check_scaled(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Lesson 6: `answer(x, factor)` has x's values; through it x gets `factor` times the slope."""
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], requires_grad=True)
    leaf = torch.tensor(1.0, requires_grad=True)
    for factor in (1.5, 0.25):
        h = leaf * x  # not a leaf, as an encoder's output
        given = torch.as_tensor(call(answer, h, factor))
        if agrees(given.detach(), factor * h.detach()):
            raise AssertionError("the values are scaled: only the gradient should be")
        if not agrees(given.detach(), h.detach()):
            raise AssertionError("the values of x should come back unchanged")
        if not given.requires_grad:
            raise AssertionError("no gradient flows: part of x has to stay attached")
        (slope,) = torch.autograd.grad((given**2).sum() + (3 * h).sum(), x)
        through, beside = 2 * x.detach(), torch.full_like(x, 3.0)
        for wrong, hint in (
            (through + beside, "the gradient is not scaled"),
            (
                factor * (through + beside),
                "all uses of x are scaled: take a new tensor first",
            ),
            ((1 - factor) * through + beside, "that is 1 - factor: swap the two parts"),
            (through / factor + beside, "that divides by the factor"),
            ((1 + factor) * through + beside, "that is 1 + factor: the plain part is too much"),
        ):
            if agrees(slope, wrong):
                raise AssertionError(hint)
        if not agrees(slope, factor * through + beside):
            raise AssertionError(f"the slope through it should be {factor} times as large")


@exercise("Exercise 5, confidence after calibration")
def check_calibrated_confidence(answer: Callable[[Tensor, Tensor, Sequence[float]], float]) -> None:
    """Lesson 6: `answer(z, target, temperatures)` is D of the logits over the best temperature."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(400) % 4
    noise = torch.randn(400, 4, generator=generator)
    temperatures = [0.5, 1.0, 2.0, 4.0, 8.0, 100.0]

    def confidence(z):
        p = z.softmax(1)
        return 1 - torch.special.entr(p).sum(1).mean() / np.log(z.shape[1])

    for z in (noise + 1.5 * F.one_hot(target, 4), 4 * (noise + F.one_hot(target, 4)), 5 * noise):
        given = float(call(answer, z, target, temperatures))
        losses = [F.cross_entropy(z / t, target).item() for t in temperatures]
        best = temperatures[int(np.argmin(losses))]
        wanted = confidence(z / best).item()
        times = min(temperatures, key=lambda t: F.cross_entropy(t * z, target))
        right = z.argmax(1) == target
        for wrong, hint in (
            (confidence(z), "the temperature is not used: divide the logits before the softmax"),
            (best, "that is the temperature; give the confidence it leads to"),
            (1 - wanted, "that is the entropy's share; confidence is 1 minus it"),
            (confidence(times * z), "divide by the temperature, do not multiply"),
            (confidence(best * z), "divide by the temperature, do not multiply"),
            (
                confidence(z / temperatures[int(np.argmax(losses))]),
                "that temperature has the highest cross-entropy, not the lowest",
            ),
            (
                max(confidence(z / t).item() for t in temperatures),
                "choose by cross-entropy on the target, not by the confidence itself, nor by "
                "accuracy, which no temperature changes",
            ),
            (
                min(confidence(z / t).item() for t in temperatures),
                "choose by cross-entropy on the target, not by the confidence itself, nor by "
                "accuracy, which no temperature changes",
            ),
            (right.float().mean(), "that is the accuracy"),
            (min(losses), "that is the cross-entropy; give the confidence"),
        ):
            if np.isclose(given, float(wrong), atol=1e-6) and not np.isclose(float(wrong), wanted):
                raise AssertionError(hint)
        if not np.isclose(given, wanted, atol=1e-5):
            raise AssertionError(f"{given:.3f}; at temperature {best:g} it is {wanted:.3f}")


@exercise("Exercise 6, dynamic potential")
def check_potential(answer: Callable[[Sequence[float], int], float]) -> None:
    """Lesson 6: `answer(losses, k)` is the relative drop over the last k epochs, not below 0."""
    for losses in ([], [2.0], [2.0, 1.5]):
        given = call(answer, list(losses), 2)
        if float(given) != 0:
            raise AssertionError(f"{given} after {len(losses)} epochs; give 0 before k + 1 = 3")
    down, bumpy = [2.0, 1.6, 1.0, 0.8], [1.6, 2.4, 1.8, 3.0, 1.0, 1.5]
    for losses, k in ((down, 1), (down, 2), ([2.0, 1.5, 1.0], 2), (bumpy, 4), (bumpy, 2)):
        given, wanted = float(call(answer, list(losses), k)), 1 - losses[-1] / losses[-1 - k]
        window = losses[-1 - k :]
        drop = losses[-1 - k] - losses[-1]
        for wrong, hint in (
            (drop, "relative: over the loss of k epochs ago"),
            (-wanted, "the sign is turned: a falling loss has potential"),
            (drop / losses[-1], "over the *earlier* loss, so that it is at most 1"),
            (losses[-1] / losses[-1 - k], "the drop, 1 minus this share"),
            (drop / losses[0], "over the loss of k epochs ago, not over the first"),
            (1 - losses[-1] / losses[0], "only the last k epochs count"),
            (1 - losses[-1] / losses[-k], "k epochs back is losses[-1 - k]"),
            (
                1 - losses[-1] / max(window),
                "from the loss k epochs ago, not from the largest since",
            ),
            (1 - min(window) / window[0], "to the last loss, not to the smallest"),
        ):
            if np.isclose(given, wrong) and not np.isclose(wrong, wanted):
                raise AssertionError(hint)
        if not np.isclose(given, wanted):
            raise AssertionError(f"{given:.3f} for {losses} and k = {k}, not {wanted:.3f}")
    if float(call(answer, [1.0, 1.2, 1.5], 2)) != 0:
        raise AssertionError("a rising loss has potential 0, not a negative one")
