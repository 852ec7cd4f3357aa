"""Which dimensions of a feature tell the classes apart, for detached learning, DI-MML."""

import torch
from torch import Tensor


def separability(features: Tensor, target: Tensor) -> Tensor:
    """How well each dimension alone tells the classes apart: `(N, d)` and `(N,)` to `(d,)`.

    The share of samples whose own class has the nearest mean in that dimension (the first of equal
    ones). Classes that do not occur in `target` are no candidates. Goes through the classes one by
    one, so that nothing of size N x K x d is held. Raises `ValueError` for features that are not
    finite, shapes that do not fit, or fewer than two classes.
    """
    return hits(features, target) / len(features)


def hits(features: Tensor, target: Tensor) -> Tensor:
    """`N` times the separability, whole numbers."""
    if features.dim() != 2 or target.dim() != 1 or len(features) != len(target):
        raise ValueError(
            f"features are {tuple(features.shape)} and target {tuple(target.shape)}; "
            "give features (N, d) and a target (N,) of the same length"
        )
    if not torch.isfinite(features).all():
        raise ValueError("features hold NaN or infinity; did the training diverge?")
    classes = target.unique()
    if len(classes) < 2:
        raise ValueError(f"target holds {len(classes)} class; give samples of two or more")
    nearest = torch.full_like(features, torch.inf)
    guess = torch.empty_like(features, dtype=target.dtype)
    for c in classes:
        distance = (features - features[target == c].mean(0)).abs()  # (N, d)
        guess[distance < nearest] = c
        nearest = torch.minimum(nearest, distance)
    return (guess == target.unsqueeze(1)).sum(0)  # (N, d) -> (d,)


def effective_dimensions(features: Tensor, target: Tensor) -> Tensor:
    """Dimensions whose `separability` is above the mean over dimensions: bool `(d,)`.

    Arguments and errors as in `separability`; the rule is that of the released code.
    """
    return above_mean(hits(features, target))


def above_mean(counts: Tensor) -> Tensor:
    """The dimensions that are above the mean over dimensions: bool `(d,)`."""
    return counts * len(counts) > counts.sum()  # in whole numbers: equal ones are never above
