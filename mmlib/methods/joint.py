"""Joint training, which most methods build on: one model, one optimiser, one update a batch."""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import checked_seed, number, numbers, whole_number, whole_numbers
from mmlib.batches import Inputs, parts_of
from mmlib.parallel import average_gradients
from mmlib.training import cosine_rate, make_optimizer, step_rate


class Joint:
    """Joint training: `CE(z) + unimodal_weight * sum over m of CE(z_m)`.

    With `ConcatFusion` and weight 0 it is joint concat; with a weight above 0, joint + unimodal
    losses through the shared head; with a model of one modality, unimodal training. `optimizer` is
    `"sgd"`, with momentum 0.9, or `"adam"`; the learning rate is on half a cosine over `epochs` or
    falls to a tenth in each of the epochs `decay_at`. `clip` bounds the norm of the whole gradient,
    if given, and the step logs whether it does (`clipped`). `accumulate` goes through a batch in
    that many parts and adds their gradients: the same update in less memory (but for batch
    normalisation, whose statistics are those of a part).
    Raises `ValueError` for a number out of range, an unknown optimiser, `accumulate` above 1
    where the formula is over the batch, and fewer or more modalities than the method takes.
    """

    undivided: str | None = None  # why a batch cannot be taken in parts
    takes: tuple[int, int | None] = (1, None)  # so many modalities or more; at most so many
    part = slice(None)  # the rows of a batch that `logits` and `loss` are asked for

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        lr: float = 0.2,
        unimodal_weight: float = 0.0,
        clip: float | None = None,
        seed: int = 0,
        optimizer: str = "sgd",
        weight_decay: float = 1e-4,
        decay_at: Sequence[int] | None = None,
        accumulate: int = 1,
    ):
        self._check_modalities(list(model.encoders))
        whole_number("epochs", epochs, at_least=1)
        number("lr", lr, above=0)
        number("clip", clip, above=0, or_none=True)
        numbers(at_least=0, unimodal_weight=unimodal_weight, weight_decay=weight_decay)
        if whole_number("accumulate", accumulate, at_least=1) > 1 and self.undivided:
            raise ValueError(
                f"accumulate is {accumulate}, but {type(self).__name__} {self.undivided}; leave it "
                "out and give a batch_size that fits"
            )
        self.model, self.epochs, self.lr, self.clip = model, epochs, lr, clip
        self.unimodal_weight, self.accumulate = unimodal_weight, accumulate
        self.optimizer_name, self.weight_decay = optimizer, weight_decay
        self.decay_at = whole_numbers("decay_at", decay_at, at_least=0)
        self.optimizer = self.new_optimizer(model.parameters(), lr)
        # for what a method draws at random itself
        self.generator = torch.Generator(next(model.parameters()).device)
        self.generator.manual_seed(checked_seed(seed))

    def _check_modalities(self, names: Sequence[str]) -> None:
        fewest, most = self.takes
        if fewest <= len(names) and (most is None or len(names) <= most):
            return
        number_of = f"{fewest}" if fewest == most else f"{fewest} or more"
        raise ValueError(
            f"{type(self).__name__} takes {number_of} modalities; the model has {len(names)}: "
            f"{', '.join(names) or 'none'}"
        )

    def new_optimizer(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """An optimiser of the kind that was asked for."""
        return make_optimizer(self.optimizer_name, parameters, lr, self.weight_decay)

    def set_rate(
        self, optimizer: torch.optim.Optimizer, lr: float, epoch: int, epochs: int
    ) -> None:
        """Bring an optimiser's learning rate to that of an epoch; see the class."""
        if self.decay_at is None:
            cosine_rate(optimizer, lr, epoch, epochs)
        else:
            step_rate(optimizer, lr, epoch, self.decay_at)

    def plan(self, epoch: int) -> None:
        self.set_rate(self.optimizer, self.lr, epoch, self.epochs)

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        self.model.train()
        self.optimizer.zero_grad()
        loss, found = 0.0, []
        for part in parts_of(len(target), self.accumulate):
            self.part = part
            kept = keep and {m: rows[part] for m, rows in keep.items()}
            logits = self.logits({m: x[part] for m, x in inputs.items()}, kept)
            own = target[part]
            share = self.loss(logits, own) * (len(own) / len(target))
            share.backward()
            loss = loss + share.detach()
            found.append({m: z.detach() for m, z in logits.items()})
        average_gradients(self.model)
        log = self.modulate({m: torch.cat([z[m] for z in found]) for m in found[0]}, target)
        if self.clip:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            log = log | {"clipped": (norm > self.clip).to(norm.dtype)}
        self.optimizer.step()
        return {"loss": loss} | log

    def logits(self, inputs: Inputs, keep: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """Logits of a training batch with some modalities masked."""
        return self.model(inputs, keep)

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        loss = F.cross_entropy(logits["fused"], target)
        if self.unimodal_weight:
            loss = loss + self.unimodal_weight * unimodal_loss(logits, target)
        return loss

    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Change the gradients, those of the whole batch, before the update: here not at all.

        `logits` and `target` are those of this process's share.
        """
        return {}

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        self.model.eval()
        return self.model(inputs)

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])


def unimodal_loss(logits: Mapping[str, Tensor], target: Tensor) -> Tensor:
    """Sum over modalities of the cross-entropy of their own logits, `(B, K)`."""
    return torch.stack(
        [F.cross_entropy(z, target) for m, z in logits.items() if m != "fused"]
    ).sum()
