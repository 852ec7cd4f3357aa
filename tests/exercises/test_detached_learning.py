"""Answers that the checks take, and wrong ones with the hint that each gets."""

from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_class_aware_loss,
    check_entropy_bound,
    check_entropy_weights,
    check_teaching_sets,
    check_who_learns,
)


def teaching_sets(effective):
    return {(p, q): effective[p] & ~effective[q] for p, q in permutations(effective, 2)}


def who_learns(loss, encoders, zero=False):
    def learns(encoder):
        sent = torch.autograd.grad(loss, encoder.parameters(), retain_graph=True, allow_unused=True)
        return any(g is not None and (zero or g.any()) for g in sent)

    return {m for m, encoder in encoders.items() if learns(encoder)}


def learns_by_backward(loss, encoders):
    loss.backward(retain_graph=True)
    grads = {m: [p.grad for p in e.parameters()] for m, e in encoders.items()}
    return {m for m, found in grads.items() if any(g is not None and g.any() for g in found)}


def class_aware(student, teacher, target, tau, filler=-torch.inf, diagonal=False):
    similarity = student @ teacher.detach().T / tau
    same = (target[:, None] == target).fill_diagonal_(diagonal)
    return F.cross_entropy(similarity.masked_fill(same, filler), torch.arange(len(target)))


def attached(student, teacher, target, tau):
    same = (target[:, None] == target).fill_diagonal_(False)
    similarity = (student @ teacher.T / tau).masked_fill(same, -torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(target)))


def entropy_weights(logits, tau, sign=-1, dim=1, plain=False):
    def entropy(z):
        p = z.softmax(dim)
        return -(p * p.log()).sum(1) if plain else torch.special.entr(p).sum(1)

    H = torch.stack([entropy(z) for z in logits.values()])
    return dict(zip(logits, (sign * H / tau).softmax(0), strict=True))


def zero():
    return torch.Generator().manual_seed(0)


def same(z, target, dim=1):
    return z.softmax(dim).gather(1, target[:, None])


RIGHT = {
    check_teaching_sets: teaching_sets,
    check_who_learns: who_learns,
    check_class_aware_loss: class_aware,
    check_entropy_weights: entropy_weights,
    check_entropy_bound: lambda K, tau: K ** (1 / tau),
}

WRONG = [
    (
        check_teaching_sets,
        lambda e: {(q, p): x for (p, q), x in teaching_sets(e).items()},
        "turned round",
    ),
    (
        check_teaching_sets,
        lambda e: {(p, q): e[p] ^ e[q] for p, q in permutations(e, 2)},
        "not either",
    ),
    (
        check_teaching_sets,
        lambda e: {(p, q): e[p] & e[q] for p, q in permutations(e, 2)},
        "and not",
    ),
    (check_teaching_sets, lambda e: {(p, q): e[p] for p, q in permutations(e, 2)}, "leave out"),
    (
        check_teaching_sets,
        lambda e: {("audio", "visual"): e["audio"] & ~e["visual"]},
        "2 ordered pairs",
    ),
    (
        check_teaching_sets,
        lambda e: {k: x.float() for k, x in teaching_sets(e).items()},
        "True and False",
    ),
    (check_who_learns, lambda loss, e: list(who_learns(loss, e)), "a set"),
    (check_who_learns, lambda loss, e: who_learns(loss, e, True), "gradient of zero"),
    (check_who_learns, learns_by_backward, "left in .grad"),
    (check_who_learns, lambda loss, e: set(e), "a loss of the sound alone"),
    (
        check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, torch.arange(len(y)), tau),
        "still count",
    ),
    (check_class_aware_loss, lambda s, t, y, tau: class_aware(s, t, y, 1.0), "divide by tau"),
    (check_class_aware_loss, lambda s, t, y, tau: class_aware(t, s, y, tau), "rows are students"),
    (
        check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, y, tau, filler=0.0),
        "still a candidate",
    ),
    (
        check_class_aware_loss,
        lambda s, t, y, tau: class_aware(s, t, y, tau, diagonal=True),
        "the diagonal",
    ),
    (check_class_aware_loss, attached, "reaches the teacher"),
    (check_class_aware_loss, lambda *a: class_aware(*a).detach(), "to the student"),
    (check_class_aware_loss, lambda *a: 6 * class_aware(*a), "a sum over the batch"),
    (check_entropy_weights, lambda z, tau: entropy_weights(z, tau, 1), "the sign"),
    (check_entropy_weights, lambda z, tau: entropy_weights(z, 1.0), "is not used"),
    (check_entropy_weights, lambda z, tau: entropy_weights(z, 1 / tau), "divide"),
    (check_entropy_weights, lambda z, tau: entropy_weights(z, tau, dim=0), "dim=1"),
    (check_entropy_weights, lambda z, tau: entropy_weights(z, tau, plain=True), "0 log 0"),
    (
        check_entropy_weights,
        lambda z, tau: torch.stack(list(entropy_weights(z, tau).values())),
        "a dict",
    ),
    (check_entropy_bound, lambda K, tau: np.exp((1 - 1 / K) / tau), "largest prob"),
    (check_entropy_bound, lambda K, tau: np.log(K) / tau, "exp of the difference"),
    (check_entropy_bound, lambda K, tau: K**tau, "divides the entropy"),
]
