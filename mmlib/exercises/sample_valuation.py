"""The checks of lesson 2, the value of a sample."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from mmlib.exercises.checking import agrees, call, compare, exercise, has_keys, small_batch
from mmlib.methods.valuation import shapley_values


@exercise("Exercise 1, contributions from three bits")
def check_phi_from_bits(answer: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Lesson 2: `answer(c_a, c_v, c)` is `(phi_a, phi_v)`, `(N,)` each."""
    c, c_a, c_v = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3).T
    given = call(answer, c_a, c_v, c)
    assert isinstance(given, tuple | list) and len(given) == 2, "give two tensors, (phi_a, phi_v)"
    phi_a, phi_v = (torch.as_tensor(x).double() for x in given)
    shapes = phi_a.shape, phi_v.shape
    assert shapes == (c.shape,) * 2, "shapes {} and {}; give one number a sample".format(*shapes)
    hint = "they must add up to u(av) = 2 c in every row: both right pays 2"
    assert agrees(phi_a + phi_v, 2 * c), hint
    mistakes = {
        "the two are exchanged: what the sound gets right counts for the sound": c_v - c_a,
        "the difference is twice too large: halve c_a - c_v in each": 2 * (c_a - c_v),
        "the sum is right; the difference must be c_a - c_v in every row": ...,
    }
    compare(phi_a - phi_v, c_a - c_v, mistakes)


@exercise("Exercise 2, Shapley values by coalitions")
def check_shapley(answer: Callable[[dict[frozenset, float]], dict[str, float]]) -> None:
    """Lesson 2: `answer(v)` is the Shapley value of each player of a game of any size."""
    for players in ("av", "avt", "abcd"):
        random = np.random.default_rng(len(players))
        sets = [frozenset(c) for k in range(len(players) + 1) for c in combinations(players, k)]
        v = {c: float(random.normal()) if c else 0.0 for c in sets}
        wanted = shapley_values({c: torch.tensor([x]) for c, x in v.items() if c})
        given = call(answer, v)
        has_keys(given, players, f"give a dict with one number for each of {', '.join(players)}")
        numbers = torch.tensor([float(given[m]) for m in players])
        grand = frozenset(players)
        last = torch.tensor([v[grand] - v[grand - {m}] for m in players])
        adds_up = np.isclose(numbers.sum().item(), v[grand], atol=1e-4)
        mistakes = {
            "this is what each adds when it comes last; average over all C": last,
            "the sum is right, the shares are not: C must not hold m": ... if adds_up else (),
            f"with {len(players)} players the values add up to {numbers.sum():.3f}, not to u of "
            f"all, {v[grand]:.3f}: check the weight |C|! (n - |C| - 1)! / n!, and that C runs "
            "over all sets without m, the empty one too": ...,
        }
        compare(numbers, torch.cat([wanted[m] for m in players]), mistakes)


@exercise("Exercise 3, a plan for three modalities")
def check_plan_copies(answer: Callable[[dict[str, Tensor]], tuple]) -> None:
    """Lesson 2: `answer(counts)` is `(index, keep)`: originals, then copies that keep one."""
    counts = {
        "audio": torch.tensor([0, 2, 0, 1]),
        "visual": torch.tensor([1, 0, 0, 0]),
        "text": torch.tensor([0, 0, 3, 0]),
    }
    index, keep = call(answer, counts)
    given, wanted = torch.as_tensor(index).tolist(), [0, 1, 2, 3, 1, 1, 3, 0, 2, 2, 2]
    assert given == wanted, (
        f"for counts {[c.tolist() for c in counts.values()]} index should be {wanted}, not {given}"
    )
    assert set(keep) == set(counts), f"keep needs an entry for each of {', '.join(counts)}"
    alone = ["all"] * 4 + ["audio"] * 3 + ["visual"] + ["text"] * 3
    for m in counts:
        right = torch.tensor([who in ("all", m) for who in alone])
        given = torch.as_tensor(keep[m])
        assert given.dtype == torch.bool, f"keep[{m!r}] is {given.dtype}; give booleans"
        turned = torch.cat([right[:4], ~right[4:]])
        mistakes = {
            "turned round: a copy made for m keeps m and masks the others": turned,
            f"keep[{m!r}] should be {right.tolist()}, not {given.tolist()}": ...,
        }
        compare(given, right, mistakes)


@exercise("Exercise 4, the area under the curve")
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
        "divide by the number of (positive, negative) pairs, not by N squared": above * 15 / 64,
        f"{given:.3f}, expected {wanted:.3f}: pairs won, ties half": ...,
    }
    compare(given, wanted, mistakes)


@exercise("Exercise 5, contributions by probability")
def check_soft_contributions(answer: Callable[[dict, Tensor], dict[str, Tensor]]) -> None:
    """Lesson 2: `answer(logits, target)` is phi of the pay-off `|C| p_y(C)`, a dict."""
    logits, target = small_batch()
    z = logits["fused"]
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    given = call(answer, logits, target)
    has_keys(given, ("audio", "visual"), "give a dict with 'audio' and 'visual', each (N,)")
    mistakes = {
        "both together are paid |C| = 2 times their probability": p["fused"],
        "pay by probability: a softmax of the logits first": 2 * z.max(1).values,
        "the probability of the target, not the largest": 2 * z.softmax(1).max(1).values,
        "the softmax runs over the classes, dim=1": 2 * z.softmax(0)[range(6), target],
        "these are the bits; pay by probability": 2 * (z.argmax(1) == target).double(),
        "they must add up to u(av) = 2 p_y of the fused logits": ...,
    }
    compare(given["audio"] + given["visual"], 2 * p["fused"], mistakes)
    phi_a = p["fused"] + (p["audio"] - p["visual"]) / 2
    hint = "the difference must be p_y of the sound minus p_y of the picture"
    assert agrees(given["audio"], phi_a), hint
