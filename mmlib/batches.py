"""Batches of a data set, read ahead.

A data set is whole in memory, with `inputs`, a dict of tensors; or it is read as it is needed: then
`take(index, draws)` gives a raw batch on the CPU and `finish(inputs, draws)`, where the batch goes
to, what the model gets; several threads may call them at a time. `draws` are `DRAWS` uniform
numbers a sample; `None` means evaluation.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from itertools import islice
from multiprocessing import get_all_start_methods
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmlib.arguments import whole_number
from mmlib.devices import usable_cores

Inputs = dict[str, Tensor]
READERS = 2  # threads that read batches ahead; more wait for each other
PROCESSES = 4  # that read batches ahead for CUDA
DRAWS = 8  # random numbers that decide what a sample undergoes in an epoch


def batches(
    dataset,
    batch_size: int,
    shuffle: bool = False,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Inputs, Tensor, Tensor]]:
    """`(inputs, target, index)` of every sample of a data set once, `batch_size` at a time.

    The last batch may be smaller. Raises `ValueError` for a batch size that is not a whole number
    above 0, and for `shuffle` without a `generator`.
    """
    whole_number("batch_size", batch_size, at_least=1)
    if shuffle and generator is None:
        raise ValueError("shuffle=True needs a generator: pass torch.Generator().manual_seed(seed)")
    order = torch.arange(len(dataset))
    if shuffle:
        order = torch.randperm(len(dataset), generator=generator)
    return loaded(dataset, order.split(batch_size), device)


def take(
    dataset, index: Tensor, device: torch.device | str = "cpu", draws: Tensor | None = None
) -> tuple[Inputs, Tensor]:
    """`(inputs, target)` of some samples of a data set, on the device."""
    target = dataset.target[index].to(device, non_blocking=True)
    if hasattr(dataset, "inputs"):
        inputs = {m: x[index].to(device, non_blocking=True) for m, x in dataset.inputs.items()}
        return inputs, target
    raw = {m: x.to(device) for m, x in dataset.take(index, draws).items()}
    return dataset.finish(raw, None if draws is None else draws.to(device)), target


def check_kind(dataset) -> None:
    """Raise `ValueError` for what is no data set, see the module; `mmlib.items` wraps PyTorch's."""
    lazy = hasattr(dataset, "take") and hasattr(dataset, "finish")
    if hasattr(dataset, "target") and hasattr(dataset, "__len__"):
        if lazy or hasattr(dataset, "inputs"):
            return
    raise ValueError(
        f"the data is a {type(dataset).__name__}; give an object with inputs (a dict of tensors), "
        "target and a length, or wrap a PyTorch data set: mmlib.items.Items(dataset)"
    )


def loaded(
    dataset,
    parts: Iterable[Tensor],
    device: torch.device | str = "cpu",
    draws: Tensor | None = None,
    read: Callable | None = None,
) -> Iterator[tuple[Inputs, Tensor, Tensor]]:
    """`(inputs, target, index)` of each index in `parts`; `draws`, `(N, DRAWS)`, for training.

    Of a data set that is not in memory, `READERS` threads read the next batches, a batch each,
    while the caller works on this one, or what `reading` gave as `read` does; none where it says
    that it is to be read `one_by_one`. For the CPU the threads finish them, too; for CUDA they are
    copied from pinned memory on a stream of their own and finished there. What goes wrong in a
    reader is raised here. Closed or finished, it leaves no thread behind.
    """
    if hasattr(dataset, "inputs"):
        for index in parts:
            yield (*take(dataset, index, device), index.to(device))
        return
    check_kind(dataset)
    here, cuda = (torch.device(device).type == kind for kind in ("cpu", "cuda"))
    stream = torch.cuda.Stream(device) if cuda else None

    def on_its_way(index: Tensor, raw: Inputs | None = None):
        own = None if draws is None else draws[index]
        raw = dataset.take(index, own) if raw is None else raw
        rest = {"target": dataset.target[index], "index": index}
        if here:
            return (dataset.finish(raw, own), rest, {}), None
        return _sent([raw, rest, {} if own is None else {"draws": own}], device, stream)

    if read:
        parts = list(parts)
        results = (on_its_way(*pair) for pair in zip(parts, read(parts, draws)))
    elif getattr(dataset, "one_by_one", False):
        results = (on_its_way(index) for index in parts)
    else:
        results = ahead(on_its_way, parts)
    with closing(results):
        for (inputs, rest, own), arrived in results:
            if cuda:
                torch.cuda.current_stream(device).wait_event(arrived)
                for x in (*inputs.values(), *rest.values(), *own.values()):
                    x.record_stream(torch.cuda.current_stream(device))
            if not here:
                inputs = dataset.finish(inputs, own.get("draws"))
            yield inputs, rest["target"], rest["index"]


@contextmanager
def reading(dataset, device: torch.device | str = "cpu") -> Iterator[Callable | None]:
    """For CUDA: `read` for `loaded`, by processes that live as long as this context; else `None`.

    Threads wait for the interpreter that starts the GPU's work, and hold it up. Processes do not,
    but take a second to start, so a run starts them once.
    """
    lazy = not hasattr(dataset, "inputs") and torch.device(device).type == "cuda"
    cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if lazy else 1
    if cores < 2 or "fork" not in get_all_start_methods():
        yield None
        return
    processes = _Processes(dataset, min(PROCESSES, cores - 1))
    try:
        yield processes.read
    finally:
        processes.loader = None  # nobody else holds it, so its processes end


class _Processes:
    """Raw batches, read ahead by processes of a `DataLoader`."""

    def __init__(self, dataset, count: int):
        self.jobs: list = []
        self.loader = DataLoader(
            _Raw(dataset),
            batch_size=None,
            sampler=self.jobs,
            num_workers=count,
            # a wrapped data set may change between epochs, which processes see when they start
            persistent_workers=not getattr(dataset, "one_by_one", False),
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # or it would draw from the global one
            multiprocessing_context="fork",
        )

    def read(self, parts: Sequence[Tensor], draws: Tensor | None) -> Iterator[Inputs]:
        """The raw batch of each index in `parts`, in order."""
        # as arrays: a tensor would travel by a file descriptor of its own
        self.jobs[:] = [(x.numpy(), None if draws is None else draws[x].numpy()) for x in parts]
        for raw in self.loader:
            if isinstance(raw, Exception):
                raise raw
            yield raw


class _Raw(Dataset):
    """What a process of `_Processes` does; an error travels back as it is."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, job: tuple) -> Inputs | Exception:
        index, draws = (None if x is None else torch.from_numpy(x) for x in job)
        try:
            return self.dataset.take(index, draws)
        except Exception as error:
            return error


def _sent(groups: list[Inputs], device, stream) -> tuple[list[Inputs], Any]:
    """The tensors on the device, and for CUDA the event after which they may be used."""
    with torch.cuda.stream(stream) if stream else nullcontext():
        if stream:
            groups = [{name: x.pin_memory() for name, x in group.items()} for group in groups]
        groups = [
            {name: x.to(device, non_blocking=True) for name, x in group.items()} for group in groups
        ]
        return groups, stream.record_event() if stream else None


def ahead(function: Callable, arguments: Iterable, threads: int = READERS) -> Iterator:
    """`map(function, arguments)`, a few results made in advance by background threads."""
    arguments, depth = iter(arguments), threads + 1
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read ahead")
    try:
        waiting = deque(pool.submit(function, x) for x in islice(arguments, depth))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, x) for x in islice(arguments, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def fingerprint(dataset) -> dict[str, Any]:
    """What tells a data set from another one, by name: whole numbers and texts.

    `samples`, digests of the `targets` and, where there are some, of the `ids`, and for each
    modality the kind and shape of a sample. Of inputs in memory two coarse numbers are added, which
    stay the same on a processor or with threads that round otherwise.
    """
    ids = {"ids": digest(list(dataset.ids))} if hasattr(dataset, "ids") else {}
    targets = digest(torch.as_tensor(dataset.target).tolist())
    readable = len(dataset) and any(hasattr(dataset, name) for name in ("inputs", "take"))
    first = take(dataset, torch.tensor([0]))[0] if readable else {}
    inputs = {m: f"{x.dtype} {tuple(x.shape[1:])}".removeprefix("torch.") for m, x in first.items()}
    whole = getattr(dataset, "inputs", {})
    inputs = {m: f"{kind} {_gist(whole[m])}" if whole else kind for m, kind in inputs.items()}
    return {"samples": len(dataset), "targets": targets} | ids | {"inputs": inputs}


def _gist(x: Tensor) -> str:
    """The size of `x`, `(N, ...)`, and its likeness to a wave, both rounded."""
    along = torch.arange(x[:1].numel()).double().cos()
    parts = (part.detach().cpu().double().reshape(len(part), -1) for part in x.split(256))
    rows = torch.cat([part @ along for part in parts])  # (N,)
    across = torch.arange(len(x)).double().cos()
    return f"{rows.norm():.3g} {torch.cosine_similarity(rows, across, 0):.3f}"


def digest(content) -> str:
    """A digest of tensors, numbers, texts, lists and dicts of them, wherever the tensors lie."""
    found = hashlib.blake2b(digest_size=16)
    _feed(found, content)
    return found.hexdigest()


def _feed(found, content) -> None:
    if isinstance(content, Tensor):
        x = content.detach().cpu().contiguous()
        found.update(f"{x.dtype} {tuple(x.shape)} ".encode())
        found.update(x.flatten().view(torch.uint8).numpy() if x.numel() else b"")
    elif isinstance(content, Mapping):
        _feed(found, sorted(content.items(), key=lambda pair: repr(pair[0])))
    elif isinstance(content, (list, tuple)):
        found.update(f"{len(content)} ".encode())
        for part in content:
            _feed(found, part)
    else:
        found.update(f"{content!r} ".encode())


def at_once(dataset) -> int:
    """How many samples of a data set to judge at a time, without gradients."""
    return 500 if hasattr(dataset, "inputs") else 64


def parts_of(count: int, parts: int) -> list[slice]:
    """`count` rows in up to `parts` slices of the same size, the last one perhaps smaller."""
    size = -(-count // parts)
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]
