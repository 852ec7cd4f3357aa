"""Controls of detached learning: each is `Detached` with one thing changed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.methods.detached import Detached


class PermutedLabels(Detached):
    """Dimensions are measured with the labels dealt to the samples at random: rules out that it
    matters what the dimensions that are taught tell apart."""

    def labels(self) -> Tensor:
        target = super().labels()
        return target[torch.randperm(len(target))]


class RandomDimensions(Detached):
    """As many dimensions are taught, drawn at random: rules out that it matters which."""

    def choose_dimensions(self) -> dict[str, Tensor]:
        used = super().choose_dimensions()
        order = torch.randperm(len(next(iter(used.values())))).to(self.generator.device)
        return {m: chosen[order] for m, chosen in used.items()}


class Normalised(Detached):
    """Features have length 1 on the chosen dimensions before they are compared, as is usual in
    contrastive learning: rules out that their length matters."""

    def contrast(self, student: Tensor, teacher: Tensor, chosen: Tensor, pairs: Tensor) -> Tensor:
        student, teacher = (F.normalize(h * chosen, dim=1) for h in (student, teacher))
        return super().contrast(student, teacher, chosen, pairs)
