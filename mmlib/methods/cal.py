"""Contribution-guided asymmetric learning with an asymmetric information bottleneck (Xu et al.,
2025, arXiv 2510.26289): accelerate the modality that contributes, compress the one that does not.

The paper was open to us as its abstracts only; every formula here is our reading of them."""

import math
from collections.abc import Mapping
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.arguments import one_of
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits
from mmlib.fusion import BottleneckFusion
from mmlib.methods.baselines import Joint
from mmlib.methods.valuation import shapley_values
from mmlib.parallel import mean_over_processes

FACTORS = ("contribution", "uniform", "inverse", "none")
STRENGTHS = ("contribution", "uniform", "none")
READINGS = ("batch", "epoch", "sample", "channels", "loss")


def information(utility: Mapping[frozenset[str], float]) -> dict[str, float]:
    """Information quantity I of each modality: its Shapley value in the utility, not below 0.

    `utility` maps every set of modalities, the empty one too, to a number such as the mean
    probability of the true class. Before the cut at 0 the values add up to `utility[all] -
    utility[none]`. That I is this is our reading. Raises `ValueError` for a set that is missing.
    """
    if frozenset() not in utility:
        raise ValueError("utility lacks the empty set; give chance level, 1 / classes, for it")
    empty = utility[frozenset()]
    gains = {c: torch.tensor([float(v) - float(empty)]) for c, v in utility.items() if c}
    return {m: max(phi.item(), 0.0) for m, phi in shapley_values(gains).items()}


def confidence(logits: Mapping[str, Tensor]) -> dict[str, float]:
    """Confidence D of each modality: `1 - mean entropy / log K` of its own logits, `(B, K)`.

    In [0, 1]; an entry `"fused"` is left out. That D is this is our reading. Raises `ValueError`
    for NaN and for one class.
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

    Our reading. A sum of 0 counts as equal shares. Raises `ValueError` for an alpha outside [0, 1],
    other modalities on one side, or a number that is negative or not finite.
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

    Our reading. Numbers without gradient that add up to 1, equal for equal modalities. Raises
    `ValueError` for a temperature that is not above 0, and what `contribution_scores` refuses.
    """
    return _softmax(contribution_scores(information, confidence, alpha), temperature)


def sample_weights(
    utility: Mapping[frozenset[str], Tensor],
    logits: Mapping[str, Tensor],
    alpha: float = 0.5,
    temperature: float = 0.25,
) -> dict[str, Tensor]:
    """`contribution_weights` of every sample by itself: W of each modality, `(B,)`, no gradient.

    Our reading, as all of CAL.
    `utility` maps every set of modalities, the empty one too, to `(B,)`; `logits` are each
    modality's own, `(B, K)`. Raises `ValueError` for an alpha outside [0, 1], a temperature that is
    not above 0, a set that is missing.
    """
    if not 0 <= alpha <= 1 or not temperature > 0:
        raise ValueError(
            f"alpha is {alpha}, temperature {temperature}; give alpha in [0, 1], temperature > 0"
        )
    gains = {c: (v - utility[frozenset()]).detach() for c, v in utility.items() if c}
    quantity = {m: phi.clamp(min=0) for m, phi in shapley_values(gains).items()}
    sure = {}
    for m in quantity:
        p = logits[m].detach().softmax(1)
        sure[m] = (1 - torch.special.entr(p).sum(1) / math.log(p.shape[1])).clamp(0, 1)

    def shares(of: dict[str, Tensor]) -> Tensor:
        values = torch.stack([of[m] for m in quantity])  # (M, B)
        total = values.sum(0)
        return torch.where(total > 0, values / total.clamp(min=1e-12), 1 / len(values))

    c = alpha * shares(quantity) + (1 - alpha) * shares(sure)
    return dict(zip(quantity, (c / temperature).softmax(0), strict=True))


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


def scale_gradient(x: Tensor, factor: float | Tensor) -> Tensor:
    """`x` itself; on the way back its gradient is multiplied by `factor`, as it is by then.

    That CAL accelerates in this way is our reading.
    """
    return _ScaleGradient.apply(x, factor)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of `N(mean, exp(log_variance))` from `N(0, 1)`: `(B, d)` twice to `(B,)`, nats.

    Summed over d. That CAL compresses by it is our reading. Raises `ValueError` for shapes that
    differ and where the variance overflows.
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


class CAL(Joint):
    """Joint + unimodal losses with scaled encoder gradients and a bottleneck for each modality.

    The paper was open to us as its abstracts only: every formula here is our reading.

    `CE(z) + unimodal_weight * sum over m of CE(z_m) + sum over m of beta_m KL_m / d`, with
    `beta_m = beta M (1 - W_m)` for M modalities, and the gradient that enters encoder m, the
    divergence's too, times `1 + kappa W_m`. During the first `warmup` epochs (2 of 15 by default) W
    counts as even and kappa as 0, and beta rises linearly. `acceleration`: `"contribution"`, or as
    a control `"uniform"` (W even), `"inverse"` (`1 - W`, over M - 1), `"none"`; `compression`:
    `"contribution"`, `"uniform"`, `"none"`. `swap` turns W round, in the order of the encoders.
    Other `options` as in `Joint`.

    `reading`, where the abstract leaves it open: `"batch"`, W from running means (`decay`) of the
    scores of the batches before; `"epoch"`, from their mean over the epoch before; `"sample"`, a W
    for each sample from its own scores, at once. The other two are as `"batch"`, but `"channels"`
    compresses by silence, not by beta_m: a share `1 - min(1, M W_m)` of a code's channels, drawn
    anew for every sample in training, is 0 (at most 0.9 of them), the others are scaled up, and
    every divergence has the weight `beta (M - 1)`; `"loss"` accelerates by the modality's own loss,
    `unimodal_weight (1 + kappa W_m) CE(z_m)`.

    `clip` (one of `Joint`'s options; ARL: 40, for its networks) keeps encoders alive that a few
    large gradients would kill. The step logs `divergence_m`, KL_m / d, whose fall to 0 is another
    collapse. Under `torchrun` the channels that `"channels"` silences are the same ones in every
    process's rows. Raises `ValueError` for fewer than two modalities, an unknown word or a number
    out of range.
    """

    undivided = "weighs a whole batch by its scores"

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
        reading: str = "batch",
        swap: bool = False,
        **options,
    ):
        super().__init__(model, epochs, unimodal_weight=unimodal_weight, **options)
        numbers = (kappa >= 0, beta >= 0, 0 <= alpha <= 1, temperature > 0, 0 <= decay < 1)
        if len(model.encoders) < 2 or not all(numbers) or (warmup is not None and warmup < 0):
            raise ValueError(
                f"{len(model.encoders)} modalities, kappa {kappa}, beta {beta}, alpha {alpha}, "
                f"temperature {temperature}, decay {decay}, warmup {warmup}; give two modalities "
                "or more, kappa, beta and warmup of 0 or more, alpha in [0, 1], a temperature "
                "above 0, a decay in [0, 1)"
            )
        self.acceleration = one_of("acceleration", acceleration, FACTORS)
        self.compression = one_of("compression", compression, STRENGTHS)
        self.reading = one_of("reading", reading, READINGS)
        self.kappa, self.beta, self.alpha = kappa, beta, alpha
        self.temperature, self.decay, self.swap = temperature, decay, swap
        self.warmup = max(1, round(epochs * 2 / 15)) if warmup is None else warmup
        self.scores = dict.fromkeys(model.encoders, 1 / len(model.encoders))
        self.weights = _softmax(self.scores, temperature)
        self.seen: list[dict[str, float]] = []  # the scores of this epoch's batches
        self.epoch = 0

    def plan(self, epoch: int) -> None:
        """Set the rate, and where W is that of an epoch, W."""
        super().plan(epoch)
        self.epoch = epoch
        if self.reading == "epoch" and self.seen:
            self.scores = {m: sum(c[m] for c in self.seen) / len(self.seen) for m in self.scores}
            self.weights = self._turned(_softmax(self.scores, self.temperature))
        self.seen = []

    def factors(self) -> dict[str, float | Tensor]:
        """What accelerates each modality: 1 or more, `(B,)` where W is each sample's own."""
        if self.epoch < self.warmup or self.acceleration == "none":
            return dict.fromkeys(self.weights, 1.0)
        M = len(self.weights)
        rule = {
            "contribution": lambda W: W,
            "uniform": lambda W: 1 / M,
            "inverse": lambda W: (1 - W) / (M - 1),
        }[self.acceleration]
        return {m: 1 + self.kappa * rule(W) for m, W in self.weights.items()}

    def strengths(self) -> dict[str, float | Tensor]:
        """The weight of each modality's divergence in the loss."""
        if self.compression == "none":
            return dict.fromkeys(self.weights, 0.0)
        beta = self.beta * min((self.epoch + 1) / (self.warmup + 1), 1)
        M = len(self.weights)
        even = self.compression == "uniform" or self.reading == "channels"
        if even or self.epoch < self.warmup:
            return dict.fromkeys(self.weights, beta * (M - 1))
        return {m: beta * M * (1 - W) for m, W in self.weights.items()}

    def silences(self) -> dict[str, float]:
        """The share of each code's channels that is silenced in training."""
        if self.reading != "channels" or self.compression == "none" or self.epoch < self.warmup:
            return dict.fromkeys(self.weights, 0.0)
        M = len(self.weights)
        shares = {m: 1 - min(1.0, max(0.1, M * W)) for m, W in self.weights.items()}
        if self.compression == "uniform":
            return dict.fromkeys(shares, sum(shares.values()) / M)
        return shares

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """See `Joint.logits`; keeps what the bottleneck's loss needs."""
        self.keep = keep
        features = self.model.encode(inputs, keep)
        # filled in before the backward pass, since a sample's own W needs its target
        self.scale = {m: h.new_ones(len(h), 1) for m, h in features.items()}
        features = {m: scale_gradient(h, self.scale[m]) for m, h in features.items()}
        self.distributions = self.model.distributions(features)
        self.codes = self.model.codes(self.distributions, self.generator)
        if keep is not None:
            self.codes = {m: code * keep[m].unsqueeze(1) for m, code in self.codes.items()}
        return self.model.classify(self._silenced(self.codes), keep)

    def _silenced(self, codes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Codes with a share of their channels at 0 and the others scaled up, in training."""
        result = dict(codes)
        for m, share in self.silences().items():
            if share and self.model.training:
                heard = torch.empty_like(codes[m]).bernoulli_(1 - share, generator=self.generator)
                result[m] = codes[m] * heard / (1 - share)
        return result

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        """See the class."""
        if self.reading == "sample":
            own = sample_weights(self.utility(target), logits, self.alpha, self.temperature)
            self.weights = self._turned({m: own[m] for m in self.scores})
        factors, strengths = self.factors(), self.strengths()
        loss = F.cross_entropy(logits["fused"], target)
        for m, kl in self.divergences().items():
            own_loss = F.cross_entropy(logits[m], target)
            if self.reading == "loss":
                own_loss = factors[m] * own_loss
            else:
                self.scale[m].copy_(torch.as_tensor(factors[m]).reshape(-1, 1))
            loss = loss + self.unimodal_weight * own_loss + self._mean(m, strengths[m] * kl)
        return loss

    def divergences(self) -> dict[str, Tensor]:
        """`KL_m / d` of each sample, `(B,)`."""
        return {
            m: gaussian_kl(*parts) / parts[0].shape[1] for m, parts in self.distributions.items()
        }

    def _mean(self, m: str, values: Tensor) -> Tensor:
        """Over the samples that keep modality m."""
        if self.keep is None:
            return values.mean()
        kept = self.keep[m].to(values.dtype)
        return (values * kept).sum() / kept.sum().clamp(min=1)

    @torch.no_grad()
    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Take this batch into the running scores; the next one is weighed by them."""
        check_logits(logits["fused"], target)
        utility = {s: p.mean() for s, p in self.utility(target).items()}
        quantity = information(mean_over_processes(utility, target.device))
        if self.reading == "channels":  # else silence would lower the score that silences
            logits = self.model.classify(self.codes, self.keep)
        sure = confidence({m: logits[m] for m in self.scores})
        sure = mean_over_processes(sure, target.device)
        shares = contribution_scores(quantity, sure, self.alpha)
        self.seen.append({m: shares[m] for m in self.scores})
        if self.reading not in ("epoch", "sample"):
            keep, news = self.decay, self.seen[-1]
            self.scores = {m: keep * c + (1 - keep) * news[m] for m, c in self.scores.items()}
            self.weights = self._turned(_softmax(self.scores, self.temperature))
        log = {f"information_{m}": x for m, x in quantity.items()}
        log |= {f"confidence_{m}": x for m, x in sure.items()}
        log |= {f"contribution_{m}": W for m, W in self.weights.items()}
        log = {name: torch.as_tensor(x).mean() for name, x in log.items()}
        return log | {f"divergence_{m}": self._mean(m, kl) for m, kl in self.divergences().items()}

    def _turned(self, weights: dict) -> dict:
        """W, or with `swap` in reverse order."""
        order = reversed(weights.values()) if self.swap else weights.values()
        return dict(zip(weights, list(order), strict=True))

    @torch.no_grad()
    def utility(self, target: Tensor) -> dict[frozenset[str], Tensor]:
        """Probability of the true class, `(B,)`, for every set of modalities, on these codes."""
        names, classes = list(self.codes), self.model.head.out_features
        everything = torch.ones_like(target, dtype=torch.bool)
        found = {frozenset(): torch.full(target.shape, 1 / classes, device=target.device)}
        for size in range(1, len(names) + 1):
            for kept in combinations(names, size):
                keep = {m: everything & (m in kept) for m in names}
                p = self.model.classify(self.codes, keep)["fused"].softmax(1)
                found[frozenset(kept)] = p.gather(1, target.unsqueeze(1)).squeeze(1)
        return found

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        own = {
            "scores": self.scores,
            "weights": self.weights,
            "seen": self.seen,
            "epoch": self.epoch,
        }
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.scores, self.weights = dict(state["scores"]), dict(state["weights"])
        self.seen, self.epoch = list(state["seen"]), state["epoch"]
