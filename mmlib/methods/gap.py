"""The GMM gap loss (Liu et al., 2025, arXiv 2510.21797): a mixture over the modality gap tells
balanced samples from imbalanced ones, and the loss treats them differently.

The abstracts give the gap, the mixture, the posterior and the aims of the loss in words; the
formulas of the loss are our reading of versions 2 and 3."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import one_of
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits, collect
from mmlib.methods.baselines import Joint, unimodal_loss
from mmlib.parallel import own_rows, sum_over_processes, whole_batch, world_size
from mmlib.training import Plan, cosine_rate

WEIGHTS = ("v2", "v1", "none")
POSTERIORS = ("soft", "hard", "permuted")
PURIFY = (None, "posterior", "random")
CLIP = 10.0


def modality_gap(
    first_logits: Tensor, second_logits: Tensor, target: Tensor, one_sided: bool = False
) -> Tensor:
    """`G = softmax(z_1)_y - softmax(z_2)_y` of each sample: `(N, K)` twice to `(N,)` in [-1, 1].

    The abstract gives this in words; where the gradient goes is our reading. With `one_sided` none
    reaches the larger of the two scores: shrinking the gap pulls the smaller up. Raises
    `ValueError` for logits and target that do not fit together.
    """
    scores = []
    for logits in (first_logits, second_logits):
        check_logits(logits, target)
        scores.append(logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1))
    first, second = scores
    if one_sided:
        ahead = first > second
        first, second = (
            torch.where(ahead, first.detach(), first),
            torch.where(ahead, second, second.detach()),
        )
    return first - second


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

    def log_densities(self, values: Tensor) -> Tensor:
        """`log(weight_k N(x; mean_k, variance_k))`: `(N,)` to `(N, components)`."""
        return _log_densities(values.double(), self.means, self.variances, self.weights)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, lower is better: `-2 log L + (3 K - 1) log N`."""
        parameters = 3 * len(self.means) - 1
        return -2 * self.log_likelihood + parameters * math.log(self.count)


def _log_densities(x: Tensor, means: Tensor, variances: Tensor, weights: Tensor) -> Tensor:
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
        joint = _log_densities(x, means, variances, weights)
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
    joint = _log_densities(x, means, variances, weights)
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
        return _log_densities(values, *own).softmax(1)[:, 1].to(gap.dtype)

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
    rising = _log_densities(places, means, variances, weights).softmax(1)[:, 1].diff() >= -1e-9
    monotone = bool(rising.all())
    return GapMixture(means, variances, weights, bic, separation, degenerate, monotone, signed)


def gap_weights(posterior: Tensor, version: str = "v2") -> tuple[Tensor, Tensor]:
    """Weights of the fusion loss and of the gap penalty, `(B,)` each, with mean 1 over the batch.

    `"v2"`: `1 + (1 - r)` and `1 + r`, so that balanced samples fuse and imbalanced ones align;
    `"v1"`: 1 and `1 + r`; `"none"`: 1 and 1. All our reading of the abstracts.
    """
    one_of("weights", version, WEIGHTS)
    r = posterior.detach()
    fusion = 2 - r if version == "v2" else torch.ones_like(r)
    penalty = torch.ones_like(r) if version == "none" else 1 + r
    return fusion / fusion.mean(), penalty / penalty.mean()


def shift_term(gap: Tensor, posterior: Tensor, mixture: GapMixture) -> Tensor:
    """Pull of imbalanced samples towards the balanced component, `(B,)`; our reading.

    `r (d - mu_b)_+^2 / (2 sigma_b^2)`, `d` the size of the gap. A narrow balanced component makes
    it explode, so its value stops at 10, and beyond that its gradient is scaled down by the same
    factor (cut off, it would leave out exactly the most imbalanced samples). No gradient reaches
    `r`, mean or variance.
    """
    mean, other = mixture.means.tolist()
    side = 1 if other >= mean else -1
    beyond = (side * (mixture.values(gap) - mean)).clamp(min=0)
    square = beyond**2 / (2 * mixture.variances[0].item() + 1e-12)
    term = posterior.detach() * square
    return term * (CLIP / term.detach().clamp(min=CLIP))


class Gap(Joint):
    """Joint + unimodal losses, and after a warm-up the gap's mixture decides on more.

    The paper was open to us as its abstracts only: the aims of the loss are theirs, its formula is
    our reading.

    `mean of w_fus CE(z) + unimodal_weight * sum over m of CE(z_m) + gap_weight * w_gap G^2 +
    shift_weight * shift_term`. After `warmup` epochs every `refit`-th plan measures the gap of
    every training sample in evaluation mode and fits the mixture; while it is degenerate, training
    is that of the warm-up. `weights` as in `gap_weights`, `one_sided` as in `modality_gap`,
    `signed` as in `fit_gap_mixture`. `posterior`: `"soft"`, `"hard"` (0 or 1), or as a control
    `"permuted"` over the samples. `purify` trains the last `purify_epochs` at a tenth of the rate
    with the plain loss on the samples whose posterior is below 1/2, or on as many `"random"` ones.
    `warmup` and `purify_epochs` are 2 of 15 epochs by default. Mixtures are not averaged over
    refits. Raises `ValueError` for other than two modalities, an unknown word, a negative weight
    or epochs that do not fit.
    """

    needs_dataset = True

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        dataset,
        unimodal_weight: float = 3.0,
        gap_weight: float = 0.5,
        shift_weight: float = 0.1,
        weights: str = "v2",
        one_sided: bool = False,
        signed: bool = False,
        posterior: str = "soft",
        warmup: int | None = None,
        refit: int = 1,
        purify: str | None = None,
        purify_epochs: int | None = None,
        **options,
    ):
        super().__init__(model, epochs, unimodal_weight=unimodal_weight, **options)
        self.weights, self.kind = (
            one_of("weights", weights, WEIGHTS),
            one_of("posterior", posterior, POSTERIORS),
        )
        self.purify = one_of("purify", purify, PURIFY)
        if len(model.encoders) != 2 or gap_weight < 0 or shift_weight < 0 or refit < 1:
            raise ValueError(
                f"{len(model.encoders)} modalities, weights {gap_weight} and {shift_weight}, refit "
                f"{refit}; give two modalities, weights of 0 or more, refit of 1 or more"
            )
        few = max(1, round(epochs * 2 / 15))
        self.dataset, self.warmup = dataset, few if warmup is None else warmup
        last = (few if purify_epochs is None else purify_epochs) if purify else 0
        if self.warmup < 0 or not bool(purify) <= last < epochs:
            raise ValueError(
                f"warmup is {warmup} and purify_epochs {purify_epochs} of {epochs} epochs; give a "
                "warmup of 0 or more and 1 <= purify_epochs < epochs"
            )
        self.gap_weight, self.shift_weight = gap_weight, shift_weight
        self.one_sided, self.signed, self.refit = one_sided, signed, refit
        self.purify_from = epochs - last
        self.mixture: GapMixture | None = None
        self.posterior: Tensor | None = None  # (N,), by index
        self.kept: Tensor | None = None  # samples that purification trains on
        self.purifying = False

    def plan(self, epoch: int) -> Plan | None:
        """Set the rate; after the warm-up, measure the gaps; last, purify."""
        self.set_rate(self.optimizer, self.lr, epoch, self.purify_from)
        self.purifying = epoch >= self.purify_from
        if self.purifying:
            left = self.epochs - self.purify_from
            cosine_rate(self.optimizer, self.lr / 10, epoch - self.purify_from, left)
        everything, looked_at = torch.arange(len(self.dataset)), 0
        due = epoch >= self.warmup and (epoch - self.warmup) % self.refit == 0
        if self.purifying:
            due = self.kept is None
        if due:
            self.measure()
            looked_at = len(self.dataset)
        if not self.purifying:
            return Plan(everything, looked_at=looked_at)
        if self.kept is None:
            balanced = self.posterior.cpu() < 0.5
            if self.purify == "random":
                balanced = balanced[torch.randperm(len(balanced))]
            self.kept = everything[balanced]
        return Plan(self.kept, looked_at=looked_at)

    def measure(self) -> None:
        """Gaps of the training data in evaluation mode, their mixture, every sample's posterior."""
        device = self.generator.device
        logits = collect(self.predict, self.dataset, device)
        gap = modality_gap(*(logits[m] for m in self.model.encoders), self.dataset.target)
        # batch statistics are each process's own, so that the mean decides
        gap = (sum_over_processes(gap.to(device)) / world_size()).cpu()
        self.mixture = fit_gap_mixture(gap, self.signed)
        r = self.mixture.posterior(gap)
        if self.kind == "hard":
            r = (r > 0.5).to(r.dtype)
        if self.kind == "permuted":
            r = r[torch.randperm(len(r))]
        self.posterior = r.to(device)

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Joint.step`; the loss looks up the posterior of the samples `index`."""
        self.index = index
        return super().step(inputs, target, index, keep)

    def loss(self, logits: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """See the class; plain while the mixture is missing or degenerate."""
        if self.mixture is None or self.mixture.degenerate or self.purifying:
            return super().loss(logits, target)
        r = self.posterior[self.index]
        # the weights have mean 1 over the whole batch, not over a share or a part of it
        weights = map(own_rows, gap_weights(whole_batch(r), self.weights))
        r, fusion, penalty = (rows[self.part] for rows in (r, *weights))
        first, second = (logits[m] for m in self.model.encoders)
        gap = modality_gap(first, second, target, self.one_sided)
        fused = F.cross_entropy(logits["fused"], target, reduction="none")
        terms = fusion * fused + self.gap_weight * penalty * gap**2
        terms = terms + self.shift_weight * shift_term(gap, r, self.mixture)
        return terms.mean() + self.unimodal_weight * unimodal_loss(logits, target)

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        mixture = vars(self.mixture).copy() if self.mixture else None
        own = {"mixture": mixture, "posterior": self.posterior, "kept": self.kept}
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.mixture = GapMixture(**state["mixture"]) if state["mixture"] else None
        device = self.generator.device
        self.posterior = None if state["posterior"] is None else state["posterior"].to(device)
        self.kept = state["kept"]
