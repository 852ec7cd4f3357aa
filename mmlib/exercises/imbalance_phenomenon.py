"""The checks of lesson 1, the imbalance phenomenon."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from mmlib.encoders import SmallCNN
from mmlib.exercises.checking import (
    agrees,
    call,
    compare,
    exercise,
    has_keys,
    has_shape,
    normal,
    small_batch,
)
from mmlib.fusion import ConcatFusion


@exercise("Your turn, the logits of a joint network")
def check_joint_logits(answer: Callable[[dict, dict, Tensor], dict[str, Tensor]]) -> None:
    """Lesson 1: `answer(h, W, b)` is a dict of `z_m` for each modality and of `"fused"`, `(B, K)`.

    `h[m]` is `(B, d)`, `W[m]` `(K, d)`, `b` `(K,)`; the modalities are those of `h`.
    """
    hints = {RuntimeError: "turn W[m] round with .T, (B, d) @ (d, K); add nothing in place to b"}
    hints[KeyError] = "take the names from h; there may be more or other modalities"
    for names in (("audio", "visual"), ("text", "depth", "flow")):
        h = {m: normal(3, 4, seed=i) for i, m in enumerate(names)}
        W, b = {m: normal(5, 4, seed=10 + i) for i, m in enumerate(names)}, normal(5, seed=20)
        share = {m: h[m] @ W[m].T for m in names}
        given = call(answer, h, W, b, hints=hints)
        has_keys(given, {*names, "fused"}, f"give a dict with {', '.join(names)} and 'fused'")
        for m in names:
            mistakes = {
                f"z of {m} lacks the bias": share[m],
                f"z of {m} gets the whole bias, not a share of it": share[m] + b / len(names),
                f"z of {m} must not hold the other modalities": sum(share.values()) + b,
                f"z of {m} is not h @ W.T + b": ...,
            }
            compare(given[m], share[m] + b, mistakes)
        z = sum(share.values())
        mistakes = {
            "fused adds the bias once, not once a modality": z + len(names) * b,
            "fused lacks the bias": z,
            "fused is the sum of the shares, not their mean": (z / len(names) + b, z / len(names)),
            "fused is not the sum of all h[m] @ W[m].T, plus b": ...,
        }
        compare(given["fused"], z + b, mistakes)


@exercise("Your turn, the gradient that reaches a feature")
def check_feature_gradient(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 1: `answer(weight, logits, target)` is dL/dh_m, `(B, d)`, of a mean cross-entropy."""
    weight = normal(4, 5)
    logits, target = small_batch()

    def by_autograd(target: Tensor) -> Tensor:
        features = torch.zeros(6, 5, requires_grad=True)
        F.cross_entropy(features @ weight.T + logits["fused"], target).backward()
        return features.grad

    wanted = by_autograd(target)
    hints = {
        RuntimeError: "samples are rows, (B, K) @ (K, d); and K is logits.shape[1], not always 10"
    }
    given = call(answer, weight, logits["fused"], target, hints=hints)
    text = (
        "the result is {}, but a gradient has its feature's shape, (B, d) = (6, 5): "
        "multiply (B, K) by (K, d)"
    )
    has_shape(given, (6, 5), text)
    mistakes = {
        "the sign is turned: the error is p - e_y, not e_y - p": -wanted,
        "too large by B: the loss is a mean over the batch": len(target) * wanted,
        "divide by B alone, not by B and K": wanted / 4,
        "divide by B, the samples, not by K": len(target) * wanted / 4,
        "the error is p - e_y: the logits stand where p should": (
            logits["fused"] - F.one_hot(target, 4)
        )
        @ weight
        / 6,
        "the error is p - e_y: e_y is missing": logits["fused"].softmax(1) @ weight / 6,
        "p is a softmax over the classes, dim=1": (
            (logits["fused"].softmax(0) - F.one_hot(target, 4)) @ weight / 6
        ),
        "not what autograd gives, (p - e_y) @ weight / B": ...,
    }
    compare(given, wanted, mistakes)
    fewer = target.clamp(max=2)  # nobody is of the last class
    classes = "tell F.one_hot the number of classes: a batch may lack the last one"
    given = call(answer, weight, logits["fused"], fewer, hints={RuntimeError: classes})
    assert agrees(given, by_autograd(fewer)), "right for one batch only: use the target you get"


@exercise("Your turn, the imbalance ratio")
def check_imbalance_ratio(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 1: `answer(z_a, z_v, target)` is the ratio rho_a of OGM."""
    logits, target = small_batch()
    z_a, z_v = logits["audio"], logits["visual"]

    def score(z: Tensor, dim: int = 1) -> Tensor:
        return z.softmax(dim).gather(1, target[:, None]).squeeze(1)

    given = call(answer, z_a, z_v, target)
    assert not isinstance(given, dict), "give one number, rho_a, not a dict"
    kind = f"give a tensor of one number, not a {type(given).__name__}: drop .item()"
    assert isinstance(given, Tensor), kind
    assert given.numel() == 1, (
        "give one number for the batch: take means over the batch before you divide"
    )
    right = score(z_a).sum() / score(z_v).sum()
    over_samples = score(z_a, 0).sum() / score(z_v, 0).sum()
    largest = z_a.softmax(1).max(1).values.sum() / z_v.softmax(1).max(1).values.sum()
    mistakes = {
        "this is rho_v: the audio's score goes on top": 1 / right,
        "divide the means, not sample by sample": (score(z_a) / score(z_v)).mean(),
        "the softmax runs over the samples: use dim=1, the classes": over_samples,
        "take the probability of the true class, not the largest one": largest,
        "a score is a probability: a softmax of the logits first": z_a[range(6), target].sum()
        / z_v[range(6), target].sum(),
        "softmax(z)[:, y] has a column for each sample; of row i take column y_i": (
            z_a.softmax(1)[:, target].mean() / z_v.softmax(1)[:, target].mean()
        ),
        "not the mean of softmax(z_a)[i, y_i] over that of softmax(z_v)[i, y_i]": ...,
    }
    compare(given.squeeze(), right, mistakes)


@exercise("Your turn, the coefficient")
def check_coefficient(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Lesson 1: `answer(rho, alpha)` is OGM-GE's coefficient, with the shape of `rho`."""
    rho, alpha = torch.tensor([[0.5, 1.0, 1.001], [0.9, 2.0, 4.0]]), 0.3
    hints = {RuntimeError: "rho may hold many numbers: choose with torch.where, not with `if`"}
    given = call(answer, rho, alpha, hints=hints)
    given = has_shape(given, rho.shape, "shape {}; give as many numbers as rho has, (2, 3)")
    braked = 1 - torch.tanh(alpha * rho)
    mistakes = {
        "only a modality that is ahead is braked: 1 where rho is not above 1": braked,
        "turned round: the one that is ahead, rho > 1, is braked": torch.where(
            rho > 1, 1.0, braked
        ),
        "1 minus the tanh is missing": torch.where(rho > 1, torch.tanh(alpha * rho), 1.0),
        "alpha multiplies rho inside the tanh": torch.where(
            rho > 1, 1 - alpha * torch.tanh(rho), 1.0
        ),
        "at rho = 1 nobody is ahead: the coefficient is 1": torch.where(rho >= 1, braked, 1.0),
        "tanh of alpha times rho itself, not of rho - 1": torch.where(
            rho > 1, 1 - torch.tanh(alpha * (rho - 1)), 1.0
        ),
        "alpha is not used": torch.where(rho > 1, 1 - torch.tanh(rho), 1.0),
        "not 1 - tanh(alpha * rho) where rho > 1, else 1": ...,
    }
    compare(given, torch.where(rho > 1, braked, 1.0), mistakes)


@exercise("Your turn, a loss with weights")
def check_weighted_loss(answer: Callable[[dict, Tensor, dict], Tensor]) -> None:
    """Lesson 1: `answer(logits, target, weights)` is `CE(z) + sum of lambda_m CE(z_m)`."""
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
        "a sum over modalities, not a mean": fused + alone / 2,
        "each loss is a mean over the batch, not its sum": len(target) * (fused + alone),
        "the sign is turned: a loss is what becomes small": -(fused + alone),
        "cross_entropy takes logits: no softmax before it": sum(
            w * F.cross_entropy(logits[m].softmax(1), target)
            for m, w in {"fused": 1, **weights}.items()
        ),
        "not CE(z) + sum of lambda_m CE(z_m), each a mean over the batch": ...,
    }
    compare(given, fused + alone, mistakes)
    assert given.requires_grad, "no gradient flows: do not detach, and do not call .item()"
    others = {"text": logits["audio"], "depth": logits["visual"], "fused": logits["fused"]}
    hints = {KeyError: "it knows other names only: take the names from weights"}
    renamed = call(answer, others, target, {"text": 0.5, "depth": 2.0}, hints=hints)
    hint = "the result changes with the modalities' names: use those of weights"
    assert agrees(renamed, given), hint


@exercise("Your turn, a paired interval")
def check_paired_interval(answer: Callable[[Sequence[float], Sequence[float]], tuple]) -> None:
    """Lesson 1: `answer(a, b)` is `(mean, low, high)` at 95 % of paired differences."""
    seven = np.array([0.80, 0.83, 0.79, 0.86, 0.81, 0.84, 0.82])
    five = np.array([0.91, 0.88, 0.93, 0.86, 0.90]), np.array([0.84, 0.83, 0.85, 0.82, 0.85])
    for a, b in (five, (seven, seven[::-1] + 0.01)):
        _check_interval(answer, a, b)


def _check_interval(answer: Callable, a: np.ndarray, b: np.ndarray) -> None:
    d, S = a - b, len(a)
    deviation, root, t = d.std(ddof=1), np.sqrt(S), stats.t.ppf(0.975, S - 1)
    unpaired = stats.t.ppf(0.975, 2 * S - 2) * np.sqrt(a.var(ddof=1) + b.var(ddof=1)) / root
    form = "give three numbers, (mean, low, high)"
    try:
        given = [float(x) for x in call(answer, a, b)]
    except TypeError as error:
        raise AssertionError(form) from error
    assert len(given) == 3, f"{form}, not {len(given)}"
    size = np.abs(d).mean()
    assert np.isclose(size, abs(d.mean())) or not np.isclose(given[0], size), "keep each one's sign"
    assert not np.isclose(given[1], d.mean()), "the order is mean, low, high"
    assert not np.isclose(given[0], -d.mean()), "turned round: the differences are a - b"
    assert np.isclose(given[0], d.mean()), "the first number is the mean of a - b"
    half_widths = {
        "this is the unpaired interval: take differences first, seed by seed": unpaired,
        "seeds are few: use t with S - 1, not 1.96": 1.96 * deviation / root,
        "divide the squared deviations by S - 1 (ddof=1)": t * d.std() / root,
        "t has S - 1 degrees of freedom": stats.t.ppf(0.975, S) * deviation / root,
        "2.5 % on each side: t at 0.975": stats.t.ppf(0.95, S - 1) * deviation / root,
        "the deviation of a mean is smaller by the square root of S": (
            t * deviation,
            t * deviation / S,
        ),
        "S is the number of seeds, len(a), here seven": (
            stats.t.ppf(0.975, 4) * deviation / root,
            stats.t.ppf(0.975, 4) * deviation / np.sqrt(5),
            t * deviation / np.sqrt(5),
        )
        if S == 7
        else (),
        "not mean -+ t * sigma / sqrt(S) of the differences": ...,
    }
    for half in (given[2] - given[0], given[0] - given[1]):
        compare(half, t * deviation / root, half_widths)


@exercise("Exercise 1, a louder picture")
def check_louder_loss(answer: Callable[[dict, Tensor, float], Tensor]) -> None:
    """Lesson 1: `answer(logits, target, w)` is the cross-entropy of `(1 - w) z_a + w z_v`."""
    logits, target = small_batch()
    z_a, z_v = (logits[m].requires_grad_() for m in ("audio", "visual"))
    alone = [F.cross_entropy(z, target) for z in (z_a, z_v)]
    given = torch.as_tensor(call(answer, logits, target, 0.8))
    mixed = 0.2 * z_a.softmax(1) + 0.8 * z_v.softmax(1)
    mistakes = {
        "a sum of two losses asks each modality; mix the logits": 0.2 * alone[0] + 0.8 * alone[1],
        "turned round: w belongs to the picture": F.cross_entropy(0.8 * z_a + 0.2 * z_v, target),
        "the sound keeps 1 - w": F.cross_entropy(z_a + 0.8 * z_v, target),
        "mix the logits, not the probabilities": F.nll_loss(mixed.log(), target),
        "not the cross-entropy of (1 - w) z_a + w z_v": ...,
    }
    compare(given, F.cross_entropy(0.2 * z_a + 0.8 * z_v, target), mistakes)
    assert given.requires_grad, "no gradient flows: do not detach, and do not call .item()"
    half = F.cross_entropy((z_a + z_v) / 2, target)
    assert agrees(call(answer, logits, target, 0.5), half), "0.8 is written in: use w"


@exercise("Exercise 2, a learning rate for each encoder")
def check_optimizer(answer: Callable[[nn.Module, float, float], torch.optim.Optimizer]) -> None:
    """Lesson 1: `answer(model, lr, factor)` is SGD with `factor * lr` for the picture's encoder."""
    model = ConcatFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    hints = {ValueError: "every parameter belongs to one group"}
    optimizer = call(answer, model, 0.1, 4.0, hints=hints)
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
