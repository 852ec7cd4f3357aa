"""Scores of logits, linear probes of features, and intervals over paired seeds.

SciPy's statistics and scikit-learn are imported where they are used: they take longer to import
than a check of a data set takes, and training needs none of them before its end.
"""

from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from mmlib.batches import at_once, batches


def check_logits(logits: Tensor, target: Tensor) -> None:
    """Raise `ValueError` unless `logits` is `(N, K)` without NaN and `target` `(N,)` in 0..K-1."""
    if logits.dim() != 2 or target.dim() != 1 or len(logits) != len(target) or not len(target):
        raise ValueError(
            f"logits are {tuple(logits.shape)} and target {tuple(target.shape)}; "
            "give logits (N, classes) and a target (N,) of the same length N > 0"
        )
    if torch.isnan(logits).any():
        bad = int(torch.isnan(logits).any(1).nonzero()[0])
        raise ValueError(f"logits hold NaN, first in row {bad}; did the training diverge?")
    if target.is_floating_point() or target.min() < 0 or target.max() >= logits.shape[1]:
        raise ValueError(
            f"target goes from {target.min().item()} to {target.max().item()} ({target.dtype}); "
            f"{logits.shape[1]} logits need whole numbers in 0..{logits.shape[1] - 1}"
        )


def accuracy(logits: Tensor, target: Tensor) -> float:
    """Share of samples whose largest of `logits`, `(N, K)`, is that of `target`, `(N,)`."""
    check_logits(logits, target)
    return (logits.argmax(1) == target).double().mean().item()


def macro_f1(logits: Tensor, target: Tensor) -> float:
    """Mean over the classes that occur of the F1 score; arguments as in `accuracy`."""
    from sklearn.metrics import f1_score

    check_logits(logits, target)
    return float(f1_score(target.cpu(), logits.argmax(1).cpu(), average="macro"))


def mean_average_precision(logits: Tensor, target: Tensor) -> float:
    """Mean over the classes that occur of one-against-rest average precision on the softmax."""
    from sklearn.metrics import average_precision_score
    from sklearn.preprocessing import label_binarize

    check_logits(logits, target)
    classes = logits.shape[1]
    # label_binarize gives one column for two classes, so one more class is asked for
    wanted = label_binarize(target.cpu().numpy(), classes=range(classes + 1))[:, :classes]
    scores = logits.softmax(1).detach().cpu().numpy()
    there = wanted.any(0)
    return float(average_precision_score(wanted[:, there], scores[:, there], average="macro"))


def reliability(logits: Tensor, target: Tensor, bins: int = 10) -> dict[str, Tensor]:
    """Certainty against accuracy of `(N, K)` logits, in equal steps of certainty, `(bins,)` each.

    Certainty is the largest probability. `"certainty"` and `"accuracy"` are a bin's means, NaN
    where it is empty; `"share"` is its part of the samples. Raises what `accuracy` does, and
    `ValueError` for fewer than one bin.
    """
    check_logits(logits, target)
    if bins < 1:
        raise ValueError(f"bins is {bins}; give 1 or more")
    certainty, guess = logits.double().softmax(1).max(1)
    place = (certainty * bins).ceil().long().clamp(1, bins) - 1  # bins are open below

    def total(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.double).index_add(
            0, place.cpu(), values.double().cpu()
        )

    count = total(torch.ones_like(certainty))
    return {
        "certainty": total(certainty) / count,
        "accuracy": total(guess == target) / count,
        "share": count / len(target),
    }


def calibration_error(logits: Tensor, target: Tensor, bins: int = 10) -> float:
    """Expected calibration error: `sum over bins of share * |accuracy - certainty|`, in [0, 1].

    Guo et al., ICML 2017, equation 3. Errors as in `reliability`.
    """
    found = reliability(logits, target, bins)
    return (found["share"] * (found["accuracy"] - found["certainty"]).abs()).nansum().item()


def linear_probe(
    train_features: Tensor, train_target: Tensor, test_features: Tensor, test_target: Tensor
) -> float:
    """Test accuracy of a logistic regression on frozen features, `(N, d)`, standardised.

    What a linear classifier can still read out of an encoder, whatever its own head does. Raises
    `ValueError` if features and target differ in length or hold NaN.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for name, x, y in (
        ("train", train_features, train_target),
        ("test", test_features, test_target),
    ):
        if x.dim() != 2 or len(x) != len(y):
            raise ValueError(
                f"{name}_features are {tuple(x.shape)} and {name}_target {tuple(y.shape)}; "
                "give features (N, d) and a target (N,) of the same length"
            )
        if torch.isnan(x).any():
            raise ValueError(f"{name}_features hold NaN; did the training diverge?")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    # so small that a second thread of the linear algebra makes it wait 5 to 15 times as long
    with threadpool_limits(1, user_api="blas"):
        probe.fit(train_features.cpu().numpy(), train_target.cpu().numpy())
    return float(probe.score(test_features.cpu().numpy(), test_target.cpu().numpy()))


def paired_interval(
    a: Sequence[float], b: Sequence[float], level: float = 0.95
) -> tuple[float, float, float]:
    """`(mean, low, high)` of `a - b` over paired seeds: Student's t on the differences.

    Raises `ValueError` for lengths that differ, fewer than two pairs, or a level outside (0, 1).
    """
    from scipy import stats

    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"a has {len(a)} values and b {len(b)}; give at least two pairs")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    difference = np.asarray(a, float) - np.asarray(b, float)
    half = stats.t.ppf((1 + level) / 2, len(difference) - 1) * stats.sem(difference)
    mean = difference.mean()
    return float(mean), float(mean - half), float(mean + half)


@torch.no_grad()
def collect(
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    dataset,
    device: torch.device | str = "cpu",
    batch_size: int | None = None,
) -> dict[str, Tensor]:
    """What `function(inputs)` returns (logits, features), for the whole data set, on the CPU.

    `batch_size` is 500 by default for data in memory, 64 for data read as it is needed.
    """
    batch_size = at_once(dataset) if batch_size is None else batch_size
    with closing(batches(dataset, batch_size, device=device)) as read:
        parts = [function(x) for x, _, _ in read]
    return {key: torch.cat([part[key] for part in parts]).cpu() for key in parts[0]}


def probe_encoders(
    model: nn.Module, train, test, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Linear probe of each modality's encoder, in evaluation mode, fitted on `train`."""
    model.eval()
    fitted, held_out = (collect(model.features, data, device) for data in (train, test))
    return {m: linear_probe(fitted[m], train.target, held_out[m], test.target) for m in fitted}
