"""From features to logits. Every model maps `inputs` to a dict of logits, each `(B, classes)`: one
for each modality and `"fused"`."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmlib.arguments import whole_number
from mmlib.parallel import normal_like, sum_over_processes, world_size

LOG_VARIANCE = 10.0  # a bottleneck's log-variance stays within plus and minus this
TOO_FEW = ("more than 1 value per channel", "one value a channel")  # for batch statistics
HEADS = ("fused", "concat")  # logits of no modality


class Fusion(nn.Module):
    """What all fusions share: one encoder for each modality, a `classify` for their features.

    `encoders` maps modality names to modules with a `features` attribute, their width; `classes`
    is how many logits the model gives. Raises `ValueError` for none, a name that is taken or that
    PyTorch does not allow, and a module without a width.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int):
        super().__init__()
        _check_encoders(encoders)
        self.classes = whole_number("classes", classes, at_least=1)
        self.encoders = nn.ModuleDict(encoders)

    def features(
        self, inputs: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """`{modality: (B, d)}`; `KeyError` for a modality that `inputs` lacks.

        A masked modality, `keep[m]` False, is not encoded: its feature is zero, and it costs
        nothing, neither time nor a place in the statistics of batch normalisation.
        """
        missing = [m for m in self.encoders if m not in inputs]
        if missing:
            raise KeyError(
                f"inputs lack {', '.join(map(repr, missing))}; given: "
                f"{', '.join(map(repr, inputs)) or 'none'}; mask a modality with `keep` instead"
            )
        if keep is None:
            return {m: _encode(encoder, inputs[m]) for m, encoder in self.encoders.items()}
        return {m: _encode_kept(e, inputs[m], keep[m]) for m, e in self.encoders.items()}

    def classify(
        self, features: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Logits of features; `keep[m]`, `(B,)` bool, is False where modality m is masked."""
        raise NotImplementedError

    def forward(
        self, inputs: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Logits of a batch, see `classify`."""
        return self.classify(self.features(inputs, keep), keep)


def _check_encoders(encoders: Mapping[str, nn.Module]) -> None:
    if not isinstance(encoders, (Mapping, nn.ModuleDict)) or not encoders:
        raise ValueError(f"encoders are {encoders!r}; give a dict of one module a modality")
    for m, encoder in encoders.items():
        # `hasattr`: a ModuleDict keeps its modules beside its own methods, such as `keys`
        plain = isinstance(m, str) and m and not any(x == "." or x.isspace() for x in m)
        if not plain or m in HEADS or hasattr(nn.ModuleDict, m) or hasattr(nn.Module(), m):
            raise ValueError(
                f"a modality is named {m!r}; give a text without space or dot that is neither "
                "'fused' nor 'concat' nor a method of nn.ModuleDict, such as 'audio'"
            )
        if not isinstance(encoder, nn.Module):
            raise ValueError(f"the encoder of {m!r} is {type(encoder).__name__}; give an nn.Module")
        if not hasattr(encoder, "features"):
            raise ValueError(
                f"the encoder of {m!r}, {type(encoder).__name__}, does not tell its width; set its "
                "attribute `features` to the number of features it gives"
            )
        whole_number(f"the width `features` of the encoder of {m!r}", encoder.features, at_least=1)


def _encode(encoder: nn.Module, x: Tensor) -> Tensor:
    """Features of some rows, `(B, d)`.

    One row alone, which a plan's masks can leave, has no batch statistics: then the running ones
    stand for them, as in evaluation. Raises `ValueError` where there are none.
    """
    norms = [x for x in encoder.modules() if isinstance(x, _BatchNorm) and x.training]
    try:
        return encoder(x)
    except ValueError as error:
        if not norms or not any(words in str(error) for words in TOO_FEW):
            raise
    for norm in norms:
        norm.eval()
    try:
        return encoder(x)
    except ValueError as error:
        raise ValueError(
            f"{type(encoder).__name__} normalises over a batch and was given one sample; give a "
            "batch_size that leaves no batch with one, or an encoder without batch normalisation"
        ) from error
    finally:
        for norm in norms:
            norm.train()


def _encode_kept(encoder: nn.Module, x: Tensor, kept: Tensor) -> Tensor:
    """Features of the kept rows, zeros in the others: `(B, ...)` to `(B, d)`."""
    features = torch.zeros(len(x), encoder.features, device=x.device)
    some = kept.any()
    if encoder.training and world_size() > 1:  # shared batch statistics need every process
        some = sum_over_processes(some.float())
    if some:
        features[kept] = _encode(encoder, x[kept])
    return features


class ConcatFusion(Fusion):
    """One linear layer on the concatenated features: `z = sum over m of W_m h_m + b`.

    A modality's own logits are those of the layer with all other features set to zero,
    `z_m = W_m h_m + b`, so it needs no head of its own (masking as Wei et al., CVPR 2024; Peng et
    al., CVPR 2022, give each modality `b / 2` instead).
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int):
        super().__init__(encoders, classes)
        self.widths = [encoder.features for encoder in self.encoders.values()]
        self.head = nn.Linear(sum(self.widths), classes)

    def classify(
        self, features: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Fusion.classify`."""
        weights = self.head.weight.split(self.widths, 1)
        parts = {m: features[m] @ W.T for m, W in zip(self.encoders, weights, strict=True)}
        logits = {m: part + self.head.bias for m, part in parts.items()}
        return logits | {"fused": add_kept(parts, keep) + self.head.bias}


class BottleneckFusion(ConcatFusion):
    """`ConcatFusion` on stochastic codes: `h_m` to mean and log-variance of a Gaussian, `(B, d)`.

    The variational information bottleneck of Alemi et al. (ICLR 2017), one for each modality; that
    CAL's is of this kind is our reading. In training the code is drawn, `mean + sigma e`; at test
    time it is the mean. `code` is d, the first encoder's width by default. The first log-variance
    is about -4, so that training starts nearly without noise; it stays within +-10.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int, code: int | None = None):
        super().__init__(encoders, classes)
        code = self.widths[0] if code is None else whole_number("code", code, at_least=1)
        self.bottlenecks = nn.ModuleDict(
            {m: nn.Linear(width, 2 * code) for m, width in zip(encoders, self.widths, strict=True)}
        )
        for layer in self.bottlenecks.values():
            nn.init.constant_(layer.bias[code:], -4.0)
        self.widths = [code] * len(encoders)
        self.head = nn.Linear(code * len(encoders), classes)

    def encode(self, inputs: dict[str, Tensor], keep: dict[str, Tensor] | None = None):
        """What enters the bottlenecks, `{modality: (B, features)}`; errors as in `features`."""
        return super().features(inputs, keep)

    def distributions(self, features: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and log-variance of each modality's code, `(B, d)` twice, of `encode`'s features."""
        found = {}
        for m, h in features.items():
            mean, log_variance = self.bottlenecks[m](h).chunk(2, 1)  # (B, 2 d) -> (B, d) twice
            # softly, so that the gradient never ends
            found[m] = mean, LOG_VARIANCE * (log_variance / LOG_VARIANCE).tanh()
        return found

    def codes(
        self,
        distributions: dict[str, tuple[Tensor, Tensor]],
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """A draw from each modality's distribution in training, its mean at test time."""
        if not self.training:
            return {m: mean for m, (mean, _) in distributions.items()}
        found = {}
        for m, (mean, log_variance) in distributions.items():
            noise = normal_like(mean, generator)
            found[m] = mean + (0.5 * log_variance).exp() * noise
        return found

    def features(
        self, inputs: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Codes, `(B, d)`; a masked modality's code is zero. Errors as in `Fusion.features`."""
        codes = self.codes(self.distributions(self.encode(inputs, keep)))
        if keep is None:
            return codes
        return {m: code * keep[m].unsqueeze(1) for m, code in codes.items()}


class LateFusion(Fusion):
    """One linear head for each modality; the fused logits are the sum of theirs.

    With one modality it is an ordinary classifier.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int):
        super().__init__(encoders, classes)
        self.heads = nn.ModuleDict({m: nn.Linear(e.features, classes) for m, e in encoders.items()})

    def classify(
        self, features: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Fusion.classify`."""
        logits = {m: head(features[m]) for m, head in self.heads.items()}
        return logits | {"fused": add_kept(logits, keep)}


class BoostedFusion(Fusion):
    """Configurable classifiers: private first layers, one second layer shared by all.

    `z_m = sum over j of Layer2(ReLU(Layer1_m_j(h_m)))`, section "Configurable classifier" of the
    paper. `hidden` is the width between the layers, half of the first encoder's by default (512 to
    256 in the paper). Fused logits are `sum over m of weights[m] z_m`, weights 1 by default.
    """

    def __init__(self, encoders: dict[str, nn.Module], classes: int, hidden: int | None = None):
        super().__init__(encoders, classes)
        half = max(1, next(iter(encoders.values())).features // 2)  # 0 would give a constant
        hidden = half if hidden is None else whole_number("hidden", hidden, at_least=1)
        self.first = nn.ModuleDict(
            {m: nn.ModuleList([nn.Linear(e.features, hidden)]) for m, e in encoders.items()}
        )
        self.second = nn.Linear(hidden, classes)
        self.weights = dict.fromkeys(encoders, 1.0)

    def stages(self, modality: str, features: Tensor) -> list[Tensor]:
        """Logits of each classifier of a modality, oldest first: `(B, d)` to `(B, K)` each."""
        return [self.second(F.relu(first(features))) for first in self.first[modality]]

    def classify(
        self, features: dict[str, Tensor], keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `Fusion.classify`."""
        logits = {m: sum(self.stages(m, features[m])) for m in self.encoders}
        return logits | {"fused": add_kept({m: self.weights[m] * logits[m] for m in logits}, keep)}

    def add_classifier(self, modality: str, generator: torch.Generator) -> nn.Linear:
        """Give a modality one more first layer (Xavier normal, bias 0); returns it."""
        if modality not in self.first:
            raise ValueError(f"modality is {modality!r}; choose one of {', '.join(self.first)}")
        old = self.first[modality][0]
        # skip_init: the default initialisation would draw from the global generator
        new = nn.utils.skip_init(
            nn.Linear, old.in_features, old.out_features, device=old.weight.device
        )
        nn.init.xavier_normal_(new.weight, generator=generator)
        nn.init.zeros_(new.bias)
        self.first[modality].append(new)
        return new


def add_kept(parts: dict[str, Tensor], keep: dict[str, Tensor] | None) -> Tensor:
    """Sum of each modality's part, `(B, classes)`, without those that `keep` masks."""
    if keep is not None:
        parts = {m: part * keep[m].unsqueeze(1) for m, part in parts.items()}
    return torch.stack(list(parts.values())).sum(0)
