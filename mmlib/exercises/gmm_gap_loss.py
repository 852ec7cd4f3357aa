"""The checks of lesson 5, the gap loss with its mixture of Gaussians."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.exercises.checking import agrees, call, compare, exercise, has_shape, normal


def _doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@exercise("Exercise 1, the E step")
def check_responsibilities(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 5: `answer(x, mu, var, pi)` is gamma, `(N, J)`."""
    mu, var, pi = _doubles(0.1, 0.4, 0.7), _doubles(0.01, 0.09, 0.04), _doubles(0.5, 0.2, 0.3)
    x = _doubles(0.0, 0.15, 0.42, 0.8, 1.0)
    square = (x[:, None] - mu) ** 2
    density = torch.exp(-square / (2 * var)) / (2 * torch.pi * var).sqrt()
    joint = pi * density

    def shares(joint: Tensor) -> Tensor:
        return joint / joint.sum(1, keepdim=True)

    wanted = shares(joint)
    plain = shares(pi * torch.exp(-square / (2 * var)))
    as_deviation = shares(pi * torch.exp(-square / (2 * var**2)) / var)
    given = torch.as_tensor(call(answer, x, mu, var, pi))
    hint = ": transpose it" if given.shape == (3, 5) else ""
    has_shape(given, (5, 3), f"gamma is {{}}; give (N, J) = (5, 3){hint}")
    mistakes = {
        "divide by the sum over the Gaussians: a row adds up to 1": joint,
        "normalise over the Gaussians, dim=1, not over the samples": joint / joint.sum(0),
        "the weights pi are not used": shares(density),
        "the density's factor 1 / sigma is missing: it differs from Gaussian to Gaussian": plain,
        "var is the variance, not the deviation: do not square it again": as_deviation,
        "a softmax takes logarithms: log pi + log N": joint.softmax(1),
        "give probabilities, not their logarithms": wanted.log(),
        "not pi_j N(x; mu_j, var_j) over its sum": ...,
    }
    compare(given, wanted, mistakes)
    far = torch.as_tensor(call(answer, _doubles(50.0, -50.0), mu, var, pi))
    assert torch.isfinite(far).all(), (
        "NaN for a value far from every Gaussian: all densities are 0 there; stay with "
        "logarithms and take their softmax"
    )
    hint = "far out the widest Gaussian has it all; do not add a small number"
    assert agrees(far, torch.eye(3)[[1, 1]]), hint


@exercise("Exercise 2, the M step")
def check_maximise(answer: Callable[[Tensor, Tensor, float], tuple]) -> None:
    """Lesson 5: `answer(x, gamma, floor)` is `(mu, var, pi)`."""
    x = _doubles(0.0, 0.2, 0.3, 0.7, 0.9, 1.0)
    gamma = (2 * normal(6, 2, dtype=torch.float64)).softmax(1)
    hard = F.one_hot(gamma.argmax(1), 2).double()
    mass = gamma.sum(0)
    mean = gamma.T @ x / mass

    def around(centre: Tensor | float) -> Tensor:
        return (gamma * (x[:, None] - centre) ** 2).sum(0) / mass

    var = around(mean)
    of_mu = {
        "mu: divide by N_j = the sum of gamma, not by N": gamma.T @ x / 6,
        "mu: divide by N_j, the sum of gamma": gamma.T @ x,
        "use gamma itself, not the Gaussian with the largest": hard.T @ x / hard.sum(0),
    }
    of_var = {
        "var: subtract the mean first": around(0.0),
        "give variances, not deviations": var.sqrt(),
        "var: around the *new* mean of each Gaussian": around(x.mean()),
        "var: divide by N_j, not by N": var * mass / 6,
        "var: divide by N_j, not by N_j - 1": var * mass / (mass - 1),
    }
    of_pi = {"pi: N_j / N, so that the weights add up to 1": mass}
    given = call(answer, x, gamma, 1e-4)
    assert isinstance(given, tuple | list) and len(given) == 3, "give three tensors, (mu, var, pi)"
    wanted = {"mu": (mean, of_mu), "var": (var, of_var), "pi": (mass / 6, of_pi)}
    for part, (name, (right, mistakes)) in zip(given, wanted.items(), strict=True):
        part = has_shape(part, (2,), f"{name} is {{}}; give (J,) = (2,)")
        otherwise = f"{name} should be {right.tolist()}, not {part.tolist()}"
        compare(part, right, {**mistakes, otherwise: ...})
    split = hard.new_tensor([[1, 0]] * 3 + [[0, 1]] * 3)
    var = torch.as_tensor(call(answer, _doubles(0.3, 0.3, 0.3, 0.9, 0.5, 0.7), split, 0.01)[1])
    assert var[0] >= 0.01, f"three equal values have variance {var[0]:.3f}: keep it at floor"
    hint = "floor is a lower limit: larger variances stay as they are"
    assert agrees(var, _doubles(0.01, 0.08 / 3)), hint


@exercise("Exercise 3, where the posterior turns")
def check_turning_point(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 5: `answer(mu, var, pi)` is the gap at which the log-odds have slope 0."""
    for mu, var, weight in (
        (_doubles(0.11, 0.62), _doubles(0.006, 0.058), 0.4),
        (_doubles(0.11, 0.62), _doubles(0.006, 0.058), 0.9),
        (_doubles(0.34, 0.89), _doubles(0.071, 0.006), 0.6),
    ):
        pi = _doubles(weight, 1 - weight)
        given = float(call(answer, mu, var, pi))

        def turn(scale: Tensor, mu: Tensor = mu) -> float:
            return float((mu / scale).diff() / (1 / scale).diff())

        x = torch.tensor(given, dtype=torch.float64, requires_grad=True)
        odds = (pi.log() - 0.5 * ((x - mu) ** 2 / var + var.log())).diff()
        slope = torch.autograd.grad(odds, x)[0].item()
        even = np.isclose(odds.item(), 0, atol=1e-6)
        mistakes = {
            "the sign is turned": -turn(var),
            "the quadratic terms have the variances, not the deviations": turn(var.sqrt()),
            "divide by the variances: mu / var": turn(1 / var),
            "half-way between the means only if the slopes there agree": float(mu.mean()),
            "there r is 1/2; set the derivative to 0, not the log-odds": ... if even else (),
            f"for mu {mu.tolist()} and var {var.tolist()} the log-odds have slope {slope:.2f} "
            f"at {given:.3f}, not 0": ...,
        }
        compare(given, turn(var), mistakes, atol=1e-6)


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
    unweighted = divergence(d.mean(), d.var(correction=0))
    undivided = divergence((r * d).mean(), (r * (d - (r * d).mean()) ** 2).mean())
    turned = 0.5 * ((var_b + (mean - mu_b) ** 2) / variance - 1 + (variance / var_b).log())
    wanted = divergence(mean, variance)
    given = torch.as_tensor(call(answer, d, r, mu_b, var_b))
    assert given.numel() == 1, f"the result is {tuple(given.shape)}; the divergence is one number"
    mistakes = {
        "turned round: sigma_b^2 stands in the denominators": turned,
        "the factor 1/2 is missing": 2 * wanted,
        "r is not used: mean and variance are weighted by it": unweighted,
        "divide by the sum of r, not by the number of samples": undivided,
        "the formula has variances, not deviations": divergence(mean, variance.sqrt()),
        "the - 1 is missing: the divergence of equal Gaussians is 0": wanted + 0.5,
        f"{given.item():.3f}, expected {wanted.item():.3f}": ...,
    }
    compare(given.squeeze(), wanted, mistakes)
    assert given.requires_grad, "no gradient flows: d keeps its own"
    slope, of_r = torch.autograd.grad(given.squeeze(), (d, r), allow_unused=True)
    still = of_r is None or not of_r.any()
    assert still, "a gradient reaches r: detach it, or posteriors are trained too"
    same = slope is not None and agrees(slope, *torch.autograd.grad(wanted, d))
    assert same, "the value is right, the gradient is not: detach nothing but r"


@exercise("Exercise 5, weights for the informed")
def check_informed_weights(answer: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Lesson 5: `answer(r, s_a, s_v, classes)` is the fusion weight, `(B,)`, with mean 1."""
    r = torch.tensor([0.1, 0.9, 0.2, 0.6, 0.0, 0.5], requires_grad=True)
    s_a = torch.tensor([0.9, 0.8, 0.05, 0.1, 0.2, 0.02])
    s_v = torch.tensor([0.8, 0.1, 0.08, 0.7, 0.15, 0.24])
    best, least = torch.maximum(s_a, s_v), torch.minimum(s_a, s_v)

    def weights(informed: Tensor, rest: float = 1.0) -> Tensor:
        return torch.where(informed, 2 - r.detach(), rest)

    def scaled(weight: Tensor) -> Tensor:
        return weight / weight.mean()

    wanted, everybody = scaled(weights(best > 0.25)), weights(best >= 0)
    both, dropped = scaled(weights(least > 0.25)), scaled(weights(best > 0.25, rest=0.0))
    given = call(answer, r, s_a, s_v, 4)
    given = has_shape(given, r.shape, "weights are {}; give one a sample, (B,)")
    mistakes = {
        "divide by the mean: otherwise the weights change the learning rate": weights(best > 0.25),
        "that is weights(r)[0] without its mean; who is uninformed has 1": everybody,
        "who is uninformed has weight 1 before": scaled(everybody),
        "uninformed is who gets little from *both*: one that knows is enough": both,
        "the uninformed keep weight 1, as in the plain loss; they are not dropped": dropped,
        "the chance level is 1 / classes": (weights(best > 0.1), scaled(weights(best > 0.1))),
        f"expected {wanted.tolist()}": ...,
    }
    compare(given, wanted, mistakes)
    assert not given.requires_grad, "a gradient reaches r: detach it"
