"""The processes of `torchrun` start as one and stay so: `fit` brings them together, and looks.

Whatever a process has of its own (weights that no seed was given, a share of the data, a checkpoint
on another disk) would train on without a word: every process a little otherwise, and only the first
one's result is kept. So all is compared by digests; what differs ends the run in all processes,
with one sentence. In an ordinary run nothing here does anything.
"""

import io
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from mmlib.batches import digest, fingerprint
from mmlib.parallel import rank, share_batch_norm, world_size

ADVICE = {
    "the data": "give every process the whole data set, fit takes its share",
    "the checkpoint": "give a path on a disk that all processes see, with one file",
    "the plan": "draw it from the method's own generator, seeded alike in all processes",
    "--out": "give a folder on a disk that all processes see",
}


@contextmanager
def all_or_none() -> Iterator[None]:
    """What one process raises in this block, all raise, each at its end; the others `ValueError`.

    So none waits for one that has ended.
    """
    error = None
    try:
        yield
    except Exception as found:
        error = found
    for number, text in enumerate(_gathered(error and str(error))):
        if error:
            raise error
        if text is not None:
            raise ValueError(f"process {number}: {text}")


def bring_together(
    method, dataset, history: list[dict], device: torch.device | str = "cpu", **settings
) -> None:
    """Bring the processes of `torchrun` to one state, that of the first; see the module.

    `settings`, the class of the method, the data, the shapes of its modules' tensors and a
    checkpoint, whose `history` this is, have to be alike already. Batch normalisation is shared,
    and what `method.state_dict()` gives in the first process the others load. Raises `ValueError`
    in all processes for what differs, two processes on one GPU, and a state that does not come
    back as it was given.
    """
    if world_size() == 1:
        return
    whole = _modules(method)
    with all_or_none():
        share_batch_norm(whole, device)
        own = settings | {"the method": type(method).__name__}
        own["the data"] = f"{len(dataset)} samples ({digest(fingerprint(dataset))[:12]})"
        saved = digest([method.state_dict(), history])[:12]
        own["the checkpoint"] = f"of {len(history)} epochs ({saved})" if history else "none"
        for name, x in whole.state_dict().items():
            own[f"the shape of {name}"] = tuple(getattr(x, "shape", ()))
    _check_alike(own)
    _check_gpus(whole)
    _send(method)
    if _difference({"state": digest([method.state_dict(), whole.state_dict()])}):
        raise ValueError(
            "the processes differ after load_state_dict; let the method's state_dict hold all that "
            "it starts from, and load_state_dict bring it back as it was"
        )


def plan_together(plan) -> None:
    """Raise `ValueError` in all processes where they would visit other samples, see `Plan`."""
    if world_size() > 1:
        _check_alike({"the plan": digest([plan.index, plan.keep])[:12]})


def stay_together(method) -> None:
    """Raise `ValueError` in all processes where an epoch has left them with other weights."""
    if world_size() == 1:
        return
    whole = _modules(method)
    found = _difference({name: digest(x) for name, x in whole.state_dict().items()})
    if found is None:
        return
    name, number, *_ = found
    advice = "give all the same options, call average_gradients(model) between backward and step"
    if name not in dict(whole.named_parameters(remove_duplicate=False)):
        advice = "it follows each process's rows, so average it over the processes"
    raise ValueError(f"{name} is not the same in process 0 and {number} after an epoch; {advice}")


def _gathered(own) -> list:
    """What each process gives, in all of them."""
    if world_size() == 1:
        return [own]
    whole = [None] * world_size()
    dist.all_gather_object(whole, own)
    return whole


def _modules(method) -> nn.Module:
    """All modules that a method holds, as one."""
    if isinstance(method, nn.Module):
        return method
    whole = nn.Module()
    whole.model = method.model
    for name, value in vars(method).items():
        if isinstance(value, nn.Module):
            setattr(whole, name, value)
    return whole


def _difference(own: dict) -> tuple | None:
    """The first name whose value differs: name, process, the first one's value, that process's."""
    first, *others = whole = _gathered(own)
    for name in dict.fromkeys(name for known in whole for name in known):
        for number, other in enumerate(others, 1):
            values = first.get(name, "missing"), other.get(name, "missing")
            if values[0] != values[1]:
                return name, number, *values
    return None


def _check_alike(own: dict) -> None:
    found = _difference(own)
    if found:
        name, number, first, other = found
        advice = ADVICE.get(name, "start all processes alike")
        raise ValueError(
            f"{name} is {first} in process 0 and {other} in process {number}; {advice}"
        )


def _check_gpus(whole: nn.Module) -> None:
    device = next(whole.parameters()).device
    own = device.type == "cuda" and str(torch.cuda.get_device_properties(device).uuid)
    places = [place for place in _gathered(own) if place]
    if len(set(places)) < len(places):
        raise ValueError(
            f"processes share a GPU ({device} here); give make_method and fit the device "
            "mmlib.devices.pick_device(), another one in each process"
        )


def _send(method) -> None:
    """Give all processes the first one's state, as a checkpoint would."""
    parcel = [None]
    with all_or_none():
        if rank() == 0:
            written = io.BytesIO()
            torch.save(method.state_dict(), written)
            parcel = [written.getvalue()]
    dist.broadcast_object_list(parcel, 0)
    with all_or_none():
        if rank() > 0:
            written = io.BytesIO(parcel[0])  # by this very script, so it may hold any object
            method.load_state_dict(torch.load(written, map_location="cpu", weights_only=False))


def check_seen(name: str, folder: Path, patience: float = 3) -> None:
    """Raise `ValueError` in all processes where one does not see the first one's folder.

    A disk of the network may show a new file a moment later, for which it waits.
    """
    if world_size() == 1:
        return
    mark = folder / f".seen-{_gathered(secrets.token_hex(8))[0]}"
    with all_or_none():
        if rank() == 0:
            mark.touch()
    try:
        end = time.monotonic() + patience
        while not mark.exists() and time.monotonic() < end:
            time.sleep(0.1)
        _check_alike({name: str(folder) if mark.exists() else "another folder"})
    finally:
        if rank() == 0:
            mark.unlink(missing_ok=True)
