"""The checks behind the exercises.

A check calls the reader's function on small cases. It prints "not started" while the function
returns `...`, raises `AssertionError` with a hint at a wrong answer, and prints "passed" otherwise.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

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
    except (KeyError, RuntimeError, TypeError, IndexError) as error:
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
