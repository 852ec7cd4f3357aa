"""The classical methods that every other one is measured against."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import whole_number
from mmlib.batches import Inputs, parts_of
from mmlib.evaluation import check_logits
from mmlib.parallel import average_gradients, whole_batch
from mmlib.training import Plan, cosine_rate, make_optimizer, step_rate


class Joint:
    """Joint training: `CE(z) + unimodal_weight * sum over m of CE(z_m)`.

    With `ConcatFusion` and weight 0 it is joint concat; with a weight above 0, joint + unimodal
    losses through the shared head; with a model of one modality, unimodal training. `optimizer` is
    `"sgd"`, with momentum 0.9, or `"adam"`; the learning rate is on half a cosine over `epochs` or
    falls to a tenth in each of the epochs `decay_at`. `clip` bounds the norm of the whole gradient,
    if given. `accumulate` goes through a batch in that
    many parts and adds their gradients: the same update in less memory (but for batch
    normalisation, whose statistics are those of a part). Raises `ValueError` for a number out of
    range, an unknown optimiser, and `accumulate` above 1 where the formula is over the batch.
    """

    undivided: str | None = None  # why a batch cannot be taken in parts
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
        if lr <= 0 or unimodal_weight < 0 or (clip is not None and clip <= 0):
            raise ValueError(
                f"lr is {lr}, unimodal_weight {unimodal_weight} and clip {clip}; give lr > 0, a "
                "weight >= 0 and a clip > 0 or None"
            )
        if whole_number("accumulate", accumulate, at_least=1) > 1 and self.undivided:
            raise ValueError(
                f"accumulate is {accumulate}, but {type(self).__name__} {self.undivided}; leave it "
                "out and give a batch_size that fits"
            )
        self.model, self.epochs, self.lr, self.clip = model, epochs, lr, clip
        self.unimodal_weight, self.accumulate = unimodal_weight, accumulate
        self.optimizer_name, self.weight_decay, self.decay_at = optimizer, weight_decay, decay_at
        self.optimizer = self.new_optimizer(model.parameters(), lr)
        # for what a method draws at random itself
        self.generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)

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
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
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


class Ensemble(Joint):
    """Independent networks, their logits added at test time: `sum over m of CE(z_m)`.

    With `LateFusion` no parameter is shared and every gradient comes from one loss alone, so one
    loop trains the same networks as separate runs (uniform ensemble, Du et al., ICML 2023).
    """

    def loss(self, logits: dict[str, Tensor], target: Tensor) -> Tensor:
        return unimodal_loss(logits, target)


class ModalityDropout(Joint):
    """Joint training in which some samples have one modality only, drawn anew every epoch.

    With probability `rate` a sample loses one of its modalities, each as likely; a lost modality is
    masked (Neverova et al., "ModDrop", TPAMI 2016). Needs the training data's length. Raises
    `ValueError` for a rate outside [0, 1] or fewer than two modalities.
    """

    needs_dataset = True

    def __init__(self, model: nn.Module, epochs: int, dataset, rate: float = 0.3, **options):
        super().__init__(model, epochs, **options)
        if not 0 <= rate <= 1 or len(model.encoders) < 2:
            raise ValueError(
                f"rate is {rate}, with {len(model.encoders)} modalities; give a rate in [0, 1] and "
                "two modalities or more"
            )
        self.samples, self.rate = len(dataset), rate

    def plan(self, epoch: int) -> Plan:
        """Every sample once; who loses what comes from the method's generator."""
        super().plan(epoch)
        draw = {"generator": self.generator, "device": self.generator.device}
        hit = torch.rand(self.samples, **draw) < self.rate
        lost = torch.randint(len(self.model.encoders), (self.samples,), **draw)
        keep = {m: (~hit | (lost != i)).cpu() for i, m in enumerate(self.model.encoders)}
        return Plan(torch.arange(self.samples), keep)


class OGMGE(Joint):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    After backward each convolution gradient `g` of encoder m becomes `k_m g + e`, with `k_m` from
    `ogm_ge_coefficients` and `e ~ N(0, std(g)^2)`; `noise=False` leaves `e` out (OGM). Use SGD: an
    adaptive optimiser undoes the scaling. `modulated_epochs` is the number of epochs, from the
    first, in which it acts (`None`: all; the released code has 51); `options` are those of `Joint`.
    """

    def __init__(
        self,
        model: nn.Module,
        epochs: int,
        alpha: float = 0.1,
        noise: bool = True,
        modulated_epochs: int | None = None,
        **options,
    ):
        super().__init__(model, epochs, **options)
        self.alpha, self.noise = alpha, noise
        self.modulated_epochs = epochs if modulated_epochs is None else modulated_epochs
        self.active = True

    def plan(self, epoch: int) -> None:
        super().plan(epoch)
        self.active = epoch < self.modulated_epochs

    def modulate(self, logits: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        if not self.active:
            return {}
        alone = {m: whole_batch(logits[m]) for m in self.model.encoders}
        coefficients = ogm_ge_coefficients(alone, whole_batch(target), self.alpha)
        for m, encoder in self.model.encoders.items():
            for parameter in encoder.parameters():
                if parameter.dim() == 4:
                    self._scale(parameter.grad, coefficients[m])
        return {f"coefficient_{m}": torch.tensor(k) for m, k in coefficients.items()}

    def _scale(self, gradient: Tensor, coefficient: float) -> None:
        deviation = gradient.std()
        gradient.mul_(coefficient)
        if self.noise:
            noise = torch.empty_like(gradient).normal_(generator=self.generator)
            gradient.add_(deviation * noise)


def unimodal_loss(logits: Mapping[str, Tensor], target: Tensor) -> Tensor:
    """Sum over modalities of the cross-entropy of their own logits, `(B, K)`."""
    return torch.stack(
        [F.cross_entropy(z, target) for m, z in logits.items() if m != "fused"]
    ).sum()


def ogm_ge_coefficients(
    logits: Mapping[str, Tensor], target: Tensor, alpha: float
) -> dict[str, float]:
    """Gradient coefficient `k_m` in (0, 1] of each modality from its own logits, `(B, K)`.

    `s_m = sum over i of softmax(z_m)[i, y_i]`; with two modalities `rho_m = s_m / s_other`, and
    `k_m = 1 - tanh(alpha * rho_m)` where `rho_m > 1`, otherwise 1 (Peng et al., CVPR 2022, and
    their code). With more modalities, `s_other` is the mean over the others (our reading). An entry
    `"fused"` is left out. Raises `ValueError` for a negative alpha, fewer than two modalities, or
    logits and target that do not fit together.
    """
    scores = {}
    for m, z in logits.items():
        if m != "fused":
            check_logits(z, target)
            scores[m] = z.detach().softmax(1).gather(1, target.unsqueeze(1)).sum().item()
    if alpha < 0 or len(scores) < 2:
        raise ValueError(
            f"alpha is {alpha} and the modalities are {', '.join(scores) or 'none'}; "
            "give alpha >= 0 and the logits of two modalities or more"
        )
    total, coefficients = sum(scores.values()), {}
    for m, score in scores.items():
        ratio = score * (len(scores) - 1) / max(total - score, 1e-12)
        # 1 - tanh(x) = 2 / (1 + exp(2 x)), which stays above 0 for a large x
        brake = 2 / (1 + math.exp(min(2 * alpha * ratio, 700)))
        coefficients[m] = brake if ratio > 1 else 1.0
    return coefficients
