"""Controls of boosting: each is `Boosting` with one thing changed."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import by_name, whole_number
from mmlib.methods.boosting import Boosting, residual_loss


class Frozen(Boosting):
    """Added classifiers stay at their random start, as in the released code: rules out that it
    matters that they learn."""

    def begin_training(self, new: nn.Linear) -> None:
        new.requires_grad_(False)


class HeavierLoss(Boosting):
    """A modality's loss counts `loss_weights` times: without growth (`every=None`) it rules out
    that the added classifiers do more than add loss terms to the weaker modality."""

    def __init__(self, *arguments, loss_weights: Mapping[str, float], **options):
        super().__init__(*arguments, **options)
        self.loss_weights = by_name("loss_weights", loss_weights, list(self.model.encoders))

    def backward(self, modality: str, loss: Tensor) -> None:
        super().backward(modality, self.loss_weights.get(modality, 1.0) * loss)


class FixedNumber(Boosting):
    """A modality begins with `start` classifiers: without growth it rules out that it matters when
    and to whom they are added."""

    def __init__(self, *arguments, start: Mapping[str, int], **options):
        super().__init__(*arguments, **options)
        for m, count in by_name("start", start, list(self.model.encoders)).items():
            for _ in range(whole_number(f"start of {m}", count, at_least=1) - 1):
                self.add_classifier(m)


class ResidualOnly(Boosting):
    """Of the loss's three terms the newest classifier's against the residual label alone: rules out
    that the other two matter."""

    def loss_of(self, stages: list[Tensor], target: Tensor) -> Tensor:
        if len(stages) == 1:
            return super().loss_of(stages, target)
        return residual_loss(stages[-1], sum(stages[:-1]), target, self.smoothing)


class AllOnly(Boosting):
    """Of the loss's three terms that of all classifiers together alone: rules out that the residual
    label matters."""

    def loss_of(self, stages: list[Tensor], target: Tensor) -> Tensor:
        return F.cross_entropy(sum(stages), target)


class PreviousOnly(Boosting):
    """Of the loss's three terms that of all classifiers but the newest alone, which thus learns
    once it is no longer the newest: rules out that it matters to learn at once."""

    def loss_of(self, stages: list[Tensor], target: Tensor) -> Tensor:
        return F.cross_entropy(sum(stages[:-1] or stages), target)
