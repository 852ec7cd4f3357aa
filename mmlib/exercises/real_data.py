"""The checks behind the exercises.

A check calls the reader's function on small cases. It prints "not started" while the function
returns `...`, raises `AssertionError` with a hint at a wrong answer, and prints "passed" otherwise.
"""

import functools
import random
import re
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from mmlib.batches import DRAWS, loaded
from mmlib.encoders import SmallCNN
from mmlib.fusion import ConcatFusion
from mmlib.methods.boosting import BoostedFusion, weaker_modality
from mmlib.methods.valuation import shapley_values


class _NotStarted(Exception):
    pass


def _exercise(title: str):
    """Report what a check found under the exercise's title."""

    def decorate(check: Callable):
        @functools.wraps(check)
        def report(answer: Callable) -> None:
            try:
                check(answer)
            except _NotStarted:
                print(f"{title}: not started (it still returns ...)")
            else:
                print(f"{title}: passed")

        return report

    return decorate


def _result(answer: Callable, *arguments):
    result = answer(*arguments)
    if result is ... or (isinstance(result, tuple) and any(part is ... for part in result)):
        raise _NotStarted
    if result is None:
        raise AssertionError(f"{answer.__name__} returns None: does it end with `return`?")
    return result


def _agrees(result, wanted) -> bool:
    """Same shape and the same numbers."""
    result, wanted = torch.as_tensor(result).double(), torch.as_tensor(wanted).double()
    return result.shape == wanted.shape and torch.allclose(result, wanted, atol=1e-5)


def _call(answer: Callable, *arguments):
    """`_result`, with what usually stops a shape or a name said as a hint."""
    try:
        return _result(answer, *arguments)
    except (AttributeError, KeyError, RuntimeError, TypeError, IndexError) as error:
        raise AssertionError(f"{answer.__name__} stops with {error!r}") from error


def _small_batch() -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = {m: torch.randn(6, 4, generator=generator) * 2 for m in ("audio", "visual", "fused")}
    return logits, torch.tensor([0, 3, 1, 2, 2, 0])


@_exercise("Exercise 1, the gradient that reaches a feature")
def check_feature_gradient(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 1: `answer(weight, logits, target)` is dL/dh_m, `(B, d)`, of a mean cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 5, generator=generator)
    features = torch.randn(6, 5, generator=generator, requires_grad=True)
    logits, target = _small_batch()
    fused = features @ weight.T + logits["fused"]
    F.cross_entropy(fused, target).backward()
    wanted = features.grad
    try:
        given = _result(answer, weight, fused.detach(), target)
    except RuntimeError as error:
        raise AssertionError(f"samples are rows, so (B, K) @ (K, d): {error}") from error
    if given.shape != wanted.shape:
        raise AssertionError(
            f"the result is {tuple(given.shape)}, but a gradient has its feature's shape, "
            f"(B, d) = {tuple(wanted.shape)}: multiply (B, K) by (K, d)"
        )
    if _agrees(given, -wanted):
        raise AssertionError("the sign is turned: the error is p - y, not y - p")
    if _agrees(given / len(target), wanted):
        raise AssertionError("too large by B: the loss is a mean over the batch")
    if not _agrees(given, wanted):
        raise AssertionError("not what autograd gives: p is a softmax over the classes, dim=1")


@_exercise("Exercise 2, the imbalance ratio")
def check_imbalance_ratio(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 1: `answer(z_a, z_v, target)` is the ratio rho_a of OGM."""
    logits, target = _small_batch()

    def score(z: Tensor, dim: int = 1) -> Tensor:
        return z.softmax(dim).gather(1, target[:, None]).squeeze(1)

    audio, visual = score(logits["audio"]), score(logits["visual"])
    given = _result(answer, logits["audio"], logits["visual"], target)
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
        if _agrees(torch.as_tensor(given).squeeze(), wrong):
            raise AssertionError(hint)
    if not _agrees(torch.as_tensor(given).squeeze(), audio.sum() / visual.sum()):
        raise AssertionError("not s_a / s_v with s_m = sum over i of softmax(z_m)[i, y_i]")


@_exercise("Exercise 3, a loss with weights")
def check_weighted_loss(answer: Callable[[dict, Tensor, dict], Tensor]) -> None:
    """Lesson 1: `answer(logits, target, weights)` is `CE(z) + sum of w_m CE(z_m)`."""
    logits, target = _small_batch()
    logits = {m: z.requires_grad_() for m, z in logits.items()}
    weights = {"audio": 0.5, "visual": 2.0}
    terms = {m: F.cross_entropy(z, target) for m, z in logits.items()}
    alone = 0.5 * terms["audio"] + 2.0 * terms["visual"]
    try:
        given = _result(answer, logits, target, weights)
    except KeyError as error:
        raise AssertionError("loop over weights: logits also holds 'fused'") from error
    if _agrees(given.detach(), alone.detach()):
        raise AssertionError("the fused loss is missing: it has weight 1")
    if _agrees(given.detach(), sum(terms.values()).detach()):
        raise AssertionError("the weights are not used")
    if not _agrees(given.detach(), (terms["fused"] + alone).detach()):
        raise AssertionError("not CE(z) + sum of w_m CE(z_m), each a mean over the batch")
    if not given.requires_grad:
        raise AssertionError("no gradient flows: do not detach, and do not call .item()")
    others = {"text": logits["audio"], "depth": logits["visual"], "fused": logits["fused"]}
    try:
        renamed = answer(others, target, {"text": 0.5, "depth": 2.0})
    except KeyError as error:
        raise AssertionError(f"it knows {error} only: take the names from weights") from error
    if not _agrees(renamed.detach(), given.detach()):
        raise AssertionError("the result changes with the modalities' names: use those of weights")


@_exercise("Exercise 4, a paired interval")
def check_paired_interval(answer: Callable[[Sequence[float], Sequence[float]], tuple]) -> None:
    """Lesson 1: `answer(a, b)` is `(mean, low, high)` at 95 % of paired differences."""
    a, b = np.array([0.91, 0.88, 0.93, 0.86, 0.90]), np.array([0.84, 0.83, 0.85, 0.82, 0.85])
    d = a - b
    half = stats.t.ppf(0.975, 4) * d.std(ddof=1) / np.sqrt(5)
    given = np.array([float(x) for x in _result(answer, a, b)])
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


@_exercise("Exercise 5, a learning rate for each encoder")
def check_optimizer(answer: Callable[[nn.Module, float, float], torch.optim.Optimizer]) -> None:
    """Lesson 1: `answer(model, lr, factor)` is SGD with `factor * lr` for the picture's encoder."""
    model = ConcatFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    optimizer = _result(answer, model, 0.1, 4.0)
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


@_exercise("Exercise 1, contributions from three bits")
def check_phi_from_bits(answer: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Lesson 2: `answer(c_a, c_v, c)` is `(phi_a, phi_v)`, `(N,)` each."""
    c, c_a, c_v = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3).T
    given = _call(answer, c_a, c_v, c)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise AssertionError("give two tensors, (phi_a, phi_v)")
    phi_a, phi_v = (torch.as_tensor(x).double() for x in given)
    if phi_a.shape != c.shape or phi_v.shape != c.shape:
        raise AssertionError(f"shapes {phi_a.shape} and {phi_v.shape}; give one number a sample")
    wanted = c + (c_a - c_v) / 2, c + (c_v - c_a) / 2
    if _agrees(phi_a, wanted[1]) and _agrees(phi_v, wanted[0]):
        raise AssertionError(
            "the two are exchanged: what the sound gets right counts for the sound"
        )
    if not _agrees(phi_a + phi_v, 2 * c):
        raise AssertionError("they must add up to u(av) = 2 c in every row: both right pays 2")
    if _agrees(phi_a - phi_v, 2 * (c_a - c_v)):
        raise AssertionError("the difference is twice too large: halve c_a - c_v in each")
    if not _agrees(phi_a, wanted[0]):
        raise AssertionError("the sum is right; the difference must be c_a - c_v in every row")


@_exercise("Exercise 2, Shapley values by coalitions")
def check_shapley(answer: Callable[[dict[frozenset, float]], dict[str, float]]) -> None:
    """Lesson 2: `answer(v)` is the Shapley value of each player of a game of any size."""
    for players in ("av", "avt", "abcd"):
        random = np.random.default_rng(len(players))
        sets = [frozenset(c) for k in range(len(players) + 1) for c in combinations(players, k)]
        v = {c: float(random.normal()) if c else 0.0 for c in sets}
        wanted = shapley_values({c: torch.tensor([x]) for c, x in v.items() if c})
        given = _call(answer, v)
        if not isinstance(given, dict) or set(given) != set(players):
            raise AssertionError(f"give a dict with one number for each of {', '.join(players)}")
        numbers = torch.tensor([float(given[m]) for m in players])
        grand = frozenset(players)
        last = torch.tensor([v[grand] - v[grand - {m}] for m in players])
        if _agrees(numbers, last):
            raise AssertionError("this is what each adds when it comes last; average over all C")
        if not np.isclose(numbers.sum().item(), v[grand], atol=1e-4):
            raise AssertionError(
                f"with {len(players)} players the values add up to {numbers.sum():.3f}, not to "
                f"u of all, {v[grand]:.3f}: check the weight |C|! (n - |C| - 1)! / n!, and that C "
                "runs over all sets without m, the empty one too"
            )
        if not _agrees(numbers, torch.cat([wanted[m] for m in players])):
            raise AssertionError("the sum is right, the shares are not: C must not hold m")


@_exercise("Exercise 3, a plan for three modalities")
def check_plan_copies(answer: Callable[[dict[str, Tensor]], tuple]) -> None:
    """Lesson 2: `answer(counts)` is `(index, keep)`: originals, then copies that keep one."""
    counts = {
        "audio": torch.tensor([0, 2, 0, 1]),
        "visual": torch.tensor([1, 0, 0, 0]),
        "text": torch.tensor([0, 0, 3, 0]),
    }
    index, keep = _call(answer, counts)
    wanted = torch.tensor([0, 1, 2, 3, 1, 1, 3, 0, 2, 2, 2])
    if not torch.equal(torch.as_tensor(index), wanted):
        raise AssertionError(
            f"for counts {[c.tolist() for c in counts.values()]} index should be "
            f"{wanted.tolist()}, not {torch.as_tensor(index).tolist()}"
        )
    if set(keep) != set(counts):
        raise AssertionError(f"keep needs an entry for each of {', '.join(counts)}")
    alone = ["all"] * 4 + ["audio"] * 3 + ["visual"] + ["text"] * 3
    for m in counts:
        right = torch.tensor([who in ("all", m) for who in alone])
        given = torch.as_tensor(keep[m])
        if given.dtype != torch.bool:
            raise AssertionError(f"keep[{m!r}] is {given.dtype}; give booleans")
        if given.shape == right.shape and torch.equal(given[4:], ~right[4:]):
            raise AssertionError("turned round: a copy made for m keeps m and masks the others")
        if not torch.equal(given, right):
            raise AssertionError(f"keep[{m!r}] should be {right.tolist()}, not {given.tolist()}")


@_exercise("Exercise 4, the area under the curve")
def check_auc(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Lesson 2: `answer(score, positive)` is the AUC, ties counted half."""
    score = torch.tensor([0.5, 1.0, 0.5, 0.0, 1.5, 0.5, 1.0, -0.5])
    positive = torch.tensor([True, True, False, False, True, False, False, False])
    above = (score[positive][:, None] > score[~positive]).double().mean().item()
    ties = (score[positive][:, None] == score[~positive]).double().mean().item()
    given = float(_call(answer, score, positive))
    for wrong, hint in (
        (above, "ties are missing: a tie is half a success"),
        (above + ties, "a tie counts half, not in full"),
        (1 - above - ties / 2, "turned round: count pairs in which the *positive* is higher"),
        (above * 15 / 64, "divide by the number of (positive, negative) pairs, not by N squared"),
    ):
        if np.isclose(given, wrong):
            raise AssertionError(hint)
    if not np.isclose(given, above + ties / 2):
        raise AssertionError(f"{given:.3f}, expected {above + ties / 2:.3f}: pairs won, ties half")


@_exercise("Exercise 5, contributions by probability")
def check_soft_contributions(answer: Callable[[dict, Tensor], dict[str, Tensor]]) -> None:
    """Lesson 2: `answer(logits, target)` is phi of the pay-off `|C| p_y(C)`, a dict."""
    logits, target = _small_batch()
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    given = _call(answer, logits, target)
    if not isinstance(given, dict) or set(given) != {"audio", "visual"}:
        raise AssertionError("give a dict with 'audio' and 'visual', each (N,)")
    total = given["audio"] + given["visual"]
    if total.shape == target.shape and _agrees(total, p["fused"]):
        raise AssertionError("both together are paid |C| = 2 times their probability")
    for wrong, hint in (
        (logits["fused"].max(1).values, "pay by probability: a softmax of the logits first"),
        (
            logits["fused"].softmax(1).max(1).values,
            "the probability of the target, not the largest",
        ),
        (logits["fused"].softmax(0)[range(6), target], "the softmax runs over the classes, dim=1"),
        ((logits["fused"].argmax(1) == target).double(), "these are the bits; pay by probability"),
    ):
        if total.shape == target.shape and _agrees(total, 2 * wrong):
            raise AssertionError(hint)
    if not _agrees(total, 2 * p["fused"]):
        raise AssertionError("they must add up to u(av) = 2 p_y of the fused logits")
    if not _agrees(given["audio"], p["fused"] + (p["audio"] - p["visual"]) / 2):
        raise AssertionError("the difference must be p_y of the sound minus p_y of the picture")


@_exercise("Exercise 1, the residual label")
def check_residual_label(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 3: `answer(previous_logits, target, smoothing)` is `y - smoothing * y * q`."""
    logits, target = _small_batch()
    previous, target = logits["audio"].requires_grad_(), target.clamp(max=2)  # no class 3 in it
    given = _call(answer, previous, target, 0.4)
    y = F.one_hot(target, 4)
    q = previous.detach().softmax(1)
    if given.shape != y.shape:
        raise AssertionError(f"the label is {tuple(given.shape)}; give (B, K) = {tuple(y.shape)}")
    for wrong, hint in (
        (y - 0.4 * q, "mask it: y * q leaves the wrong classes at 0, none below"),
        (y - y * q, "smoothing is not used"),
        (y - 0.4 * y * previous.detach().softmax(0), "the softmax runs over the classes, dim=1"),
        (y - 0.4 * y * previous.detach(), "q is a softmax of the logits, not the logits"),
    ):
        if _agrees(given.detach(), wrong):
            raise AssertionError(hint)
    if not _agrees(given.detach(), y - 0.4 * y * q):
        raise AssertionError("not y - smoothing * y * softmax(previous_logits)")
    if given.requires_grad:
        raise AssertionError("a gradient flows through the label: detach q")


@_exercise("Exercise 2, who gets a classifier")
def check_assignment(answer: Callable[[dict[str, float], float], str | None]) -> None:
    """Lesson 3: `answer(scores, dead_zone)` is a modality's name or `None`."""
    cases = (
        ({"audio": 0.6, "visual": 0.5}, 0.01),
        ({"audio": 0.5, "visual": 0.6}, 0.01),
        ({"audio": 0.504, "visual": 0.5}, 0.01),
        ({"audio": 0.5, "visual": 0.5}, 0.0),
        ({"audio": 0.0, "visual": 0.0}, 0.01),
        ({"audio": 0.6, "visual": 0.5}, 0.3),
        ({"audio": 0.1, "visual": 0.095}, 0.01),
        ({"audio": 0.6, "visual": 0.5}, 0.15),
        ({"audio": 0.50, "visual": 0.52, "text": 0.9}, 0.2),
        ({"audio": 0.50, "visual": 0.51, "text": 0.60}, 0.15),
    )
    for scores, dead_zone in cases:
        wanted = weaker_modality(scores, dead_zone)
        try:
            given = answer(scores, dead_zone)
        except ZeroDivisionError as error:
            raise AssertionError("scores may all be 0: multiply instead of dividing") from error
        except ValueError as error:
            raise AssertionError(f"scores may hold more than two modalities: {error}") from error
        if given is ...:
            raise _NotStarted
        if given != wanted:
            raise AssertionError(
                f"for scores {scores} and a dead zone of {dead_zone} the answer is {wanted!r}; "
                f"{answer.__name__} returns {given!r}"
            )


@_exercise("Exercise 3, a classifier that learns")
def check_grow(answer: Callable[[nn.Module, torch.optim.Optimizer, str], nn.Module]) -> None:
    """Lesson 3: `answer(model, optimizer, modality)` adds a first layer and returns it."""
    model = BoostedFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    new = _call(answer, model, optimizer, "visual")
    counts = {m: len(first) for m, first in model.first.items()}
    if counts != {"audio": 1, "visual": 2} or model.first["visual"][-1] is not new:
        raise AssertionError(
            f"the numbers of classifiers are {counts}; append one to model.first['visual'] and "
            "return that layer"
        )
    old = model.first["visual"][0]
    if not isinstance(new, nn.Linear) or new.weight.shape != old.weight.shape:
        raise AssertionError(f"the new layer is {new}; give a Linear of the sizes of {old}")
    if new is old or new.weight is old.weight:
        raise AssertionError("the new layer shares the weights of the first one: make its own")
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in new.named_parameters():
        if id(parameter) not in groups:
            raise AssertionError(
                f"the optimiser does not know the new layer's {name}: it takes part in every sum "
                "and never learns, as in the released code; use optimizer.add_param_group"
            )
    if any(p not in optimizer.state for p in model.second.parameters()):
        raise AssertionError(
            "the optimiser has lost its momentum: add a group, do not make it anew"
        )


@_exercise("Exercise 4, accuracy with missing modalities")
def check_missing(answer: Callable[[float, dict[str, float], float], float]) -> None:
    """Lesson 3: `answer(fused, alone, rate)` is the expected accuracy."""
    for alone in ({"a": 0.7, "v": 0.5}, {"a": 0.7, "v": 0.5, "t": 0.3}):
        for rate in (0.0, 0.2, 1.0):
            mean = sum(alone.values()) / len(alone)
            given = float(_call(answer, 0.9, alone, rate))
            if rate and np.isclose(given, (1 - rate) * 0.9 + rate / 2 * sum(alone.values())):
                if len(alone) == 3:
                    raise AssertionError("one of n modalities is kept: divide by n, not by 2")
            if rate and np.isclose(given, (1 - rate) * 0.9 + rate * sum(alone.values())):
                raise AssertionError("only one is kept: take the mean over modalities, not the sum")
            if not np.isclose(given, (1 - rate) * 0.9 + rate * mean):
                raise AssertionError(
                    f"fused 0.9, alone {alone}, rate {rate}: expected "
                    f"{(1 - rate) * 0.9 + rate * mean:.3f}, not {given:.3f}"
                )


@_exercise("Exercise 5, a true residual")
def check_additive_loss(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 3: `answer(new, previous, target)` is the cross-entropy of sg(previous) + new."""
    logits, target = _small_batch()
    new, previous = logits["audio"].requires_grad_(), logits["visual"].requires_grad_()
    given = _call(answer, new, previous, target)
    wanted = F.cross_entropy(new + previous, target).detach()
    if _agrees(given.detach(), len(target) * wanted):
        raise AssertionError("a sum over the batch: give the mean")
    if not _agrees(given.detach(), wanted):
        raise AssertionError("not the cross-entropy of the two logits added, a mean over the batch")
    if not given.requires_grad:
        raise AssertionError("no gradient flows to the newest classifier")
    given.backward()
    if previous.grad is not None and previous.grad.abs().sum() > 0:
        raise AssertionError("the earlier classifiers move too: detach their logits")
    error = ((new + previous).softmax(1) - F.one_hot(target, 4)) / len(target)
    if not _agrees(new.grad, error.detach()):
        raise AssertionError("the gradient at the new logits is not p - y")


@_exercise("Exercise 1, who teaches whom")
def check_teaching_sets(answer: Callable[[dict[str, Tensor]], dict]) -> None:
    """Lesson 4: `answer(effective)` is a dict from (teacher, student) to bool `(d,)`."""
    effective = {
        "audio": torch.tensor([True, True, False, False, True]),
        "visual": torch.tensor([True, False, True, False, False]),
        "text": torch.tensor([False, True, True, False, False]),
    }
    for names in (["audio", "visual"], list(effective)):
        given = _call(answer, {m: effective[m].clone() for m in names})
        wanted = {(p, q) for p in names for q in names if p != q}
        if not isinstance(given, dict) or set(given) != wanted:
            raise AssertionError(
                f"for {', '.join(names)} the keys must be the {len(wanted)} ordered pairs "
                "(teacher, student) of different modalities"
            )
        for (p, q), dimensions in given.items():
            if not isinstance(dimensions, Tensor) or dimensions.dtype != torch.bool:
                raise AssertionError("each set is a tensor of True and False, (d,)")
            right = effective[p] & ~effective[q]
            for wrong, hint in (
                (effective[q] & ~effective[p], "turned round: the key is (teacher, student)"),
                (effective[p] ^ effective[q], "only where the teacher is effective: not either"),
                (effective[p] & effective[q], "where both are effective nobody teaches: and not"),
                (effective[p], "leave out what the student knows: effective[p] & ~effective[q]"),
            ):
                if torch.equal(dimensions, wrong) and not torch.equal(wrong, right):
                    raise AssertionError(hint)
            if not torch.equal(dimensions, right):
                raise AssertionError(f"wrong for {p} teaching {q}: {dimensions.tolist()}")


@_exercise("Exercise 2, who learns")
def check_who_learns(answer: Callable[[Tensor, dict[str, nn.Module]], set[str]]) -> None:
    """Lesson 4: `answer(loss, encoders)` names the encoders that get a gradient from `loss`."""
    generator = torch.Generator().manual_seed(0)
    encoders = {m: nn.Linear(3, 4) for m in ("audio", "visual")}
    h = {m: e(torch.randn(5, 3, generator=generator)) for m, e in encoders.items()}
    cases = (
        (h["audio"].pow(2).sum(), {"audio"}, "a loss of the sound alone"),
        ((h["audio"] * h["visual"]).sum(), {"audio", "visual"}, "a loss of both"),
        ((h["audio"].detach() * h["visual"]).sum(), {"visual"}, "a teacher that is detached"),
        (0 * h["audio"].sum() + h["visual"].sum(), {"visual"}, "a gradient of zero"),
    )
    for loss, wanted, name in cases:
        for again in (False, True):
            given = _call(answer, loss, encoders)
            if not isinstance(given, set | frozenset):
                raise AssertionError("give a set of names")
            if given != wanted:
                second = ", asked a second time" if again else ""
                raise AssertionError(
                    f"{name}{second}: {sorted(wanted)} learn, not {sorted(given)}; gradients left "
                    "in .grad by an earlier loss do not count, None and 0 neither"
                )


@_exercise("Exercise 3, the class-aware loss")
def check_class_aware_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 4: `answer(student, teacher, target, tau)` leaves same-class samples out."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(6, 4, generator=generator).requires_grad_() for _ in range(2))
    target, tau = torch.tensor([0, 1, 0, 2, 1, 0]), 0.8
    similarity = (student @ teacher.T / tau).detach()
    same = target[:, None] == target
    diagonal = torch.eye(6, dtype=torch.bool)

    def loss(s: Tensor, left_out: Tensor) -> Tensor:
        return F.cross_entropy(s.masked_fill(left_out, -torch.inf), torch.arange(6))

    given = _call(answer, student, teacher, target, tau)
    wanted = loss(similarity, same & ~diagonal)
    value = torch.as_tensor(given).detach()
    for wrong, hint in (
        (loss(similarity, torch.zeros(6, 6, dtype=torch.bool)), "same-class samples still count"),
        (loss(similarity * tau, same & ~diagonal), "divide by tau"),
        (6 * wanted, "a sum over the batch: give the mean"),
        (loss(similarity.T, same & ~diagonal), "rows are students, columns teachers"),
        (
            F.cross_entropy(similarity.masked_fill(same & ~diagonal, 0.0), torch.arange(6)),
            "a similarity of 0 is still a candidate: use -infinity",
        ),
    ):
        if value.shape == () and torch.isclose(value, wrong, atol=1e-5):
            raise AssertionError(hint)
    if not torch.isfinite(value).all():
        raise AssertionError("not finite: the pair itself, the diagonal, has to stay")
    if not _agrees(value, wanted):
        raise AssertionError("not the cross-entropy over the pair and the other classes")
    if not given.requires_grad:
        raise AssertionError("no gradient flows to the student")
    given.backward()
    if teacher.grad is not None and teacher.grad.any():
        raise AssertionError("a gradient reaches the teacher: detach it")


@_exercise("Exercise 4, certainty by entropy")
def check_entropy_weights(answer: Callable[[dict, float], dict[str, Tensor]]) -> None:
    """Lesson 4: `answer(logits, tau)` is softmax(-H / tau) over heads, a dict of `(B,)`."""
    logits, _ = _small_batch()

    def weights(sign: float, tau: float, dim: int = 1) -> Tensor:
        H = torch.stack([torch.special.entr(z.softmax(dim)).sum(1) for z in logits.values()])
        return (sign * H / tau).softmax(0)

    given = _call(answer, logits, 0.5)
    if not isinstance(given, dict) or set(given) != set(logits):
        raise AssertionError("give a dict with the names of the heads")
    result = torch.stack([torch.as_tensor(given[head]) for head in logits])
    for wrong, hint in (
        (weights(1, 0.5), "the sign: a large entropy is a small certainty"),
        (weights(-1, 1.0), "tau_2 is not used"),
        (weights(-1, 2.0), "divide by tau_2"),
        (weights(-1, 0.5, 0), "probabilities run over the classes, dim=1"),
    ):
        if _agrees(result, wrong):
            raise AssertionError(hint)
    if not _agrees(result, weights(-1, 0.5)):
        raise AssertionError("not softmax(-H / tau_2) over the heads, (B,) each")
    sure = {"audio": torch.tensor([[1000.0, 0.0]]), "visual": torch.tensor([[0.0, 0.0]])}
    if any(torch.as_tensor(w).isnan().any() for w in _call(answer, sure, 0.5).values()):
        raise AssertionError("NaN for a head that is wholly sure: 0 log 0 must be 0")


@_exercise("Exercise 5, how far entropy weights can get")
def check_entropy_bound(answer: Callable[[int, float], float]) -> None:
    """Lesson 4: `answer(K, tau)` is the largest ratio of two heads' weights."""
    for K, tau in ((10, 1.0), (6, 1.0), (10, 0.5), (28, 3.0)):
        given = float(_call(answer, K, tau))
        if np.isclose(given, np.exp((1 - 1 / K) / tau)):
            raise AssertionError("this is the bound of the largest probability: how large is H?")
        if np.isclose(given, np.log(K) / tau):
            raise AssertionError("a ratio of softmax weights: exp of the difference")
        if tau != 1 and np.isclose(given, K**tau):
            raise AssertionError("tau_2 divides the entropy")
        if not np.isclose(given, K ** (1 / tau)):
            raise AssertionError(
                f"for K = {K} and tau_2 = {tau} two heads can differ by a factor of "
                f"{K ** (1 / tau):.3f}, not {given:.3f}"
            )


def _three_gaussians() -> tuple[Tensor, Tensor, Tensor]:
    mu = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    var = torch.tensor([0.01, 0.09, 0.04], dtype=torch.float64)
    return mu, var, torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


@_exercise("Exercise 1, the E step")
def check_responsibilities(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 5: `answer(x, mu, var, pi)` is gamma, `(N, J)`."""
    mu, var, pi = _three_gaussians()
    x = torch.tensor([0.0, 0.15, 0.42, 0.8, 1.0], dtype=torch.float64)
    square = (x[:, None] - mu) ** 2
    density = torch.exp(-square / (2 * var)) / (2 * torch.pi * var).sqrt()
    joint = pi * density
    wanted = joint / joint.sum(1, keepdim=True)
    given = torch.as_tensor(_call(answer, x, mu, var, pi)).double()
    if given.shape != wanted.shape:
        hint = ": transpose it" if given.shape == wanted.T.shape else ""
        raise AssertionError(f"gamma is {tuple(given.shape)}; give (N, J) = (5, 3){hint}")
    no_factor = pi * torch.exp(-square / (2 * var))
    as_deviation = pi * torch.exp(-square / (2 * var**2)) / var
    for wrong, hint in (
        (joint, "divide by the sum over the Gaussians: a row adds up to 1"),
        (joint / joint.sum(0), "normalise over the Gaussians, dim=1, not over the samples"),
        (density / density.sum(1, keepdim=True), "the weights pi are not used"),
        (
            no_factor / no_factor.sum(1, keepdim=True),
            "the density's factor 1 / sigma is missing: it differs from Gaussian to Gaussian",
        ),
        (
            as_deviation / as_deviation.sum(1, keepdim=True),
            "var is the variance, not the deviation: do not square it again",
        ),
        (joint.softmax(1), "a softmax takes logarithms: log pi + log N"),
        (wanted.log(), "give probabilities, not their logarithms"),
    ):
        if _agrees(given, wrong):
            raise AssertionError(hint)
    if not _agrees(given, wanted):
        raise AssertionError("not pi_j N(x; mu_j, var_j) over its sum")
    far = torch.tensor([50.0, -50.0], dtype=torch.float64)
    given = torch.as_tensor(_call(answer, far, mu, var, pi)).double()
    if not torch.isfinite(given).all():
        raise AssertionError(
            "NaN for a value far from every Gaussian: all densities are 0 there; stay with "
            "logarithms and take their softmax"
        )
    if not _agrees(given, torch.eye(3)[[1, 1]]):
        raise AssertionError("far out the widest Gaussian has it all; do not add a small number")


@_exercise("Exercise 2, the M step")
def check_maximise(answer: Callable[[Tensor, Tensor, float], tuple]) -> None:
    """Lesson 5: `answer(x, gamma, floor)` is `(mu, var, pi)`."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([0.0, 0.2, 0.3, 0.7, 0.9, 1.0], dtype=torch.float64)
    gamma = (2 * torch.randn(6, 2, generator=generator, dtype=torch.float64)).softmax(1)
    mass = gamma.sum(0)
    mean = (gamma * x[:, None]).sum(0) / mass
    variance = (gamma * (x[:, None] - mean) ** 2).sum(0) / mass
    given = _call(answer, x, gamma, 1e-4)
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise AssertionError("give three tensors, (mu, var, pi)")
    mu, var, pi = (torch.as_tensor(part).double() for part in given)
    for part, name in ((mu, "mu"), (var, "var"), (pi, "pi")):
        if part.shape != (2,):
            raise AssertionError(f"{name} is {tuple(part.shape)}; give (J,) = (2,)")
    hard = F.one_hot(gamma.argmax(1), 2).double()
    for part, wrong, hint in (
        (mu, (gamma * x[:, None]).mean(0), "mu: divide by N_j = the sum of gamma, not by N"),
        (mu, (gamma * x[:, None]).sum(0), "mu: divide by N_j, the sum of gamma"),
        (mu, (hard.T @ x) / hard.sum(0), "use gamma itself, not the Gaussian with the largest"),
        (pi, mass, "pi: N_j / N, so that the weights add up to 1"),
        (var, (gamma * x[:, None] ** 2).sum(0) / mass, "var: subtract the mean first"),
        (var, variance.sqrt(), "give variances, not deviations"),
        (
            var,
            (gamma * (x[:, None] - x.mean()) ** 2).sum(0) / mass,
            "var: around the *new* mean of each Gaussian",
        ),
        (var, variance * mass / len(x), "var: divide by N_j, not by N"),
        (var, variance * mass / (mass - 1), "var: divide by N_j, not by N_j - 1"),
    ):
        if _agrees(part, wrong):
            raise AssertionError(hint)
    for name, part, wanted in (("mu", mu, mean), ("var", var, variance), ("pi", pi, mass / 6)):
        if not _agrees(part, wanted):
            raise AssertionError(f"{name} should be {wanted.tolist()}, not {part.tolist()}")
    point = torch.tensor([0.3, 0.3, 0.3, 0.9, 0.5, 0.7], dtype=torch.float64)
    split = torch.tensor([[1.0, 0]] * 3 + [[0, 1.0]] * 3, dtype=torch.float64)
    var = torch.as_tensor(_call(answer, point, split, 0.01)[1]).double()
    if var[0] < 0.01:
        raise AssertionError(f"three equal values have variance {var[0]:.3f}: keep it at floor")
    if not _agrees(var, torch.tensor([0.01, 0.08 / 3])):
        raise AssertionError("floor is a lower limit: larger variances stay as they are")


@_exercise("Exercise 3, where the posterior turns")
def check_turning_point(answer: Callable[[Tensor, Tensor, Tensor], float]) -> None:
    """Lesson 5: `answer(mu, var, pi)` is the gap at which the log-odds have slope 0."""
    for b, u, weight in (
        ((0.11, 0.006), (0.62, 0.058), 0.4),
        ((0.11, 0.006), (0.62, 0.058), 0.9),
        ((0.34, 0.071), (0.89, 0.006), 0.6),
    ):
        mu, var = (torch.tensor(pair, dtype=torch.float64) for pair in zip(b, u, strict=True))
        pi = torch.tensor([weight, 1 - weight], dtype=torch.float64)
        given = float(_call(answer, mu, var, pi))
        wanted = float((mu / var).diff() / (1 / var).diff())
        by_deviation = float((mu / var.sqrt()).diff() / (1 / var.sqrt()).diff())
        x = torch.tensor(given, dtype=torch.float64, requires_grad=True)
        parts = pi.log() - 0.5 * ((x - mu) ** 2 / var + var.log())
        odds = parts[1] - parts[0]
        for wrong, hint in (
            (-wanted, "the sign is turned"),
            (by_deviation, "the quadratic terms have the variances, not the deviations"),
            (float((mu * var).diff() / var.diff()), "divide by the variances: mu / var"),
            (float(mu.mean()), "half-way between the means only if the slopes there agree"),
        ):
            if np.isclose(given, wrong, atol=1e-6) and not np.isclose(wrong, wanted):
                raise AssertionError(hint)
        if np.isclose(odds.item(), 0, atol=1e-6):
            raise AssertionError("there r is 1/2; set the derivative to 0, not the log-odds")
        if not np.isclose(given, wanted, atol=1e-6):
            slope = torch.autograd.grad(odds, x)[0].item()
            raise AssertionError(
                f"for mu {mu.tolist()} and var {var.tolist()} the log-odds have slope {slope:.2f} "
                f"at {given:.3f}, not 0"
            )


@_exercise("Exercise 4, a shift of the distribution")
def check_distribution_shift(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> None:
    """Lesson 5: `answer(d, r, mu_b, var_b)` is a divergence of Gaussians, a scalar."""
    generator = torch.Generator().manual_seed(0)
    d, r = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    d.requires_grad_()
    r.requires_grad_()
    mu_b, var_b = 0.1, 0.02

    def divergence(mean, variance):
        return 0.5 * ((variance + (mean - mu_b) ** 2) / var_b - 1 - (variance / var_b).log())

    weight = r.detach() / r.detach().sum()
    mean = (weight * d).sum()
    variance = (weight * (d - mean) ** 2).sum()
    wanted = divergence(mean, variance)
    given = torch.as_tensor(_call(answer, d, r, mu_b, var_b))
    if given.numel() != 1:
        raise AssertionError(f"the result is {tuple(given.shape)}; the divergence is one number")
    turned = 0.5 * ((var_b + (mean - mu_b) ** 2) / variance - 1 + (variance / var_b).log())
    plain = divergence(d.mean(), d.var(correction=0))
    for wrong, hint in (
        (turned, "turned round: sigma_b^2 stands in the denominators"),
        (2 * wanted, "the factor 1/2 is missing"),
        (plain, "r is not used: mean and variance are weighted by it"),
        (
            divergence((r * d).mean(), (r * (d - (r * d).mean()) ** 2).mean()),
            "divide by the sum of r, not by the number of samples",
        ),
        (divergence(mean, variance.sqrt()), "the formula has variances, not deviations"),
        (wanted + 0.5, "the - 1 is missing: the divergence of equal Gaussians is 0"),
    ):
        if _agrees(given.detach().squeeze(), wrong.detach()):
            raise AssertionError(hint)
    if not _agrees(given.detach().squeeze(), wanted.detach()):
        raise AssertionError(f"{given.item():.3f}, expected {wanted.item():.3f}")
    if not given.requires_grad:
        raise AssertionError("no gradient flows: d keeps its own")
    slope, of_r = torch.autograd.grad(given.squeeze(), (d, r), allow_unused=True)
    if of_r is not None and of_r.abs().sum() > 0:
        raise AssertionError("a gradient reaches r: detach it, or posteriors are trained too")
    (right,) = torch.autograd.grad(wanted, d)
    if slope is None or not _agrees(slope, right):
        raise AssertionError("the value is right, the gradient is not: detach nothing but r")


@_exercise("Exercise 5, weights for the informed")
def check_informed_weights(answer: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Lesson 5: `answer(r, s_a, s_v, classes)` is the fusion weight, `(B,)`, with mean 1."""
    r = torch.tensor([0.1, 0.9, 0.2, 0.6, 0.0, 0.5], requires_grad=True)
    s_a = torch.tensor([0.9, 0.8, 0.05, 0.1, 0.2, 0.02])
    s_v = torch.tensor([0.8, 0.1, 0.08, 0.7, 0.15, 0.24])
    given = _call(answer, r, s_a, s_v, 4)
    wanted = torch.where((s_a > 0.25) | (s_v > 0.25), 2 - r, 1).detach()
    both = torch.where((s_a > 0.25) & (s_v > 0.25), 2 - r, 1).detach()
    given = torch.as_tensor(given)
    if given.shape != r.shape:
        raise AssertionError(f"weights are {tuple(given.shape)}; give one a sample, (B,)")
    for wrong, hint in (
        (wanted, "divide by the mean: otherwise the weights change the learning rate"),
        ((2 - r).detach(), "that is weights(r)[0] without its mean; who is uninformed has 1"),
        ((2 - r).detach() / (2 - r).detach().mean(), "who is uninformed has weight 1 before"),
        (both / both.mean(), "uninformed is who gets little from *both*: one that knows is enough"),
        (
            torch.where(wanted == 1, 0, wanted) / torch.where(wanted == 1, 0, wanted).mean(),
            "the uninformed keep weight 1, as in the plain loss; they are not dropped",
        ),
        (
            torch.where((s_a > 0.1) | (s_v > 0.1), 2 - r, 1).detach(),
            "the chance level is 1 / classes",
        ),
    ):
        if _agrees(given.detach(), wrong):
            raise AssertionError(hint)
    if not _agrees(given.detach(), wanted / wanted.mean()):
        raise AssertionError(f"expected {(wanted / wanted.mean()).tolist()}")
    if given.requires_grad:
        raise AssertionError("a gradient reaches r: detach it")


@_exercise("Exercise 1, a code that is drawn")
def check_draw_code(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean, log_var, noise)` is the code, `(B, d)`, with gradient to both."""
    generator = torch.Generator().manual_seed(0)
    mean, log_var, noise = torch.randn(3, 5, 4, generator=generator)
    mean.requires_grad_()
    log_var.requires_grad_()
    kept = noise.clone()
    given = torch.as_tensor(_call(answer, mean, log_var, noise))
    if not torch.equal(noise, kept):
        raise AssertionError("noise has changed: compute anew, not in place")
    wanted = mean + (0.5 * log_var).exp() * noise
    if given.shape != wanted.shape:
        raise AssertionError(f"the code is {tuple(given.shape)}; give {tuple(wanted.shape)}")
    for wrong, hint in (
        (mean + log_var.exp() * noise, "exp(log_var) is the variance; the noise takes sigma"),
        (mean + log_var * noise, "log_var is a logarithm: sigma = exp(log_var / 2)"),
        (mean + noise, "the noise has deviation 1 here; scale it by sigma"),
        (mean, "that is the mean, the code at test time; in training it is drawn"),
        ((0.5 * log_var).exp() * noise, "the mean is missing"),
    ):
        if _agrees(given.detach(), wrong.detach()):
            raise AssertionError(hint)
    if not _agrees(given.detach(), wanted.detach()):
        raise AssertionError("not mean + sigma * noise; draw nothing yourself, use the given noise")
    slopes = (None, None)
    if given.requires_grad:
        slopes = torch.autograd.grad(given.square().sum(), (mean, log_var), allow_unused=True)
    right = torch.autograd.grad(wanted.square().sum(), (mean, log_var))
    for name, slope, good in zip(("mean", "log_var"), slopes, right, strict=True):
        if slope is None or not _agrees(slope, good):
            raise AssertionError(f"no right gradient reaches {name}: detach nothing")


@_exercise("Exercise 2, the divergence of two Gaussians")
def check_kl_between(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 6: `answer(mean_1, log_var_1, mean_2, log_var_2)` is the divergence, `(B,)`."""
    generator = torch.Generator().manual_seed(0)
    m_1, l_1, m_2, l_2 = torch.randn(4, 6, 3, generator=generator).requires_grad_()

    def channels(m_1, l_1, m_2, l_2):
        return 0.5 * (l_2 - l_1 + (l_1.exp() + (m_1 - m_2) ** 2) / l_2.exp() - 1)  # (B, d)

    given = torch.as_tensor(_call(answer, m_1, l_1, m_2, l_2))
    each = channels(m_1, l_1, m_2, l_2)
    wanted = each.sum(1)
    for wrong, hint in (
        (each, "sum over the channels, dim=1"),
        (each.sum(0), "sum over the channels, dim=1, not over the batch"),
        (each.mean(1), "nats add up over the channels: a sum, not a mean"),
        (wanted.sum(), "one number a sample, (B,): do not sum over the batch"),
        (wanted.mean(), "one number a sample, (B,): do not average over the batch"),
        (channels(m_2, l_2, m_1, l_1).sum(1), "turned round: the first Gaussian's from the second"),
        (2 * wanted, "the factor 1/2 is missing"),
        (wanted + 1.5, "the - 1 is missing: equal Gaussians have divergence 0"),
        (channels(m_1, l_1, 0 * m_2, 0 * l_2).sum(1), "that is the divergence from N(0, 1)"),
        (channels(m_1 - m_2, l_1, 0 * m_2, 0 * l_2).sum(1), "shifted, and not yet stretched"),
        (
            (each + 0.5 * (m_1 - m_2) ** 2 * (1 - 1 / l_2.exp())).sum(1),
            "the squared distance is measured in deviations of the second: divide by its variance",
        ),
        (
            (each - 0.5 * (l_2 - l_1)).sum(1),
            "the logarithms are missing: log of the second variance over the first",
        ),
        (channels(m_1, 2 * l_1, m_2, 2 * l_2).sum(1), "log_var is of the variance, not of sigma"),
    ):
        if _agrees(given, wrong):
            raise AssertionError(hint)
    if given.shape != wanted.shape:
        raise AssertionError(f"the result is {tuple(given.shape)}; give one a sample, (B,)")
    if not _agrees(given, wanted):
        raise AssertionError(f"{given[0].item():.3f} for the first sample, not {wanted[0]:.3f}")
    if not given.requires_grad:
        raise AssertionError("no gradient reaches the Gaussians: it is a loss, detach nothing")


@_exercise("Exercise 3, the largest W")
def check_temperature_for(answer: Callable[[float, int], float]) -> None:
    """Lesson 6: `answer(largest, modalities)` is T with `softmax((1, 0, ...) / T)[0] = largest`."""
    for largest, M in ((0.9, 2), (0.98, 2), (0.9, 3), (0.6, 4)):
        given = float(_call(answer, largest, M))
        odds = largest * (M - 1) / (1 - largest)
        for wrong, hint in (
            (np.log(odds), "turned round: e^(1/T) is what you know"),
            (-np.log(largest / (1 - largest)), "the sign is turned"),
            (1 / np.log(largest / (1 - largest)), "there are M - 1 others in the softmax, not one"),
            (1 / np.log(largest * M / (1 - largest)), "of M modalities M - 1 have score 0"),
            (2 / np.log(odds), "the scores differ by 1, not by 2"),
            (1 / np.log(largest), "W is a share: the others' e^0 stands below too"),
        ):
            if np.isclose(given, wrong) and not np.isclose(wrong, 1 / np.log(odds)):
                raise AssertionError(hint)
        if not np.isclose(given, 1 / np.log(odds)):
            first = np.exp(1 / given) if given else np.nan
            raise AssertionError(
                f"T = {given:.3f} with {M} modalities gives W = {first / (first + M - 1):.3f}, "
                f"not {largest}"
            )


@_exercise("Exercise 4, a gradient scaled by hand")
def check_scaled(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Lesson 6: `answer(x, factor)` has x's values; through it x gets `factor` times the slope."""
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], requires_grad=True)
    leaf = torch.tensor(1.0, requires_grad=True)
    for factor in (1.5, 0.25):
        h = leaf * x  # not a leaf, as an encoder's output
        given = torch.as_tensor(_call(answer, h, factor))
        if _agrees(given.detach(), factor * h.detach()):
            raise AssertionError("the values are scaled: only the gradient should be")
        if not _agrees(given.detach(), h.detach()):
            raise AssertionError("the values of x should come back unchanged")
        if not given.requires_grad:
            raise AssertionError("no gradient flows: part of x has to stay attached")
        (slope,) = torch.autograd.grad((given**2).sum() + (3 * h).sum(), x)
        through, beside = 2 * x.detach(), torch.full_like(x, 3.0)
        for wrong, hint in (
            (through + beside, "the gradient is not scaled"),
            (
                factor * (through + beside),
                "all uses of x are scaled: take a new tensor first",
            ),
            ((1 - factor) * through + beside, "that is 1 - factor: swap the two parts"),
            (through / factor + beside, "that divides by the factor"),
            ((1 + factor) * through + beside, "that is 1 + factor: the plain part is too much"),
        ):
            if _agrees(slope, wrong):
                raise AssertionError(hint)
        if not _agrees(slope, factor * through + beside):
            raise AssertionError(f"the slope through it should be {factor} times as large")


@_exercise("Exercise 5, confidence after calibration")
def check_calibrated_confidence(answer: Callable[[Tensor, Tensor, Sequence[float]], float]) -> None:
    """Lesson 6: `answer(z, target, temperatures)` is D of the logits over the best temperature."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(400) % 4
    noise = torch.randn(400, 4, generator=generator)
    temperatures = [0.5, 1.0, 2.0, 4.0, 8.0, 100.0]

    def confidence(z):
        p = z.softmax(1)
        return 1 - torch.special.entr(p).sum(1).mean() / np.log(z.shape[1])

    for z in (noise + 1.5 * F.one_hot(target, 4), 4 * (noise + F.one_hot(target, 4)), 5 * noise):
        given = float(_call(answer, z, target, temperatures))
        losses = [F.cross_entropy(z / t, target).item() for t in temperatures]
        best = temperatures[int(np.argmin(losses))]
        wanted = confidence(z / best).item()
        times = min(temperatures, key=lambda t: F.cross_entropy(t * z, target))
        right = z.argmax(1) == target
        for wrong, hint in (
            (confidence(z), "the temperature is not used: divide the logits before the softmax"),
            (best, "that is the temperature; give the confidence it leads to"),
            (1 - wanted, "that is the entropy's share; confidence is 1 minus it"),
            (confidence(times * z), "divide by the temperature, do not multiply"),
            (confidence(best * z), "divide by the temperature, do not multiply"),
            (
                confidence(z / temperatures[int(np.argmax(losses))]),
                "that temperature has the highest cross-entropy, not the lowest",
            ),
            (
                max(confidence(z / t).item() for t in temperatures),
                "choose by cross-entropy on the target, not by the confidence itself, nor by "
                "accuracy, which no temperature changes",
            ),
            (
                min(confidence(z / t).item() for t in temperatures),
                "choose by cross-entropy on the target, not by the confidence itself, nor by "
                "accuracy, which no temperature changes",
            ),
            (right.float().mean(), "that is the accuracy"),
            (min(losses), "that is the cross-entropy; give the confidence"),
        ):
            if np.isclose(given, float(wrong), atol=1e-6) and not np.isclose(float(wrong), wanted):
                raise AssertionError(hint)
        if not np.isclose(given, wanted, atol=1e-5):
            raise AssertionError(f"{given:.3f}; at temperature {best:g} it is {wanted:.3f}")


@_exercise("Exercise 6, dynamic potential")
def check_potential(answer: Callable[[Sequence[float], int], float]) -> None:
    """Lesson 6: `answer(losses, k)` is the relative drop over the last k epochs, not below 0."""
    for losses in ([], [2.0], [2.0, 1.5]):
        given = _call(answer, list(losses), 2)
        if float(given) != 0:
            raise AssertionError(f"{given} after {len(losses)} epochs; give 0 before k + 1 = 3")
    down, bumpy = [2.0, 1.6, 1.0, 0.8], [1.6, 2.4, 1.8, 3.0, 1.0, 1.5]
    for losses, k in ((down, 1), (down, 2), ([2.0, 1.5, 1.0], 2), (bumpy, 4), (bumpy, 2)):
        given, wanted = float(_call(answer, list(losses), k)), 1 - losses[-1] / losses[-1 - k]
        window = losses[-1 - k :]
        drop = losses[-1 - k] - losses[-1]
        for wrong, hint in (
            (drop, "relative: over the loss of k epochs ago"),
            (-wanted, "the sign is turned: a falling loss has potential"),
            (drop / losses[-1], "over the *earlier* loss, so that it is at most 1"),
            (losses[-1] / losses[-1 - k], "the drop, 1 minus this share"),
            (drop / losses[0], "over the loss of k epochs ago, not over the first"),
            (1 - losses[-1] / losses[0], "only the last k epochs count"),
            (1 - losses[-1] / losses[-k], "k epochs back is losses[-1 - k]"),
            (
                1 - losses[-1] / max(window),
                "from the loss k epochs ago, not from the largest since",
            ),
            (1 - min(window) / window[0], "to the last loss, not to the smallest"),
        ):
            if np.isclose(given, wrong) and not np.isclose(wrong, wanted):
                raise AssertionError(hint)
        if not np.isclose(given, wanted):
            raise AssertionError(f"{given:.3f} for {losses} and k = {k}, not {wanted:.3f}")
    if float(_call(answer, [1.0, 1.2, 1.5], 2)) != 0:
        raise AssertionError("a rising loss has potential 0, not a negative one")


@_exercise("Exercise 1, noise at a given ratio")
def check_mix(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 7: `answer(w, noise, snr_db)` is `w` plus the noise at that ratio, `(T,)`."""
    generator = torch.Generator().manual_seed(0)
    w = 0.3 * torch.randn(400, generator=generator, dtype=torch.float64) + 0.1
    noise = 2.5 * torch.randn(400, generator=generator, dtype=torch.float64) - 0.8
    power, level = w.square().mean(), noise.square().mean()
    for snr_db in (6.0, -10.0):
        kept = w.clone(), noise.clone()
        given = torch.as_tensor(_call(answer, *kept, snr_db)).detach()
        if not (torch.equal(kept[0], w) and torch.equal(kept[1], noise)):
            raise AssertionError("w or noise has changed: compute anew, not in place")
        ratio = 10 ** (-snr_db / 10)
        wanted = w + noise * (power / level * ratio).sqrt()
        for wrong, hint in (
            (wanted - w, "this is the noise alone: add the waveform"),
            (w + noise * (power / level / ratio).sqrt(), "the sign: more dB is less noise"),
            (w + noise * power / level * ratio, "a factor on amplitudes is the root of powers'"),
            (w + noise * (power * ratio).sqrt(), "the noise has a power of its own: divide by it"),
            (
                w + noise * (power / level).sqrt() * ratio,
                "dB of powers divide by 10, under the root; of amplitudes by 20, without one",
            ),
            (
                w + noise * (power / level * 10 ** (-snr_db / 20)).sqrt(),
                "dB of powers divide by 10, not by 20",
            ),
            (
                w + noise * (w.var() / noise.var() * ratio).sqrt(),
                "power is the mean square; a variance takes the mean off first",
            ),
            (
                w + noise * (w.var(correction=0) / noise.var(correction=0) * ratio).sqrt(),
                "power is the mean square; a variance takes the mean off first",
            ),
            (
                w / (power / level * ratio).sqrt() + noise,
                "scale the noise; the waveform stays as it is",
            ),
            (w + noise * (ratio**0.5), "neither power is used: the ratio is theirs"),
        ):
            if _agrees(given, wrong):
                raise AssertionError(hint)
        if given.shape != w.shape:
            raise AssertionError(f"the sound is {tuple(given.shape)}; give (T,) = (400,)")
        if not _agrees(given, wanted):
            found = 10 * torch.log10(power / (given - w).square().mean())
            raise AssertionError(
                f"at {snr_db:g} dB: the ratio of powers comes out as {found:.1f} dB, or what was "
                "added is not the given noise times one factor"
            )


@_exercise("Exercise 2, the Euclidean ball")
def check_project_euclidean(
    answer: Callable[[Tensor, Tensor, float, tuple[float, float]], Tensor],
) -> None:
    """Lesson 7: `answer(x, centre, epsilon, limits)` is within both for each sample, `(B, ...)`."""
    generator = torch.Generator().manual_seed(0)
    epsilon, limits = 0.5, (0.0, 1.0)
    for shape in ((4, 3, 5), (4, 1, 3, 5)):
        centre = torch.rand(shape, generator=generator)
        way = torch.randn(shape, generator=generator)
        way = way / way.flatten(1).norm(dim=1).reshape(-1, *(1,) * (len(shape) - 1))
        far = torch.tensor([0.2, 3.0, 1.5, 0.0]).reshape(-1, *(1,) * (len(shape) - 1))
        centre[0] = 0.5  # so that nothing of the first sample is near a limit
        x = centre + far * way
        kept = x.clone(), centre.clone()
        given = torch.as_tensor(_call(answer, *kept, epsilon, limits)).detach()
        if not (torch.equal(kept[0], x) and torch.equal(kept[1], centre)):
            raise AssertionError("x or centre has changed: compute anew, not in place")
        if given.shape != x.shape:
            raise AssertionError(f"the result is {tuple(given.shape)}; x is {tuple(x.shape)}")
        if torch.isnan(given).any():
            raise AssertionError("NaN for a sample that has not moved: do not divide by 0")
        short = (epsilon / far.clamp(min=1e-12)).clamp(max=1)
        inside = centre + short * far * way
        wanted = inside.clamp(*limits)
        whole = (x - centre).norm()
        onto = centre + epsilon * way * (far > 0)
        for wrong, hint in (
            (inside, "the limits of the data are not kept"),
            (
                (centre + (x - centre) * (epsilon / whole).clamp(max=1)).clamp(*limits),
                "one length for the whole batch: each sample has its own ball",
            ),
            (onto.clamp(*limits), "who is inside the ball stays where it is"),
            (
                torch.minimum(torch.maximum(x, centre - epsilon), centre + epsilon).clamp(*limits),
                "this is section 8's ball, in the maximum norm: take each sample's length",
            ),
            (short * far * way, "this is the way from the centre: add the centre"),
            ((short * far * way).clamp(*limits), "this is the way from the centre: add the centre"),
            (x.clamp(*limits), "the ball is not kept"),
        ):
            if _agrees(given, wrong):
                raise AssertionError(hint)
        moved = (given - centre).flatten(1).norm(dim=1)
        if (moved > epsilon * 1.001).any():
            raise AssertionError(
                f"a sample is {moved.max():.2f} away from its centre; epsilon is {epsilon}"
            )
        if not _agrees(given, wanted):
            raise AssertionError(
                "shorten each sample's x - centre to epsilon where it is longer, then clip"
            )


@_exercise("Exercise 3, five faults")
def check_noisy(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Lesson 7: `answer(x, severity, seed)` is `x`, `(N, ...)`, noisy by section 5's protocol."""
    x = 0.4 + 0.2 * torch.rand((120, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    given = {severity: x.clone() for severity in (0, 1, 2, 10)}
    found = {e: torch.as_tensor(_call(answer, mine, e, 0)) for e, mine in given.items()}
    if any(noisy.shape != x.shape for noisy in found.values()):
        raise AssertionError(f"give all samples, {tuple(x.shape)}")
    if any(not torch.equal(mine, x) for mine in given.values()):
        raise AssertionError("x has changed: copy it first, or the clean data are lost")
    if found[10].min() < 0 or found[10].max() > 1:
        raise AssertionError("values leave [0, 1]: clip on both sides")
    with torch.random.fork_rng():
        torch.manual_seed(99)
        state = torch.random.get_rng_state()
        again = answer(x.clone(), 10, 0)
        if not torch.equal(again, found[10]) or not torch.equal(
            state, torch.random.get_rng_state()
        ):
            raise AssertionError("a draw comes from the global generator: pass generator=g to each")
    if not torch.equal(found[0], x):
        raise AssertionError("severity 0 must be the clean data to the bit")
    hit = {e: (noisy != x).flatten(1).any(1) for e, noisy in found.items()}
    share = hit[10].float().mean().item()
    if not 0.25 < share < 0.75:
        alike = "; do all draw from one seed, and fall alike? the index belongs into it"
        raise AssertionError(
            f"{share:.2f} of the samples are hit, not a half" + alike * (share in (0, 1))
        )
    noise = {e: found[e] - x for e in (1, 2)}
    inside = (found[2] > 0) & (found[2] < 1)
    if not torch.equal(hit[1], hit[2]) or not torch.allclose(
        noise[2][inside], 2 * noise[1][inside], atol=1e-4
    ):
        raise AssertionError(
            "at severity 2 it is not the noise of severity 1, doubled, in the same samples: leave "
            "the severity out of the seed"
        )
    if not 0.08 < noise[1][hit[1]].std() < 0.12:
        raise AssertionError(f"deviation {noise[1][hit[1]].std():.2f} at severity 1, not 0.1")
    first, second = noise[1][hit[1]][:2]
    if (first - second).abs().max() < 1e-4:
        raise AssertionError("all samples get the same noise: the index belongs into the seed")
    same = x[:1].expand_as(x)  # so that noise can be compared between samples
    first, second = (answer(same.clone(), 1, seed) for seed in (0, 1))
    if torch.equal(first, second):
        raise AssertionError("another seed gives the same noise")
    if torch.equal(first[1:], second[:-1]):
        raise AssertionError(
            "seed 1 is seed 0 moved on by a sample, as seed + i gives: mix seed and index, as "
            "section 5 does"
        )
    if not torch.equal(answer(x[:50].clone(), 10, 0), found[10][:50]):
        raise AssertionError("the first 50 samples alone get other noise: one generator a sample")


@_exercise("Exercise 4, an interval of drops")
def check_drop_interval(
    answer: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Sequence[float]],
) -> None:
    """Lesson 7: `answer(clean_a, noisy_a, clean_b, noisy_b)` is `(mean, low, high)`."""
    random = np.random.default_rng(0)
    clean_a, clean_b = (level + 0.02 * random.normal(size=5) for level in (0.9, 0.8))
    noisy_a, noisy_b = (
        clean[:, None]
        - gone
        + 0.03 * random.normal(size=(5, 1))
        + 0.01 * random.normal(size=(5, 3))
        for clean, gone in ((clean_a, 0.3), (clean_b, 0.2))
    )

    def interval(d: np.ndarray, half: float | None = None) -> np.ndarray:
        half = stats.t.ppf(0.975, len(d) - 1) * stats.sem(d) if half is None else half
        return np.array([d.mean(), d.mean() - half, d.mean() + half])

    def lost(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
        return (clean - noisy) / clean

    a, b = lost(clean_a, noisy_a.mean(1)), lost(clean_b, noisy_b.mean(1))
    every = lost(clean_a[:, None], noisy_a) - lost(clean_b[:, None], noisy_b)
    unpaired = np.sqrt(a.var(ddof=1) / 5 + b.var(ddof=1) / 5)
    given = _call(answer, clean_a.copy(), noisy_a.copy(), clean_b.copy(), noisy_b.copy())
    given = np.asarray(given, float)
    if given.shape != (3,):
        raise AssertionError("give three numbers, (mean, low, high)")
    absolute = (clean_a - noisy_a.mean(1)) - (clean_b - noisy_b.mean(1))
    for wrong, hint in (
        (
            interval(every.ravel()),
            "15 pairs? Noise seeds of one network are no new networks: take their mean first, 5 "
            "pairs are left",
        ),
        (interval(every.mean(0)), "the pairs are the training seeds: mean over the noise seeds"),
        (interval(b - a), "turned round: a minus b"),
        (interval(absolute), "relative: divide by the clean accuracy of the same network"),
        (
            interval(
                (clean_a - noisy_a.mean(1)) / clean_a.mean()
                - (clean_b - noisy_b.mean(1)) / clean_b.mean()
            ),
            "divide within the seed, by the clean accuracy of that network",
        ),
        (
            interval((clean_a / noisy_a.mean(1) - 1) - (clean_b / noisy_b.mean(1) - 1)),
            "divide by the clean accuracy, not by the noisy one",
        ),
        (
            interval(a - b, stats.t.ppf(0.975, 8) * unpaired),
            "seeds are paired: take the interval of the differences",
        ),
        (interval(a - b, 1.96 * stats.sem(a - b)), "five pairs: Student's t, 2.776, not 1.96"),
        (
            interval(a - b, stats.t.ppf(0.975, 4) * (a - b).std() / 5**0.5),
            "the deviation of a sample divides by n - 1: ddof=1",
        ),
        (
            interval(a - b, stats.t.ppf(0.975, 4) * (a - b).std(ddof=1)),
            "divide the deviation by the square root of the number of pairs",
        ),
    ):
        if np.allclose(given, wrong, atol=1e-7):
            raise AssertionError(hint)
    wanted = interval(a - b)
    if not np.allclose(given, wanted, atol=1e-7):
        raise AssertionError(f"expected {wanted.round(4).tolist()}, not {given.round(4).tolist()}")


@_exercise("Exercise 5, a batch of your own noise")
def check_spoil_batch(answer: Callable[[dict, torch.Generator], dict]) -> None:
    """Lesson 7: `answer(inputs, g)` is a batch in which some samples of each modality changed."""
    draw = torch.Generator().manual_seed(1)
    shapes = {"audio": (64, 1, 40, 51), "visual": (64, 1, 32, 32)}
    clean = {m: torch.randn(shape, generator=draw) for m, shape in shapes.items()}

    def ask(seed: int) -> dict[str, Tensor]:
        inputs = {m: x.clone() for m, x in clean.items()}
        result = _call(answer, inputs, torch.Generator().manual_seed(seed))
        if any(not torch.equal(inputs[m], x) for m, x in clean.items()):
            raise AssertionError("the batch has changed in place: the data set's tensors would too")
        return result

    state = torch.random.get_rng_state()
    given = ask(0)
    if not isinstance(given, dict) or set(given) != set(clean):
        raise AssertionError("give a dict with the modalities of inputs")
    for m, x in given.items():
        if x.shape != clean[m].shape or not torch.isfinite(x).all():
            raise AssertionError(f"{m}: give finite numbers of shape {tuple(clean[m].shape)}")
    touched = {m: (x != clean[m]).flatten(1).any(1) for m, x in given.items()}
    for m, rows in touched.items():
        share = rows.float().mean().item()
        if not 0.05 < share < 0.95:
            raise AssertionError(
                f"{m}: {share:.2f} of the samples are spoiled; some, and some not, is what is asked"
            )
    again, other = ask(0), ask(1)
    if not torch.equal(state, torch.random.get_rng_state()) or any(
        not torch.equal(given[m], again[m]) for m in given
    ):
        raise AssertionError("something random does not come from g: pass generator=g")
    if all(torch.equal(given[m], other[m]) for m in given):
        raise AssertionError("another generator gives the same noise: draw from g anew")
    for seed in range(2, 8):
        gone = [
            (x == x.flatten(1)[:, :1, None, None]).flatten(1).all(1) for x in ask(seed).values()
        ]
        if torch.stack(gone).all(0).any():
            raise AssertionError("a sample loses both modalities: nothing is left to learn from")


def _global_states() -> tuple:
    return torch.random.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def _set_global_states(states: tuple) -> None:
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def _same_states(a: tuple, b: tuple) -> bool:
    numbers = [(state[1][1].tolist(), state[1][2:]) for state in (a, b)]
    return torch.equal(a[0], b[0]) and numbers[0] == numbers[1] and a[2] == b[2]


@_exercise("Exercise 1, a list read")
def check_read_list(answer: Callable[[bytes, Sequence[str]], list]) -> None:
    """Lesson 8: `answer(content, labels)` is a list of `(clip, number of the class)`."""
    labels = ("NEU", "HAP", "ANG")
    wanted = [("1001_A_NEU_XX", 0), ("1002_B_ANG_HI", 2), ("1003_C_HAP_LO", 1)]
    plain = "".join(f"{clip},{labels[label]}\n" for clip, label in wanted)
    cases = (
        (plain.encode(), "a plain list comes out wrong"),
        (plain.encode("utf-8-sig"), "the byte-order mark is read as part of the first clip"),
        (plain.replace("\n", "\r\n").encode(), "Windows line ends, \\r\\n, are not taken off"),
        (plain.replace("\n", "\n\n").encode(), "empty lines are to be passed over"),
        (plain.replace("\n", "\n  \n").encode(), "lines of spaces alone are blank: pass them over"),
        (plain.replace(",", " , ").encode(), "spaces around a field are to be taken off"),
        (plain.rstrip().encode(), "the last line may end without a line end"),
    )
    for content, hint in cases:
        try:
            given = _result(answer, content, labels)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise AssertionError(f"{hint}: {answer.__name__} stops with {error!r}") from error
        given = [tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in given]
        if given == [(clip, labels[label]) for clip, label in wanted]:
            raise AssertionError("give the class's number, not its name")
        if given != wanted:
            raise AssertionError(f"{hint}: it gives {given[:2]}")
    given = _result(answer, "zoë_b,ANG\n".encode(), labels)
    if [tuple(pair) for pair in given] != [("zoë_b", 2)]:
        raise AssertionError(f"read it as UTF-8, and leave names as they are: it gives {given}")

    def numbers(bad: str, hint: str, line: int) -> list[str]:
        """The numbers in the message about `bad` in that line, but for those of `bad`."""
        content = plain + (line - 4) * "\n" + bad + "\n"
        try:
            answer(content.encode("utf-8-sig"), labels)
        except ValueError as error:
            message = str(error)
            for text in (bad, *re.split("[,;]", bad)):
                message = message.replace(text, "") if text else message
            found = re.findall(r"\d+", message)
            if str(line) not in found:
                raise AssertionError(
                    f"{hint} stands in line {line}, blank lines counted; the message is "
                    f"{str(error)!r}"
                ) from error
            found.remove(str(line))
            return found
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise AssertionError(f"{hint} is to raise a ValueError, not {error!r}") from error
        raise AssertionError(f"{hint} goes through: raise a ValueError with its line number")

    for bad, hint in (
        ("1004_D_ANG_XX;ANG", "a line without a comma"),
        ("1004_D_ANG_XX,MAD", "a label that is not known"),
        ("1004_D_ANG_XX,", "an empty label"),
        ("1004_D_ANG_XX,ANG,0.5", "a line of three fields"),
        (",ANG", "an empty clip"),
    ):
        if numbers(bad, hint, 5) != numbers(bad, hint, 9):
            raise AssertionError(f"{hint}: the message is to name one line, its own")


@_exercise("Exercise 2, a split by actor")
def check_split_by_actor(answer: Callable[[list[str], float, int], tuple]) -> None:
    """Lesson 8: `answer(ids, share, seed)` is `(train, test)`, positions, no actor in both."""
    ids = [
        f"{1001 + actor}_{sentence}_{emotion}_XX"
        for sentence in ("IEO", "TIE")
        for actor in range(20)
        for emotion in ("NEU", "ANG", "SAD")
        if sentence == "IEO" or actor % 3  # so that actors have different numbers of clips
    ]

    def ask(ids: list[str], share: float, seed: int) -> tuple[list[int], set[str]]:
        given = _call(answer, list(ids), share, seed)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise AssertionError("give two lists of positions, (train, test)")
        try:
            train, test = ([int(i) for i in part] for part in given)
        except (TypeError, ValueError) as error:
            raise AssertionError("give positions, whole numbers, not names") from error
        if set(train) & set(test):
            raise AssertionError("a clip is in train and in test")
        if sorted(train + test) != list(range(len(ids))):
            raise AssertionError("each clip belongs into one of the two, once")
        known, tested = ({ids[i].partition("_")[0] for i in part} for part in (train, test))
        if known & tested:
            raise AssertionError(
                f"{len(known & tested)} actors are in both parts: split actors, not clips"
            )
        return train, tested

    states = _global_states()
    for share, count in ((0.25, 5), (0.1, 2), (0.01, 1), (0.13, 3), (0.17, 3), (0.38, 8)):
        _, tested = ask(ids, share, 0)
        if len(tested) != count:
            raise AssertionError(
                f"share {share} of 20 actors: {len(tested)} in test, not {count}; it is a share of "
                "the actors, rounded (neither down nor up), at least one"
            )
    _, first = ask(ids, 0.25, 0)
    kept = _global_states()
    try:
        for seed in (1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            if ask(ids, 0.25, 0)[1] != first:
                raise AssertionError(
                    "the same seed gives other actors: draw from a generator of seed"
                )
    finally:
        _set_global_states(kept)
    if not _same_states(states, kept):
        raise AssertionError("a global generator was used: make one of your own, seeded with seed")
    hint = (
        "another order of ids gives other actors: sort the actors' names before you draw (a set "
        "has another order in every run)"
    )
    order = np.random.default_rng(0)
    turned = [ids[i] for i in order.permutation(len(ids))]
    if ask(turned, 0.25, 0)[1] != first or ask(ids[::-1], 0.25, 0)[1] != first:
        raise AssertionError(hint)
    if len({frozenset(ask(ids, 0.25, seed)[1]) for seed in range(8)}) < 3:
        raise AssertionError("other seeds give the same actors")
    # Which places of the sorted actors are in test may depend on their number, share and seed, not
    # on their names: this finds the order of a set, or of hashes, in whatever run of Python.
    places = set()
    for _ in range(40):
        actors = sorted(order.choice(np.arange(1001, 1092), 12, replace=False).tolist())
        names = [f"{actor}_IEO_ANG_XX" for actor in actors]
        turned = [names[i] for i in order.permutation(len(names))]
        tested = ask(turned, 0.25, 0)[1]
        if ask(names, 0.25, 0)[1] != tested:
            raise AssertionError(hint)
        places.add(tuple(str(actor) in tested for actor in actors))
    if len(places) > 1:
        raise AssertionError(
            "which actors are drawn hangs on more than their sorted order, as by a set or a hash, "
            "whose order is another in every run: sort the names, then draw among their places"
        )


@_exercise("Exercise 3, frames chosen")
def check_choose(answer: Callable[[list[str], int, torch.Generator | None], list[str]]) -> None:
    """Lesson 8: `answer(names, frames, g)` is a name of each of `frames` parts, in time order."""
    mixed = np.random.default_rng(0)

    def parts(count: int, frames: int) -> list[range]:
        edges = [k * count // frames for k in range(frames + 1)]
        return [range(first, last) for first, last in zip(edges, edges[1:])]

    def ask(count: int, frames: int, seed: int | None) -> list[int]:
        names = [f"{i:05d}.jpg" for i in range(count)]
        turned = [names[i] for i in mixed.permutation(count)]
        kept = list(turned)
        g = None if seed is None else torch.Generator().manual_seed(seed)
        given = _call(answer, turned, frames, g)
        if turned != kept:
            raise AssertionError("names has changed: sorted() gives a new list, .sort() does not")
        if isinstance(given, str) or len(given) != frames:
            raise AssertionError(f"give a list of {frames} names")
        if any(name not in names for name in given):
            raise AssertionError("give names of the listing, not their numbers")
        return [names.index(name) for name in given]

    for count, frames in ((10, 1), (10, 3), (7, 3), (4, 4), (5, 2)):
        middle = [part[len(part) // 2] for part in parts(count, frames)]
        given = ask(count, frames, None)
        if given != middle:
            if sorted(given) != given:
                raise AssertionError("out of order: a listing has any order; sort the names first")
            if given == [part[0] for part in parts(count, frames)]:
                raise AssertionError("without g the middle of each part, not its first")
            near = [part[(len(part) - 1) // 2] for part in parts(count, frames)]
            if given != near:  # of an even part either middle is one
                for k, (i, part) in enumerate(zip(given, parts(count, frames), strict=True)):
                    if i not in part:
                        raise AssertionError(
                            f"of {count} names in {frames} parts, part {k} is names {part[0]} to "
                            f"{part[-1]}: your bounds differ, you take {i}. Are the names sorted?"
                        )
                raise AssertionError(
                    f"of {count} names in {frames} parts {given} without g; the middles are "
                    f"{middle}, k counting from 0"
                )
    state = torch.random.get_rng_state()
    drawn = [ask(10, 3, seed) for seed in range(30)]
    for given in drawn:
        if sorted(given) != given:
            raise AssertionError("out of order: sort the names, and keep the parts' order")
        if any(i not in part for i, part in zip(given, parts(10, 3), strict=True)):
            raise AssertionError(f"{given} is not one of each part of ten names in three parts")
    if any({given[k] for given in drawn} != set(part) for k, part in enumerate(parts(10, 3))):
        raise AssertionError("some frame of a part is never drawn in 30 epochs: is g used?")
    again = [ask(10, 3, seed) for seed in range(30)]
    if again != drawn or not torch.equal(state, torch.random.get_rng_state()):
        raise AssertionError("the same generator gives other frames: draw from g, from it alone")
    names = [f"{i:05d}.jpg" for i in range(10)]
    g = torch.Generator().manual_seed(0)
    if len({tuple(answer(list(names), 3, g)) for _ in range(20)}) < 5:
        raise AssertionError("one generator, twenty epochs, always the same: do not seed it anew")


@_exercise("Exercise 4, the largest disagreement")
def check_largest_disagreement(answer: Callable[[float, int], float]) -> None:
    """Lesson 8: `answer(gap, n)` is the largest d with 1.96 sqrt((d - gap^2) / n) <= gap, or 1."""
    for gap, n in ((0.02, 744), (0.05, 402), (0.03, 150), (0.01, 2597)):
        given = float(_call(answer, gap, n))
        exact = gap**2 * (1 + n / 1.96**2)
        for wrong, hint in (
            (n * gap**2 / 1.96**2, "the variance of a difference takes g squared off: add it"),
            (gap**2 * (1 + n / 1.96), "1.96 is squared, too"),
            (gap * (1 + n / 1.96**2), "the gap is squared"),
            (gap + n * gap**2 / 1.96**2, "g squared is added, not g"),
            (gap**2 * (1 + n / 1.645**2), "95 % on both sides: 1.96"),
            (gap**2 * (1 + n), "this is one standard error, not 1.96 of them"),
            (exact**0.5, "this is the root of d"),
            (100 * exact, "a share, not per cent"),
            (1e4 * exact, "the gap is a share already, not in points"),
            (n**2 * (1 + gap / 1.96**2), "the arguments are (gap, n), in this order"),
        ):
            alike = abs(given - wrong) < 1e-6 * wrong or abs(given - min(wrong, 1)) < 1e-6
            if alike and given != 1 and abs(wrong - exact) > 1e-4 * exact:
                raise AssertionError(hint)
        if abs(given - exact) > 2e-6:
            half = 1.96 * (max(given - gap**2, 0) / n) ** 0.5
            raise AssertionError(
                f"{given:g} for a gap of {gap} on {n} clips; the half width at that disagreement "
                f"is {half:.5f}"
            )
    if float(_call(answer, 0.1, 1000)) != 1:
        raise AssertionError("a gap of 0.1 on 1000 clips is clear whatever the disagreement: 1")


@_exercise("Exercise 5, a data set of your own")
def check_own_data(answer: Callable[[], object]) -> None:
    """Lesson 8: `answer()` is a data set as `mmlib.batches` asks for one, read as it is needed."""
    data = _call(answer)
    for name in ("modalities", "classes", "target", "split", "take", "finish", "__len__"):
        if not hasattr(data, name):
            raise AssertionError(f"the data set has no {name}")
    if hasattr(data, "inputs"):
        raise AssertionError("a data set with `inputs` is taken for one in memory; leave it out")
    for name in ("modalities", "classes"):
        try:
            names = not isinstance(getattr(data, name), str) and list(getattr(data, name))
        except TypeError:
            names = False
        if not names:
            raise AssertionError(f"{name} is to be a tuple of names, not {getattr(data, name)!r}")
    if not isinstance(data.split, str):
        raise AssertionError(f"split is to be a string such as 'train', not {data.split!r}")
    count, target = len(data), data.target
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.shape != (count,):
        raise AssertionError(f"target is to be an int64 tensor of shape ({count},)")
    if count < 8 or not 0 <= int(target.min()) <= int(target.max()) < len(data.classes):
        raise AssertionError("eight samples or more, and labels in 0..len(classes) - 1")
    index = torch.tensor([5, 0, 3, 7])
    draws = torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(0))
    states, found = _global_states(), {}
    for name, d in (("rest", None), ("again", None), ("drawn", draws), ("drawn again", draws)):
        raw = _call(data.take, index, d)
        if not isinstance(raw, dict) or set(raw) != set(data.modalities):
            raise AssertionError(f"take gives a dict with the keys {tuple(data.modalities)}")
        before = {m: x.clone() for m, x in raw.items()}
        found[name] = _call(data.finish, raw, d)
        if not isinstance(found[name], dict):
            raise AssertionError("finish gives a dict, a modality's name to its tensor")
        if set(raw) != set(before) or any(not torch.equal(raw[m], before[m]) for m in before):
            raise AssertionError("finish changes its inputs: work on a copy, or not in place")
        for m, x in found[name].items():
            if x.dtype not in (torch.float32, torch.int64) or len(x) != len(index):
                raise AssertionError(f"{m}: finish gives float32 (text: int64), a row an index")
            if x.is_floating_point() and not torch.isfinite(x).all():
                raise AssertionError(f"{m} holds values that are not finite")
    if set(found["rest"]) != set(data.modalities):
        raise AssertionError(f"finish gives a dict with the keys {tuple(data.modalities)}")

    def alike(a: dict, b: dict) -> bool:
        return all(a[m].shape == b[m].shape and torch.allclose(a[m], b[m], atol=1e-4) for m in a)

    if not alike(found["rest"], found["again"]):
        raise AssertionError("without draws the same index gives another batch: nothing is random")
    if not alike(found["drawn"], found["drawn again"]):
        raise AssertionError("the same draws give another batch: take what is random from draws")
    if not _same_states(states, _global_states()):
        raise AssertionError("a global generator was used: take what is random from draws")
    raw = data.take(index, None)
    if not alike(data.finish(dict(raw), None), data.finish(dict(raw), None)):
        raise AssertionError("finish gives another batch the second time")
    for name, all_draws in (("rest", None), ("drawn", draws)):
        for row, i in enumerate(index.tolist()):
            d = None if all_draws is None else all_draws[row : row + 1]
            one = data.finish(data.take(torch.tensor([i]), d), d)
            if not alike({m: x[row : row + 1] for m, x in found[name].items()}, one):
                text = "rows come in the order of index, and no sample depends on the others"
                if d is not None:
                    text = "each row of draws belongs to its sample, not the first to all"
                raise AssertionError(f"sample {i} in a batch is not sample {i} alone: {text}")
    if all(torch.equal(x[0], x[1]) for x in found["rest"].values()):
        raise AssertionError("samples 5 and 0 are equal: does take use index?")
    parts = torch.arange(min(count, 32)).split(2)
    alone = [_call(data.finish, _call(data.take, part, None), None) for part in parts]
    for _ in range(3):
        for (inputs, _, _), wanted in zip(loaded(data, parts), alone, strict=True):
            if not alike(inputs, wanted):
                raise AssertionError(
                    "two threads read at a time, and then batches come out wrong: keep no open "
                    "file's place and no scratch tensor in the data set, make them in take"
                )
