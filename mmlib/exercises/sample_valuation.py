"""The checks of lesson 2."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from mmlib.exercises.checking import agrees, call, exercise, small_batch
from mmlib.methods.valuation import shapley_values


@exercise("Exercise 1, contributions from three bits")
def check_phi_from_bits(answer: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Lesson 2: `answer(c_a, c_v, c)` is `(phi_a, phi_v)`, `(N,)` each."""
    c, c_a, c_v = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3).T
    given = call(answer, c_a, c_v, c)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise AssertionError("give two tensors, (phi_a, phi_v)")
    phi_a, phi_v = (torch.as_tensor(x).double() for x in given)
    if phi_a.shape != c.shape or phi_v.shape != c.shape:
        raise AssertionError(f"shapes {phi_a.shape} and {phi_v.shape}; give one number a sample")
    wanted = c + (c_a - c_v) / 2, c + (c_v - c_a) / 2
    if agrees(phi_a, wanted[1]) and agrees(phi_v, wanted[0]):
        raise AssertionError(
            "the two are exchanged: what the sound gets right counts for the sound"
        )
    if not agrees(phi_a + phi_v, 2 * c):
        raise AssertionError("they must add up to u(av) = 2 c in every row: both right pays 2")
    if agrees(phi_a - phi_v, 2 * (c_a - c_v)):
        raise AssertionError("the difference is twice too large: halve c_a - c_v in each")
    if not agrees(phi_a, wanted[0]):
        raise AssertionError("the sum is right; the difference must be c_a - c_v in every row")


@exercise("Exercise 2, Shapley values by coalitions")
def check_shapley(answer: Callable[[dict[frozenset, float]], dict[str, float]]) -> None:
    """Lesson 2: `answer(v)` is the Shapley value of each player of a game of any size."""
    for players in ("av", "avt", "abcd"):
        random = np.random.default_rng(len(players))
        sets = [frozenset(c) for k in range(len(players) + 1) for c in combinations(players, k)]
        v = {c: float(random.normal()) if c else 0.0 for c in sets}
        wanted = shapley_values({c: torch.tensor([x]) for c, x in v.items() if c})
        given = call(answer, v)
        if not isinstance(given, dict) or set(given) != set(players):
            raise AssertionError(f"give a dict with one number for each of {', '.join(players)}")
        numbers = torch.tensor([float(given[m]) for m in players])
        grand = frozenset(players)
        last = torch.tensor([v[grand] - v[grand - {m}] for m in players])
        if agrees(numbers, last):
            raise AssertionError("this is what each adds when it comes last; average over all C")
        if not np.isclose(numbers.sum().item(), v[grand], atol=1e-4):
            raise AssertionError(
                f"with {len(players)} players the values add up to {numbers.sum():.3f}, not to "
                f"u of all, {v[grand]:.3f}: check the weight |C|! (n - |C| - 1)! / n!, and that C "
                "runs over all sets without m, the empty one too"
            )
        if not agrees(numbers, torch.cat([wanted[m] for m in players])):
            raise AssertionError("the sum is right, the shares are not: C must not hold m")


@exercise("Exercise 3, a plan for three modalities")
def check_plan_copies(answer: Callable[[dict[str, Tensor]], tuple]) -> None:
    """Lesson 2: `answer(counts)` is `(index, keep)`: originals, then copies that keep one."""
    counts = {
        "audio": torch.tensor([0, 2, 0, 1]),
        "visual": torch.tensor([1, 0, 0, 0]),
        "text": torch.tensor([0, 0, 3, 0]),
    }
    index, keep = call(answer, counts)
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


@exercise("Exercise 4, the area under the curve")
def check_auc(answer: Callable[[Tensor, Tensor], float]) -> None:
    """Lesson 2: `answer(score, positive)` is the AUC, ties counted half."""
    score = torch.tensor([0.5, 1.0, 0.5, 0.0, 1.5, 0.5, 1.0, -0.5])
    positive = torch.tensor([True, True, False, False, True, False, False, False])
    above = (score[positive][:, None] > score[~positive]).double().mean().item()
    ties = (score[positive][:, None] == score[~positive]).double().mean().item()
    given = float(call(answer, score, positive))
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


@exercise("Exercise 5, contributions by probability")
def check_soft_contributions(answer: Callable[[dict, Tensor], dict[str, Tensor]]) -> None:
    """Lesson 2: `answer(logits, target)` is phi of the pay-off `|C| p_y(C)`, a dict."""
    logits, target = small_batch()
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    given = call(answer, logits, target)
    if not isinstance(given, dict) or set(given) != {"audio", "visual"}:
        raise AssertionError("give a dict with 'audio' and 'visual', each (N,)")
    total = given["audio"] + given["visual"]
    if total.shape == target.shape and agrees(total, p["fused"]):
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
        if total.shape == target.shape and agrees(total, 2 * wrong):
            raise AssertionError(hint)
    if not agrees(total, 2 * p["fused"]):
        raise AssertionError("they must add up to u(av) = 2 p_y of the fused logits")
    if not agrees(given["audio"], p["fused"] + (p["audio"] - p["visual"]) / 2):
        raise AssertionError("the difference must be p_y of the sound minus p_y of the picture")
