"""The classical methods that every other one is measured against; joint training is in `joint`."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmlib.arguments import number, switch, whole_number
from mmlib.evaluation import check_logits
from mmlib.methods.joint import Joint, unimodal_loss
from mmlib.parallel import whole_batch

__all__ = ["OGMGE", "Ensemble", "Joint", "ogm_ge_coefficients", "unimodal_loss"]


class Ensemble(Joint):
    """Independent networks, their logits added at test time: `sum over m of CE(z_m)`.

    With `LateFusion` no parameter is shared and every gradient comes from one loss alone, so one
    loop trains the same networks as separate runs (uniform ensemble, Du et al., ICML 2023).
    """

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        return unimodal_loss(logits, target)


class OGMGE(Joint):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    After backward the gradient `g` of each convolution (4-D kernel, as in the released code) of
    encoder m becomes `k_m g + e`, with `k_m` from `ogm_ge_coefficients` and `e ~ N(0, std(g)^2)`;
    `noise=False` leaves `e` out (OGM). In an encoder without one it is done to every weight of two
    dimensions or more (our reading). Use SGD: an adaptive optimiser undoes the scaling.
    `modulated_epochs` is the number of epochs, from the first, in which it acts (`None`: all; the
    released code has 51); `options` are those of `Joint`. Raises `ValueError` for an encoder that
    trains no such weight.
    """

    takes = (2, None)

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        alpha: float = 0.1,
        noise: bool = True,
        modulated_epochs: int | None = None,
        **options,
    ):
        super().__init__(model, epochs, **options)
        self.alpha, self.noise = number("alpha", alpha, at_least=0), switch("noise", noise)
        last = whole_number("modulated_epochs", modulated_epochs, at_least=0, or_none=True)
        self.modulated_epochs = epochs if last is None else last
        self.active = True
        for m in model.encoders:
            self._kernels(m)

    def plan(self, epoch: int) -> None:
        super().plan(epoch)
        self.active = epoch < self.modulated_epochs

    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        if not self.active:
            return {}
        alone = {m: whole_batch(logits[m]) for m in self.model.encoders}
        coefficients = ogm_ge_coefficients(alone, whole_batch(target), self.alpha)
        for m, k in coefficients.items():
            for kernel in self._kernels(m):
                if kernel.grad is not None:
                    self._scale(kernel.grad, k)
        return {f"coefficient_{m}": torch.tensor(k) for m, k in coefficients.items()}

    def _kernels(self, modality: str) -> list[Tensor]:
        """What is scaled of an encoder; a `ValueError` where there is nothing to train of that."""
        weights = [p for p in self.model.encoders[modality].parameters() if p.requires_grad]
        kernels = [p for p in weights if p.dim() == 4] or [p for p in weights if p.dim() > 1]
        if not kernels:
            raise ValueError(
                f"the encoder of {modality!r} trains no kernel or matrix that OGM-GE could scale "
                "the gradient of; train it, or take another method"
            )
        return kernels

    def _scale(self, gradient: Tensor, coefficient: float) -> None:
        deviation = gradient.std(correction=min(1, gradient.numel() - 1))  # of one number it is 0
        gradient.mul_(coefficient)
        if self.noise:
            noise = torch.empty_like(gradient).normal_(generator=self.generator)
            gradient.add_(deviation * noise)


def ogm_ge_coefficients(
    logits: Mapping[str, Tensor], target: Tensor, alpha: float
) -> dict[str, float]:
    """Gradient coefficient `k_m` in (0, 1] of each modality from its own logits, `(B, K)`.

    `s_m = sum over i of softmax(z_m)[i, y_i]`; with two modalities `rho_m = s_m / s_other`, and
    `k_m = 1 - tanh(alpha * rho_m)` where `rho_m > 1`, otherwise 1 (Peng et al., CVPR 2022, and
    their code). With more modalities, `s_other` is the mean over the others (our reading). An entry
    `"fused"` is left out. Raises `ValueError` for a negative alpha, fewer than two modalities, or
    logits and target that do not fit together.
    """
    number("alpha", alpha, at_least=0)
    scores = {}
    for m, z in logits.items():
        if m != "fused":
            check_logits(z, target)
            scores[m] = z.detach().softmax(1).gather(1, target.unsqueeze(1)).sum().item()
    if len(scores) < 2:
        given = ", ".join(scores) or "none"
        raise ValueError(f"the modalities are {given}; give the logits of two modalities or more")
    total, coefficients = sum(scores.values()), {}
    for m, score in scores.items():
        ratio = score * (len(scores) - 1) / max(total - score, 1e-12)
        # 1 - tanh(x) = 2 / (1 + exp(2 x)), which stays above 0 for a large x
        brake = 2 / (1 + math.exp(min(2 * alpha * ratio, 700)))
        coefficients[m] = brake if ratio > 1 else 1.0
    return coefficients
