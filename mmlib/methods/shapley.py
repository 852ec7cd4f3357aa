"""The Shapley value of modalities, and the sets of modalities that it is over."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from math import factorial

import torch
from torch import Tensor


def shapley_values(payoff: Mapping[frozenset[str], Tensor]) -> dict[str, Tensor]:
    """Shapley value `(N,)` of each modality in N games; any number of modalities.

    `payoff` maps every non-empty set of modality names to its pay-off, `(N,)`; the empty set pays
    0. `phi_i = sum over C without i of |C|! (n - |C| - 1)! / n! * (v(C + i) - v(C))`, so the values
    add up to the pay-off of all. Raises `ValueError` if a set is missing or shapes differ.
    """
    names = sorted(frozenset().union(*payoff))
    coalitions = [frozenset(c) for size in range(len(names)) for c in combinations(names, size)]
    wanted = {frozenset(names), *coalitions} - {frozenset()}
    if not names or wanted != set(payoff) - {frozenset()}:
        missing = [" + ".join(sorted(c)) for c in wanted - set(payoff)]
        raise ValueError(f"payoff lacks {missing or 'every set'}; give all non-empty sets of names")
    if len({v.shape for v in payoff.values()}) > 1:
        raise ValueError(f"pay-offs have shapes {[tuple(v.shape) for v in payoff.values()]}")
    n, grand = len(names), payoff[frozenset(names)]
    phi = {name: torch.zeros_like(grand, dtype=torch.float64) for name in names}
    for coalition in coalitions:
        weight = factorial(len(coalition)) * factorial(n - len(coalition) - 1) / factorial(n)
        before = payoff[coalition] if coalition else torch.zeros_like(grand)
        for name in set(names) - coalition:
            phi[name] += weight * (payoff[coalition | {name}] - before).double()
    return {name: value.float() for name, value in phi.items()}


def keep_sets(
    names: Iterable[str], inputs: Mapping[str, Tensor]
) -> dict[frozenset[str], dict[str, Tensor]]:
    """Every non-empty set of modalities, the smallest first, with `keep`, `(B,)` bool each, that
    masks the others."""
    names, one = list(names), next(iter(inputs.values()))
    whole = torch.ones(len(one), dtype=torch.bool, device=one.device)
    sets = (kept for size in range(len(names)) for kept in combinations(names, size + 1))
    return {frozenset(kept): {m: whole & (m in kept) for m in names} for kept in sets}
