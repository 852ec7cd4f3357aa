"""Detached and interactive learning, DI-MML (Fan et al., ACM MM 2024): no loss reaches two
encoders; the modalities meet in a shared classifier, a one-way contrastive loss and at test
time."""

from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlib.arguments import number, numbers, whole_number
from mmlib.batches import Inputs
from mmlib.evaluation import check_logits, collect
from mmlib.methods.detached_fusion import DetachedFusion, certainty_weights
from mmlib.methods.detached_separability import above_mean, effective_dimensions, hits, separability
from mmlib.methods.joint import Joint
from mmlib.parallel import average_gradients, own_rows, sum_over_processes, whole_batch
from mmlib.training import Plan

__all__ = ["Detached", "DetachedFusion", "certainty_weights", "duc_loss"]
__all__ += ["effective_dimensions", "separability"]


def duc_loss(
    student: Tensor,
    teacher: Tensor,
    dimensions: Tensor,
    temperature: float,
    pairs: Tensor | None = None,
) -> Tensor:
    """Dimension-decoupled unidirectional contrastive loss; a scalar.

    Each student feature is to find its own pair among the batch's teacher features, by dot products
    on the chosen `dimensions`, bool `(d,)`; features are `(B, d)`. `pairs`, `(B,)`, says in which
    row each student's pair is where the teacher has more rows; by default in the same row. No
    gradient reaches the teacher or another dimension. 0 for no dimensions. Raises `ValueError` for
    a temperature that is not above 0 and for shapes that do not fit.
    """
    number("temperature", temperature, above=0)
    if pairs is None and student.shape == teacher.shape:
        pairs = torch.arange(len(student), device=student.device)
    alike = student.shape[1:] == teacher.shape[1:] == dimensions.shape
    if pairs is None or not alike or pairs.shape != student.shape[:1]:
        raise ValueError(
            f"student is {tuple(student.shape)}, teacher {tuple(teacher.shape)}, dimensions "
            f"{tuple(dimensions.shape)}; give two (B, d) and a bool (d,)"
        )
    if dimensions.dtype != torch.bool:
        raise ValueError(f"dimensions are {dimensions.dtype}; give True and False, (d,)")
    chosen = student[:, dimensions]
    if not dimensions.any() or not len(student):
        return chosen.sum()
    similarity = chosen @ teacher.detach()[:, dimensions].T / temperature  # (B, B)
    return F.cross_entropy(similarity, pairs)


class Detached(Joint):
    """Isolated losses, a shared head, the DUC loss; then a fusion head on frozen encoders.

    Stage 1: `sum over m of CE(g_m(h_m)) + shared_weight * CE(g_s(h_m))`, and from epoch `start` on
    `duc_weight` times `duc_loss` for every ordered pair (p, q) on the dimensions effective in p and
    not in q, measured once on the training data (more than two modalities: our reading). Stage 2,
    the last `head_epochs`: cross-entropy of the concatenation head at its own rate `head_lr`
    (`None`: `lr`). `start` and `head_epochs` are 2 of 15 epochs by default, as in the released code
    (20 of 150). Other `options` as in `Joint`. Raises `ValueError` for fewer than two modalities or
    epochs, a negative weight, and epochs that leave a stage none.
    """

    undivided = "tells the samples of a whole batch apart"
    needs_dataset = True
    takes = (2, None)

    def __init__(
        self,
        model: DetachedFusion,
        epochs: int,
        dataset,
        shared_weight: float = 1.0,
        duc_weight: float = 1.0,
        temperature: float = 1.0,
        start: int | None = None,
        head_epochs: int | None = None,
        head_lr: float | None = None,
        certainty_temperature: float = 1.0,
        **options,
    ):
        super().__init__(model, epochs, **options)
        whole_number("epochs", epochs, at_least=2)
        few = max(1, round(epochs * 2 / 15))
        last = whole_number("head_epochs", few if head_epochs is None else head_epochs, at_least=1)
        self.encoder_epochs = epochs - last
        start = whole_number("start", start, at_least=0, or_none=True)
        self.start = min(few, self.encoder_epochs - 1) if start is None else start
        if not 0 <= self.start < self.encoder_epochs:
            text = f"start is {max(self.start, 0)} and head_epochs is {last} of {epochs} epochs"
            raise ValueError(f"{text}; leave one or more between them")
        self.dataset, self.temperature = dataset, number("temperature", temperature, above=0)
        numbers(at_least=0, shared_weight=shared_weight, duc_weight=duc_weight)
        self.shared_weight, self.duc_weight = shared_weight, duc_weight
        head_lr = number("head_lr", head_lr, above=0, or_none=True)
        self.head_lr = self.lr if head_lr is None else head_lr
        tau = number("certainty_temperature", certainty_temperature, above=0, or_infinity=True)
        model.certainty_temperature = tau
        concat = list(model.concat.parameters())
        rest = [p for p in model.parameters() if all(p is not q for q in concat)]
        self.optimizer = self.new_optimizer(rest, self.lr)
        self.head_optimizer = self.new_optimizer(concat, self.head_lr)
        self.effective: dict[str, Tensor] = {}  # modality -> (d,) bool
        self.teaches: dict[tuple[str, str], Tensor] = {}  # (teacher, student) -> (d,) bool

    def plan(self, epoch: int) -> Plan | None:
        """Set the rates; where it is time, measure the dimensions or go to stage 2."""
        self.set_rate(self.optimizer, self.lr, epoch, self.encoder_epochs)
        stage_2 = epoch - self.encoder_epochs
        self.model.use_concat = stage_2 >= 0
        if self.model.use_concat:
            left = self.epochs - self.encoder_epochs
            self.set_rate(self.head_optimizer, self.head_lr, stage_2, left)
        if epoch != self.start:
            return None
        self.measure_dimensions()
        return Plan(torch.arange(len(self.dataset)), looked_at=len(self.dataset))

    def measure_dimensions(self) -> None:
        """Find who teaches whom in which dimension, on the training data in evaluation mode."""
        self.model.eval()
        device, target = self.generator.device, self.labels()
        for m, h in collect(self.model.features, self.dataset, device).items():
            # batch statistics are each process's own, so that their sum decides
            self.effective[m] = above_mean(sum_over_processes(hits(h, target).to(device)))
        used = self.choose_dimensions()
        self.teaches = {(p, q): used[p] & ~used[q] for p, q in permutations(used, 2)}

    def labels(self) -> Tensor:
        """The classes, `(N,)`, by which a dimension is effective."""
        return self.dataset.target

    def choose_dimensions(self) -> dict[str, Tensor]:
        """The dimensions in which each modality can teach, bool `(d,)`: its effective ones."""
        return self.effective

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One update of the encoders and their heads or, in stage 2, of the fusion head."""
        self.model.train(not self.model.use_concat)
        optimizer = self.head_optimizer if self.model.use_concat else self.optimizer
        with torch.set_grad_enabled(not self.model.use_concat):
            features = self.model.features(inputs, keep)
        if self.model.use_concat:
            logits = self.model.head_logits(features)["concat"]
            log = {"loss": F.cross_entropy(logits, target)}
        else:
            log = self.detached_losses(features, target, keep)
        self.model.zero_grad()
        log["loss"].backward()
        average_gradients(self.model)
        optimizer.step()
        return {name: value.detach() for name, value in log.items()}

    def detached_losses(
        self, features: dict[str, Tensor], target: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Stage 1: `loss` and the `loss_duc` in it, of features `(B, d)`."""
        everything = torch.ones_like(target, dtype=torch.bool)
        kept = {m: everything if keep is None else keep[m] for m in features}
        loss = duc = torch.zeros((), device=target.device)
        for m, h in features.items():
            heads = (1.0, self.model.heads[m]), (self.shared_weight, self.model.shared)
            for weight, head in heads:
                if weight and kept[m].any():
                    logits = head(h[kept[m]])
                    check_logits(logits.detach(), target[kept[m]])
                    loss = loss + weight * F.cross_entropy(logits, target[kept[m]])
        for (p, q), chosen in self.teaches.items():
            if self.duc_weight:
                rows = kept[p] & kept[q]
                everyone = whole_batch(rows)  # a student's pair is to be found in the whole batch
                pairs = own_rows(everyone.cumsum(0) - 1)[rows]
                teacher = whole_batch(features[p].detach())[everyone]
                duc = duc + self.contrast(features[q][rows], teacher, chosen, pairs)
        return {"loss": loss + self.duc_weight * duc, "loss_duc": duc}

    def contrast(self, student: Tensor, teacher: Tensor, chosen: Tensor, pairs: Tensor) -> Tensor:
        """The contrastive loss of one teacher and one student; see `duc_loss`."""
        return duc_loss(student, teacher, chosen, self.temperature, pairs)

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        teaches = {f"{p} {q}": chosen for (p, q), chosen in self.teaches.items()}
        own = {"effective": self.effective, "teaches": teaches}
        own |= {"use_concat": self.model.use_concat}
        return super().state_dict() | own | {"head_optimizer": self.head_optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.head_optimizer.load_state_dict(state["head_optimizer"])
        device = self.generator.device
        self.effective = {m: chosen.to(device) for m, chosen in state["effective"].items()}
        self.teaches = {tuple(k.split()): v.to(device) for k, v in state["teaches"].items()}
        self.model.use_concat = state["use_concat"]
