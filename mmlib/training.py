"""Training: batches, the one loop that drives every method, checkpoints, devices, `torchrun`."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm.auto import tqdm

Inputs = dict[str, Tensor]


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
) -> list[dict[str, float]]:
    """Train `method` and return its history, one dict an epoch.

    A row holds `epoch` (from 1), `seconds` of training, `samples` visited and `looked_at` (see
    `Plan`), the means of what `step` logged, and what `evaluate(method)` returned. With
    `checkpoint` the state is saved after every epoch; `resume` goes on from that file to the
    weights that an undisturbed run reaches. Under `torchrun` each process takes its share of every
    batch.

    Raises `ValueError` for a wrong batch size or number of epochs, or one that the processes cannot
    share; `FileExistsError` for a checkpoint that is there when `resume` is off.
    """
    whole_number("epochs", epochs, at_least=1)
    history = _open_checkpoint(checkpoint, resume, method) if checkpoint else []
    generator = torch.Generator()
    bar = tqdm(range(epochs), initial=len(history), disable=not progress or rank() > 0)
    for epoch in range(len(history), epochs):
        started, logs = time.perf_counter(), []
        generator.manual_seed(seed * 1_000_003 + epoch)  # so a resumed run shuffles alike
        with seeded(seed * 1_000_003 + epoch):
            plan = method.plan(epoch) or Plan(torch.arange(len(dataset)))
            for rows in _shares(len(plan.index), batch_size, generator):
                index = plan.index[rows]
                keep = plan.keep and {m: kept[rows].to(device) for m, kept in plan.keep.items()}
                inputs, target = take(dataset, index, device)
                logs.append(method.step(inputs, target, index.to(device), keep))
        row = {"epoch": epoch + 1, "seconds": time.perf_counter() - started}
        row |= {"samples": len(plan.index), "looked_at": plan.looked_at}
        row |= {key: torch.stack([log[key] for log in logs]).mean().item() for key in logs[0]}
        history.append(row | (evaluate(method) if evaluate else {}))
        if checkpoint and rank() == 0:
            save_checkpoint(checkpoint, method, history)
        bar.update()
    bar.close()
    return history


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
    return ((*take(dataset, index, device), index.to(device)) for index in order.split(batch_size))


def take(dataset, index: Tensor, device: torch.device | str = "cpu") -> tuple[Inputs, Tensor]:
    """`(inputs, target)` of some samples of a data set that is whole in memory."""
    inputs = {m: x[index].to(device, non_blocking=True) for m, x in dataset.inputs.items()}
    return inputs, dataset.target[index].to(device, non_blocking=True)


def _shares(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """This process's share of each shuffled batch."""
    whole_number("batch_size", batch_size, at_least=1)
    if batch_size % world_size():
        raise ValueError(
            f"batch_size {batch_size} does not split over {world_size()} processes; "
            f"give a multiple of {world_size()}"
        )
    if count < world_size():
        raise ValueError(f"{count} samples to visit; give a data set and a plan that hold some")
    order = torch.randperm(count, generator=generator)
    order = order[: count - count % world_size()]
    for rows in order.split(batch_size):
        yield rows[rank() :: world_size()]


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


def cosine_rate(optimizer: torch.optim.Optimizer, lr: float, epoch: int, epochs: int) -> None:
    """Set the learning rate to `lr` times half a cosine: 1 in epoch 0, towards 0 at `epochs`."""
    rate = lr * (1 + math.cos(math.pi * min(epoch / epochs, 1))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate


def save_checkpoint(path: str | Path, method: Method, history: list[dict[str, float]]) -> None:
    """Write the state of a method, beside first and then renamed: `path` is always whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    state = {"method": type(method).__name__, "state": method.state_dict(), "history": history}
    torch.save(state, beside)
    os.replace(beside, path)


def load_checkpoint(path: str | Path, method: Method) -> list[dict[str, float]]:
    """Bring a method to the state saved in `path`; returns the history up to there.

    Raises `FileNotFoundError`, or `ValueError` for a damaged file or one of another method or
    model.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved, state, history = content["method"], content["state"], content["history"]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged or no checkpoint: {error}") from error
    if saved != type(method).__name__:
        raise ValueError(f"{path} holds a {saved}, not a {type(method).__name__}; use that method")
    try:
        method.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is of a model of other sizes: {error}") from error
    return history


def _open_checkpoint(path: str | Path, resume: bool, method: Method) -> list[dict[str, float]]:
    if not Path(path).exists():
        return []
    if not resume:
        raise FileExistsError(
            f"{path} exists; go on from it with resume=True (--resume), or give another path"
        )
    return load_checkpoint(path, method)


@contextmanager
def seeded(seed: int):
    """Draw from a global generator seeded with `seed`, for PyTorch calls that take no generator
    (weight initialisation, dropout); what was there before is put back."""
    with torch.random.fork_rng():
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


def start_processes() -> None:
    """Join the processes that `torchrun` started; does nothing in an ordinary run."""
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def rank() -> int:
    """Number of this process, 0 in an ordinary run."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 in an ordinary run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """`values` added up, in place, over the processes of `torchrun`; as given in an ordinary run.

    What every process has to decide alike (whom to re-sample, what to add) is decided on such sums.
    """
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def average_gradients(module: nn.Module) -> None:
    """Mean of the gradients over the processes of `torchrun`; does nothing in an ordinary run.

    A method calls it last before the optimiser's step, after it has changed the gradients. A
    parameter that got none in this process, but one in another (all of a modality masked in this
    share of a batch), counts as 0.
    """
    if world_size() == 1:
        return
    parameters = list(module.parameters())
    device = parameters[0].device
    used = torch.tensor([float(p.grad is not None) for p in parameters], device=device)
    for parameter, processes in zip(parameters, sum_over_processes(used).tolist(), strict=True):
        if processes:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            sum_over_processes(parameter.grad)
            parameter.grad /= world_size()
