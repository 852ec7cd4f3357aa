"""Sustained boosting with adaptive classifier assignment (Jiang et al., NeurIPS 2025, "AUG"): the
weaker modality gets more classifiers on its encoder, all trained together."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.arguments import by_name, number, whole_number
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits
from mmlib.fusion import BoostedFusion
from mmlib.methods.joint import Joint
from mmlib.parallel import average_gradients, sum_over_processes

__all__ = ["BoostedFusion", "Boosting", "boosting_loss", "residual_loss", "weaker_modality"]


def residual_loss(
    new_logits: Tensor, previous_logits: Tensor, target: Tensor, smoothing: float
) -> Tensor:
    """Cross-entropy of the newest classifier against the residual label; a scalar.

    The label `y - smoothing * y * q`, with `q = softmax(previous_logits)` detached, has one entry
    that is not zero, so this is `mean of (1 - smoothing * q_y) CE(new_logits, y)` (eq. 2 in the
    form of the released code). Logits are `(B, K)`. Raises `ValueError` for a smoothing outside
    [0, 1] and for logits that do not fit the target or each other.
    """
    _check_smoothing(smoothing)
    for logits in (new_logits, previous_logits):
        check_logits(logits, target)
    q = previous_logits.detach().softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)  # (B,)
    return ((1 - smoothing * q) * F.cross_entropy(new_logits, target, reduction="none")).mean()


def boosting_loss(stage_logits: Sequence[Tensor], target: Tensor, smoothing: float) -> Tensor:
    """Loss of one modality's classifiers, oldest first, each `(B, K)`; a scalar (eq. 5).

    Residual loss of the newest + cross-entropy of the sum of all + of the sum without the newest.
    One classifier gives plain cross-entropy. Raises `ValueError` for no classifier, or what
    `residual_loss` refuses.
    """
    _check_smoothing(smoothing)
    if not stage_logits:
        raise ValueError("stage_logits is empty; give the logits of at least one classifier")
    everything = sum(stage_logits)
    check_logits(everything, target)
    if len(stage_logits) == 1:
        return F.cross_entropy(everything, target)
    new, previous = stage_logits[-1], sum(stage_logits[:-1])
    residual = residual_loss(new, previous, target, smoothing)
    return residual + F.cross_entropy(everything, target) + F.cross_entropy(previous, target)


def weaker_modality(scores: Mapping[str, float], dead_zone: float = 0.01) -> str | None:
    """The modality to give a classifier to, or `None` if none is clearly behind.

    `scores` are sums or means of the probability of the true class. The lowest is weaker if the
    others' mean is more than `1 + dead_zone` times as high: with two modalities the released code's
    ratio (above 1.01; its 0.99 to the other side is 1 / 1.01 here); with more, our reading (the
    first upload adds to all below a share). Raises `ValueError` for fewer than two modalities, a
    negative score or dead zone, or NaN.
    """
    values = {m: float(score) for m, score in scores.items()}
    if len(values) < 2 or dead_zone < 0 or not all(value >= 0 for value in values.values()):
        raise ValueError(
            f"scores are {values} and dead_zone {dead_zone}; give two modalities or more, "
            "scores >= 0 and a dead zone >= 0"
        )
    weak = min(values, key=values.get)
    others = [value for m, value in values.items() if m != weak]
    return weak if sum(others) / len(others) > (1 + dead_zone) * values[weak] else None


def _check_smoothing(smoothing: float) -> None:
    number("smoothing", smoothing, at_least=0, at_most=1)


class Boosting(Joint):
    """One update for each modality in turn, and from time to time a classifier for the weaker.

    After the first epoch and then every `every` epochs (`None`: never, the base of the method) the
    modality that `weaker_modality` names gets a classifier. `fusion_weights` multiplies logits of
    modalities in the sum (the released code has 0.4 for sound, 0.6 for picture). The code's first
    upload (966dbf5) multiplies the logits of added classifiers by a learned gate; paper, later code
    (841d079) and this class have none. Other arguments as in `boosting_loss`, `weaker_modality` and
    `Joint`. Raises `ValueError` for fewer than two modalities or a number out of range.
    """

    undivided = "updates the modalities in turn from one pass over the batch"
    takes = (2, None)

    def __init__(
        self,
        model: BoostedFusion,
        epochs: int,
        smoothing: float = 0.5,
        every: int | None = 2,
        dead_zone: float = 0.01,
        fusion_weights: Mapping[str, float] | None = None,
        **options,
    ):
        super().__init__(model, epochs, **options)
        _check_smoothing(smoothing)
        whole_number("every", every, at_least=1, or_none=True)
        number("dead_zone", dead_zone, at_least=0)
        self.smoothing, self.every, self.dead_zone = smoothing, every, dead_zone
        model.weights |= by_name("fusion_weights", fusion_weights, list(model.encoders))
        self.scores = dict.fromkeys(model.encoders, 0.0)
        self.grown: list[str] = []  # modalities in the order in which they got classifiers

    def plan(self, epoch: int) -> None:
        """Set the rate; where it is time, give the weaker modality a classifier."""
        if self.every and (epoch == 1 or (epoch and epoch % self.every == 0)):
            weak = weaker_modality(self.scores, self.dead_zone)
            if weak is not None:
                self.add_classifier(weak)
        super().plan(epoch)
        self.scores = dict.fromkeys(self.scores, 0.0)

    def add_classifier(self, modality: str) -> None:
        """One more classifier, known to the optimiser from its first step on."""
        new = self.model.add_classifier(modality, self.generator)
        self.grown.append(modality)
        self.begin_training(new)

    def begin_training(self, new: nn.Linear) -> None:
        """Have an added classifier trained."""
        self.optimizer.add_param_group({"params": list(new.parameters())})

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One update for each modality, in order; the second layer moves with every one."""
        self.model.train()
        features, log = self.model.features(inputs, keep), {}
        for m, h in features.items():
            rows = slice(None) if keep is None else keep[m]
            if len(target[rows]) == 0:
                raise ValueError(f"{m} is masked in a whole batch; boosting updates each in turn")
            stages = self.model.stages(m, h[rows])
            loss = self.loss_of(stages, target[rows])
            self.optimizer.zero_grad()  # to None, so that the other encoders stand still
            self.backward(m, loss)
            average_gradients(self.model)
            self.optimizer.step()
            log |= self._watch(m, sum(stages).detach(), target[rows], loss.detach())
        return log | {"loss": torch.stack([log[f"objective_{m}"] for m in features]).sum()}

    def loss_of(self, stages: list[Tensor], target: Tensor) -> Tensor:
        """The loss of a modality's classifiers, oldest first, `(B, K)` each."""
        return boosting_loss(stages, target, self.smoothing)

    def backward(self, modality: str, loss: Tensor) -> None:
        """Send a modality's loss back."""
        loss.backward()

    def _watch(self, m: str, z: Tensor, target: Tensor, loss: Tensor) -> dict[str, Tensor]:
        """Add to the epoch's score of a modality; what to log of it."""
        confidence = z.softmax(1).gather(1, target.unsqueeze(1)).sum()
        self.scores[m] += sum_over_processes(confidence.clone()).item()
        count = torch.tensor(float(len(self.model.first[m])))
        return {
            f"loss_{m}": F.cross_entropy(z, target),
            f"objective_{m}": loss,
            f"confidence_{m}": confidence / len(target),
            f"classifiers_{m}": count,
        }

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        own = {"grown": self.grown, "scores": self.scores, "weights": self.model.weights}
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`; grows the classifiers that the state holds.

        Those that have grown here go first: a run may have been broken off after it grew.
        """
        for stages in self.model.first.values():
            del stages[1:]
        self.grown = []
        self.optimizer = self.new_optimizer(self.model.parameters(), self.lr)
        for modality in state["grown"]:  # as the optimiser's groups stand
            self.add_classifier(modality)
        super().load_state_dict(state)
        self.scores, self.model.weights = dict(state["scores"]), dict(state["weights"])
