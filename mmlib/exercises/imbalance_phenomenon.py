"""The checks of lesson 1."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from mmlib.encoders import SmallCNN
from mmlib.exercises.checking import agrees, exercise, result_of, small_batch
from mmlib.fusion import ConcatFusion


@exercise("Exercise 1, the gradient that reaches a feature")
def check_feature_gradient(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 1: `answer(weight, logits, target)` is dL/dh_m, `(B, d)`, of a mean cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 5, generator=generator)
    features = torch.randn(6, 5, generator=generator, requires_grad=True)
    logits, target = small_batch()
    fused = features @ weight.T + logits["fused"]
    F.cross_entropy(fused, target).backward()
    wanted = features.grad
    try:
        given = result_of(answer, weight, fused.detach(), target)
    except RuntimeError as error:
        raise AssertionError(f"samples are rows, so (B, K) @ (K, d): {error}") from error
    if given.shape != wanted.shape:
        raise AssertionError(
            f"the result is {tuple(given.shape)}, but a gradient has its feature's shape, "
            f"(B, d) = {tuple(wanted.shape)}: multiply (B, K) by (K, d)"
        )
    if agrees(given, -wanted):
        raise AssertionError("the sign is turned: the error is p - y, not y - p")
    if agrees(given / len(target), wanted):
        raise AssertionError("too large by B: the loss is a mean over the batch")
    if not agrees(given, wanted):
        raise AssertionError("not what autograd gives: p is a softmax over the classes, dim=1")


@exercise("Exercise 2, the imbalance ratio")
def check_imbalance_ratio(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 1: `answer(z_a, z_v, target)` is the ratio rho_a of OGM."""
    logits, target = small_batch()

    def score(z: Tensor, dim: int = 1) -> Tensor:
        return z.softmax(dim).gather(1, target[:, None]).squeeze(1)

    audio, visual = score(logits["audio"]), score(logits["visual"])
    given = result_of(answer, logits["audio"], logits["visual"], target)
    if isinstance(given, dict):
        raise AssertionError("give one number, rho_a, not a dict")
    if torch.as_tensor(given).numel() != 1:
        raise AssertionError("give one number for the batch: sum over i before you divide")
    for wrong, hint in (
        (visual.sum() / audio.sum(), "this is rho_v: the audio's score goes on top"),
        ((audio / visual).mean(), "divide the sums, not sample by sample"),
        (
            score(logits["audio"], 0).sum() / score(logits["visual"], 0).sum(),
            "the softmax runs over the samples: use dim=1, the classes",
        ),
        (
            logits["audio"].softmax(1).max(1).values.sum()
            / logits["visual"].softmax(1).max(1).values.sum(),
            "take the probability of the true class, not the largest one",
        ),
    ):
        if agrees(torch.as_tensor(given).squeeze(), wrong):
            raise AssertionError(hint)
    if not agrees(torch.as_tensor(given).squeeze(), audio.sum() / visual.sum()):
        raise AssertionError("not s_a / s_v with s_m = sum over i of softmax(z_m)[i, y_i]")


@exercise("Exercise 3, a loss with weights")
def check_weighted_loss(answer: Callable[[dict, Tensor, dict], Tensor]) -> None:
    """Lesson 1: `answer(logits, target, weights)` is `CE(z) + sum of w_m CE(z_m)`."""
    logits, target = small_batch()
    logits = {m: z.requires_grad_() for m, z in logits.items()}
    weights = {"audio": 0.5, "visual": 2.0}
    terms = {m: F.cross_entropy(z, target) for m, z in logits.items()}
    alone = 0.5 * terms["audio"] + 2.0 * terms["visual"]
    try:
        given = result_of(answer, logits, target, weights)
    except KeyError as error:
        raise AssertionError("loop over weights: logits also holds 'fused'") from error
    if agrees(given.detach(), alone.detach()):
        raise AssertionError("the fused loss is missing: it has weight 1")
    if agrees(given.detach(), sum(terms.values()).detach()):
        raise AssertionError("the weights are not used")
    if not agrees(given.detach(), (terms["fused"] + alone).detach()):
        raise AssertionError("not CE(z) + sum of w_m CE(z_m), each a mean over the batch")
    if not given.requires_grad:
        raise AssertionError("no gradient flows: do not detach, and do not call .item()")
    others = {"text": logits["audio"], "depth": logits["visual"], "fused": logits["fused"]}
    try:
        renamed = answer(others, target, {"text": 0.5, "depth": 2.0})
    except KeyError as error:
        raise AssertionError(f"it knows {error} only: take the names from weights") from error
    if not agrees(renamed.detach(), given.detach()):
        raise AssertionError("the result changes with the modalities' names: use those of weights")


@exercise("Exercise 4, a paired interval")
def check_paired_interval(answer: Callable[[Sequence[float], Sequence[float]], tuple]) -> None:
    """Lesson 1: `answer(a, b)` is `(mean, low, high)` at 95 % of paired differences."""
    a, b = np.array([0.91, 0.88, 0.93, 0.86, 0.90]), np.array([0.84, 0.83, 0.85, 0.82, 0.85])
    d = a - b
    half = stats.t.ppf(0.975, 4) * d.std(ddof=1) / np.sqrt(5)
    given = np.array([float(x) for x in result_of(answer, a, b)])
    if given.shape != (3,):
        raise AssertionError(f"give three numbers, (mean, low, high), not {given.shape[0]}")
    if not np.isclose(given[0], d.mean()):
        raise AssertionError("the first number is the mean of a - b")
    unpaired = stats.t.ppf(0.975, 8) * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 5)
    for wrong, hint in (
        (unpaired, "this is the unpaired interval: take differences first, seed by seed"),
        (1.96 * d.std(ddof=1) / np.sqrt(5), "five seeds are few: use t with n - 1, not 1.96"),
        (half * np.sqrt(4 / 5), "divide the squared deviations by n - 1 (ddof=1)"),
        (half * stats.t.ppf(0.95, 4) / stats.t.ppf(0.975, 4), "2.5 % on each side: t at 0.975"),
        (half * np.sqrt(5), "the deviation of a mean is smaller by the square root of n"),
    ):
        if np.isclose(given[2] - given[0], wrong, rtol=1e-3):
            raise AssertionError(hint)
    if not np.allclose(given, [d.mean(), d.mean() - half, d.mean() + half], rtol=1e-4):
        raise AssertionError("not mean -+ t * s / sqrt(n) of the differences")


@exercise("Exercise 5, a learning rate for each encoder")
def check_optimizer(answer: Callable[[nn.Module, float, float], torch.optim.Optimizer]) -> None:
    """Lesson 1: `answer(model, lr, factor)` is SGD with `factor * lr` for the picture's encoder."""
    model = ConcatFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    optimizer = result_of(answer, model, 0.1, 4.0)
    if not isinstance(optimizer, torch.optim.SGD):
        raise AssertionError(f"give a torch.optim.SGD, not {type(optimizer).__name__}")
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        wanted = 0.4 if name.startswith("encoders.visual") else 0.1
        if id(parameter) not in rates:
            raise AssertionError(f"{name} is in no group: it would never be trained")
        if not np.isclose(rates[id(parameter)], wanted):
            raise AssertionError(f"{name} has learning rate {rates[id(parameter)]}, not {wanted}")
    if any(group["momentum"] != 0.9 for group in optimizer.param_groups):
        raise AssertionError("keep the momentum of 0.9, or the comparison changes two things")
    if any(group["weight_decay"] != 1e-4 for group in optimizer.param_groups):
        raise AssertionError("keep the weight decay of 1e-4 of the loop in section 3")
