"""Contribution-guided asymmetric learning with an asymmetric information bottleneck (Xu et al.,
2025, arXiv 2510.26289): accelerate the modality that contributes, compress the one that does not.

The paper was open to us as its abstracts only; every formula here is our reading of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.arguments import number, numbers, whole_number
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits
from mmlib.fusion import BottleneckFusion
from mmlib.methods.cal_formulas import (
    confidence,
    contribution_scores,
    contribution_weights,
    gaussian_kl,
    information,
    sample_weights,
    scale_gradient,
    softmax_of,
)
from mmlib.methods.joint import Joint
from mmlib.methods.shapley import keep_sets
from mmlib.parallel import mean_over_processes

__all__ = ["CAL", "confidence", "contribution_scores", "contribution_weights", "gaussian_kl"]
__all__ += ["information", "sample_weights", "scale_gradient"]


class CAL(Joint):
    """Joint + unimodal losses with scaled encoder gradients and a bottleneck for each modality.

    The paper was open to us as its abstracts only: every formula here is our reading.

    `CE(z) + unimodal_weight * sum over m of CE(z_m) + sum over m of beta_m KL_m / d`, with
    `beta_m = beta M (1 - W_m)` for M modalities, and the gradient that enters encoder m, the
    divergence's too, times `1 + kappa W_m`. W is that of running means (`decay`) of the scores of
    the batches before. During the first `warmup` epochs (2 of 15 by default) W counts as even and
    kappa as 0, and beta rises linearly.

    `clip` (one of `Joint`'s `options`; ARL: 40, for its networks) keeps encoders alive that a few
    large gradients would kill. The step logs `divergence_m`, KL_m / d, whose fall to 0 is another
    collapse. Raises `ValueError` for fewer than two modalities or a number out of range.
    """

    undivided = "weighs a whole batch by its scores"
    takes = (2, None)

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
        **options,
    ):
        super().__init__(model, epochs, unimodal_weight=unimodal_weight, **options)
        numbers(at_least=0, kappa=kappa, beta=beta)
        self.kappa, self.beta = kappa, beta
        self.alpha = number("alpha", alpha, at_least=0, at_most=1)
        self.decay = number("decay", decay, at_least=0, below=1)
        warmup = max(1, round(epochs * 2 / 15)) if warmup is None else warmup
        self.warmup, self.epoch = whole_number("warmup", warmup, at_least=0), 0
        self.temperature = temperature
        self.scores = dict.fromkeys(model.encoders, 1 / len(model.encoders))
        self.weights = self.weights_of(self.scores)

    def weights_of(self, scores: dict[str, float]) -> dict[str, float]:
        """W of each modality from its score."""
        return softmax_of(scores, self.temperature)

    def plan(self, epoch: int) -> None:
        """Set the rate."""
        super().plan(epoch)
        self.epoch = epoch

    def acceleration(self) -> dict[str, float | Tensor]:
        """The share of kappa by which each encoder is accelerated: W."""
        return self.weights

    def compression(self) -> dict[str, float | Tensor]:
        """The share of beta at which each code is compressed: `M (1 - W)`."""
        return {m: len(self.weights) * (1 - W) for m, W in self.weights.items()}

    def factors(self) -> dict[str, float | Tensor]:
        """What each encoder's gradient is multiplied by: 1 or more."""
        if self.epoch < self.warmup:
            return dict.fromkeys(self.weights, 1.0)
        return {m: 1 + self.kappa * share for m, share in self.acceleration().items()}

    def strengths(self) -> dict[str, float | Tensor]:
        """The weight of each modality's divergence in the loss."""
        beta = self.beta * min((self.epoch + 1) / (self.warmup + 1), 1)
        even = dict.fromkeys(self.weights, len(self.weights) - 1)
        shares = even if self.epoch < self.warmup else self.compression()
        return {m: beta * share for m, share in shares.items()}

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """See `Joint.logits`; keeps what the bottleneck's loss needs."""
        self.keep = keep
        features = self.model.encode(inputs, keep)
        # filled in before the backward pass, since W may need the target
        self.scale = {m: h.new_ones(len(h), 1) for m, h in features.items()}
        features = {m: scale_gradient(h, self.scale[m]) for m, h in features.items()}
        self.distributions = self.model.distributions(features)
        self.codes = self.model.codes(self.distributions, self.generator)
        if keep is not None:
            self.codes = {m: code * keep[m].unsqueeze(1) for m, code in self.codes.items()}
        return self.model.classify(self.heard(self.codes), keep)

    def heard(self, codes: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the head sees of the codes, `(B, d)`: all of them."""
        return codes

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        """See the class."""
        factors, strengths = self.factors(), self.strengths()
        loss = F.cross_entropy(logits["fused"], target)
        for m, kl in self.divergences().items():
            own = self.accelerated(m, F.cross_entropy(logits[m], target), factors[m])
            loss = loss + self.unimodal_weight * own + self._mean(m, strengths[m] * kl)
        return loss

    def accelerated(self, m: str, own_loss: Tensor, factor: float | Tensor) -> Tensor:
        """The modality's own loss; what enters its encoder on the way back has `factor`."""
        self.scale[m].copy_(torch.as_tensor(factor).reshape(-1, 1))
        return own_loss

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
        sure = confidence({m: logits[m] for m in self.scores})
        sure = mean_over_processes(sure, target.device)
        self.take_in(contribution_scores(quantity, sure, self.alpha))
        log = {f"information_{m}": x for m, x in quantity.items()}
        log |= {f"confidence_{m}": x for m, x in sure.items()}
        log |= {f"contribution_{m}": W for m, W in self.weights.items()}
        log = {name: torch.as_tensor(x).mean() for name, x in log.items()}
        return log | {f"divergence_{m}": self._mean(m, kl) for m, kl in self.divergences().items()}

    def take_in(self, news: dict[str, float]) -> None:
        """Renew scores and W by the scores of a batch."""
        keep = self.decay
        self.scores = {m: keep * c + (1 - keep) * news[m] for m, c in self.scores.items()}
        self.weights = self.weights_of(self.scores)

    @torch.no_grad()
    def utility(self, target: Tensor) -> dict[frozenset[str], Tensor]:
        """Probability of the true class, `(B,)`, for every set of modalities, on these codes."""
        chance = 1 / self.model.head.out_features
        found = {frozenset(): torch.full(target.shape, chance, device=target.device)}
        for kept, keep in keep_sets(self.codes, self.codes).items():
            p = self.model.classify(self.codes, keep)["fused"].softmax(1)
            found[kept] = p.gather(1, target.unsqueeze(1)).squeeze(1)
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
