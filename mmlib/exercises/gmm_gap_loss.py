"""The checks of lesson 5."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.exercises.checking import agrees, call, exercise


def _three_gaussians() -> tuple[Tensor, Tensor, Tensor]:
    mu = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    var = torch.tensor([0.01, 0.09, 0.04], dtype=torch.float64)
    return mu, var, torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


@exercise("Exercise 1, the E step")
def check_responsibilities(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 5: `answer(x, mu, var, pi)` is gamma, `(N, J)`."""
    mu, var, pi = _three_gaussians()
    x = torch.tensor([0.0, 0.15, 0.42, 0.8, 1.0], dtype=torch.float64)
    square = (x[:, None] - mu) ** 2
    density = torch.exp(-square / (2 * var)) / (2 * torch.pi * var).sqrt()
    joint = pi * density
    wanted = joint / joint.sum(1, keepdim=True)
    given = torch.as_tensor(call(answer, x, mu, var, pi)).double()
    if given.shape != wanted.shape:
        hint = ": transpose it" if given.shape == wanted.T.shape else ""
        raise AssertionError(f"gamma is {tuple(given.shape)}; give (N, J) = (5, 3){hint}")
    no_factor = pi * torch.exp(-square / (2 * var))
    as_deviation = pi * torch.exp(-square / (2 * var**2)) / var
    for wrong, hint in (
        (joint, "divide by the sum over the Gaussians: a row adds up to 1"),
        (joint / joint.sum(0), "normalise over the Gaussians, dim=1, not over the samples"),
        (density / density.sum(1, keepdim=True), "the weights pi are not used"),
        (
            no_factor / no_factor.sum(1, keepdim=True),
            "the density's factor 1 / sigma is missing: it differs from Gaussian to Gaussian",
        ),
        (
            as_deviation / as_deviation.sum(1, keepdim=True),
            "var is the variance, not the deviation: do not square it again",
        ),
        (joint.softmax(1), "a softmax takes logarithms: log pi + log N"),
        (wanted.log(), "give probabilities, not their logarithms"),
    ):
        if agrees(given, wrong):
            raise AssertionError(hint)
    if not agrees(given, wanted):
        raise AssertionError("not pi_j N(x; mu_j, var_j) over its sum")
    far = torch.tensor([50.0, -50.0], dtype=torch.float64)
    given = torch.as_tensor(call(answer, far, mu, var, pi)).double()
    if not torch.isfinite(given).all():
        raise AssertionError(
            "NaN for a value far from every Gaussian: all densities are 0 there; stay with "
            "logarithms and take their softmax"
        )
    if not agrees(given, torch.eye(3)[[1, 1]]):
        raise AssertionError("far out the widest Gaussian has it all; do not add a small number")


@exercise("Exercise 2, the M step")
def check_maximise(answer: Callable[[Tensor, Tensor, float], tuple]) -> None:
    """Lesson 5: `answer(x, gamma, floor)` is `(mu, var, pi)`."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([0.0, 0.2, 0.3, 0.7, 0.9, 1.0], dtype=torch.float64)
    gamma = (2 * torch.randn(6, 2, generator=generator, dtype=torch.float64)).softmax(1)
    mass = gamma.sum(0)
    mean = (gamma * x[:, None]).sum(0) / mass
    variance = (gamma * (x[:, None] - mean) ** 2).sum(0) / mass
    given = call(answer, x, gamma, 1e-4)
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise AssertionError("give three tensors, (mu, var, pi)")
    mu, var, pi = (torch.as_tensor(part).double() for part in given)
    for part, name in ((mu, "mu"), (var, "var"), (pi, "pi")):
        if part.shape != (2,):
            raise AssertionError(f"{name} is {tuple(part.shape)}; give (J,) = (2,)")
    hard = F.one_hot(gamma.argmax(1), 2).double()
    for part, wrong, hint in (
        (mu, (gamma * x[:, None]).mean(0), "mu: divide by N_j = the sum of gamma, not by N"),
        (mu, (gamma * x[:, None]).sum(0), "mu: divide by N_j, the sum of gamma"),
        (mu, (hard.T @ x) / hard.sum(0), "use gamma itself, not the Gaussian with the largest"),
        (pi, mass, "pi: N_j / N, so that the weights add up to 1"),
        (var, (gamma * x[:, None] ** 2).sum(0) / mass, "var: subtract the mean first"),
        (var, variance.sqrt(), "give variances, not deviations"),
        (
            var,
            (gamma * (x[:, None] - x.mean()) ** 2).sum(0) / mass,
            "var: around the *new* mean of each Gaussian",
        ),
        (var, variance * mass / len(x), "var: divide by N_j, not by N"),
        (var, variance * mass / (mass - 1), "var: divide by N_j, not by N_j - 1"),
    ):
        if agrees(part, wrong):
            raise AssertionError(hint)
    for name, part, wanted in (("mu", mu, mean), ("var", var, variance), ("pi", pi, mass / 6)):
        if not agrees(part, wanted):
            raise AssertionError(f"{name} should be {wanted.tolist()}, not {part.tolist()}")
    point = torch.tensor([0.3, 0.3, 0.3, 0.9, 0.5, 0.7], dtype=torch.float64)
    split = torch.tensor([[1.0, 0]] * 3 + [[0, 1.0]] * 3, dtype=torch.float64)
    var = torch.as_tensor(call(answer, point, split, 0.01)[1]).double()
    if var[0] < 0.01:
        raise AssertionError(f"three equal values have variance {var[0]:.3f}: keep it at floor")
    if not agrees(var, torch.tensor([0.01, 0.08 / 3])):
        raise AssertionError("floor is a lower limit: larger variances stay as they are")


@exercise("Exercise 3, where the posterior turns")
def check_turning_point(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 5: `answer(mu, var, pi)` is the gap at which the log-odds have slope 0."""
    for b, u, weight in (
        ((0.11, 0.006), (0.62, 0.058), 0.4),
        ((0.11, 0.006), (0.62, 0.058), 0.9),
        ((0.34, 0.071), (0.89, 0.006), 0.6),
    ):
        mu, var = (torch.tensor(pair, dtype=torch.float64) for pair in zip(b, u, strict=True))
        pi = torch.tensor([weight, 1 - weight], dtype=torch.float64)
        given = float(call(answer, mu, var, pi))
        wanted = float((mu / var).diff() / (1 / var).diff())
        by_deviation = float((mu / var.sqrt()).diff() / (1 / var.sqrt()).diff())
        x = torch.tensor(given, dtype=torch.float64, requires_grad=True)
        parts = pi.log() - 0.5 * ((x - mu) ** 2 / var + var.log())
        odds = parts[1] - parts[0]
        for wrong, hint in (
            (-wanted, "the sign is turned"),
            (by_deviation, "the quadratic terms have the variances, not the deviations"),
            (float((mu * var).diff() / var.diff()), "divide by the variances: mu / var"),
            (float(mu.mean()), "half-way between the means only if the slopes there agree"),
        ):
            if np.isclose(given, wrong, atol=1e-6) and not np.isclose(wrong, wanted):
                raise AssertionError(hint)
        if np.isclose(odds.item(), 0, atol=1e-6):
            raise AssertionError("there r is 1/2; set the derivative to 0, not the log-odds")
        if not np.isclose(given, wanted, atol=1e-6):
            slope = torch.autograd.grad(odds, x)[0].item()
            raise AssertionError(
                f"for mu {mu.tolist()} and var {var.tolist()} the log-odds have slope {slope:.2f} "
                f"at {given:.3f}, not 0"
            )


@exercise("Exercise 4, a shift of the distribution")
def check_distribution_shift(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> None:
    """Lesson 5: `answer(d, r, mu_b, var_b)` is a divergence of Gaussians, a scalar."""
    generator = torch.Generator().manual_seed(0)
    d, r = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    d.requires_grad_()
    r.requires_grad_()
    mu_b, var_b = 0.1, 0.02

    def divergence(mean, variance):
        return 0.5 * ((variance + (mean - mu_b) ** 2) / var_b - 1 - (variance / var_b).log())

    weight = r.detach() / r.detach().sum()
    mean = (weight * d).sum()
    variance = (weight * (d - mean) ** 2).sum()
    wanted = divergence(mean, variance)
    given = torch.as_tensor(call(answer, d, r, mu_b, var_b))
    if given.numel() != 1:
        raise AssertionError(f"the result is {tuple(given.shape)}; the divergence is one number")
    turned = 0.5 * ((var_b + (mean - mu_b) ** 2) / variance - 1 + (variance / var_b).log())
    plain = divergence(d.mean(), d.var(correction=0))
    for wrong, hint in (
        (turned, "turned round: sigma_b^2 stands in the denominators"),
        (2 * wanted, "the factor 1/2 is missing"),
        (plain, "r is not used: mean and variance are weighted by it"),
        (
            divergence((r * d).mean(), (r * (d - (r * d).mean()) ** 2).mean()),
            "divide by the sum of r, not by the number of samples",
        ),
        (divergence(mean, variance.sqrt()), "the formula has variances, not deviations"),
        (wanted + 0.5, "the - 1 is missing: the divergence of equal Gaussians is 0"),
    ):
        if agrees(given.detach().squeeze(), wrong.detach()):
            raise AssertionError(hint)
    if not agrees(given.detach().squeeze(), wanted.detach()):
        raise AssertionError(f"{given.item():.3f}, expected {wanted.item():.3f}")
    if not given.requires_grad:
        raise AssertionError("no gradient flows: d keeps its own")
    slope, of_r = torch.autograd.grad(given.squeeze(), (d, r), allow_unused=True)
    if of_r is not None and of_r.abs().sum() > 0:
        raise AssertionError("a gradient reaches r: detach it, or posteriors are trained too")
    (right,) = torch.autograd.grad(wanted, d)
    if slope is None or not agrees(slope, right):
        raise AssertionError("the value is right, the gradient is not: detach nothing but r")


@exercise("Exercise 5, weights for the informed")
def check_informed_weights(answer: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Lesson 5: `answer(r, s_a, s_v, classes)` is the fusion weight, `(B,)`, with mean 1."""
    r = torch.tensor([0.1, 0.9, 0.2, 0.6, 0.0, 0.5], requires_grad=True)
    s_a = torch.tensor([0.9, 0.8, 0.05, 0.1, 0.2, 0.02])
    s_v = torch.tensor([0.8, 0.1, 0.08, 0.7, 0.15, 0.24])
    given = call(answer, r, s_a, s_v, 4)
    wanted = torch.where((s_a > 0.25) | (s_v > 0.25), 2 - r, 1).detach()
    both = torch.where((s_a > 0.25) & (s_v > 0.25), 2 - r, 1).detach()
    given = torch.as_tensor(given)
    if given.shape != r.shape:
        raise AssertionError(f"weights are {tuple(given.shape)}; give one a sample, (B,)")
    for wrong, hint in (
        (wanted, "divide by the mean: otherwise the weights change the learning rate"),
        ((2 - r).detach(), "that is weights(r)[0] without its mean; who is uninformed has 1"),
        ((2 - r).detach() / (2 - r).detach().mean(), "who is uninformed has weight 1 before"),
        (both / both.mean(), "uninformed is who gets little from *both*: one that knows is enough"),
        (
            torch.where(wanted == 1, 0, wanted) / torch.where(wanted == 1, 0, wanted).mean(),
            "the uninformed keep weight 1, as in the plain loss; they are not dropped",
        ),
        (
            torch.where((s_a > 0.1) | (s_v > 0.1), 2 - r, 1).detach(),
            "the chance level is 1 / classes",
        ),
    ):
        if agrees(given.detach(), wrong):
            raise AssertionError(hint)
    if not agrees(given.detach(), wanted / wanted.mean()):
        raise AssertionError(f"expected {(wanted / wanted.mean()).tolist()}")
    if given.requires_grad:
        raise AssertionError("a gradient reaches r: detach it")
