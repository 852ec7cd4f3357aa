"""The formulas of CAL (Xu et al., 2025, arXiv 2510.26289): what each modality contributes, how its
encoder is accelerated, how its code is compressed.

The paper was open to us as its abstracts only; every formula here is our reading of them."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mmlib.arguments import number
from mmlib.methods.shapley import shapley_values


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
    number("alpha", alpha, at_least=0, at_most=1)
    values = [*information.values(), *confidence.values()]
    if set(information) != set(confidence) or not information:
        raise ValueError(
            f"information is of {', '.join(information)}, confidence of {', '.join(confidence)}; "
            "give both for the same modalities"
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
    return softmax_of(contribution_scores(information, confidence, alpha), temperature)


def sample_weights(
    utility: Mapping[frozenset[str], Tensor],
    logits: Mapping[str, Tensor],
    alpha: float = 0.5,
    temperature: float = 0.25,
) -> dict[str, Tensor]:
    """`contribution_weights` of every sample by itself: W of each modality, `(B,)`, no gradient.

    Our reading, as all of CAL. `utility` maps every set of modalities, the empty one too, to
    `(B,)`; `logits` are each modality's own, `(B, K)`. Raises `ValueError` for an alpha outside
    [0, 1], a temperature that is not above 0, a set that is missing.
    """
    number("alpha", alpha, at_least=0, at_most=1)
    number("temperature", temperature, above=0)
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


def softmax_of(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    """W of the scores c, `softmax(c / temperature)`: our reading."""
    number("temperature", temperature, above=0)
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
