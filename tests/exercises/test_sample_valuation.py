"""Answers that the checks take, and wrong ones with the hint that each gets."""

import torch

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_auc,
    check_contribution,
    check_copies,
    check_phi_from_bits,
    check_plan_copies,
    check_shapley,
    check_soft_contributions,
)
from mmlib.methods.valuation import shapley_values


def phi_from_bits(c_a, c_v, c):
    return c + (c_a - c_v) / 2, c - (c_a - c_v) / 2


def shapley(v):
    phi = shapley_values({c: torch.tensor([x - v[frozenset()]]) for c, x in v.items() if c})
    return {m: value.item() for m, value in phi.items()}


def plan_copies(counts, turned=False):
    N = len(next(iter(counts.values())))
    rows = [torch.arange(N).repeat_interleave(count) for count in counts.values()]
    index = torch.cat([torch.arange(N), *rows])
    alone = torch.cat([torch.full((len(r),), k) for k, r in enumerate(rows)])
    kept = {m: (alone == k) != turned for k, m in enumerate(counts)}
    everything = torch.ones(N, dtype=torch.bool)
    return index, {m: torch.cat([everything, kept[m]]) for m in counts}


def area_under_curve(score, positive, tie=0.5):
    difference = score[positive][:, None] - score[~positive]
    return ((difference > 0).double() + tie * (difference == 0)).mean()


def soft_contributions(logits, target, paid=2):
    p = {m: z.softmax(1).gather(1, target[:, None]).squeeze(1) for m, z in logits.items()}
    half = (p["audio"] - p["visual"]) / 2
    return {"audio": paid / 2 * p["fused"] + half, "visual": paid / 2 * p["fused"] - half}


def contribution(u, half=2):
    return tuple((u[m] - u[""] + u["av"] - u[n]) / half for m, n in ("av", "va"))


def copies(phi):
    return (2 - (2 * phi).long()).clamp(min=0)


RIGHT = {
    check_contribution: contribution,
    check_copies: copies,
    check_phi_from_bits: phi_from_bits,
    check_shapley: shapley,
    check_plan_copies: plan_copies,
    check_auc: area_under_curve,
    check_soft_contributions: soft_contributions,
}

WRONG = [
    (check_contribution, lambda u: contribution(u, half=1), "phi_a: halve the sum"),
    (check_contribution, lambda u: (u["a"], u["v"]), "as the first to enter"),
    (
        check_contribution,
        lambda u: ((u["a"] + u["av"] - u["v"]) // 2, (u["v"] + u["av"] - u["a"]) // 2),
        "drops the halves",
    ),
    (check_contribution, lambda u: (u["av"] - u["v"], u["av"] - u["a"]), "as the second to enter"),
    (check_contribution, lambda u: contribution(u)[::-1], "exchanged"),
    (check_contribution, lambda u: (contribution(u)[0],) * 2, "phi_v: this is the sound's formula"),
    (check_contribution, lambda u: (u["av"], u["av"]), "it should be"),
    (check_contribution, lambda u: contribution(u)[0], "two tensors"),
    (
        check_plan_copies,
        lambda counts: (plan_copies(counts)[0].float(), plan_copies(counts)[1]),
        "is a torch.float32, but picks samples",
    ),
    (
        check_plan_copies,
        lambda counts: (plan_copies(counts)[0].tolist(), plan_copies(counts)[1]),
        "is a list, but picks samples",
    ),
    (
        check_plan_copies,
        lambda counts: (
            plan_copies(counts)[0],
            {m: keep.tolist() for m, keep in plan_copies(counts)[1].items()},
        ),
        "is a list; give a tensor of booleans",
    ),
    (check_copies, lambda phi: copies(phi).to(torch.int8), "int8 cannot count"),
    (
        check_soft_contributions,
        lambda z, y: {m: x[:, None] for m, x in soft_contributions(z, y).items()},
        "give one a sample",
    ),
    (
        check_contribution,
        lambda u: tuple(
            torch.stack([u[m] - u[""], u["av"] - u[n]]).mean(0) for m, n in ("av", "va")
        ),
        "whole numbers, too",
    ),
    (check_contribution, lambda u: (u["audio"], u["visual"]), "stops with KeyError"),
    (check_copies, lambda phi: (2 * (1 - phi)).long(), "not a negative number"),
    (check_copies, lambda phi: (1 - phi).clamp(min=0), "each half"),
    (check_copies, lambda phi: (1 - phi).clamp(min=0).long(), "each half"),
    (check_copies, lambda phi: (2 * (1 - phi)).abs().long(), "absolute value"),
    (check_copies, lambda phi: (2 * (phi - 1)).clamp(min=0).long(), "phi < 1, not phi > 1"),
    (check_copies, lambda phi: (2 * phi).clamp(min=0).long(), "turned round"),
    (check_copies, lambda phi: (3 - 2 * phi).long(), "fair share"),
    (check_copies, lambda phi: 2 * (1 - phi).clamp(min=0), "cannot count copies"),
    (check_copies, lambda phi: copies(phi).sum(), "one number a sample"),
    (check_copies, lambda phi: copies(phi).tolist(), "give a tensor, not a list"),
    (check_copies, lambda phi: (1 - phi).round().long(), "each half"),
    (check_contribution, lambda u: (u["av"] / 2, u["av"] / 2), "both get the same"),
    (
        check_soft_contributions,
        lambda z, y: {m: 2 * x for m, x in soft_contributions(z, y).items()},
        "halve the sum",
    ),
    (check_copies, lambda phi: phi.mul_(0).long(), "leave it as it is"),
    (check_copies, lambda phi: torch.zeros(6).long(), "it should be"),
    (check_phi_from_bits, lambda a, v, c: phi_from_bits(v, a, c), "exchanged"),
    (check_phi_from_bits, lambda a, v, c: (c + a - v, c + v - a), "twice too large"),
    (check_phi_from_bits, lambda a, v, c: (a, v), "add up to"),
    (check_phi_from_bits, lambda a, v, c: (c + 0.0, c + 0.0), "difference must be"),
    (check_phi_from_bits, lambda a, v, c: phi_from_bits(a, v, c)[0], "two tensors"),
    (
        check_shapley,
        lambda v: {m: v[max(v, key=len)] - v[max(v, key=len) - {m}] for m in max(v, key=len)},
        "comes last",
    ),
    (check_shapley, lambda v: {m: 0.5 * x for m, x in shapley(v).items()}, "add up to"),
    (
        check_shapley,
        lambda v: {m: v[max(v, key=len)] / len(max(v, key=len)) for m in max(v, key=len)},
        "shared equally",
    ),
    (
        check_shapley,
        lambda v: (
            {m: x + (m == "a") - (m == "v") * 1.0 for m, x in shapley(v).items()}
            if "v" in max(v, key=len)
            else {m: x + (m == "a") - (m == "b") * 1.0 for m, x in shapley(v).items()}
        ),
        "shares are not",
    ),
    (check_shapley, lambda v: {m: v[frozenset(m)] for m in max(v, key=len)}, "is paid alone"),
    (check_shapley, lambda v: shapley(v | {frozenset(): 0.0}), "not always 0"),
    (
        check_soft_contributions,
        lambda z, y: {m: z["fused"][range(6), y] for m in ("audio", "visual")},
        "a softmax of the logits first",
    ),
    (check_shapley, lambda v: v[frozenset("x")], "stops with KeyError"),
    (check_plan_copies, lambda c: plan_copies(c, turned=True), "turned round"),
    (check_plan_copies, lambda c: (plan_copies(c)[0][4:], {}), "originals are missing"),
    (check_plan_copies, lambda c: (plan_copies(c)[0].sort().values, {}), "side by side"),
    (check_plan_copies, lambda c: plan_copies(c)[0], "give two things"),
    (
        check_plan_copies,
        lambda c: (plan_copies(c)[0], dict.fromkeys(c, torch.ones(11, dtype=torch.bool))),
        "must mask the others",
    ),
    (check_plan_copies, lambda c: (plan_copies(c)[0] + 1, {}), "index should be"),
    (
        check_auc,
        lambda s, p: area_under_curve(s, p, tie=0) / (1 - (s[p][:, None] == s[~p]).double().mean()),
        "tied pairs stay",
    ),
    (
        check_shapley,
        lambda v: {
            m: v[frozenset(sorted(max(v, key=len))[: i + 1])]
            - v[frozenset(sorted(max(v, key=len))[:i])]
            for i, m in enumerate(sorted(max(v, key=len)))
        },
        "one order alone",
    ),
    (
        check_plan_copies,
        lambda c: (plan_copies(c)[0], {m: k.long() for m, k in plan_copies(c)[1].items()}),
        "give a tensor of booleans",
    ),
    (check_auc, lambda s, p: area_under_curve(s, p, tie=0), "ties are missing"),
    (check_auc, lambda s, p: area_under_curve(s, p, tie=1), "not in full"),
    (check_auc, lambda s, p: area_under_curve(-s, p), "turned round"),
    (check_soft_contributions, lambda z, y: soft_contributions(z, y, 1), "paid"),
    (
        check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(1).amax(1) for m in ("audio", "visual")},
        "not the largest",
    ),
    (
        check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(0)[range(6), y] for m in ("audio", "visual")},
        "dim=1",
    ),
    (
        check_soft_contributions,
        lambda z, y: {m: z["fused"].softmax(1)[range(6), y] for m in ("audio", "visual")},
        "difference must be",
    ),
]
