"""Mixtures of Gaussians in one dimension by expectation maximisation, and the one over the gap.

The abstract of the gap loss gives two Gaussians and Bayes' rule; the rest is our reading."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Mixture:
    """Gaussians in one dimension: `means`, `variances`, `weights`, float64 `(components,)` each,
    and the `log_likelihood` of the `count` values they were fitted to, summed.

    A textbook mixture; what the gap's is, is our reading (`fit_gap_mixture`).
    """

    means: Tensor
    variances: Tensor
    weights: Tensor
    log_likelihood: float
    count: int

    @property
    def bic(self) -> float:
        """Bayesian information criterion, lower is better: `-2 log L + (3 K - 1) log N`."""
        parameters = 3 * len(self.means) - 1
        return -2 * self.log_likelihood + parameters * math.log(self.count)


def log_densities(x: Tensor, means: Tensor, variances: Tensor, weights: Tensor) -> Tensor:
    """`log(weight_k N(x; mean_k, variance_k))`: `(N,)` to `(N, components)`, in float64.

    The textbook's; which Gaussians the gap has is our reading.
    """
    square = (x.unsqueeze(1) - means) ** 2 / variances  # (N,) -> (N, components)
    return weights.log() - 0.5 * (square + (2 * math.pi * variances).log())


def fit_mixture(
    values: Tensor,
    components: int,
    iterations: int = 1000,
    tolerance: float = 1e-8,
    variance_floor: float = 1e-4,
    weight_floor: float = 0.0,
) -> Mixture:
    """Expectation maximisation for `components` Gaussians on `values`, `(N,)`.

    The textbook's algorithm; start, stop and floors are our reading. Starts at the quantiles
    `(k + 1/2) / components` (at these shares of the range if two of them coincide) and stops after
    `iterations` or when the mean log-likelihood moves by less than `tolerance`. Everything is
    computed in float64 and without gradients. Raises `ValueError` for fewer than two values and for
    NaN.
    """
    x = values.detach().cpu().double().flatten()
    if len(x) < 2 or not torch.isfinite(x).all():
        raise ValueError(
            f"{len(x)} values, of which {int((~torch.isfinite(x)).sum())} are not finite; "
            "a mixture needs two finite values or more"
        )
    places = (torch.arange(components, dtype=x.dtype) + 0.5) / components
    means, weights = x.quantile(places), torch.full_like(places, 1 / components)
    if len(means.unique()) < components:  # equal ones would stay equal
        means = x.min() + places * (x.max() - x.min())
    variances = (x.var(correction=0) / components**2).clamp(min=variance_floor).repeat(components)
    before = -math.inf
    for _ in range(iterations):
        joint = log_densities(x, means, variances, weights)
        responsibility = joint.softmax(1)  # (N, components)
        mass = responsibility.sum(0).clamp(min=1e-12)
        means = responsibility.T @ x / mass
        square = (x.unsqueeze(1) - means) ** 2
        variances = ((responsibility * square).sum(0) / mass).clamp(min=variance_floor)
        weights = (mass / len(x)).clamp(min=max(weight_floor, 1e-12))
        weights = weights / weights.sum()  # just under the floor, where it acted
        now = joint.logsumexp(1).mean().item()
        if abs(now - before) < tolerance:
            break
        before = now
    joint = log_densities(x, means, variances, weights)
    return Mixture(means, variances, weights, joint.logsumexp(1).sum().item(), len(x))


@dataclass
class GapMixture:
    """Two Gaussians over the gap, the balanced one first: `means`, `variances`, `weights`, `(2,)`.

    `bic` holds the criterion of one and of two components, `separation` the distance of the means
    over the root of the mean variance. A `degenerate` mixture, one whose means are less than 1 of
    these apart or that one Gaussian explains as well, calls no sample imbalanced. `monotone` says
    whether a larger gap always has a larger posterior, over the range of the data: a narrow
    component can turn that round. The abstract has two Gaussians and Bayes' rule; the rest is our
    reading.
    """

    means: Tensor
    variances: Tensor
    weights: Tensor
    bic: dict[int, float]
    separation: float
    degenerate: bool
    monotone: bool = True
    signed: bool = False

    def posterior(self, gap: Tensor) -> Tensor:
        """Probability of "imbalanced" by Bayes' rule, without gradient: `(N,)` to `(N,)`."""
        values = self.values(gap.detach()).double()
        if self.degenerate:
            return torch.zeros_like(gap)
        own = (x.to(gap.device) for x in (self.means, self.variances, self.weights))
        return log_densities(values, *own).softmax(1)[:, 1].to(gap.dtype)

    def values(self, gap: Tensor) -> Tensor:
        """What the mixture is over: the gap's size, or the gap itself where it is `signed`."""
        return gap if self.signed else gap.abs()


def fit_gap_mixture(gap: Tensor, signed: bool = False) -> GapMixture:
    """Two Gaussians on the size of the gap, `(N,)`, or with `signed` on the gap itself.

    The component with the mean nearer to 0 is the balanced one. Variances stay above 1e-4 and
    weights near 0.02 or above. Gaps that are all equal give a degenerate mixture. The abstract says
    "two-component Gaussian mixture"; the gap's size, the floors and what counts as degenerate are
    our reading. Raises `ValueError` for fewer than two gaps and for NaN.
    """
    values = gap.detach() if signed else gap.detach().abs()
    one, two = (fit_mixture(values, k, weight_floor=0.02) for k in (1, 2))
    order = two.means.abs().argsort()
    means, variances, weights = (x[order] for x in (two.means, two.variances, two.weights))
    separation = ((means[1] - means[0]).abs() / variances.mean().sqrt()).item()
    degenerate = separation < 1 or two.bic >= one.bic
    bic = {1: one.bic, 2: two.bic}
    places = torch.linspace(values.min().item(), values.max().item(), 201, dtype=means.dtype)
    rising = log_densities(places, means, variances, weights).softmax(1)[:, 1].diff() >= -1e-9
    monotone = bool(rising.all())
    return GapMixture(means, variances, weights, bic, separation, degenerate, monotone, signed)
