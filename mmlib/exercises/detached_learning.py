"""The checks of lesson 4."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.exercises.checking import agrees, call, exercise, small_batch


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


@exercise("Exercise 2, who learns")
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
            given = call(answer, loss, encoders)
            if not isinstance(given, set | frozenset):
                raise AssertionError("give a set of names")
            if given != wanted:
                second = ", asked a second time" if again else ""
                raise AssertionError(
                    f"{name}{second}: {sorted(wanted)} learn, not {sorted(given)}; gradients left "
                    "in .grad by an earlier loss do not count, None and 0 neither"
                )


@exercise("Exercise 3, the class-aware loss")
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

    given = call(answer, student, teacher, target, tau)
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
    if not agrees(value, wanted):
        raise AssertionError("not the cross-entropy over the pair and the other classes")
    if not given.requires_grad:
        raise AssertionError("no gradient flows to the student")
    given.backward()
    if teacher.grad is not None and teacher.grad.any():
        raise AssertionError("a gradient reaches the teacher: detach it")


@exercise("Exercise 4, certainty by entropy")
def check_entropy_weights(answer: Callable[[dict, float], dict[str, Tensor]]) -> None:
    """Lesson 4: `answer(logits, tau)` is softmax(-H / tau) over heads, a dict of `(B,)`."""
    logits, _ = small_batch()

    def weights(sign: float, tau: float, dim: int = 1) -> Tensor:
        H = torch.stack([torch.special.entr(z.softmax(dim)).sum(1) for z in logits.values()])
        return (sign * H / tau).softmax(0)

    given = call(answer, logits, 0.5)
    if not isinstance(given, dict) or set(given) != set(logits):
        raise AssertionError("give a dict with the names of the heads")
    result = torch.stack([torch.as_tensor(given[head]) for head in logits])
    for wrong, hint in (
        (weights(1, 0.5), "the sign: a large entropy is a small certainty"),
        (weights(-1, 1.0), "tau_2 is not used"),
        (weights(-1, 2.0), "divide by tau_2"),
        (weights(-1, 0.5, 0), "probabilities run over the classes, dim=1"),
    ):
        if agrees(result, wrong):
            raise AssertionError(hint)
    if not agrees(result, weights(-1, 0.5)):
        raise AssertionError("not softmax(-H / tau_2) over the heads, (B,) each")
    sure = {"audio": torch.tensor([[1000.0, 0.0]]), "visual": torch.tensor([[0.0, 0.0]])}
    if any(torch.as_tensor(w).isnan().any() for w in call(answer, sure, 0.5).values()):
        raise AssertionError("NaN for a head that is wholly sure: 0 log 0 must be 0")


@exercise("Exercise 5, how far entropy weights can get")
def check_entropy_bound(answer: Callable[[int, float], float]) -> None:
    """Lesson 4: `answer(K, tau)` is the largest ratio of two heads' weights."""
    for K, tau in ((10, 1.0), (6, 1.0), (10, 0.5), (28, 3.0)):
        given = float(call(answer, K, tau))
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
