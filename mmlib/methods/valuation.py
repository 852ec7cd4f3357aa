"""Sample-level modality valuation (Wei et al., CVPR 2024): what a modality contributes to a sample,
and re-sampling of what contributes little. The formulas follow the released code."""

from collections.abc import Mapping
from contextlib import closing
from itertools import combinations
from math import factorial

import torch
from torch import Tensor, nn

from mmlib.arguments import one_of
from mmlib.batches import Inputs, at_once, batches, loaded
from mmlib.evaluation import check_logits
from mmlib.methods.baselines import Joint
from mmlib.parallel import rank, sum_over_processes, world_size
from mmlib.training import Plan

LEVELS = ("sample", "modality", "random-samples", "random")


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


def contributions(
    logits: Mapping[str, Tensor], target: Tensor, payoff: str = "size"
) -> dict[str, Tensor]:
    """Contribution `phi` `(N,)` of two modalities to each sample, from a model's logits dict.

    A modality's logits are those with the other one masked. The pay-off of a set C of modalities is
    `|C|` where C predicts the target, else 0 (`payoff="binary"`: 1, else 0). Then `phi_a + phi_v`
    is the pay-off of both together, and `phi_a - phi_v` is [a right] - [v right]. Raises
    `ValueError` for other than two modalities, or logits that do not fit the target.
    """
    names = [m for m in logits if m != "fused"]
    if len(names) != 2 or "fused" not in logits:
        raise ValueError(
            f"logits are those of {', '.join(logits)}; give 'fused' and two modalities "
            "(more: shapley_values)"
        )
    right = {frozenset([m]): _right(logits[m], target) for m in names}
    right[frozenset(names)] = _right(logits["fused"], target)
    return shapley_values(_payoff(right, payoff))


def _right(logits: Tensor, target: Tensor) -> Tensor:
    check_logits(logits, target)
    return logits.argmax(1) == target


def _payoff(right: dict[frozenset[str], Tensor], payoff: str) -> dict[frozenset[str], Tensor]:
    if payoff not in ("size", "binary"):
        raise ValueError(f"payoff is {payoff!r}; choose 'size' (|C| if right) or 'binary' (1)")
    return {c: r.float() * (len(c) if payoff == "size" else 1) for c, r in right.items()}


def resample_copies(phi: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Extra copies of each sample, `(N,)` whole numbers, that keep that modality alone.

    `2 (1 - phi)` where phi is below 1, else 0 (Wei et al.'s thresholds in closed form); with more
    than two modalities, where phi comes in smaller steps, rounded, halves up (our reading). Raises
    `ValueError` for NaN.
    """
    if any(value.isnan().any() for value in phi.values()):
        raise ValueError("phi holds NaN; give contributions as shapley_values returns them")
    return {m: (2.5 - 2 * value + 1e-4).floor().clamp(min=0).long() for m, value in phi.items()}


def resample_rate(mean_phi: Mapping[str, float], alpha: float = 1.0) -> tuple[str, float]:
    """`(modality with the smallest mean phi, share of the data set to copy for it)`.

    With two modalities the rate is `alpha * 2/3 * |phi_a - phi_v|`; with n, the gap to the mean of
    the others over the largest possible deficit, `(n + 1) / 2` (our reading). Never above 1. Raises
    `ValueError` for a negative alpha, NaN, or fewer than two modalities.
    """
    values = {m: float(value) for m, value in mean_phi.items()}
    if alpha < 0 or len(values) < 2 or any(value != value for value in values.values()):
        raise ValueError(
            f"alpha is {alpha} and mean_phi {values}; give alpha >= 0 and the mean contribution "
            "of two modalities or more"
        )
    weak = min(values, key=values.get)
    others = [value for m, value in values.items() if m != weak]
    gap = sum(others) / len(others) - values[weak]
    return weak, min(alpha * gap * 2 / (len(values) + 1), 1.0)


class Valuation(Joint):
    """Joint training on a list that grows by masked copies, made anew after each epoch.

    After `warmup` epochs every plan begins with a valuation in evaluation mode. `level`:
    `"sample"` copies each sample by `resample_copies`; `"modality"` values a random `share` of the
    set and copies random samples by `resample_rate`. Controls: `"random-samples"` makes as many
    copies for each modality as `"sample"` would, of random samples; `"random"` as many in all, of
    random samples and modalities. `mask` says what a masked modality loses, its `"features"` or its
    `"inputs"`, and `filler` what stands there, `"zero"` or the `"mean"` over training data; the
    valuation, the copies and `predict` go by them alike. `options` are those of `Joint`. A plan's
    `looked_at` counts the samples valued. What a plan draws comes from the global generator, which
    `fit` seeds for each epoch.

    Raises `ValueError` for an unknown word, a `share` outside (0, 1] or a negative `warmup`.
    """

    needs_dataset = True

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        dataset,
        level: str = "sample",
        warmup: int = 1,
        alpha: float = 1.0,
        share: float = 0.2,
        payoff: str = "size",
        mask: str = "features",
        filler: str = "zero",
        **options,
    ):
        super().__init__(model, epochs, **options)
        one_of("level", level, LEVELS)
        one_of("mask", mask, ("features", "inputs"))
        one_of("filler", filler, ("zero", "mean"))
        if not 0 < share <= 1 or warmup < 0:
            raise ValueError(
                f"share is {share}, warmup {warmup}; give a share in (0, 1], 0 or more"
            )
        self.dataset, self.level, self.warmup = dataset, level, warmup
        self.alpha, self.share, self.payoff = alpha, share, payoff
        self.mask, self.filler, self.fillers = mask, filler, {}

    def plan(self, epoch: int) -> Plan | None:
        """The data set, and after the warm-up its masked copies."""
        super().plan(epoch)
        if epoch < self.warmup:
            return None
        count = len(self.dataset)
        index = torch.arange(count)
        if self.level == "modality":
            index = torch.randint(count, (max(1, int(self.share * count)),))
        phi = self.valuate(index)
        if self.level == "modality":
            weak, rate = resample_rate({m: v.mean() for m, v in phi.items()}, self.alpha)
            copies = {weak: torch.randint(count, (int(rate * count),))}
        else:
            times = resample_copies(phi)
            copies = {m: index.repeat_interleave(times[m]) for m in phi}
        if self.level.startswith("random"):
            copies = {m: torch.randint(count, (len(rows),)) for m, rows in copies.items()}
        return self._with_copies(copies, shuffle=self.level == "random", looked_at=len(index))

    def _with_copies(self, copies: dict[str, Tensor], shuffle: bool, looked_at: int) -> Plan:
        """Every sample once, all kept, then the copies, each of which keeps one modality."""
        originals = torch.arange(len(self.dataset))
        names = list(self.model.encoders)
        alone = [torch.full((len(copies.get(m, ())),), i) for i, m in enumerate(names)]
        alone = torch.cat(alone)
        if shuffle:
            alone = torch.randint(len(names), alone.shape)
        everything = torch.ones(len(originals), dtype=torch.bool)
        keep = {m: torch.cat([everything, alone == i]) for i, m in enumerate(names)}
        index = torch.cat([originals, *(copies[m] for m in names if m in copies)])
        return Plan(index, keep, looked_at)

    @torch.no_grad()
    def valuate(self, index: Tensor) -> dict[str, Tensor]:
        """Contribution of each modality to the training samples `index`, `(N,)` each."""
        self.model.eval()
        self.fillers = self._means()
        phi = {m: torch.zeros(len(index)) for m in self.model.encoders}
        parts = torch.arange(len(index)).split(at_once(self.dataset))[rank() :: world_size()]
        read = loaded(self.dataset, [index[rows] for rows in parts], self.generator.device)
        with closing(read):
            for rows, (inputs, target, _) in zip(parts, read, strict=True):
                logits = self._coalitions(inputs)
                right = {c: _right(z, target).cpu() for c, z in logits.items()}
                for m, value in shapley_values(_payoff(right, self.payoff)).items():
                    phi[m][rows] = value
        return {
            m: sum_over_processes(value.to(self.generator.device)).cpu() for m, value in phi.items()
        }

    def _coalitions(self, inputs: Inputs) -> dict[frozenset[str], Tensor]:
        """Fused logits of every non-empty set of modalities, the others masked."""
        names = list(self.model.encoders)
        x = inputs if self.mask == "inputs" else self.model.features(inputs)
        first = next(iter(inputs.values()))
        everything = torch.ones(len(first), dtype=torch.bool, device=first.device)
        logits = {}
        for size in range(1, len(names) + 1):
            for kept in combinations(names, size):
                keep = {m: everything & (m in kept) for m in names}
                filled = self._filled(x, keep)
                read = self.model if self.mask == "inputs" else self.model.classify
                logits[frozenset(kept)] = read(filled)["fused"]
        return logits

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """See `Joint.logits`; a masked modality is filled as `mask` and `filler` say."""
        if keep is None or (self.mask, self.filler) == ("features", "zero"):
            return self.model(inputs, keep)
        if self.mask == "inputs":
            return self.model(self._filled(inputs, keep))
        return self.model.classify(self._filled(self.model.features(inputs, keep), keep))

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        """See `Joint.predict`; a modality's logits are those with the others masked and filled."""
        self.model.eval()
        if self.filler == "mean" and not self.fillers:
            self.fillers = self._means()
        logits = self._coalitions(inputs)
        alone = {m: logits[frozenset([m])] for m in self.model.encoders}
        return alone | {"fused": logits[frozenset(self.model.encoders)]}

    def _filled(self, x: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        shaped = {m: keep[m].view(-1, *[1] * (x[m].dim() - 1)) for m in x}  # (B,) -> (B, 1, ...)
        return {m: torch.where(shaped[m], x[m], self.fillers.get(m, x[m].new_zeros(()))) for m in x}

    def _means(self) -> dict[str, Tensor]:
        """With the mean as filler: that of the inputs or features, over the training data."""
        means: dict[str, Tensor] = {}
        if self.filler == "zero":
            return means
        at_a_time = at_once(self.dataset)
        for inputs, _, _ in batches(self.dataset, at_a_time, device=self.generator.device):
            x = inputs if self.mask == "inputs" else self.model.features(inputs)
            for m, value in x.items():
                means[m] = means.get(m, 0) + value.sum(0) / len(self.dataset)
        return means
