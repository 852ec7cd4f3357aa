"""Controls and other readings of valuation: each is `Valuation` with one thing changed."""

import torch
from torch import Tensor

from mmlib.batches import Inputs, at_once, batches
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


class _Filled(Valuation):
    """A masked modality is filled in what `encode` gives, for valuation, copies and `predict`."""

    fillers: dict[str, Tensor] = {}  # zeros where there is none

    def filled(self, x: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        shaped = {m: keep[m].view(-1, *[1] * (x[m].dim() - 1)) for m in keep}  # (B,) -> (B, 1, ...)
        fillers = {m: self.fillers.get(m, x[m].new_zeros(())) for m in keep}
        return {m: torch.where(shaped[m], x[m], fillers[m]) for m in keep}

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        self.model.eval()
        logits = self.coalitions(inputs)
        alone = {m: logits[frozenset([m])] for m in self.model.encoders}
        return alone | {"fused": logits[frozenset(self.model.encoders)]}


class InputsMasked(_Filled):
    """A masked modality's input is zero, not its feature: rules out that the place of the mask
    matters."""

    def encode(self, inputs: Inputs) -> dict[str, Tensor]:
        return inputs

    def classify(self, x: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.model(self.filled(x, keep))

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        return self.model(inputs) if keep is None else self.classify(inputs, keep)


class MeanFiller(_Filled):
    """The mean feature over the training data, measured at each valuation, stands where a modality
    is masked, not zero: rules out that it matters that zero is far from every feature."""

    def classify(self, x: dict[str, Tensor], keep: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.model.classify(self.filled(x, keep))

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        features = self.model.features(inputs, keep)
        return self.model.classify(features) if keep is None else self.classify(features, keep)

    def valuate(self, index: Tensor) -> dict[str, Tensor]:
        self.measure_fillers()
        return super().valuate(index)

    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        if not self.fillers:
            self.measure_fillers()
        return super().predict(inputs)

    @torch.no_grad()
    def measure_fillers(self) -> None:
        """The mean of each modality's feature, `(d,)`, in evaluation mode."""
        self.model.eval()
        self.fillers = {}
        read = batches(self.dataset, at_once(self.dataset), device=self.generator.device)
        for inputs, _, _ in read:
            for m, h in self.model.features(inputs).items():
                self.fillers[m] = self.fillers.get(m, 0) + h.sum(0) / len(self.dataset)

    def state_dict(self) -> dict:
        return super().state_dict() | {"fillers": self.fillers}

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        device = self.generator.device
        self.fillers = {m: filler.to(device) for m, filler in state["fillers"].items()}
