"""Detached and interactive learning, DI-MML (Fan et al., ACM MM 2024): no loss reaches two
encoders; the modalities meet in a shared classifier, a one-way contrastive loss and at test
time."""

from collections.abc import Mapping
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.batches import Inputs
from mmlib.evaluation import check_logits, collect
from mmlib.fusion import Fusion
from mmlib.methods.baselines import Joint
from mmlib.parallel import average_gradients, own_rows, sum_over_processes, whole_batch
from mmlib.training import Plan

SETS = ("effective", "permuted", "random")


def separability(features: Tensor, target: Tensor) -> Tensor:
    """How well each dimension alone tells the classes apart: `(N, d)` and `(N,)` to `(d,)`.

    The share of samples whose own class has the nearest mean in that dimension (the first of equal
    ones). Classes that do not occur in `target` are no candidates. Goes through the classes one by
    one, so that nothing of size N x K x d is held. Raises `ValueError` for features that are not
    finite, shapes that do not fit, or fewer than two classes.
    """
    return _hits(features, target) / len(features)


def _hits(features: Tensor, target: Tensor) -> Tensor:
    """`N` times the separability, whole numbers."""
    if features.dim() != 2 or target.dim() != 1 or len(features) != len(target):
        raise ValueError(
            f"features are {tuple(features.shape)} and target {tuple(target.shape)}; "
            "give features (N, d) and a target (N,) of the same length"
        )
    if not torch.isfinite(features).all():
        raise ValueError("features hold NaN or infinity; did the training diverge?")
    classes = target.unique()
    if len(classes) < 2:
        raise ValueError(f"target holds {len(classes)} class; give samples of two or more")
    nearest = torch.full_like(features, torch.inf)
    guess = torch.empty_like(features, dtype=target.dtype)
    for c in classes:
        distance = (features - features[target == c].mean(0)).abs()  # (N, d)
        guess[distance < nearest] = c
        nearest = torch.minimum(nearest, distance)
    return (guess == target.unsqueeze(1)).sum(0)  # (N, d) -> (d,)


def effective_dimensions(features: Tensor, target: Tensor) -> Tensor:
    """Dimensions whose `separability` is above the mean over dimensions: bool `(d,)`.

    Arguments and errors as in `separability`; the rule is that of the released code.
    """
    return _above_mean(_hits(features, target))


def _above_mean(hits: Tensor) -> Tensor:
    return hits * len(hits) > hits.sum()  # in whole numbers: equal ones are never above


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
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; give a number above 0")
    if pairs is None and student.shape == teacher.shape:
        pairs = torch.arange(len(student), device=student.device)
    rows = student.shape[:1] if pairs is None else pairs.shape
    alike = student.shape[1:] == teacher.shape[1:] == dimensions.shape
    if pairs is None or not alike or rows != student.shape[:1]:
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


def certainty_weights(
    logits: Mapping[str, Tensor], temperature: float, keep: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Weight of each head for each sample, `(B,)`, from `logits`, `(B, K)` a head; they sum to 1.

    Certainty is the largest probability, `c = max softmax(z)`, and the weights are
    `softmax(c / temperature)` over heads; with `temperature=math.inf` they are equal. A head whose
    `keep`, `(B,)` bool, is False gets 0. Raises `ValueError` for a temperature that is not above 0,
    no head, logits of different shapes, or a sample whose heads are all masked.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; give a number above 0")
    if not logits or len({z.shape for z in logits.values()}) > 1:
        shapes = {head: tuple(z.shape) for head, z in logits.items()}
        raise ValueError(f"logits are {shapes}; give (B, K) for one head or more, all alike")
    score = {head: z.softmax(1).amax(1) / temperature for head, z in logits.items()}
    for head, kept in (keep or {}).items():
        score[head] = score[head].masked_fill(~kept, -torch.inf)
    scores = torch.stack(list(score.values()))  # (heads, B)
    if keep and scores.isneginf().all(0).any():
        raise ValueError("keep masks every head of a sample; keep one at least")
    weights = scores.softmax(0)
    return dict(zip(score, weights, strict=True))


class DetachedFusion(Fusion):
    """A head for each modality, one `shared` by all for training, one on the concatenated features.

    Fused logits: `sum over heads of w_k z_k`, the weights from `certainty_weights` at
    `certainty_temperature`. The concatenation head, called `"concat"`, takes part once it is being
    trained (`use_concat`); of a masked modality it sees zeros. Raises `ValueError` for encoders of
    different widths, which a shared head and a comparison by dimension rule out.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int):
        super().__init__(encoders)
        widths = {m: encoder.features for m, encoder in encoders.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(f"encoders are {widths} wide; detached learning needs equal widths")
        width = next(iter(widths.values()))
        self.heads = nn.ModuleDict({m: nn.Linear(width, classes) for m in encoders})
        self.shared = nn.Linear(width, classes)
        self.concat = nn.Linear(width * len(encoders), classes)
        self.certainty_temperature, self.use_concat = 1.0, False

    def head_logits(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits of each head that is used at test time, `(B, K)`."""
        logits = {m: head(features[m]) for m, head in self.heads.items()}
        if self.use_concat:
            logits["concat"] = self.concat(torch.cat([features[m] for m in self.heads], 1))
        return logits

    def classify(
        self, features: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Fusion.classify`; the head of a masked modality gets no weight."""
        logits = self.head_logits(features)
        weights = certainty_weights(logits, self.certainty_temperature, keep)
        fused = sum(w.unsqueeze(1) * logits[head] for head, w in weights.items())
        return {m: logits[m] for m in self.heads} | {"fused": fused}


class Detached(Joint):
    """Isolated losses, a shared head, the DUC loss; then a fusion head on frozen encoders.

    Stage 1: `sum over m of CE(g_m(h_m)) + shared_weight * CE(g_s(h_m))`, and from epoch `start` on
    `duc_weight` times `duc_loss` for every ordered pair (p, q) on the dimensions effective in p and
    not in q, measured once on the training data (more than two modalities: our reading). Stage 2,
    the last `head_epochs`: cross-entropy of the concatenation head at its own rate `head_lr`
    (`None`: `lr`). `start` and `head_epochs` are 2 of 15 epochs by default, as in the released code
    (20 of 150). `normalise` brings features to length 1 on the chosen dimensions. `dimensions`:
    controls measure with `"permuted"` labels or take `"random"` sets of the same size. Other
    `options` as in `Joint`. Raises `ValueError` for fewer than two modalities or epochs, an unknown
    word, a negative weight, and epochs that leave a stage none.
    """

    undivided = "tells the samples of a whole batch apart"
    needs_dataset = True

    def __init__(
        self,
        model: DetachedFusion,
        epochs: int,
        dataset,
        shared_weight: float = 1.0,
        duc_weight: float = 1.0,
        temperature: float = 1.0,
        start: int | None = None,
        normalise: bool = False,
        dimensions: str = "effective",
        head_epochs: int | None = None,
        head_lr: float | None = None,
        certainty_temperature: float = 1.0,
        **options,
    ):
        super().__init__(model, epochs, **options)
        if len(model.encoders) < 2 or epochs < 2 or dimensions not in SETS:
            raise ValueError(
                f"{len(model.encoders)} modalities, {epochs} epochs, dimensions {dimensions!r}; "
                f"give two modalities or more, two epochs or more, one of {', '.join(SETS)}"
            )
        if not temperature > 0 or not certainty_temperature > 0:
            raise ValueError(
                f"temperatures are {temperature} and {certainty_temperature}; give numbers above 0"
            )
        few = max(1, round(epochs * 2 / 15))
        self.dataset = dataset
        self.encoder_epochs = epochs - (few if head_epochs is None else head_epochs)
        self.start = min(few, self.encoder_epochs - 1) if start is None else start
        if not 0 <= self.start < self.encoder_epochs < epochs or min(shared_weight, duc_weight) < 0:
            raise ValueError(
                f"start is {start}, head_epochs {head_epochs} of {epochs} epochs, weights "
                f"{shared_weight} and {duc_weight}; give 0 <= start < epochs - head_epochs, "
                "head_epochs of 1 or more and weights of 0 or more"
            )
        self.shared_weight, self.duc_weight = shared_weight, duc_weight
        self.temperature, self.normalise, self.dimensions = temperature, normalise, dimensions
        self.head_lr = self.lr if head_lr is None else head_lr
        model.certainty_temperature = certainty_temperature
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
            head_epochs = self.epochs - self.encoder_epochs
            self.set_rate(self.head_optimizer, self.head_lr, stage_2, head_epochs)
        if epoch != self.start:
            return None
        self.measure_dimensions()
        return Plan(torch.arange(len(self.dataset)), looked_at=len(self.dataset))

    def measure_dimensions(self) -> None:
        """Find who teaches whom in which dimension, on the training data in evaluation mode."""
        self.model.eval()
        device, target = self.generator.device, self.dataset.target
        if self.dimensions == "permuted":
            target = target[torch.randperm(len(target))]
        for m, h in collect(self.model.features, self.dataset, device).items():
            # batch statistics are each process's own, so that their sum decides
            self.effective[m] = _above_mean(sum_over_processes(_hits(h, target).to(device)))
        used = self.effective
        if self.dimensions == "random":
            order = torch.randperm(h.shape[1]).to(device)
            used = {m: chosen[order] for m, chosen in used.items()}
        self.teaches = {(p, q): used[p] & ~used[q] for p, q in permutations(used, 2)}

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
            for weight, head in (
                (1.0, self.model.heads[m]),
                (self.shared_weight, self.model.shared),
            ):
                if weight and kept[m].any():
                    logits = head(h[kept[m]])
                    check_logits(logits.detach(), target[kept[m]])
                    loss = loss + weight * F.cross_entropy(logits, target[kept[m]])
        for (p, q), chosen in self.teaches.items():
            if self.duc_weight:
                rows = kept[p] & kept[q]
                everyone = whole_batch(rows)  # a student's pair is to be found in the whole batch
                pairs = own_rows(everyone.cumsum(0) - 1)[rows]
                pair = [features[q][rows], whole_batch(features[p].detach())[everyone]]
                if self.normalise:
                    pair = [F.normalize(h * chosen, dim=1) for h in pair]
                duc = duc + duc_loss(*pair, chosen, self.temperature, pairs)
        return {"loss": loss + self.duc_weight * duc, "loss_duc": duc}

    def state_dict(self) -> dict:
        """See `Method.state_dict`."""
        teaches = {f"{p} {q}": chosen for (p, q), chosen in self.teaches.items()}
        own = {"effective": self.effective, "teaches": teaches}
        own["head_optimizer"] = self.head_optimizer.state_dict()
        own["use_concat"] = self.model.use_concat
        return super().state_dict() | own

    def load_state_dict(self, state: dict) -> None:
        """See `Method.load_state_dict`."""
        super().load_state_dict(state)
        self.head_optimizer.load_state_dict(state["head_optimizer"])
        device = self.generator.device
        self.effective = {m: chosen.to(device) for m, chosen in state["effective"].items()}
        self.teaches = {tuple(k.split()): v.to(device) for k, v in state["teaches"].items()}
        self.model.use_concat = state["use_concat"]
