"""Contribution-guided asymmetric learning with an asymmetric information bottleneck (Xu et al.,
2025, arXiv 2510.26289): accelerate the modality that contributes, compress the one that does not.

The paper was open to us as its abstracts only; every formula here is our reading of them."""

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from mmlib.evaluation import check_logits
from mmlib.fusion import ConcatFusion
from mmlib.methods.baselines import Joint
from mmlib.methods.valuation import shapley_values
from mmlib.training import Inputs, sum_over_processes, world_size

FACTORS = ("contribution", "uniform", "inverse", "none")
STRENGTHS = ("contribution", "uniform", "none")
LOG_VARIANCE = 10.0  # a bottleneck's log-variance stays within plus and minus this


def information(utility: Mapping[frozenset[str], float]) -> dict[str, float]:
    """Information quantity I of each modality: its Shapley value in the utility, not below 0.

    `utility` maps every set of modalities, the empty one too, to a number such as the mean
    probability of the true class. Before the cut at 0 the values add up to
    `utility[all] - utility[none]`. Raises `ValueError` for a set that is missing.
    """
    if frozenset() not in utility:
        raise ValueError("utility lacks the empty set; give chance level, 1 / classes, for it")
    empty = utility[frozenset()]
    gains = {c: torch.tensor([float(v) - float(empty)]) for c, v in utility.items() if c}
    return {m: max(phi.item(), 0.0) for m, phi in shapley_values(gains).items()}


def confidence(logits: Mapping[str, Tensor]) -> dict[str, float]:
    """Confidence D of each modality: `1 - mean entropy / log K` of its own logits, `(B, K)`.

    In [0, 1]; an entry `"fused"` is left out. Raises `ValueError` for NaN and for one class.
    """
    scores = {}
    for m, z in logits.items():
        if m == "fused":
            continue
        if z.dim() != 2 or z.shape[1] < 2 or not len(z) or torch.isnan(z).any():
            raise ValueError(
                f"logits of {m!r} are {tuple(z.shape)}, {int(torch.isnan(z).sum())} of them NaN; "
                "give (B, K) with two classes or more"
            )
        entropy = torch.special.entr(z.detach().softmax(1)).sum(1).mean()
        scores[m] = min(max(1 - entropy.item() / math.log(z.shape[1]), 0.0), 1.0)
    return scores


def contribution_scores(
    information: Mapping[str, float], confidence: Mapping[str, float], alpha: float = 0.5
) -> dict[str, float]:
    """`c = alpha I / sum I + (1 - alpha) D / sum D` of each modality; they add up to 1.

    A sum of 0 counts as equal shares. Raises `ValueError` for an alpha outside [0, 1], other
    modalities on one side, or a number that is negative or not finite.
    """
    values = [*information.values(), *confidence.values()]
    if not 0 <= alpha <= 1 or set(information) != set(confidence) or not information:
        raise ValueError(
            f"alpha is {alpha}, information of {', '.join(information)}, confidence of "
            f"{', '.join(confidence)}; give alpha in [0, 1] and both for the same modalities"
        )
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError(f"information and confidence are {values}; give numbers of 0 or more")

    def shares(of: Mapping[str, float]) -> dict[str, float]:
        total = sum(of.values())
        return {m: value / total if total else 1 / len(of) for m, value in of.items()}

    quantity, sure = shares(information), shares(confidence)
    return {m: alpha * quantity[m] + (1 - alpha) * sure[m] for m in information}


def contribution_weights(
    information: Mapping[str, float],
    confidence: Mapping[str, float],
    alpha: float = 0.5,
    temperature: float = 0.25,
) -> dict[str, float]:
    """Contribution W of each modality, `softmax(c / temperature)` of `contribution_scores`.

    Numbers without gradient that add up to 1, equal for equal modalities. Raises `ValueError` for a
    temperature that is not above 0, and what `contribution_scores` refuses.
    """
    return _softmax(contribution_scores(information, confidence, alpha), temperature)


def _softmax(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; give a number above 0")
    largest = max(scores.values())
    parts = {m: math.exp((c - largest) / temperature) for m, c in scores.items()}
    return {m: part / sum(parts.values()) for m, part in parts.items()}


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` itself; on the way back its gradient is multiplied by `factor`."""
    return _ScaleGradient.apply(x, factor)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of `N(mean, exp(log_variance))` from `N(0, 1)`: `(B, d)` twice to `(B,)`, nats.

    Summed over d. Raises `ValueError` for shapes that differ and where the variance overflows.
    """
    if mean.shape != log_variance.shape or mean.dim() != 2:
        raise ValueError(
            f"mean is {tuple(mean.shape)}, log_variance {tuple(log_variance.shape)}; give (B, d)"
        )
    variance = log_variance.exp()
    if not torch.isfinite(variance).all() or not torch.isfinite(log_variance).all():
        raise ValueError(
            f"log_variance goes from {log_variance.min().item()} to {log_variance.max().item()}, "
            "NaN or too large for its exponential; did the training diverge?"
        )
    return 0.5 * (mean**2 + variance - 1 - log_variance).sum(1)


class BottleneckFusion(ConcatFusion):
    """`ConcatFusion` on stochastic codes: `h_m` to mean and log-variance of a Gaussian, `(B, d)`.

    In training the code is drawn, `mean + sigma e`; at test time it is the mean. `code` is d, the
    first encoder's width by default. The first log-variance is about -4, so that training starts
    nearly without noise; it stays within +-10.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int, code: int | None = None):
        super().__init__(encoders, classes)
        code = code or self.widths[0]
        self.bottlenecks = nn.ModuleDict(
            {m: nn.Linear(width, 2 * code) for m, width in zip(encoders, self.widths, strict=True)}
        )
        for layer in self.bottlenecks.values():
            nn.init.constant_(layer.bias[code:], -4.0)
        self.widths = [code] * len(encoders)
        self.head = nn.Linear(code * len(encoders), classes)

    def distributions(
        self,
        inputs: Inputs,
        keep: dict[str, Tensor] | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and log-variance of each modality's code; `factors` scale encoder gradients."""
        found = {}
        for m, h in super().features(inputs, keep).items():
            if factors:
                h = scale_gradient(h, factors[m])
            mean, log_variance = self.bottlenecks[m](h).chunk(2, 1)  # (B, 2 d) -> (B, d) twice
            # softly, so that the gradient never ends
            found[m] = mean, LOG_VARIANCE * (log_variance / LOG_VARIANCE).tanh()
        return found

    def codes(
        self,
        distributions: Mapping[str, tuple[Tensor, Tensor]],
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """A draw from each modality's distribution in training, its mean at test time."""
        if not self.training:
            return {m: mean for m, (mean, _) in distributions.items()}
        found = {}
        for m, (mean, log_variance) in distributions.items():
            noise = torch.empty_like(mean).normal_(generator=generator)
            found[m] = mean + (0.5 * log_variance).exp() * noise
        return found

    def features(self, inputs: Inputs, keep: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Codes, `(B, d)`; a masked modality's code is zero. Errors as in `Fusion.features`."""
        codes = self.codes(self.distributions(inputs, keep))
        if keep is None:
            return codes
        return {m: code * keep[m].unsqueeze(1) for m, code in codes.items()}


class CAL(Joint):
    """Joint + unimodal losses with scaled encoder gradients and a bottleneck for each modality.

    `CE(z) + unimodal_weight * sum over m of CE(z_m) + sum over m of beta_m KL_m / d`, with
    `beta_m = beta M (1 - W_m)` for M modalities, and the gradient that enters encoder m times
    `1 + kappa W_m`. W comes from running means (`decay`) of the scores of the batches before.
    During the first `warmup` epochs (2 of 15 by default) W is even, kappa 0, and beta rises
    linearly. `acceleration`: `"contribution"`, or as a control `"uniform"` (W even), `"inverse"`
    (`1 - W`, over M - 1), `"none"`; `compression`: `"contribution"`, `"uniform"`, `"none"`. `swap`
    turns the order of W round. Other `options` as in `Joint`. W is one number a modality, not one a
    sample; gradients are not clipped; the step logs `divergence_m`, KL_m / d, whose fall to 0 is a
    collapse. Under `torchrun` W is common, the noise of the codes alike in every process. Raises
    `ValueError` for fewer than two modalities, an unknown word or a number out of range.
    """

    def __init__(
        self,
        model: BottleneckFusion,
        epochs: int,
        unimodal_weight: float = 1.0,
        kappa: float = 1.0,
        beta: float = 1e-3,
        alpha: float = 0.5,
        temperature: float = 0.25,
        decay: float = 0.9,
        warmup: int | None = None,
        acceleration: str = "contribution",
        compression: str = "contribution",
        swap: bool = False,
        **options,
    ):
        super().__init__(model, epochs, unimodal_weight=unimodal_weight, **options)
        if acceleration not in FACTORS or compression not in STRENGTHS:
            raise ValueError(
                f"acceleration is {acceleration!r} and compression {compression!r}; choose of "
                f"{', '.join(FACTORS)} and of {', '.join(STRENGTHS)}"
            )
        numbers = (kappa >= 0, beta >= 0, 0 <= alpha <= 1, temperature > 0, 0 <= decay < 1)
        if len(model.encoders) < 2 or not all(numbers) or (warmup is not None and warmup < 0):
            raise ValueError(
                f"{len(model.encoders)} modalities, kappa {kappa}, beta {beta}, alpha {alpha}, "
                f"temperature {temperature}, decay {decay}, warmup {warmup}; give two modalities "
                "or more, kappa, beta and warmup of 0 or more, alpha in [0, 1], a temperature "
                "above 0, a decay in [0, 1)"
            )
        self.kappa, self.beta, self.alpha = kappa, beta, alpha
        self.temperature, self.decay, self.swap = temperature, decay, swap
        self.warmup = max(1, round(epochs * 2 / 15)) if warmup is None else warmup
        self.acceleration, self.compression = acceleration, compression
        self.scores = dict.fromkeys(model.encoders, 1 / len(model.encoders))
        self.weights = _softmax(self.scores, temperature)
        self.epoch = 0

    def plan(self, epoch: int) -> None:
        """Set the rate."""
        super().plan(epoch)
        self.epoch = epoch

    def factors(self) -> dict[str, float]:
        """What the gradient of each encoder is multiplied by, 1 or more."""
        if self.epoch < self.warmup or self.acceleration == "none":
            return dict.fromkeys(self.weights, 1.0)
        M = len(self.weights)
        rule = {
            "contribution": lambda W: W,
            "uniform": lambda W: 1 / M,
            "inverse": lambda W: (1 - W) / (M - 1),
        }[self.acceleration]
        return {m: 1 + self.kappa * rule(W) for m, W in self.weights.items()}

    def strengths(self) -> dict[str, float]:
        """The bottleneck's weight for each modality."""
        if self.compression == "none":
            return dict.fromkeys(self.weights, 0.0)
        beta = self.beta * min((self.epoch + 1) / (self.warmup + 1), 1)
        M = len(self.weights)
        if self.compression == "uniform" or self.epoch < self.warmup:
            return dict.fromkeys(self.weights, beta * (M - 1))
        return {m: beta * M * (1 - W) for m, W in self.weights.items()}

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """See `Joint.logits`; keeps what the bottleneck's loss needs."""
        self.keep = keep
        self.distributions = self.model.distributions(inputs, keep, self.factors())
        self.codes = self.model.codes(self.distributions, self.generator)
        if keep is not None:
            self.codes = {m: code * keep[m].unsqueeze(1) for m, code in self.codes.items()}
        return self.model.classify(self.codes, keep)

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        """See the class."""
        loss = super().loss(logits, target)
        divergences, strengths = self.divergences(), self.strengths()
        return loss + sum(strengths[m] * kl for m, kl in divergences.items() if strengths[m])

    def divergences(self) -> dict[str, Tensor]:
        """`KL_m / d`, the mean over a batch's samples that keep m."""
        found = {}
        for m, (mean, log_variance) in self.distributions.items():
            kl = gaussian_kl(mean, log_variance) / mean.shape[1]
            kept = torch.ones_like(kl) if self.keep is None else self.keep[m].to(kl.dtype)
            found[m] = (kl * kept).sum() / kept.sum().clamp(min=1)
        return found

    @torch.no_grad()
    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Take this batch into the running scores; the next one is weighed by them."""
        check_logits(logits["fused"], target)
        quantity = information(self.utility(target))
        sure = confidence({m: logits[m] for m in self.scores})
        shares = contribution_scores(quantity, sure, self.alpha)
        new = torch.tensor([shares[m] for m in self.scores])
        new = sum_over_processes(new.to(target.device)) / world_size()
        for m, c in zip(self.scores, new.tolist(), strict=True):
            self.scores[m] = self.decay * self.scores[m] + (1 - self.decay) * c
        self.weights = _softmax(self.scores, self.temperature)
        if self.swap:
            turned = reversed(self.weights.values())
            self.weights = dict(zip(self.weights, list(turned), strict=True))
        log = {f"weight_{m}": W for m, W in self.weights.items()}
        log |= {f"information_{m}": x for m, x in quantity.items()}
        log |= {f"confidence_{m}": x for m, x in sure.items()}
        log = {name: torch.tensor(x) for name, x in log.items()}
        return log | {f"divergence_{m}": kl.detach() for m, kl in self.divergences().items()}

    def utility(self, target: Tensor) -> dict[frozenset[str], float]:
        """Mean probability of the true class for every set of modalities, on the codes drawn."""
        names, classes = list(self.codes), self.model.head.out_features
        everything = torch.ones_like(target, dtype=torch.bool)
        found = {frozenset(): 1 / classes}
        for size in range(1, len(names) + 1):
            for kept in combinations(names, size):
                keep = {m: everything & (m in kept) for m in names}
                p = self.model.classify(self.codes, keep)["fused"].softmax(1)
                found[frozenset(kept)] = p.gather(1, target.unsqueeze(1)).mean().item()
        return found

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        own = {"scores": self.scores, "weights": self.weights, "epoch": self.epoch}
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.scores, self.weights = dict(state["scores"]), dict(state["weights"])
        self.epoch = state["epoch"]
