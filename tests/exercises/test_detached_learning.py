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
    check_duc_loss,
    check_effective,
    check_entropy_bound,
    check_entropy_weights,
    check_similarities,
    check_teaching_sets,
    check_who_learns,
)


def effective(h, target, classes=None, size=torch.abs, axis=1, middle=torch.mean):
    classes = target.unique() if classes is None else classes
    means = torch.stack([middle(h[target == k], 0) for k in classes])
    guess = classes[size(h[:, None] - means).argmin(axis)]
    sep = (guess == target[:, None]).float().mean(0)
    return sep, sep > sep.mean()


def by_rule(rule):
    def answer(h, target):
        sep, _ = effective(h, target)
        return sep, rule(sep)

    return answer


def by_distance(size):
    return lambda h, target: effective(h, target, size=size)


def by_place(h, target):
    means = torch.stack([h[target == k].mean(0) for k in target.unique()])
    sep = ((h[:, None] - means).abs().argmin(1) == target[:, None]).float().mean(0)
    return sep, sep > sep.mean()


def whole_vector(h, target):
    means = torch.stack([h[target == k].mean(0) for k in target.unique()])
    right = torch.cdist(h, means).argmin(1) == target
    return right.float().mean(), torch.tensor(True)


def similarities(student, teacher, T, tau):
    return student[:, T] @ teacher.detach()[:, T].T / tau


def frozen(student, teacher, T, tau):
    teacher.requires_grad_(False)
    return student[:, T] @ teacher[:, T].T / tau


def detached_in_place(student, teacher, T, tau):
    return student[:, T] @ teacher.detach_()[:, T].T / tau


def of_unit_length(student, teacher, T, tau):
    return similarities(F.normalize(student[:, T]), F.normalize(teacher[:, T]), T[T], tau)


def duc_loss(student, teacher, T, tau):
    return F.cross_entropy(similarities(student, teacher, T, tau), torch.arange(len(student)))


def both_ways(student, teacher, T, tau, half=1):
    s, own = similarities(student, teacher, T, tau), torch.arange(len(student))
    return half * (F.cross_entropy(s, own) + F.cross_entropy(s.T, own))


def without_the_pair(student, teacher, T, tau):
    s = similarities(student, teacher, T, tau)
    others = s.masked_fill(torch.eye(len(s), dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - s.diag()).mean()


def by_exponentials(student, teacher, T, tau):
    s = torch.exp(similarities(student, teacher, T, tau))
    return -torch.log(s.diag() / s.sum(1)).mean()


def class_aware_by_exponentials(student, teacher, target, tau):
    s = torch.exp(student @ teacher.detach().T / tau)
    others = (target[:, None] == target).fill_diagonal_(False)
    return -torch.log(s.diag() / s.masked_fill(others, 0).sum(1)).mean()


def teaching_sets(effective):
    return {(p, q): effective[p] & ~effective[q] for p, q in permutations(effective, 2)}


def who_learns(loss, encoders, zero=False, some=torch.any):
    def learns(encoder):
        sent = torch.autograd.grad(loss, encoder.parameters(), retain_graph=True, allow_unused=True)
        return any(g is not None and (zero or some(g)) for g in sent)

    return {m for m, encoder in encoders.items() if learns(encoder)}


def learns_by_one(loss, encoders, which):
    def learns(encoder):
        parameter = list(encoder.parameters())[which]
        (sent,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
        return sent is not None and sent.any()

    return {m for m, encoder in encoders.items() if learns(encoder)}


def learns_by_backward(loss, encoders):
    loss.backward(retain_graph=True)
    grads = {m: [p.grad for p in e.parameters()] for m, e in encoders.items()}
    return {m for m, found in grads.items() if any(g is not None and g.any() for g in found)}


def two_alone(effective):
    a, v = effective
    return {(a, v): effective[a] & ~effective[v], (v, a): effective[v] & ~effective[a]}


def class_aware(student, teacher, target, tau, filler=-torch.inf, diagonal=False):
    similarity = student @ teacher.detach().T / tau
    same = (target[:, None] == target).fill_diagonal_(diagonal)
    return F.cross_entropy(similarity.masked_fill(same, filler), torch.arange(len(target)))


def class_aware_without_the_pair(student, teacher, target, tau):
    s = student @ teacher.detach().T / tau
    others = s.masked_fill(target[:, None] == target, -torch.inf)
    return (others.logsumexp(1) - s.diag()).mean()


def supervised_contrast(student, teacher, target, tau, diagonal=True):
    right = (target[:, None] == target).float()
    right = right if diagonal else right.fill_diagonal_(0)
    share = right / right.sum(1, keepdim=True).clamp(min=1)
    return -(share * (student @ teacher.detach().T / tau).log_softmax(1)).sum(1).mean()


def class_aware_in_place(student, teacher, target, tau):
    return class_aware(student, teacher.detach_(), target, tau)


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


def softmax_by_hand(z, tau):
    p = {m: torch.exp(x) / torch.exp(x).sum(1, keepdim=True) for m, x in z.items()}
    H = torch.stack([torch.special.entr(x).sum(1) for x in p.values()])
    return dict(zip(z, (-H / tau).softmax(0), strict=True))


def without_nan(z, tau):
    return {m: w.nan_to_num(0.0) for m, w in entropy_weights(z, tau, plain=True).items()}


RIGHT = {
    check_effective: effective,
    check_similarities: similarities,
    check_duc_loss: duc_loss,
    check_teaching_sets: teaching_sets,
    check_who_learns: who_learns,
    check_class_aware_loss: class_aware,
    check_entropy_weights: entropy_weights,
    check_entropy_bound: lambda K, tau: K ** (1 / tau),
}

WRONG = [
    (check_effective, lambda h, y: effective(h, y)[0], "two, "),
    (check_effective, by_distance(lambda x: x), "absolute value"),
    (check_effective, by_distance(lambda x: -x.abs()), "smallest distance"),
    (
        check_effective,
        lambda h, y: effective(h, y, middle=lambda x, dim: x.median(dim).values),
        "not its median",
    ),
    (check_effective, lambda h, y: (len(h) * effective(h, y)[0], effective(h, y)[1]), "the share"),
    (check_effective, lambda h, y: (1 - effective(h, y)[0], effective(h, y)[1]), "comes out wrong"),
    (check_effective, lambda h, y: effective(h, y, torch.arange(10)), "take the classes"),
    (check_effective, by_place, "a place among the means"),
    (check_effective, whole_vector, "one number a dimension"),
    (check_effective, lambda h, y: (effective(h.T[: len(y)].T, y)[0][:3], 0), "one number a dim"),
    (check_effective, by_rule(lambda sep: sep.round()), "True and False"),
    (check_effective, by_rule(lambda sep: sep < sep.mean()), "turned round"),
    (check_effective, by_rule(lambda sep: sep >= sep.mean()), "strictly"),
    (check_effective, by_rule(lambda sep: sep > sep.median()), "not its median"),
    (check_effective, by_rule(lambda sep: sep > 1 / 3), "not chance"),
    (check_effective, by_rule(lambda sep: sep > 0.5), "not one half"),
    (check_similarities, lambda s, t, T, tau: similarities(t, s, T, tau), "columns teachers"),
    (check_similarities, lambda s, t, T, tau: similarities(s, t, T, 1), "divide by tau"),
    (check_similarities, lambda s, t, T, tau: similarities(s, t, T, 1 / tau), "divide by tau"),
    (check_similarities, lambda s, t, T, tau: similarities(s, t, T | True, tau), "only the dim"),
    (check_similarities, lambda s, t, T, tau: similarities(s, t, ~T, tau), "outside T"),
    (check_similarities, of_unit_length, "unit length"),
    (check_similarities, lambda s, t, T, tau: s[:, T] * t.detach()[:, T] / tau, "B, B"),
    (check_similarities, lambda s, t, T, tau: similarities(t, s, T, tau).T, "wrong side"),
    (check_similarities, lambda s, t, T, tau: s[:, T] @ t[:, T].T / tau, "detach it"),
    (check_similarities, lambda *a: similarities(*a).detach(), "to the student"),
    (check_similarities, frozen, "no longer learns"),
    (check_similarities, detached_in_place, "detach_"),
    (check_duc_loss, lambda *a: 5 * duc_loss(*a), "a sum over the batch"),
    (check_duc_loss, lambda *a: -duc_loss(*a), "the sign"),
    (check_duc_loss, lambda *a: -similarities(*a).diag().mean(), "softmax is missing"),
    (check_duc_loss, lambda s, t, T, tau: duc_loss(t, s, T, tau), "along a row"),
    (check_duc_loss, lambda *a: similarities(*a).softmax(1).diag().mean(), "a probability"),
    (check_duc_loss, lambda *a: -similarities(*a).log_softmax(1).mean(), "not every column"),
    (check_duc_loss, lambda s, t, T, tau: duc_loss(s, t, T, tau**2), "once"),
    (check_duc_loss, lambda *a: similarities(*a).log_softmax(1).diag(), "give one number"),
    (check_duc_loss, lambda *a: duc_loss(*a).detach(), "to the student"),
    (check_duc_loss, both_ways, "one way only"),
    (check_duc_loss, lambda *a: both_ways(*a, half=0.5), "one way only"),
    (check_duc_loss, without_the_pair, "the pair itself"),
    (check_duc_loss, by_exponentials, "exp overflows"),
    (
        check_duc_loss,
        lambda s, t, T, tau: -(similarities(s, t, T, tau).softmax(1).diag() + 1e-9).log().mean(),
        "caps the loss",
    ),
    (
        check_teaching_sets,
        two_alone,
        "three",
    ),
    (
        check_who_learns,
        lambda loss, e: (
            [module.zero_grad() for module in e.values()],
            loss.backward(retain_graph=True),
            {m for m in e if any(p.grad is not None and p.grad.any() for p in e[m].parameters())},
        )[2],
        "leave .grad as it is",
    ),
    (check_duc_loss, lambda s, t, T, tau: duc_loss(t, s, T, tau) * 0 + 1, "not the cross-entropy"),
    (check_who_learns, lambda loss, e: learns_by_one(loss, e, 0), "last parameter only"),
    (check_who_learns, lambda loss, e: learns_by_one(loss, e, -1), "first one only"),
    (
        check_who_learns,
        lambda loss, e: {m for m in ("audio", "visual") if m in who_learns(loss, e)},
        "take the names",
    ),
    (check_who_learns, lambda loss, e: who_learns(loss, e, True), "0 does not count"),
    (check_who_learns, lambda loss, e: who_learns(loss, e, some=torch.sum), "not at the sum"),
    (
        check_who_learns,
        lambda loss, e: who_learns(loss, e, some=lambda g: (g > 0).any()),
        "below 0",
    ),
    (check_who_learns, lambda loss, e: set(list(who_learns(loss, e))[:1]), "ask each encoder"),
    (check_class_aware_loss, class_aware_by_exponentials, "exp overflows"),
    (check_class_aware_loss, class_aware_without_the_pair, "stays in the sum"),
    (check_class_aware_loss, supervised_contrast, "one right answer"),
    (check_class_aware_loss, lambda *a: supervised_contrast(*a, diagonal=False), "one right"),
    (check_class_aware_loss, class_aware_in_place, "detach_"),
    (check_entropy_weights, softmax_by_hand, "is infinite"),
    (check_entropy_weights, without_nan, "0.8 and 0.2"),
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
    (check_who_learns, learns_by_backward, "leave .grad as it is"),
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
        lambda s, t, y, tau: class_aware(s, t, y, tau, filler=-1000.0),
        "gets past the mask",
    ),
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
