"""The GMM gap loss (Liu et al., 2025, arXiv 2510.21797): a mixture over the modality gap tells
balanced samples from imbalanced ones, and the loss treats them differently.

The abstracts give the gap, the mixture, the posterior and the aims of the loss in words; the
formulas of the loss are our reading of versions 2 and 3."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import numbers, whole_number
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits, collect
from mmlib.methods.gap_mixture import GapMixture, Mixture, fit_gap_mixture, fit_mixture
from mmlib.methods.joint import Joint, unimodal_loss
from mmlib.parallel import own_rows, sum_over_processes, whole_batch, world_size
from mmlib.training import Plan

__all__ = ["Gap", "GapMixture", "Mixture", "fit_gap_mixture", "fit_mixture", "gap_weights"]
__all__ += ["modality_gap", "shift_term", "true_score"]

CLIP = 10.0


def true_score(logits: Tensor, target: Tensor) -> Tensor:
    """`softmax(z)_y`, what the abstract's gap is between: `(N, K)` to `(N,)`.

    That gradients go through it is our reading. Raises `ValueError` for logits and target that do
    not fit together.
    """
    check_logits(logits, target)
    return logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)


def modality_gap(first_logits: Tensor, second_logits: Tensor, target: Tensor) -> Tensor:
    """`G = softmax(z_1)_y - softmax(z_2)_y` of each sample: `(N, K)` twice to `(N,)` in [-1, 1].

    The abstract gives this in words; where the gradient goes is our reading. Errors as in
    `true_score`.
    """
    return true_score(first_logits, target) - true_score(second_logits, target)


def gap_weights(posterior: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the fusion loss and of the gap penalty, `(B,)` each, with mean 1 over the batch.

    `1 + (1 - r)` and `1 + r`, so that balanced samples fuse and imbalanced ones align: our reading
    of the abstracts of versions 2 and 3.
    """
    r = posterior.detach()
    fusion, penalty = 2 - r, 1 + r
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
    shift_weight * shift_term`, the weights w those of `gap_weights`. After `warmup` epochs (2 of 15
    by default) every plan measures the gap of every training sample in evaluation mode and fits the
    mixture anew; while it is degenerate, training is that of the warm-up. Other `options` as in
    `Joint`. Raises `ValueError` for other than two modalities and for a negative number.
    """

    needs_dataset = True
    takes = (2, 2)

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        dataset,
        unimodal_weight: float = 3.0,
        gap_weight: float = 0.5,
        shift_weight: float = 0.1,
        warmup: int | None = None,
        **options,
    ):
        super().__init__(model, epochs, unimodal_weight=unimodal_weight, **options)
        numbers(at_least=0, gap_weight=gap_weight, shift_weight=shift_weight)
        self.gap_weight, self.shift_weight = gap_weight, shift_weight
        warmup = max(1, round(epochs * 2 / 15)) if warmup is None else warmup
        self.dataset, self.warmup = dataset, whole_number("warmup", warmup, at_least=0)
        self.mixture: GapMixture | None = None
        self.posterior: Tensor | None = None  # (N,), by index

    def plan(self, epoch: int) -> Plan | None:
        """Set the rate; after the warm-up, measure the gaps."""
        super().plan(epoch)
        if epoch < self.warmup:
            return None
        self.measure()
        return Plan(torch.arange(len(self.dataset)), looked_at=len(self.dataset))

    def measure(self) -> None:
        """Gaps of the training data in evaluation mode, their mixture, every sample's posterior."""
        device = self.generator.device
        logits = collect(self.predict, self.dataset, device)
        gap = modality_gap(*(logits[m] for m in self.model.encoders), self.dataset.target)
        # batch statistics are each process's own, so that the mean decides
        gap = (sum_over_processes(gap.to(device)) / world_size()).cpu()
        self.mixture = fit_gap_mixture(gap)
        self.posterior = self.posterior_of(gap).to(device)

    def posterior_of(self, gap: Tensor) -> Tensor:
        """The probability of "imbalanced" that the loss goes by, `(N,)` to `(N,)`."""
        return self.mixture.posterior(gap)

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Joint.step`; the loss looks up the posterior of the samples `index`."""
        self.index = index
        return super().step(inputs, target, index, keep)

    def is_plain(self) -> bool:
        """Whether the loss is that of the warm-up: the mixture is missing or degenerate."""
        return self.mixture is None or self.mixture.degenerate

    def loss(self, logits: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """See the class."""
        if self.is_plain():
            return super().loss(logits, target)
        r = self.posterior[self.index]
        # the weights have mean 1 over the whole batch, not over a share or a part of it
        weights = map(own_rows, self.weights_of(whole_batch(r)))
        r, fusion, penalty = (rows[self.part] for rows in (r, *weights))
        gap = self.gap_of(*(logits[m] for m in self.model.encoders), target)
        fused = F.cross_entropy(logits["fused"], target, reduction="none")
        terms = fusion * fused + self.gap_weight * penalty * gap**2
        terms = terms + self.shift_weight * shift_term(gap, r, self.mixture)
        return terms.mean() + self.unimodal_weight * unimodal_loss(logits, target)

    def weights_of(self, posterior: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of fusion loss and gap penalty in the loss, `(B,)` to `(B,)` twice."""
        return gap_weights(posterior)

    def gap_of(self, first_logits: Tensor, second_logits: Tensor, target: Tensor) -> Tensor:
        """The gap in the loss, whose gradient trains: `(B, K)` twice to `(B,)`."""
        return modality_gap(first_logits, second_logits, target)

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        mixture = vars(self.mixture).copy() if self.mixture else None
        return super().state_dict() | {"mixture": mixture, "posterior": self.posterior}

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.mixture = GapMixture(**state["mixture"]) if state["mixture"] else None
        device = self.generator.device
        self.posterior = None if state["posterior"] is None else state["posterior"].to(device)
