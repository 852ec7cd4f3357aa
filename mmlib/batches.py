"""Batches of a data set, read ahead.

A data set is whole in memory, with `inputs`, a dict of tensors; or it is read as it is needed: then
`take(index, draws)` gives a raw batch on the CPU and `finish(inputs, draws)`, where the batch goes
to, what the model gets; several threads may call them at a time. `draws` are `DRAWS` uniform
numbers a sample; `None` means evaluation.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mmlib.arguments import whole_number

Inputs = dict[str, Tensor]
READERS = 2  # threads that read batches ahead; more wait for each other
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


def loaded(
    dataset,
    parts: Iterable[Tensor],
    device: torch.device | str = "cpu",
    draws: Tensor | None = None,
) -> Iterator[tuple[Inputs, Tensor, Tensor]]:
    """`(inputs, target, index)` of each index in `parts`; `draws`, `(N, DRAWS)`, for training.

    Of a data set that is not in memory, `READERS` threads read the next batches, a batch each,
    while the caller works on this one. They finish them, too; but for CUDA they copy them from
    pinned memory on a stream of their own, and they are finished there. What goes wrong in a thread
    is raised here. Closed or finished, it leaves no thread behind.
    """
    if hasattr(dataset, "inputs"):
        for index in parts:
            yield (*take(dataset, index, device), index.to(device))
        return
    here, cuda = (torch.device(device).type == kind for kind in ("cpu", "cuda"))
    stream = torch.cuda.Stream(device) if cuda else None

    def read(index: Tensor):
        own = None if draws is None else draws[index]
        inputs = dataset.take(index, own)
        rest = {"target": dataset.target[index], "index": index}
        if here:
            return (dataset.finish(inputs, own), rest, {}), None
        return _sent([inputs, rest, {} if own is None else {"draws": own}], device, stream)

    with closing(ahead(read, parts)) as results:
        for (inputs, rest, own), arrived in results:
            if cuda:
                torch.cuda.current_stream(device).wait_event(arrived)
                for x in (*inputs.values(), *rest.values(), *own.values()):
                    x.record_stream(torch.cuda.current_stream(device))
            if not here:
                inputs = dataset.finish(inputs, own.get("draws"))
            yield inputs, rest["target"], rest["index"]


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


def at_once(dataset) -> int:
    """How many samples of a data set to judge at a time, without gradients."""
    return 500 if hasattr(dataset, "inputs") else 64


def parts_of(count: int, parts: int) -> list[slice]:
    """`count` rows in up to `parts` slices of the same size, the last one perhaps smaller."""
    size = -(-count // parts)
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]
