"""Controls and other readings of valuation: each is `Valuation` with one thing changed."""

import torch
from torch import Tensor

from mmlib.batches import Inputs, at_once, batches
from mmlib.methods.shapley import keep_sets
from mmlib.methods.valuation import Valuation


class RandomSamples(Valuation):
    """As many copies for each modality, of random samples: rules out that it matters which samples
    are copied."""

    def copies(self, phi: dict[str, Tensor]) -> dict[str, Tensor]:
        count = len(self.dataset)
        return {m: torch.randint(count, (len(i),)) for m, i in super().copies(phi).items()}


class RandomCopies(RandomSamples):
    """As many copies in all, of random samples, each of which keeps a random modality: rules out
    that anything of the valuation matters but the number of copies."""

    def alone(self, copies: dict[str, Tensor]) -> Tensor:
        return torch.randint(len(self.model.encoders), super().alone(copies).shape)


class BinaryPayoff(Valuation):
    """A set of modalities that is right is paid 1, whatever its size: the other reading of the
    pay-off."""

    def payoff(self, right: dict[frozenset[str], Tensor]) -> dict[frozenset[str], Tensor]:
        return {c: r.float() for c, r in right.items()}


class InputsMasked(Valuation):
    """A masked modality's input is zero, not its feature, for valuation, copies and `predict`
    alike: rules out that the place of the mask matters."""

    def coalitions(self, inputs: Inputs) -> dict[frozenset[str], Tensor]:
        sets = keep_sets(self.model.encoders, inputs)
        return {c: self.model(_filled(inputs, keep, {}))["fused"] for c, keep in sets.items()}

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        return self.model(inputs if keep is None else _filled(inputs, keep, {}))

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        self.model.eval()
        return _alone(self.coalitions(inputs))


class MeanFiller(Valuation):
    """The mean feature over the training data, measured at each valuation, stands where a modality
    is masked, not zero: rules out that it matters that zero is far from every feature."""

    fillers: dict[str, Tensor] = {}

    def valuate(self, index: Tensor) -> dict[str, Tensor]:
        self.measure_fillers()
        return super().valuate(index)

    @torch.no_grad()
    def measure_fillers(self) -> None:
        """The mean of each modality's feature, `(d,)`, in evaluation mode."""
        self.model.eval()
        means: dict[str, Tensor] = {}
        read = batches(self.dataset, at_once(self.dataset), device=self.generator.device)
        for inputs, _, _ in read:
            for m, h in self.model.features(inputs).items():
                means[m] = means.get(m, 0) + h.sum(0) / len(self.dataset)
        self.fillers = means

    def coalitions(self, inputs: Inputs) -> dict[frozenset[str], Tensor]:
        h, sets = self.model.features(inputs), keep_sets(self.model.encoders, inputs)
        return {c: self._classify(h, keep)["fused"] for c, keep in sets.items()}

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        if keep is None:
            return self.model(inputs)
        return self._classify(self.model.features(inputs, keep), keep)

    def _classify(self, h: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.model.classify(_filled(h, keep, self.fillers))

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        if not self.fillers:
            self.measure_fillers()
        self.model.eval()
        return _alone(self.coalitions(inputs))


def _filled(
    x: dict[str, Tensor], keep: dict[str, Tensor], fillers: dict[str, Tensor]
) -> dict[str, Tensor]:
    """`x` with `fillers`, or zeros, in the rows that `keep` masks."""
    shaped = {m: keep[m].view(-1, *[1] * (x[m].dim() - 1)) for m in x}  # (B,) -> (B, 1, ...)
    return {m: torch.where(shaped[m], x[m], fillers.get(m, x[m].new_zeros(()))) for m in x}


def _alone(coalitions: dict[frozenset[str], Tensor]) -> dict[str, Tensor]:
    """As logits of a model: those of each modality alone, and of all as `"fused"`."""
    *_, everything = coalitions.values()
    alone = {next(iter(c)): z for c, z in coalitions.items() if len(c) == 1}
    return alone | {"fused": everything}
