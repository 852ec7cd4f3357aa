"""The checks of lesson 4, detached learning."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.exercises.checking import call, compare, exercise, has_keys, normal, small_batch


@exercise("Exercise 1, who teaches whom")
def check_teaching_sets(answer: Callable[[dict[str, Tensor]], dict]) -> None:
    """Lesson 4: `answer(effective)` is a dict from (teacher, student) to bool `(d,)`."""
    effective = {
        "audio": torch.tensor([True, True, False, False, True]),
        "visual": torch.tensor([True, False, True, False, False]),
        "text": torch.tensor([False, True, True, False, False]),
    }
    for names in (["audio", "visual"], list(effective)):
        given = call(answer, {m: effective[m].clone() for m in names})
        pairs = {(p, q) for p in names for q in names if p != q}
        hint = (
            f"for {', '.join(names)} the keys must be the {len(pairs)} ordered pairs "
            "(teacher, student) of different modalities"
        )
        has_keys(given, pairs, hint)
        for (p, q), dimensions in given.items():
            booleans = isinstance(dimensions, Tensor) and dimensions.dtype == torch.bool
            assert booleans, "each set is a tensor of True and False, (d,)"
            teacher, student = effective[p], effective[q]
            mistakes = {
                "turned round: the key is (teacher, student)": student & ~teacher,
                "only where the teacher is effective: not either": teacher ^ student,
                "where both are effective nobody teaches: and not": teacher & student,
                "leave out what the student knows: effective[p] & ~effective[q]": teacher,
                f"wrong for {p} teaching {q}: {dimensions.tolist()}": ...,
            }
            compare(dimensions, teacher & ~student, mistakes)


@exercise("Exercise 2, who learns")
def check_who_learns(answer: Callable[[Tensor, dict[str, nn.Module]], set[str]]) -> None:
    """Lesson 4: `answer(loss, encoders)` names the encoders that get a gradient from `loss`."""
    encoders = {m: nn.Linear(3, 4) for m in ("audio", "visual")}
    h_a, h_v = (encoder(x) for encoder, x in zip(encoders.values(), normal(2, 5, 3), strict=True))
    for loss, wanted, name in (
        (h_a.pow(2).sum(), {"audio"}, "a loss of the sound alone"),
        ((h_a * h_v).sum(), {"audio", "visual"}, "a loss of both"),
        ((h_a.detach() * h_v).sum(), {"visual"}, "a teacher that is detached"),
        (0 * h_a.sum() + h_v.sum(), {"visual"}, "a gradient of zero"),
    ):
        for again in ("", ", asked a second time"):
            given = call(answer, loss, encoders)
            assert isinstance(given, set | frozenset), "give a set of names"
            assert given == wanted, (
                f"{name}{again}: {sorted(wanted)} learn, not {sorted(given)}; gradients left "
                "in .grad by an earlier loss do not count, None and 0 neither"
            )


@exercise("Exercise 3, the class-aware loss")
def check_class_aware_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 4: `answer(student, teacher, target, tau)` leaves same-class samples out."""
    student, teacher = (x.requires_grad_() for x in normal(2, 6, 4))
    target, tau = torch.tensor([0, 1, 0, 2, 1, 0]), 0.8
    s = (student @ teacher.T / tau).detach()
    others = (target[:, None] == target) & ~torch.eye(6, dtype=torch.bool)

    def loss(s: Tensor, filler: float = -torch.inf) -> Tensor:
        return F.cross_entropy(s.masked_fill(others, filler), torch.arange(6))

    given = torch.as_tensor(call(answer, student, teacher, target, tau))
    assert torch.isfinite(given).all(), "not finite: the pair itself, the diagonal, has to stay"
    mistakes = {
        "same-class samples still count": F.cross_entropy(s, torch.arange(6)),
        "divide by tau": loss(s * tau),
        "a sum over the batch: give the mean": 6 * loss(s),
        "rows are students, columns teachers": loss(s.T),
        "a similarity of 0 is still a candidate: use -infinity": loss(s, 0.0),
        "not the cross-entropy over the pair and the other classes": ...,
    }
    compare(given, loss(s), mistakes)
    assert given.requires_grad, "no gradient flows to the student"
    given.backward()
    still = teacher.grad is None or not teacher.grad.any()
    assert still, "a gradient reaches the teacher: detach it"


@exercise("Exercise 4, certainty by entropy")
def check_entropy_weights(answer: Callable[[dict, float], dict[str, Tensor]]) -> None:
    """Lesson 4: `answer(logits, tau)` is softmax(-H / tau) over heads, a dict of `(B,)`."""
    logits, _ = small_batch()

    def weights(sign: float, tau: float, dim: int = 1) -> Tensor:
        H = torch.stack([torch.special.entr(z.softmax(dim)).sum(1) for z in logits.values()])
        return (sign * H / tau).softmax(0)

    given = call(answer, logits, 0.5)
    has_keys(given, logits, "give a dict with the names of the heads")
    mistakes = {
        "the sign: a large entropy is a small certainty": weights(1, 0.5),
        "tau_2 is not used": weights(-1, 1.0),
        "divide by tau_2": weights(-1, 2.0),
        "probabilities run over the classes, dim=1": weights(-1, 0.5, 0),
        "not softmax(-H / tau_2) over the heads, (B,) each": ...,
    }
    result = torch.stack([torch.as_tensor(given[head]) for head in logits])
    compare(result, weights(-1, 0.5), mistakes)
    sure = {"audio": torch.tensor([[1000.0, 0.0]]), "visual": torch.tensor([[0.0, 0.0]])}
    weights = torch.stack([torch.as_tensor(w) for w in call(answer, sure, 0.5).values()])
    assert not weights.isnan().any(), "NaN for a head that is wholly sure: 0 log 0 must be 0"


@exercise("Exercise 5, how far entropy weights can get")
def check_entropy_bound(answer: Callable[[int, float], float]) -> None:
    """Lesson 4: `answer(K, tau)` is the largest ratio of two heads' weights."""
    for K, tau in ((10, 1.0), (6, 1.0), (10, 0.5), (28, 3.0)):
        given, wanted = float(call(answer, K, tau)), K ** (1 / tau)
        by_largest = np.exp((1 - 1 / K) / tau)
        mistakes = {
            "this is the bound of the largest probability: how large is H?": by_largest,
            "a ratio of softmax weights: exp of the difference": np.log(K) / tau,
            "tau_2 divides the entropy": K**tau,
            f"for K = {K} and tau_2 = {tau} two heads can differ by a factor of {wanted:.3f}, "
            f"not {given:.3f}": ...,
        }
        compare(given, wanted, mistakes)
