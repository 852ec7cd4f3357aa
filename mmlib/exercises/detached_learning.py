"""The checks of lesson 4, detached learning."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

OVERFLOW = (
    "not finite for large similarities: exp overflows, or a softmax of 0 meets log; use "
    "cross_entropy or log_softmax"
)


@exercise("Your turn, the effective dimensions")
def check_effective(answer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """Lesson 4: `answer(h, target)` is the separability `(d,)` and the effective ones, bool."""
    three = torch.tensor([0, 1, 2, 1, 0, 2, 0, 1])
    many = normal(8, 5, seed=15) + torch.tensor([0.0, 0.6, 1.2, 2.0, 4.0]) * three[:, None]
    skewed = torch.tensor([[0.0, 1.0], [0.0, 2.0], [9.0, 3.0], [3.5, 8.0], [6.0, 7.0], [6.0, 9.0]])
    tie = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 8.0], [8.0, 8.0, 0.0], [9.0, 1.0, 8.0]])
    labels = 3 * three + 1  # 1, 4, 7: a class is not its place among the means
    for h, target in (
        (many, labels),
        (tie, torch.tensor([0, 0, 1, 1])),  # one is the mean
        (skewed, torch.tensor([0, 0, 0, 1, 1, 1])),
    ):
        given = call(answer, h, target)
        assert isinstance(given, tuple | list) and len(given) == 2, "give two, (sep, effective)"
        d = h.shape[1]
        sep = has_shape(given[0], (d,), "the separability is {}; give one number a dimension, (d,)")
        wanted = _separability(h, target)
        none = torch.full((d,), torch.nan)
        mistakes = {
            "a distance has no sign: take the absolute value": _separability(
                h, target, Tensor.clone
            ),
            "the *nearest* mean: the smallest distance": _separability(
                h, target, lambda x: -x.abs()
            ),
            "the mean of a class, not its median": _separability(
                h, target, middle=lambda x: x.median(0).values
            ),
            "this is a number of samples; give the share": wanted * len(h),
            "this is the share that comes out wrong": 1 - wanted,
            "a class without samples has a mean of NaN: take the classes that occur": (
                _separability(h, target, classes=torch.arange(10)),
                none,
            ),
            "argmin gives a place among the means; the class is what stands there": (
                _separability(h, target, by_place=True)
            ),
            f"the separability should be {_rounded(wanted)}, not {_rounded(sep)}": ...,
        }
        compare(sep, wanted, mistakes)
        chosen = torch.as_tensor(given[1])
        assert chosen.dtype == torch.bool, f"effective is {chosen.dtype}; give True and False, (d,)"
        mistakes = {
            "turned round: effective is *above* the mean": sep < sep.mean(),
            "the threshold is the mean of the separability, not its median": sep > sep.median(),
            "strictly above the mean: a dimension at the mean is not effective": sep >= sep.mean(),
            "the threshold is the modality's own mean, not chance": sep > 1 / len(target.unique()),
            "the threshold is the mean of the separability, not one half": sep > 0.5,
            f"effective should be {(sep > sep.mean()).tolist()}, not {chosen.tolist()}": ...,
        }
        compare(chosen, sep > sep.mean(), mistakes)


def _separability(
    h: Tensor,
    target: Tensor,
    size=torch.abs,
    classes: Tensor | None = None,
    by_place: bool = False,
    middle=lambda x: x.mean(0),
) -> Tensor:
    classes = target.unique() if classes is None else classes
    means = torch.stack([middle(h[target == k]) for k in classes])  # (K, d)
    place = size(h[:, None] - means).argmin(1)  # (N, 1, d) - (K, d) -> (N, d)
    guess = place if by_place else classes[place]
    return (guess == target[:, None]).double().mean(0)


def _rounded(x: Tensor) -> list[float]:
    return [round(float(value), 3) for value in x]


@exercise("Your turn, who teaches whom")
def check_teaching_sets(answer: Callable[[dict[str, Tensor]], dict]) -> None:
    """Lesson 4: `answer(effective)` is a dict from (teacher, student) to bool `(d,)`."""
    effective = {
        "audio": torch.tensor([True, True, False, False, True]),
        "visual": torch.tensor([True, False, True, False, False]),
        "text": torch.tensor([False, True, True, False, False]),
    }
    for names in (["audio", "visual"], list(effective)):
        hints = {ValueError: "write it for any number of modalities, here three"}
        given = call(answer, {m: effective[m].clone() for m in names}, hints=hints)
        pairs = {(one, other) for one in names for other in names if one != other}
        hint = (
            f"for {', '.join(names)} the keys must be the {len(pairs)} ordered pairs "
            "(teacher, student) of different modalities"
        )
        has_keys(given, pairs, hint)
        for (one, other), dimensions in given.items():
            booleans = isinstance(dimensions, Tensor) and dimensions.dtype == torch.bool
            assert booleans, "each set is a tensor of True and False, (d,)"
            teacher, student = effective[one], effective[other]
            mistakes = {
                "turned round: the key is (teacher, student)": student & ~teacher,
                "only where the teacher is effective: not either": teacher ^ student,
                "where both are effective nobody teaches: and not": teacher & student,
                "leave out what the student knows: E[teacher] & ~E[student]": teacher,
                f"wrong for {one} teaching {other}: {dimensions.tolist()}": ...,
            }
            compare(dimensions, teacher & ~student, mistakes)


@exercise("Your turn, similarities with a stop-gradient")
def check_similarities(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 4: `answer(student, teacher, T, tau)` is `(B, B)`; no gradient for the teacher."""
    student, teacher = (x.clone().requires_grad_() for x in normal(2, 4, 6, seed=2))
    T, tau = torch.tensor([True, False, True, True, False, False]), 0.4
    given = call(answer, student, teacher, T, tau)
    assert not isinstance(given, Tensor) or teacher.requires_grad, (
        "the teacher itself no longer learns: not `detach_()` or `requires_grad_`; `detach()` "
        "gives the same values, held fixed"
    )
    given = has_shape(given, (4, 4), "shape {}; give (B, B), a row a student, a column a teacher")
    s, t = (x.detach() for x in (student, teacher))
    table = s[:, T] @ t[:, T].T
    unit = F.normalize(s[:, T], dim=1) @ F.normalize(t[:, T], dim=1).T
    mistakes = {
        "rows are students, columns teachers": table.T / tau,
        "divide by tau": (table, table * tau),
        "only the dimensions of T": s @ t.T / tau,
        "these are the dimensions outside T": s[:, ~T] @ t[:, ~T].T / tau,
        "dot products of the features as they are, not of unit length": (unit / tau, unit),
        "not the dot products on T, divided by tau": ...,
    }
    compare(given, table / tau, mistakes)
    hint = "the stop-gradient is on the wrong side: the teacher is held fixed, the student learns"
    reached = [_reached(given, x) for x in (student, teacher)]
    assert reached != [False, True], hint
    assert reached[0], "no gradient flows to the student"
    assert not reached[1], "a gradient reaches the teacher: detach it"


def _reached(value: Tensor, leaf: Tensor) -> bool:
    if not value.requires_grad:
        return False
    (sent,) = torch.autograd.grad(value.sum(), leaf, retain_graph=True, allow_unused=True)
    return sent is not None and bool(sent.any())


@exercise("Your turn, the one-way loss")
def check_duc_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 4: `answer(student, teacher, T, tau)` is a mean over students, a scalar."""
    student, teacher = (x.clone().requires_grad_() for x in normal(2, 5, 6, seed=3))
    T, tau = torch.tensor([True, True, False, True, False, False]), 0.7
    s = (student[:, T] @ teacher[:, T].T / tau).detach()
    own, log_p = torch.arange(5), s.log_softmax(1)
    given = has_shape(call(answer, student, teacher, T, tau), (), "shape {}; give one number")
    wanted, turned = F.cross_entropy(s, own), F.cross_entropy(s.T, own)
    without_pair = s.masked_fill(torch.eye(5, dtype=torch.bool), -torch.inf).logsumexp(1)
    mistakes = {
        "a sum over the batch: give the mean": 5 * wanted,
        "the sign: a loss is minus the logarithm": -wanted,
        "the softmax is missing: compare with all the teachers of the batch": -s.diag().mean(),
        "each student seeks its teacher: the softmax runs along a row": turned,
        "one way only: students seek teachers, no loss along the columns": (
            wanted + turned,
            (wanted + turned) / 2,
        ),
        "the pair itself is in the sum below the line, too": (without_pair - s.diag()).mean(),
        "this is a probability; the loss is minus its logarithm": log_p.exp().diag().mean(),
        "the right answer of row i is column i, not every column": -log_p.mean(),
        "the similarities are divided by tau once": F.cross_entropy(s / tau, own),
        "not the cross-entropy of the similarities with column i right in row i": ...,
    }
    compare(given, wanted, mistakes)
    assert _reached(given, student), "no gradient flows to the student"
    assert not _reached(given, teacher), "a gradient reaches the teacher: detach it"
    large = call(answer, 50 * student.detach(), 50 * teacher.detach(), T, tau)
    assert torch.isfinite(torch.as_tensor(large)).all(), OVERFLOW
    capped = "wrong for large similarities: a small number in the log, or a clamp, caps the loss"
    assert agrees(large, F.cross_entropy(2500 * s, own), atol=0.1), capped


@exercise("Your turn, who learns")
def check_who_learns(answer: Callable[[Tensor, dict[str, nn.Module]], set[str]]) -> None:
    """Lesson 4: `answer(loss, encoders)` names the encoders that get a gradient from `loss`."""
    encoders = {m: nn.Linear(3, 4) for m in ("audio", "visual")}
    x_a, x_v = normal(2, 5, 3)
    h_a, h_v = encoders["audio"](x_a), encoders["visual"](x_v)
    nothing = encoders["audio"](0 * x_a)  # only the bias can learn from this
    ones = encoders["audio"](torch.ones(5, 3))
    for parameter in [p for encoder in encoders.values() for p in encoder.parameters()]:
        parameter.grad = torch.ones_like(parameter)  # of an earlier loss
    before = [p.grad for encoder in encoders.values() for p in encoder.parameters()]
    against = (ones[:, 0] - ones[:, 1]).sum()  # gradients of 5, of -5 and of 0: their sum is 0
    one = "a parameter may get nothing: one with a gradient is enough, whichever it is"
    for loss, wanted, name, hint in (
        (h_a.pow(2).sum(), {"audio"}, "a loss of the sound alone", "None is no gradient"),
        (against, {"audio"}, "gradients that add up to 0", "look at every number, not at the sum"),
        (-ones.sum(), {"audio"}, "a negative gradient", "a gradient below 0 counts, too"),
        ((h_a * h_v).sum(), {"audio", "visual"}, "a loss of both", "ask each encoder"),
        ((h_a.detach() * h_v).sum(), {"visual"}, "a teacher that is detached", "None is none"),
        (0 * h_a.sum() + h_v.sum(), {"visual"}, "a gradient of zero", "0 does not count"),
        (nothing.sum(), {"audio"}, "a gradient for the last parameter only", one),
        ((h_a[0] - h_a[1]).sum(), {"audio"}, "a gradient for the first one only", one),
    ):
        for again in (False, True):
            given = call(answer, loss, encoders)
            assert isinstance(given, set | frozenset), "give a set of names"
            kept = [p.grad for encoder in encoders.values() for p in encoder.parameters()]
            same = all(x is y and (x == 1).all() for x, y in zip(kept, before, strict=True))
            assert same, "leave .grad as it is: torch.autograd.grad does not touch it"
            assert given == wanted, (
                f"{name}{', asked a second time' if again else ''}: {sorted(wanted)} learn, "
                f"not {sorted(given)}; {hint}"
            )
    names = {"text": nn.Linear(3, 4)}
    given = call(answer, names["text"](x_a).sum(), names)
    assert given == {"text"}, f"take the names from the dict: {sorted(names)}, not {sorted(given)}"


@exercise("Exercise 1, the class-aware loss")
def check_class_aware_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 4: `answer(student, teacher, target, tau)` leaves same-class samples out."""
    student, teacher = (x.clone().requires_grad_() for x in normal(2, 6, 4))
    target, tau = torch.tensor([0, 1, 0, 2, 1, 0]), 0.8
    s = (student @ teacher.T / tau).detach()
    same = target[:, None] == target
    others = same & ~torch.eye(6, dtype=torch.bool)

    def loss(s: Tensor, filler: float = -torch.inf) -> Tensor:
        return F.cross_entropy(s.masked_fill(others, filler), torch.arange(6))

    def supervised(right: Tensor) -> Tensor:  # every sample of the class is a right answer
        share = right / right.sum(1, keepdim=True).clamp(min=1)
        return -(share * s.log_softmax(1)).sum(1).mean()

    alone = (s.masked_fill(same, -torch.inf).logsumexp(1) - s.diag()).mean()
    given = torch.as_tensor(call(answer, student, teacher, target, tau))
    assert teacher.requires_grad, "the teacher itself no longer learns: not `detach_()`"
    assert torch.isfinite(given).all(), "not finite: the pair itself, the diagonal, has to stay"
    mistakes = {
        "same-class samples still count": F.cross_entropy(s, torch.arange(6)),
        "the pair itself stays in the sum below the line": alone,
        "one right answer a row, its own pair: samples of its class leave, they are not right": (
            supervised(same),
            supervised(others),
        ),
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
    large = call(answer, 200 * student.detach(), 200 * teacher.detach(), target, tau)
    hint = OVERFLOW
    assert torch.isfinite(torch.as_tensor(large)).all(), hint
    hint = "a large similarity gets past the mask: use -infinity, not a large number"
    assert agrees(large, loss(40_000 * s), atol=1), hint


@exercise("Exercise 2, certainty by entropy")
def check_entropy_weights(answer: Callable[[dict, float], dict[str, Tensor]]) -> None:
    """Lesson 4: `answer(logits, tau)` is softmax(-H / tau) over heads, a dict of `(B,)`."""
    logits, _ = small_batch()

    def weights(sign: float, tau: float, dim: int = 1) -> Tensor:
        H = torch.stack([torch.special.entr(z.softmax(dim)).sum(1) for z in logits.values()])
        return (sign * H / tau).softmax(0)

    given = call(answer, logits, 0.5)
    has_keys(given, logits, "give a dict with the names of the heads")
    result = torch.stack([torch.as_tensor(given[head]) for head in logits])
    mistakes = {
        "the sign: a large entropy is a small certainty": weights(1, 0.5),
        "tau_2 is not used": weights(-1, 1.0),
        "divide by tau_2": weights(-1, 2.0),
        "probabilities run over the classes, dim=1": weights(-1, 0.5, 0),
        "not softmax(-H / tau_2) over the heads, (B,) each": ...,
    }
    compare(result, weights(-1, 0.5), mistakes)
    for large, hint in (
        (-1000.0, "0 log 0 must be 0: a head that is wholly sure has an entropy of 0"),
        (1000.0, "exp(1000) is infinite: take the probabilities by softmax or log_softmax"),
    ):
        sure = {"audio": torch.tensor([[large, 0.0]]), "visual": torch.tensor([[0.0, 0.0]])}
        given = call(answer, sure, 0.5)
        given = torch.cat([torch.as_tensor(given[head]).reshape(1) for head in sure])
        assert not given.isnan().any(), f"NaN for logits of {large:.0f} and 0; {hint}"
        hint = f"for logits of {large:.0f} and 0 beside 0 and 0 the weights are 0.8 and 0.2"
        assert agrees(given, torch.tensor([0.8, 0.2]), atol=1e-3), hint


@exercise("Exercise 2, how far entropy weights can get")
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
