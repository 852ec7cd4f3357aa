"""The checks of lesson 1, the imbalance phenomenon."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from mmlib.encoders import SmallCNN
from mmlib.exercises.checking import agrees, call, compare, exercise, has_shape, normal, small_batch
from mmlib.fusion import ConcatFusion


@exercise("Exercise 1, the gradient that reaches a feature")
def check_feature_gradient(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 1: `answer(weight, logits, target)` is dL/dh_m, `(B, d)`, of a mean cross-entropy."""
    weight, features = normal(4, 5), torch.zeros(6, 5, requires_grad=True)
    logits, target = small_batch()
    F.cross_entropy(features @ weight.T + logits["fused"], target).backward()
    wanted = features.grad
    hints = {RuntimeError: "samples are rows, so (B, K) @ (K, d)"}
    given = call(answer, weight, logits["fused"], target, hints=hints)
    text = (
        "the result is {}, but a gradient has its feature's shape, (B, d) = (6, 5): "
        "multiply (B, K) by (K, d)"
    )
    has_shape(given, (6, 5), text)
    mistakes = {
        "the sign is turned: the error is p - y, not y - p": -wanted,
        "too large by B: the loss is a mean over the batch": len(target) * wanted,
        "not what autograd gives: p is a softmax over the classes, dim=1": ...,
    }
    compare(given, wanted, mistakes)


@exercise("Exercise 2, the imbalance ratio")
def check_imbalance_ratio(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 1: `answer(z_a, z_v, target)` is the ratio rho_a of OGM."""
    logits, target = small_batch()
    z_a, z_v = logits["audio"], logits["visual"]

    def score(z: Tensor, dim: int = 1) -> Tensor:
        return z.softmax(dim).gather(1, target[:, None]).squeeze(1)

    given = call(answer, z_a, z_v, target)
    assert not isinstance(given, dict), "give one number, rho_a, not a dict"
    given = torch.as_tensor(given)
    assert given.numel() == 1, "give one number for the batch: sum over i before you divide"
    right = score(z_a).sum() / score(z_v).sum()
    over_samples = score(z_a, 0).sum() / score(z_v, 0).sum()
    largest = z_a.softmax(1).max(1).values.sum() / z_v.softmax(1).max(1).values.sum()
    mistakes = {
        "this is rho_v: the audio's score goes on top": 1 / right,
        "divide the sums, not sample by sample": (score(z_a) / score(z_v)).mean(),
        "the softmax runs over the samples: use dim=1, the classes": over_samples,
        "take the probability of the true class, not the largest one": largest,
        "not s_a / s_v with s_m = sum over i of softmax(z_m)[i, y_i]": ...,
    }
    compare(given.squeeze(), right, mistakes)


@exercise("Exercise 3, a loss with weights")
def check_weighted_loss(answer: Callable[[dict, Tensor, dict], Tensor]) -> None:
    """Lesson 1: `answer(logits, target, weights)` is `CE(z) + sum of w_m CE(z_m)`."""
    logits, target = small_batch()
    logits = {m: z.requires_grad_() for m, z in logits.items()}
    weights = {"audio": 0.5, "visual": 2.0}
    audio, visual, fused = (F.cross_entropy(z, target) for z in logits.values())
    alone = 0.5 * audio + 2.0 * visual
    hints = {KeyError: "loop over weights: logits also holds 'fused'"}
    given = torch.as_tensor(call(answer, logits, target, weights, hints=hints))
    mistakes = {
        "the fused loss is missing: it has weight 1": alone,
        "the weights are not used": audio + visual + fused,
        "not CE(z) + sum of w_m CE(z_m), each a mean over the batch": ...,
    }
    compare(given, fused + alone, mistakes)
    assert given.requires_grad, "no gradient flows: do not detach, and do not call .item()"
    others = {"text": logits["audio"], "depth": logits["visual"], "fused": logits["fused"]}
    hints = {KeyError: "it knows other names only: take the names from weights"}
    renamed = call(answer, others, target, {"text": 0.5, "depth": 2.0}, hints=hints)
    hint = "the result changes with the modalities' names: use those of weights"
    assert agrees(renamed, given), hint


@exercise("Exercise 4, a paired interval")
def check_paired_interval(answer: Callable[[Sequence[float], Sequence[float]], tuple]) -> None:
    """Lesson 1: `answer(a, b)` is `(mean, low, high)` at 95 % of paired differences."""
    a, b = np.array([0.91, 0.88, 0.93, 0.86, 0.90]), np.array([0.84, 0.83, 0.85, 0.82, 0.85])
    d = a - b
    deviation, root, t = d.std(ddof=1), np.sqrt(5), stats.t.ppf(0.975, 4)
    unpaired = stats.t.ppf(0.975, 8) * np.sqrt(a.var(ddof=1) + b.var(ddof=1)) / root
    given = [float(x) for x in call(answer, a, b)]
    assert len(given) == 3, f"give three numbers, (mean, low, high), not {len(given)}"
    assert np.isclose(given[0], d.mean()), "the first number is the mean of a - b"
    half_widths = {
        "this is the unpaired interval: take differences first, seed by seed": unpaired,
        "five seeds are few: use t with n - 1, not 1.96": 1.96 * deviation / root,
        "divide the squared deviations by n - 1 (ddof=1)": t * d.std() / root,
        "2.5 % on each side: t at 0.975": stats.t.ppf(0.95, 4) * deviation / root,
        "the deviation of a mean is smaller by the square root of n": t * deviation,
        "not mean -+ t * s / sqrt(n) of the differences": ...,
    }
    for half in (given[2] - given[0], given[0] - given[1]):
        compare(half, t * deviation / root, half_widths)


@exercise("Exercise 5, a learning rate for each encoder")
def check_optimizer(answer: Callable[[nn.Module, float, float], torch.optim.Optimizer]) -> None:
    """Lesson 1: `answer(model, lr, factor)` is SGD with `factor * lr` for the picture's encoder."""
    model = ConcatFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    optimizer = call(answer, model, 0.1, 4.0)
    kind = type(optimizer)
    assert issubclass(kind, torch.optim.SGD), f"give a torch.optim.SGD, not {kind.__name__}"
    groups = optimizer.param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        wanted = 0.4 if name.startswith("encoders.visual") else 0.1
        given = rates.get(id(parameter))
        assert given is not None, f"{name} is in no group: it would never be trained"
        assert np.isclose(given, wanted), f"{name} has learning rate {given}, not {wanted}"
    momentum, decay = ({group[name] for group in groups} for name in ("momentum", "weight_decay"))
    assert momentum == {0.9}, "keep the momentum of 0.9, or the comparison changes two things"
    assert decay == {1e-4}, "keep the weight decay of 1e-4 of the loop in section 3"
