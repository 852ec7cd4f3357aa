"""The checks of lesson 2, the value of a sample."""

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mmlib.exercises.checking import (
    agrees,
    call,
    compare,
    exercise,
    has_keys,
    has_shape,
    small_batch,
)
from mmlib.methods.valuation import shapley_values


@exercise("Your turn, the contribution")
def check_contribution(answer: Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]) -> None:
    """Lesson 2: `answer(u)` is `(phi_a, phi_v)`, `(N,)` each, of a game of two players.

    `u` holds the pay-offs of nobody `""`, `"a"`, `"v"` and `"av"`, `(N,)` each.
    """
    u = {"": torch.zeros(3), "a": torch.tensor([1.0, 1.0, 3.0])}
    u |= {"v": torch.tensor([1.0, 0.0, 5.0]), "av": torch.tensor([2.0, 2.0, 4.0])}
    given = call(answer, u)
    assert isinstance(given, tuple | list) and len(given) == 2, "give two tensors, (phi_a, phi_v)"
    for i, (m, other) in enumerate((("a", "v"), ("v", "a"))):
        first, second = u[m] - u[""], u["av"] - u[other]
        mistakes = {
            "halve the sum: it is a mean over two orders": first + second,
            "halve with / 2: // 2 drops the halves": (first + second) // 2,
            "this is what it adds as the first to enter; what as the second?": (first, first / 2),
            "this is what it adds as the second to enter; what as the first?": (second, second / 2),
            ("this is the sound's formula" if i else "the two are exchanged"): (
                u[other] - u[""] + u["av"] - u[m]
            )
            / 2,
            "both get the same, u(av) / 2: what m adds as the second is u(av) less the *other's* "
            "pay": u["av"] / 2,
            f"for u = { {k: x.tolist() for k, x in u.items()} } it should be "
            f"{((first + second) / 2).tolist()}, not {_listed(given[i])}": ...,
        }
        compare(given[i], (first + second) / 2, {f"phi_{m}: {k}": x for k, x in mistakes.items()})
    for kind, make in (
        ("tensors of whole numbers", Tensor.long),
        ("columns of a table", lambda x: pd.Series(x.numpy())),
    ):
        hint = f"the pay-offs may be {kind}, too: use +, - and / alone"
        hints = dict.fromkeys((AttributeError, RuntimeError, TypeError), hint)
        again = call(answer, {name: make(x) for name, x in u.items()}, hints=hints)
        same = (agrees(np.asarray(x), np.asarray(y)) for x, y in zip(again, given, strict=True))
        assert all(same), hint


def _listed(given) -> object:
    return given.tolist() if isinstance(given, Tensor) else given


@exercise("Your turn, contributions from three bits")
def check_phi_from_bits(answer: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Lesson 2: `answer(right_a, right_v, right_av)` is `(phi_a, phi_v)`, `(N,)` each."""
    both, sound, picture = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3).T
    given = call(answer, sound, picture, both)
    assert isinstance(given, tuple | list) and len(given) == 2, "give two tensors, (phi_a, phi_v)"
    phi_a, phi_v = (torch.as_tensor(x).double() for x in given)
    shapes = phi_a.shape, phi_v.shape
    assert shapes == (both.shape,) * 2, "shapes {} and {}; give one number a sample".format(*shapes)
    hint = "they must add up to u(av) = 2 right_av in every row: both right pays 2"
    assert agrees(phi_a + phi_v, 2 * both), hint
    mistakes = {
        "the two are exchanged: what the sound gets right counts for the sound": picture - sound,
        "the difference is twice too large: halve right_a - right_v in each": 2 * (sound - picture),
        "the sum is right; the difference must be right_a - right_v in every row": ...,
    }
    compare(phi_a - phi_v, sound - picture, mistakes)


@exercise("Your turn, how many copies")
def check_copies(answer: Callable[[Tensor], Tensor]) -> None:
    """Lesson 2: `answer(phi)` is how often each sample is copied, `(N,)`, whole numbers."""
    phi = torch.tensor([1.5, 1.0, 0.5, 0.0, -0.5, 0.5])
    given = call(answer, phi, unchanged="phi is another one afterwards; leave it as it is")
    assert isinstance(given, Tensor), f"give a tensor, not a {type(given).__name__}"
    given = has_shape(given, phi.shape, "shape {}; give one number a sample, (6,)")
    mistakes = {
        "above 1 there is nothing to copy: 0, not a negative number": 2 * (1 - phi),
        "a copy for each half that is missing to 1: twice the difference": (
            (1 - phi).clamp(min=0),
            (1 - phi).clamp(min=0).floor(),
            (1 - phi).long(),
            (1 - phi).round(),
        ),
        "above 1 nothing is copied: clamp at 0, do not take the absolute value": 2
        * (1 - phi).abs(),
        "the condition is phi < 1, not phi > 1": 2 * (phi - 1).clamp(min=0),
        "turned round: the lower the contribution, the more copies": 2 * phi.clamp(min=0),
        "1 is a fair share: a sample with phi = 1 is not copied": 3 - 2 * phi,
        f"for phi = {phi.tolist()} it should be [0, 0, 1, 2, 3, 1], not {given.tolist()}": ...,
    }
    compare(given, 2 * (1 - phi).clamp(min=0), mistakes)
    kind = f"{given.dtype} cannot count copies: `repeat_interleave` wants integers (`.long()`)"
    assert _counts(given), kind


def _counts(x) -> bool:
    """Whether `x` can say how often something is repeated, and which sample is meant."""
    return isinstance(x, Tensor) and x.dtype in (torch.int32, torch.int64)


def _kind(x) -> str:
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__


@exercise("Exercise 1, Shapley values of any number of modalities")
def check_shapley(answer: Callable[[dict[frozenset, float]], dict[str, float]]) -> None:
    """Lesson 2: `answer(u)` is the Shapley value of each player of a game of any size."""
    for players in ("av", "avt", "abcd"):
        random = np.random.default_rng(len(players))
        sets = [frozenset(c) for k in range(len(players) + 1) for c in combinations(players, k)]
        v = {c: float(random.normal()) for c in sets}
        nobody, grand = v[frozenset()], frozenset(players)
        wanted = shapley_values({c: torch.tensor([x - nobody]) for c, x in v.items() if c})
        paid_nothing = shapley_values({c: torch.tensor([x]) for c, x in v.items() if c})
        given = call(answer, v)
        has_keys(given, players, f"give a dict with one number for each of {', '.join(players)}")
        numbers = torch.tensor([float(given[m]) for m in players])
        last = torch.tensor([v[grand] - v[grand - {m}] for m in players])
        steps = [frozenset(players[:i]) for i in range(len(players) + 1)]
        order = torch.tensor([v[after] - v[before] for before, after in pairwise(steps)])
        earned = v[grand] - nobody
        equal = tuple(torch.full((len(players),), x / len(players)) for x in (earned, v[grand]))
        adds_up = np.isclose(numbers.sum().item(), earned, atol=1e-4)
        mistakes = {
            "this is what each adds when it comes last; average over all C": last,
            "this is what each is paid alone; take the mean over all M! orders": (
                torch.tensor([v[frozenset(m)] for m in players]),
                torch.tensor([v[frozenset(m)] - nobody for m in players]),
            ),
            "u of the empty set is a number of the game, too: not always 0": torch.cat(
                [paid_nothing[m] for m in players]
            ),
            "this is one order alone: take the mean over all M! orders": order,
            "the sum is shared equally: what does each *add*?": equal,
            "the sum is right, the shares are not: all M! orders, or all C without m?": ...
            if adds_up
            else (),
            f"with {len(players)} players the values add up to {numbers.sum():.3f}, not to u of "
            f"all less u of none, {earned:.3f}: check the weight |C|! (M - |C| - 1)! / M!, and "
            "that C runs over all sets without m, the empty one too": ...,
        }
        compare(numbers, torch.cat([wanted[m] for m in players]), mistakes)


@exercise("Your turn, the plan of an epoch")
def check_plan_copies(answer: Callable[[dict[str, Tensor]], tuple]) -> None:
    """Lesson 2: `answer(counts)` is `(index, keep)`: originals, then copies that keep one."""
    counts = {
        "audio": torch.tensor([0, 2, 0, 1]),
        "visual": torch.tensor([1, 0, 0, 0]),
        "text": torch.tensor([0, 0, 3, 0]),
    }
    given = call(answer, counts)
    pair = isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[1], dict)
    assert pair, "give two things, (index, keep): a tensor, and a dict of bool tensors"
    index, keep = given
    given, wanted = torch.as_tensor(index).tolist(), [0, 1, 2, 3, 1, 1, 3, 0, 2, 2, 2]
    assert given != wanted[4:], "the originals are missing: first come all N of them"
    assert given == wanted or sorted(given) != sorted(wanted), (
        "the right visits in another order: originals, then the copies modality by modality, "
        "those of one sample side by side"
    )
    assert _counts(index), (
        f"index is a {_kind(index)}, but picks samples: give a tensor of integers, as "
        "`torch.arange(N)` makes it"
    )
    assert given == wanted, (
        f"for counts {[c.tolist() for c in counts.values()]} index should be {wanted}, not {given}"
    )
    assert set(keep) == set(counts), f"keep needs an entry for each of {', '.join(counts)}"
    alone = ["all"] * 4 + ["audio"] * 3 + ["visual"] + ["text"] * 3
    for m in counts:
        right = torch.tensor([who in ("all", m) for who in alone])
        given = keep[m]
        bools = isinstance(given, Tensor) and given.dtype == torch.bool
        assert bools, f"keep[{m!r}] is a {_kind(given)}; give a tensor of booleans"
        turned = torch.cat([right[:4], ~right[4:]])
        mistakes = {
            "a copy must mask the others": torch.ones(11, dtype=torch.bool),
            "turned round: a copy made for m keeps m and masks the others": turned,
            f"keep[{m!r}] should be {right.tolist()}, not {given.tolist()}": ...,
        }
        compare(given, right, mistakes)


@exercise("Exercise 2, the area under the curve")
def check_auc(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Lesson 2: `answer(score, positive)` is the AUC, ties counted half."""
    score = torch.tensor([0.5, 1.0, 0.5, 0.0, 1.5, 0.5, 1.0, -0.5])
    positive = torch.tensor([True, True, False, False, True, False, False, False])
    above = (score[positive][:, None] > score[~positive]).double().mean().item()
    ties = (score[positive][:, None] == score[~positive]).double().mean().item()
    wanted = above + ties / 2
    given = float(call(answer, score, positive))
    mistakes = {
        "ties are missing: a tie is half a success": above,
        "a tie counts half, not in full": above + ties,
        "turned round: count pairs in which the *positive* is higher": 1 - wanted,
        "tied pairs stay in the count of pairs": above / (1 - ties),
        "divide by the number of (positive, negative) pairs, not by N squared": above * 15 / 64,
        f"{given:.3f}, expected {wanted:.3f}: pairs won, ties half": ...,
    }
    compare(given, wanted, mistakes)


@exercise("Exercise 3, contributions by probability")
def check_soft_contributions(answer: Callable[[dict, Tensor], dict[str, Tensor]]) -> None:
    """Lesson 2: `answer(logits, target)` is phi of the pay-off `|C| s_C`, a dict."""
    logits, target = small_batch()
    z = logits["fused"]
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    given = call(answer, logits, target)
    has_keys(given, ("audio", "visual"), "give a dict with 'audio' and 'visual', each (N,)")
    for phi in given.values():
        has_shape(phi, target.shape, "a contribution has shape {}; give one a sample, (N,) = (6,)")
    mistakes = {
        "both together are paid |C| = 2 times their probability": p["fused"],
        "pay by probability: a softmax of the logits first": (
            2 * z.max(1).values,
            2 * z[range(6), target],
            2 * z.log_softmax(1)[range(6), target],
        ),
        "the probability of the target, not the largest": 2 * z.softmax(1).max(1).values,
        "the softmax runs over the classes, dim=1": 2 * z.softmax(0)[range(6), target],
        "halve the sum: it is a mean over two orders": 4 * p["fused"],
        "these are the bits; pay by probability": 2 * (z.argmax(1) == target).double(),
        "they must add up to u(av) = 2 s_av, the score of the fused logits": ...,
    }
    compare(given["audio"] + given["visual"], 2 * p["fused"], mistakes)
    phi_a = p["fused"] + (p["audio"] - p["visual"]) / 2
    hint = "the difference must be s_a - s_v"
    assert agrees(given["audio"], phi_a), hint
