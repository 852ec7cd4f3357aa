"""What `fit` looks at before it trains and after each epoch: what would go wrong silently, or late.

Each of these raises a `ValueError` of one sentence.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmlib.arguments import checked_seed, whole_number
from mmlib.batches import check_kind, take
from mmlib.devices import pick_device, seeded
from mmlib.parallel import world_size

REMEDY = "try a lower lr, clip=10, or look for NaN and huge numbers in the inputs"


def check_run(
    method, dataset, epochs: int, batch_size: int, seed: int, device: torch.device | str
) -> None:
    """Raise for what `fit` cannot train, or only something else than was meant."""
    whole_number("epochs", epochs, at_least=1)
    checked_seed(seed)
    _check_batch_size(batch_size)
    _check_epochs(method, epochs)
    check_data(dataset)
    _check_same(getattr(method, "dataset", dataset), dataset)
    model = getattr(method, "model", None)
    if isinstance(model, nn.Module):
        _check_device(model, device)
        _check_classes(model, dataset.target)
        _check_modalities(model, dataset)
        _check_last_batch(model, dataset, batch_size, device)


def _check_epochs(method, epochs: int) -> None:
    planned = getattr(method, "epochs", None)
    if isinstance(planned, int) and planned > 0 and planned != epochs:  # not a counter of one's own
        raise ValueError(
            f"epochs is {epochs}, but the method was made for {planned}; give make_method and fit "
            "the same number (to stop early, let after_epoch return True; to go further, train a "
            "method made for more, in another path)"
        )


def _check_same(own, dataset) -> None:
    if hasattr(own, "target") and not _same(own, dataset):
        raise ValueError(
            f"the data is not what the method was made with ({len(dataset)} samples, then "
            f"{len(own)}; others, in another order or changed); give make_method and fit the same"
        )


def _check_batch_size(batch_size: int) -> None:
    whole_number("batch_size", batch_size, at_least=1)
    if batch_size % world_size():
        raise ValueError(
            f"batch_size {batch_size} does not split over {world_size()} processes; "
            f"give a multiple of {world_size()}"
        )


def check_data(dataset) -> None:
    """Raise unless a data set has targets, `(N,)` int64 from 0, and in memory as many inputs."""
    check_kind(dataset)
    target, count = dataset.target, len(dataset)
    if not isinstance(target, Tensor):
        raise ValueError(f"target is {_kind(target)}; give a tensor: torch.as_tensor(target)")
    if target.dim() != 1 or len(target) != count:
        raise ValueError(
            f"target is {tuple(target.shape)} for {count} samples; give one class each, ({count},)"
        )
    if target.dtype != torch.int64:
        raise ValueError(f"target is {target.dtype}; give whole numbers: target.long()")
    if count and target.min() < 0:
        raise ValueError(f"target holds {target.min().item()}; give classes from 0 on")
    if hasattr(dataset, "inputs"):
        _check_inputs(dataset.inputs, count)


def _check_inputs(inputs: Any, count: int) -> None:
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs are {_kind(inputs)}; give a dict such as {{'audio': tensor}}")
    for m, x in inputs.items():
        if not isinstance(x, Tensor):
            raise ValueError(f"inputs of {m!r} are {_kind(x)}; give a tensor: torch.as_tensor(x)")
        if not x.dim() or len(x) != count:
            shape = tuple(x.shape)
            raise ValueError(
                f"inputs of {m!r} are {shape} for {count} targets; give a row for each"
            )
        if x.requires_grad:
            raise ValueError(f"inputs of {m!r} require a gradient; give x.detach()")


def _kind(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__name__}".replace("a builtins.", "a ")


def _same(one, other) -> bool:
    """Whether two data sets are one, or hold the same as far as can be seen without reading."""
    if one is other:
        return True
    if not (hasattr(one, "target") and len(one) == len(other) and _equal(one.target, other.target)):
        return False
    first, second = ({"ids": getattr(x, "ids", None)} for x in (one, other))
    first, second = getattr(one, "inputs", first), getattr(other, "inputs", second)
    return first.keys() == second.keys() and all(_equal(first[m], second[m]) for m in first)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one.cpu(), other.cpu())
    return one is other or (type(one) is type(other) and one == other)


def _check_device(model: nn.Module, device: torch.device | str) -> None:
    here = pick_device(str(device))
    for parameter in model.parameters():
        if parameter.device.type != here.type:
            raise ValueError(
                f"device is {device}, and the method is on {parameter.device}; give make_method "
                "and fit the same"
            )


def _check_classes(model: nn.Module, target: Tensor) -> None:
    classes = getattr(model, "classes", None)
    if isinstance(classes, int) and len(target) and target.max() >= classes:
        raise ValueError(
            f"target goes up to {target.max().item()}, and the method has {classes} classes; give "
            f"classes in 0..{classes - 1}, or make_method as many as there are"
        )


def _check_modalities(model: nn.Module, dataset) -> None:
    encoders = getattr(model, "encoders", {})
    given = list(getattr(dataset, "inputs", getattr(dataset, "modalities", encoders)))
    missing = [m for m in encoders if m not in given]
    if missing:
        has = ", ".join(map(str, given)) or "nothing"
        raise ValueError(
            f"the data lacks {', '.join(missing)} (it has {has}); give the method encoders for "
            "what the data has"
        )


def _check_last_batch(model: nn.Module, dataset, batch_size: int, device) -> None:
    """Raise where the last batch has one sample, and an encoder cannot take it.

    The processes of `torchrun` share batch normalisation, so there each may have one.
    """

    def last(size: int) -> int:
        return len(dataset) % size or min(size, len(dataset))

    if world_size() > 1 or last(batch_size) != 1 or not hasattr(model, "encoders"):
        return
    refusing = _refusing_one(model, dataset, device)
    if refusing is not None:
        more = range(batch_size + 1, len(dataset) + batch_size + 1)
        better = next((f"batch_size {size}" for size in more if last(size) > 1), "more samples")
        raise ValueError(
            f"batch_size is {batch_size}, which leaves a batch with one of {len(dataset)} samples, "
            f"and batch normalisation in the encoder of {refusing!r} needs two; give {better}"
        )


def _refusing_one(model: nn.Module, dataset, device) -> str | None:
    """The modality whose encoder cannot be trained on one sample; leaves no trace in any."""
    norms = [x for x in model.modules() if isinstance(x, nn.modules.batchnorm._BatchNorm)]
    before = [(x, x.clone()) for norm in norms for x in norm.buffers()]
    inputs = take(dataset, torch.zeros(1, dtype=torch.int64), device)[0] if norms else {}
    model.train()
    try:
        with torch.no_grad(), seeded(0):
            for m, x in inputs.items():
                if m in model.encoders:
                    model.encoders[m](x)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return m
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
    return None


@contextmanager
def diverging(epoch: int) -> Iterator[None]:
    """Says of an error that asks whether the training diverged in which epoch, and what to try."""
    try:
        yield
    except ValueError as error:
        if "did the training diverge" not in str(error):
            raise
        raise ValueError(f"epoch {epoch + 1}: {error} If so, {REMEDY}") from error


def check_finite(row: Mapping[str, float], model: nn.Module, epoch: int) -> None:
    """Raise where an epoch's mean loss, or a weight after it, is not finite."""
    if not math.isfinite(row.get("loss", 0.0)):
        what = f"the loss is {row['loss']}"
    elif not _finite(model):
        what = "a weight is not finite"
    else:
        return
    raise ValueError(f"{what} in epoch {epoch + 1}, so the training ends here; {REMEDY}")


def _finite(model: nn.Module) -> bool:
    found = [x.isfinite().all() for x in model.parameters() if x.is_floating_point()]
    return not found or bool(torch.stack(found).all())
