"""Controls and other readings of the gap loss: each is `Gap` with one thing changed."""

import torch
from torch import Tensor

from mmlib.arguments import whole_number
from mmlib.methods.gap import Gap, gap_weights, true_score
from mmlib.training import Plan, cosine_rate


class OneSided(Gap):
    """No gradient of the gap reaches the larger of the two scores, so that only the smaller one is
    pulled up: rules out that it matters that the strong modality is pulled down."""

    def gap_of(self, first_logits: Tensor, second_logits: Tensor, target: Tensor) -> Tensor:
        first, second = true_score(first_logits, target), true_score(second_logits, target)
        ahead = first > second
        first, second = (
            torch.where(ahead, first.detach(), first),
            torch.where(ahead, second, second.detach()),
        )
        return first - second


class VersionOne(Gap):
    """The first version's weights: only the penalty goes by the posterior, fusion counts 1 for
    every sample. Rules out that the weight of fusion matters."""

    def weights_of(self, posterior: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(posterior), gap_weights(posterior)[1]


class Unweighted(Gap):
    """Fusion loss and penalty count 1 for every sample: rules out that their weights matter. (The
    pull of the shift term still goes by the posterior.)"""

    def weights_of(self, posterior: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(posterior), torch.ones_like(posterior)


class HardPosterior(Gap):
    """Every posterior is rounded to 0 or 1: rules out that its degrees matter."""

    def posterior_of(self, gap: Tensor) -> Tensor:
        r = super().posterior_of(gap)
        return (r > 0.5).to(r.dtype)


class PermutedPosterior(Gap):
    """The same posteriors, dealt to the samples at random whenever the mixture is fitted (once an
    epoch): rules out that it matters which samples it calls imbalanced."""

    def posterior_of(self, gap: Tensor) -> Tensor:
        r = super().posterior_of(gap)
        return r[torch.randperm(len(r))]


class Purified(Unweighted):
    """A last stage of `purify_epochs` (2 of 15 by default), at a tenth of the rate and with the
    plain loss, on the samples whose posterior is below 1/2: a reading of the abstract's idea."""

    def __init__(self, model, epochs: int, dataset, purify_epochs: int | None = None, **options):
        super().__init__(model, epochs, dataset, **options)
        last = max(1, round(epochs * 2 / 15)) if purify_epochs is None else purify_epochs
        if whole_number("purify_epochs", last, at_least=1) >= epochs:
            raise ValueError(f"purify_epochs is {last} of {epochs} epochs; leave some before them")
        self.purify_from, self.purifying = epochs - last, False
        self.kept: Tensor | None = None  # the samples of the last stage

    def plan(self, epoch: int) -> Plan | None:
        self.purifying = epoch >= self.purify_from
        if not self.purifying:
            plan = super().plan(epoch)
            self.set_rate(self.optimizer, self.lr, epoch, self.purify_from)
            return plan
        left = self.epochs - self.purify_from
        cosine_rate(self.optimizer, self.lr / 10, epoch - self.purify_from, left)
        if self.kept is not None:
            return Plan(self.kept)
        self.measure()
        self.kept = torch.arange(len(self.dataset))[self.pure()]
        return Plan(self.kept, looked_at=len(self.dataset))

    def pure(self) -> Tensor:
        """Which samples the last stage trains on, `(N,)` bool."""
        return self.posterior.cpu() < 0.5

    def is_plain(self) -> bool:
        return self.purifying or super().is_plain()

    def state_dict(self) -> dict:
        return super().state_dict() | {"kept": self.kept}

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        self.kept = state["kept"]


class PurifiedAtRandom(Purified):
    """The last stage on as many samples drawn at random: rules out that it matters which samples
    are left out."""

    def pure(self) -> Tensor:
        balanced = super().pure()
        return balanced[torch.randperm(len(balanced))]
