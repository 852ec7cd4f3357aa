"""Sample-level modality valuation (Wei et al., CVPR 2024): what a modality contributes to a sample,
and re-sampling of what contributes little. The formulas follow the released code."""

from collections.abc import Mapping
from contextlib import closing

import torch
from torch import Tensor, nn

from mmlib.arguments import number, whole_number
from mmlib.batches import Inputs, at_once, loaded
from mmlib.evaluation import check_logits
from mmlib.methods.joint import Joint
from mmlib.methods.shapley import keep_sets, shapley_values
from mmlib.parallel import rank, sum_over_processes, world_size
from mmlib.training import Plan

__all__ = ["ModalityValuation", "Valuation", "contributions", "head_count", "resample_copies"]
__all__ += ["resample_rate", "shapley_values"]


def contributions(logits: Mapping[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """Contribution `phi` `(N,)` of two modalities to each sample, from a model's logits dict.

    A modality's logits are those with the other one masked. The pay-off of a set C of modalities is
    `|C|` where C predicts the target, else 0. Then `phi_a + phi_v` is the pay-off of both together,
    and `phi_a - phi_v` is [a right] - [v right]. Raises `ValueError` for other than two modalities,
    or logits that do not fit the target.
    """
    names = [m for m in logits if m != "fused"]
    if len(names) != 2 or "fused" not in logits:
        raise ValueError(
            f"logits are those of {', '.join(logits)}; give 'fused' and two modalities "
            "(more: shapley_values)"
        )
    right = {frozenset([m]): _right(logits[m], target) for m in names}
    right[frozenset(names)] = _right(logits["fused"], target)
    return shapley_values(head_count(right))


def _right(logits: Tensor, target: Tensor) -> Tensor:
    check_logits(logits, target)
    return logits.argmax(1) == target


def head_count(right: Mapping[frozenset[str], Tensor]) -> dict[frozenset[str], Tensor]:
    """The pay-off of each set of modalities, `(N,)`: its size where it is `right`, else 0."""
    return {c: r.float() * len(c) for c, r in right.items()}


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

    After `warmup` epochs every plan begins with a valuation in evaluation mode and copies each
    sample by `resample_copies`. A masked modality's feature is zero. `options` are those of
    `Joint`. A plan's `looked_at` counts the samples valued. What a plan draws comes from the global
    generator, which `fit` seeds for each epoch. Raises `ValueError` for fewer than two modalities
    or a negative `warmup`.
    """

    needs_dataset = True
    takes = (2, None)

    def __init__(self, model: nn.Module, epochs: int, dataset, warmup: int = 1, **options):
        super().__init__(model, epochs, **options)
        self.dataset, self.warmup = dataset, whole_number("warmup", warmup, at_least=0)

    def plan(self, epoch: int) -> Plan | None:
        """The data set, and after the warm-up its masked copies."""
        super().plan(epoch)
        if epoch < self.warmup:
            return None
        valued = self.to_value()
        return self._with_copies(self.copies(self.valuate(valued)), looked_at=len(valued))

    def to_value(self) -> Tensor:
        """The samples whose contributions decide on the copies: all."""
        return torch.arange(len(self.dataset))

    def copies(self, phi: dict[str, Tensor]) -> dict[str, Tensor]:
        """Which samples to copy for each modality, from the contributions to those valued."""
        times = resample_copies(phi)
        return {m: torch.arange(len(times[m])).repeat_interleave(times[m]) for m in phi}

    def alone(self, copies: dict[str, Tensor]) -> Tensor:
        """Which modality, by its place in the model, each copy keeps, in the model's order."""
        counts = [len(copies.get(m, ())) for m in self.model.encoders]
        return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))

    def _with_copies(self, copies: dict[str, Tensor], looked_at: int) -> Plan:
        """Every sample once, all kept, then the copies, each of which keeps one modality."""
        originals, alone = torch.arange(len(self.dataset)), self.alone(copies)
        everything = torch.ones(len(originals), dtype=torch.bool)
        names = list(self.model.encoders)
        keep = {m: torch.cat([everything, alone == i]) for i, m in enumerate(names)}
        index = torch.cat([originals, *(copies[m] for m in names if m in copies)])
        return Plan(index, keep, looked_at)

    @torch.no_grad()
    def valuate(self, index: Tensor) -> dict[str, Tensor]:
        """Contribution of each modality to the training samples `index`, `(N,)` each."""
        self.model.eval()
        phi = {m: torch.zeros(len(index)) for m in self.model.encoders}
        parts = torch.arange(len(index)).split(at_once(self.dataset))[rank() :: world_size()]
        read = loaded(self.dataset, [index[rows] for rows in parts], self.generator.device)
        with closing(read):
            for rows, (inputs, target, _) in zip(parts, read, strict=True):
                logits = self.coalitions(inputs)
                right = {c: _right(z, target).cpu() for c, z in logits.items()}
                for m, value in shapley_values(self.payoff(right)).items():
                    phi[m][rows] = value
        return {
            m: sum_over_processes(value.to(self.generator.device)).cpu() for m, value in phi.items()
        }

    def payoff(self, right: dict[frozenset[str], Tensor]) -> dict[frozenset[str], Tensor]:
        """What each set of modalities is paid where it is right, `(N,)` each."""
        return head_count(right)

    def coalitions(self, inputs: Inputs) -> dict[frozenset[str], Tensor]:
        """Fused logits, `(B, K)`, of every non-empty set of modalities, the others masked."""
        x, sets = self.encode(inputs), keep_sets(self.model.encoders, inputs)
        return {c: self.classify(x, keep)["fused"] for c, keep in sets.items()}

    def encode(self, inputs: Inputs) -> dict[str, Tensor]:
        """What is masked: the features."""
        return self.model.features(inputs)

    def classify(self, x: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits of what `encode` gave, with some modalities masked."""
        return self.model.classify(x, keep)


class ModalityValuation(Valuation):
    """The paper's level of modalities: value a random `share` of the data set, and copy random
    samples for the weaker modality, as many as `resample_rate` says at `alpha`.

    Raises `ValueError` for a negative `alpha` or a `share` outside (0, 1].
    """

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        dataset,
        alpha: float = 1.0,
        share: float = 0.2,
        **options,
    ):
        super().__init__(model, epochs, dataset, **options)
        self.alpha = number("alpha", alpha, at_least=0)
        self.share = number("share", share, above=0, at_most=1)

    def to_value(self) -> Tensor:
        """A random share of the samples."""
        count = len(self.dataset)
        return torch.randint(count, (max(1, int(self.share * count)),))

    def copies(self, phi: dict[str, Tensor]) -> dict[str, Tensor]:
        """Random samples, for the weaker modality alone."""
        weak, rate = resample_rate({m: v.mean() for m, v in phi.items()}, self.alpha)
        count = len(self.dataset)
        return {weak: torch.randint(count, (int(rate * count),))}
