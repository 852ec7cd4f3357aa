"""Training: batches, the one loop that drives every method, optimisers, devices.

A data set is whole in memory, with `inputs`, a dict of tensors; or it is read as it is needed: then
`take(index, draws)` gives a raw batch on the CPU and `finish(inputs, draws)`, where the batch goes
to, what the model gets; several threads may call them at a time. `draws` are `DRAWS` uniform
numbers a sample; `None` means evaluation.
Checkpoints are in `mmlib.checkpoints`, how several processes share a batch is in `mmlib.parallel`.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmlib.checkpoints import open_checkpoint, save_epoch
from mmlib.parallel import mean_over_processes, own_rows, rank, sum_over_processes, world_size

Inputs = dict[str, Tensor]
READERS = 2  # threads that read batches ahead; more wait for each other
DRAWS = 8  # random numbers that decide what a sample undergoes in an epoch


class Plan(NamedTuple):
    """Which samples an epoch visits, `(V,)`, and `keep[m]`, `(V,)` bool, False where masked.

    `looked_at` counts the samples that were judged without gradients to make the plan: a cost that
    the visits do not show.
    """

    index: Tensor
    keep: dict[str, Tensor] | None = None
    looked_at: int = 0


class Method(Protocol):
    """What the loop asks of a method. Any class with these members is one; nobody inherits.

    A method holds its model and its optimiser. `plan` may also do what comes once an epoch: set
    the learning rate, valuate the samples, add a classifier, start a second stage.
    """

    model: nn.Module

    def plan(self, epoch: int) -> Plan | None:
        """What to visit in this epoch (counted from 0); `None`: every sample once, all kept."""

    def step(
        self, inputs: Inputs, target: Tensor, index: Tensor, keep: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One update (or several) on a batch; returns scalars to log, detached."""

    def predict(self, inputs: Inputs) -> dict[str, Tensor]:
        """Logits at test time: `"fused"` and one entry per modality, each `(B, classes)`."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: tensors, numbers, strings, lists and dicts of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The way back from `state_dict`."""


def fit(
    method: Method,
    dataset,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    device: torch.device | str = "cpu",
    evaluate: Callable[[Method], dict[str, float]] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    best: str | None = None,
    after_epoch: Callable[[list[dict[str, float]]], bool | None] | None = None,
) -> list[dict[str, float]]:
    """Train `method` and return its history, one dict an epoch.

    `seed` decides what happens from here on: the order of the samples, how they are augmented, what
    a plan draws, dropout. The weights that `method` starts with are there already: make the
    encoders within `seeded`, and give `make_method` a seed for the rest.

    A row holds `epoch` (from 1), `seconds` of training, `samples` visited and `looked_at` (see
    `Plan`), the means of what `step` logged, and what `evaluate(method)` returned. With
    `checkpoint` the state is saved after every epoch; `resume` goes on from that file to the
    weights that an undisturbed run reaches. Of the entry `best` of the rows the state with the
    largest is kept too, in `best.pt` beside it. `after_epoch(history)` ends the training where it
    returns True. Under `torchrun` each process takes its share of every batch and the first one
    saves; visits that do not come out even over the processes, fewer than these, are left out.

    Raises `ValueError` for a wrong batch size or number of epochs, one that the processes cannot
    share, and a `best` that no row has; `FileExistsError` for a checkpoint that is there when
    `resume` is off.
    """
    whole_number("epochs", epochs, at_least=1)
    _check_batch_size(batch_size)
    history = open_checkpoint(checkpoint, resume, method) if checkpoint else []
    generator = torch.Generator()
    quiet = not progress or rank() > 0
    bar = tqdm(range(epochs), "epochs", initial=len(history), disable=quiet)
    for epoch in range(len(history), epochs):
        started, logs = time.perf_counter(), []
        generator.manual_seed(seed * 1_000_003 + epoch)  # so a resumed run shuffles alike
        with seeded(seed * 1_000_003 + epoch):
            plan = method.plan(epoch) or Plan(torch.arange(len(dataset)))
            visits = _visits(dataset, plan, batch_size, generator, device)
            steps = -(-len(plan.index) // batch_size)
            with closing(visits), tqdm(total=steps, leave=False, disable=quiet) as small_bar:
                for inputs, target, index, keep in visits:
                    logs.append(method.step(inputs, target, index, keep))
                    small_bar.update()
        row = {key: torch.stack([log[key] for log in logs]).mean().item() for key in logs[0]}
        row = mean_over_processes(row, device)
        row = {"samples": len(plan.index), "looked_at": plan.looked_at} | row
        row = {"epoch": epoch + 1, "seconds": time.perf_counter() - started} | row
        history.append(row | (evaluate(method) if evaluate else {}))
        if checkpoint and rank() == 0:
            save_epoch(Path(checkpoint), method, history, best)
        bar.set_postfix({key: f"{x:.3f}" for key, x in row.items() if key == "loss"})
        bar.update()
        done = torch.tensor(float(bool(after_epoch and after_epoch(history))), device=device)
        if sum_over_processes(done):  # all of them or none
            break
    bar.close()
    return history


def _visits(
    dataset, plan: Plan, batch_size: int, generator: torch.Generator, device
) -> Iterator[tuple[Inputs, Tensor, Tensor, dict[str, Tensor] | None]]:
    """What `step` is given in an epoch: this process's share of each shuffled batch."""
    draws = None
    if not hasattr(dataset, "inputs"):  # by a generator of their own: the order is that in memory
        luck = torch.Generator().manual_seed(generator.initial_seed() + 500_009)
        draws = torch.rand(len(dataset), DRAWS, generator=luck)
    shares = _shares(len(plan.index), batch_size, generator)
    read = loaded(dataset, [plan.index[rows] for rows in shares], device, draws)
    with closing(read):
        for rows, batch in zip(shares, read, strict=True):
            keep = plan.keep and {m: kept[rows].to(device) for m, kept in plan.keep.items()}
            yield *batch, keep


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


def _check_batch_size(batch_size: int) -> None:
    whole_number("batch_size", batch_size, at_least=1)
    if batch_size % world_size():
        raise ValueError(
            f"batch_size {batch_size} does not split over {world_size()} processes; "
            f"give a multiple of {world_size()}"
        )


def _shares(count: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """This process's share of each shuffled batch."""
    if count < world_size():
        raise ValueError(f"{count} samples to visit; give a data set and a plan that hold some")
    order = torch.randperm(count, generator=generator)
    order = order[: count - count % world_size()]
    return [own_rows(rows) for rows in order.split(batch_size)]


def parts_of(count: int, parts: int) -> list[slice]:
    """`count` rows in up to `parts` slices of the same size, the last one perhaps smaller."""
    size = -(-count // parts)
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def whole_number(name: str, value: int, at_least: int) -> int:
    """`value`, if it is a whole number of at least `at_least`; otherwise a `ValueError`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < at_least:
        raise ValueError(f"{name} is {value!r}; give a whole number of at least {at_least}")
    return int(value)


def one_of(name: str, value: Any, known: Sequence) -> Any:
    """`value`, if it is one of `known`; otherwise a `ValueError` that names them."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, known))}")
    return value


def make_optimizer(
    name: str, parameters: Iterable[Tensor], lr: float, weight_decay: float = 1e-4
) -> torch.optim.Optimizer:
    """`"sgd"` (momentum 0.9) or `"adam"`, on CUDA one kernel for all parameters (`fused`)."""
    parameters = list(parameters)
    options = {"weight_decay": weight_decay, "fused": parameters[0].is_cuda or None}
    if one_of("optimizer", name, ("sgd", "adam")) == "sgd":
        return torch.optim.SGD(parameters, lr, 0.9, **options)
    return torch.optim.Adam(parameters, lr, **options)


def cosine_rate(optimizer: torch.optim.Optimizer, lr: float, epoch: int, epochs: int) -> None:
    """Set the learning rate to `lr` times half a cosine: 1 in epoch 0, towards 0 at `epochs`."""
    rate = lr * (1 + math.cos(math.pi * min(epoch / epochs, 1))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate


def step_rate(
    optimizer: torch.optim.Optimizer, lr: float, epoch: int, decay_at: Sequence[int]
) -> None:
    """Set the learning rate to `lr`, a tenth of it from each of the epochs `decay_at` on."""
    for group in optimizer.param_groups:
        group["lr"] = lr * 0.1 ** sum(epoch >= first for first in decay_at)


@contextmanager
def seeded(seed: int):
    """Draw from a global generator seeded with `seed`, for PyTorch calls that take no generator
    (weight initialisation, dropout); what was there before is put back."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def pick_device(name: str | None = None) -> torch.device:
    """The device of that name; without one, this process's CUDA GPU, else Apple's, else the CPU.

    Raises `ValueError` for a device that is not there.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        wanted = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is {name!r}; give cpu, cuda, cuda:1 or mps") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available()}
    there["mps"] = torch.backends.mps.is_available()
    if not there.get(wanted.type, False):
        raise ValueError(f"device is {name!r}, which is not on this machine; leave it out")
    if wanted.type == "cuda" and wanted.index is None:
        wanted = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if wanted.type == "cuda" and wanted.index >= torch.cuda.device_count():
        raise ValueError(f"device is {wanted}; there are {torch.cuda.device_count()} GPUs")
    return wanted


def use_precision(
    module: nn.Module, precision: str, device: torch.device | str = "cpu"
) -> nn.Module:
    """Make `module` compute in `"float32"` or in `"bfloat16"` (mixed) and return float32.

    Meant for encoders, where the time goes; heads and losses stay in float32. Raises `ValueError`
    for another precision.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}; choose 'float32' or 'bfloat16'")
    if precision == "bfloat16":
        forward = torch.autocast(torch.device(device).type, torch.bfloat16)(module.forward)
        module.forward = lambda x: forward(x).float()
    return module


def use_channels_last(module: nn.Module) -> nn.Module:
    """Lay out the weights of 2-D convolutions channels last, which GPUs with tensor cores prefer.

    What such a convolution gives has the same layout, so the inputs need no change.
    """
    return module.to(memory_format=torch.channels_last)
