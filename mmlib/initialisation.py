"""How weights start where a released code does not leave them to PyTorch."""

from collections.abc import Mapping

from torch import nn

from mmlib.arguments import one_of

KINDS = ("xavier", "scattered")


def initialise(model: nn.Module, how: str | Mapping[str, str]) -> None:
    """Start a model's weights anew, in place, from the global generator (see `seeded`).

    `"xavier"`: every `Linear` from Xavier's normal distribution with bias 0, every convolution from
    Kaiming's over its outputs (fan out), batch normalisation at 1 and 0, as OGM-GE (commit 343dc1d)
    and AUG (841d079) do. `"scattered"`: convolutions likewise, batch normalisation at N(1, 0.02^2)
    and 0, every `Linear` as it is, as DI-MML (83b9b7a) and sample valuation (7ed12b0) do. A mapping
    gives a kind to each part of the model that it names (`"encoders"`, `"head"`...) and leaves the
    others alone. So is left what says `pretrained = True` of itself. Raises `ValueError` for an
    unknown kind or part.
    """
    if not isinstance(how, (str, Mapping)):
        raise ValueError(f"initialisation is {how!r}; give one of {', '.join(KINDS)}, or a mapping")
    parts = dict(model.named_children())
    if isinstance(how, str):
        parts, how = {"": model}, {"": how}
    for name, kind in dict(how).items():
        one_of("initialisation", kind, KINDS)
        _start(parts[one_of("initialisation's part", name, list(parts))], kind)


def _start(module: nn.Module, kind: str) -> None:
    if getattr(module, "pretrained", False):
        return
    for child in module.children():
        _start(child, kind)
    if isinstance(module, nn.Linear) and kind == "xavier":
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02 if kind == "scattered" else 0.0)
        nn.init.zeros_(module.bias)
