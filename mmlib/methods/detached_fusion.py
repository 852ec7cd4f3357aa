"""Heads that are weighed by how certain they are: the fusion of detached learning, DI-MML."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmlib.arguments import number
from mmlib.fusion import Fusion


def certainty_weights(
    logits: Mapping[str, Tensor], temperature: float, keep: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Weight of each head for each sample, `(B,)`, from `logits`, `(B, K)` a head; they sum to 1.

    Certainty is the largest probability, `c = max softmax(z)`, and the weights are
    `softmax(c / temperature)` over heads; with `temperature=math.inf` they are equal. A head whose
    `keep`, `(B,)` bool, is False gets 0. Raises `ValueError` for a temperature that is not above 0,
    no head, logits of different shapes, or a sample whose heads are all masked.
    """
    number("temperature", temperature, above=0, or_infinity=True)
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
        super().__init__(encoders, classes)
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
