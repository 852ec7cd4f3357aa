"""Controls and other readings of CAL: each is `CAL` with one thing changed.

The readings are of what the abstracts leave open; like CAL itself they are ours."""

import torch
from torch import Tensor

from mmlib.methods.cal import CAL, sample_weights


class EvenAcceleration(CAL):
    """Every encoder is accelerated alike, by kappa over the number of modalities: rules out that
    larger steps alone are the gain."""

    def acceleration(self) -> dict[str, float]:
        return dict.fromkeys(self.weights, 1 / len(self.weights))


class InverseAcceleration(CAL):
    """The encoder that contributes least is accelerated most: rules out that it matters that it is
    the strong one."""

    def acceleration(self) -> dict[str, float]:
        return {m: (1 - W) / (len(self.weights) - 1) for m, W in self.weights.items()}


class EvenCompression(CAL):
    """Every code is compressed alike: rules out that it matters that it is the weak one's."""

    def compression(self) -> dict[str, float]:
        return dict.fromkeys(self.weights, len(self.weights) - 1)


class Even(EvenAcceleration, EvenCompression):
    """Acceleration and compression are both even: rules out that W matters at all."""


class Swapped(CAL):
    """Each modality gets the other one's W: rules out that it matters whose it is."""

    def weights_of(self, scores: dict[str, float]) -> dict[str, float]:
        weights = super().weights_of(scores)
        return dict(zip(weights, reversed(weights.values()), strict=True))


class ByEpoch(CAL):
    """A reading: W is that of the mean scores over the epoch before, not of running means."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seen: list[dict[str, float]] = []  # the scores of this epoch's batches

    def plan(self, epoch: int) -> None:
        super().plan(epoch)
        if self.seen:
            self.scores = {m: sum(c[m] for c in self.seen) / len(self.seen) for m in self.scores}
            self.weights = self.weights_of(self.scores)
        self.seen = []

    def take_in(self, news: dict[str, float]) -> None:
        self.seen.append(news)

    def state_dict(self) -> dict:
        return super().state_dict() | {"seen": self.seen}

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        self.seen = list(state["seen"])


class BySample(CAL):
    """A reading: every sample has a W of its own, `(B,)`, from its own scores, at once."""

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        own = sample_weights(self.utility(target), logits, self.alpha, self.temperature)
        self.weights = {m: own[m] for m in self.scores}
        return super().loss(logits, target)

    def take_in(self, news: dict[str, float]) -> None:
        pass


class ByChannels(EvenCompression):
    """A reading: a weak code is compressed by silence, not by its divergence's weight.

    A share `1 - min(1, M W_m)` of its channels (at most 0.9), drawn anew for every sample in
    training, is 0, and the others are scaled up. W is judged on whole codes: else silence would
    lower the score that silences. Under `torchrun` every process's rows have the same channels.
    """

    def silences(self) -> dict[str, float]:
        """The share of each code's channels that is silenced in training."""
        if self.epoch < self.warmup:
            return dict.fromkeys(self.weights, 0.0)
        M = len(self.weights)
        return {m: 1 - min(1.0, max(0.1, M * W)) for m, W in self.weights.items()}

    def heard(self, codes: dict[str, Tensor]) -> dict[str, Tensor]:
        result = dict(codes)
        for m, share in self.silences().items():
            if share and self.model.training:
                loud = torch.empty_like(codes[m]).bernoulli_(1 - share, generator=self.generator)
                result[m] = codes[m] * loud / (1 - share)
        return result

    @torch.no_grad()
    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        return super().modulate(self.model.classify(self.codes, self.keep), target)


class ByLoss(CAL):
    """A reading: the factor multiplies a modality's own loss, and so what lies behind its encoder
    too, in place of the gradient that enters the encoder."""

    def accelerated(self, m: str, own_loss: Tensor, factor: float | Tensor) -> Tensor:
        return factor * own_loss
