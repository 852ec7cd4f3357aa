"""Training: the one loop that drives every method, optimisers and rates.

What a data set is stands in `mmlib.batches`, checkpoints in `mmlib.checkpoints`, how several
processes share a batch in `mmlib.parallel`.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmlib.agreement import all_or_none, bring_together, plan_together, stay_together
from mmlib.arguments import one_of
from mmlib.batches import DRAWS, Inputs, loaded, reading
from mmlib.checkpoints import held, open_checkpoint, run_of, save_epoch
from mmlib.devices import seeded
from mmlib.parallel import (
    mean_over_processes,
    own_rows,
    rank,
    start_processes,
    sum_over_processes,
    world_size,
)
from mmlib.preconditions import check_finite, check_run, diverging


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
    the learning rate, valuate the samples, add a classifier, start a second stage. Under `torchrun`
    `fit` does the rest, but only `step` can call `average_gradients(model)` between backward and
    the update, `mmlib.parallel` has what a formula over the whole batch needs, and `fit` looks
    after every epoch whether the processes hold the same weights.
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
    weights that an undisturbed run reaches, and refuses one of another run, see `run_of`. Of the
    entry `best` of the rows the state with the largest is kept too, in `a-best.pt` beside `a.pt`.
    `after_epoch(history)` ends the training where it returns True; a resumed run asks it before it
    goes on, so that what it ended stays ended, and what it sets up is there again.

    Under `torchrun` each process gives the same arguments and takes its share of every batch;
    visits that do not come out even over the processes, fewer than these, are left out. The group
    is joined, weights and state are those of the first process, batch normalisation is shared, and
    what else differs between processes is refused, a checkpoint that not all of them see, too. The
    first one saves.

    `epochs` is what the method was made for; `after_epoch` stops earlier.

    Raises `ValueError` for a method, data or numbers that `mmlib.preconditions` refuses, for a loss
    or a weight that is not finite, before the epoch is saved, for a `best` that no row has, a
    checkpoint of another run, and processes that differ at the start, in a plan or after an epoch;
    `FileExistsError` for a checkpoint that is there when `resume` is off, or that another run
    trains on.
    """
    start_processes(writes=checkpoint)
    with all_or_none():
        check_run(method, dataset, epochs, batch_size, seed, device)
        epochs, batch_size, seed = int(epochs), int(batch_size), int(seed)  # NumPy's are others
        run = run_of(method, dataset, batch_size, seed) if checkpoint else {}
        history = open_checkpoint(checkpoint, resume, method, run, epochs) if checkpoint else []
    alike = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    bring_together(method, dataset, history, device, **alike)
    generator = torch.Generator()
    quiet = not progress or rank() > 0
    bar = tqdm(range(epochs), "epochs", initial=len(history), disable=quiet)
    with held(checkpoint), reading(dataset, device) as read:
        ended = bool(history) and _ends(after_epoch, history, device)
        for epoch in range(epochs if ended else len(history), epochs):
            started, logs = time.perf_counter(), []
            generator.manual_seed(seed * 1_000_003 + epoch)  # so a resumed run shuffles alike
            with seeded(seed * 1_000_003 + epoch), diverging(epoch):
                plan = method.plan(epoch) or Plan(torch.arange(len(dataset)))
                plan_together(plan)
                visits = _visits(dataset, plan, batch_size, generator, device, read)
                steps = -(-len(plan.index) // batch_size)
                with closing(visits), tqdm(total=steps, leave=False, disable=quiet) as small_bar:
                    for inputs, target, index, keep in visits:
                        logs.append(method.step(inputs, target, index, keep))
                        small_bar.update()
            row = {key: torch.stack([log[key] for log in logs]).mean().item() for key in logs[0]}
            row = mean_over_processes(row, device)
            check_finite(row, method.model, epoch)
            row = {"samples": len(plan.index), "looked_at": plan.looked_at} | row
            row = {"epoch": epoch + 1, "seconds": time.perf_counter() - started} | row
            stay_together(method)
            history.append(row | (_evaluated(evaluate, method, row) if evaluate else {}))
            if checkpoint and rank() == 0:
                save_epoch(Path(checkpoint), method, history, best, run)
            bar.set_postfix({key: f"{x:.3f}" for key, x in row.items() if key == "loss"})
            bar.update()
            if _ends(after_epoch, history, device):
                break
    bar.close()
    return history


def _ends(after_epoch: Callable | None, history: list[dict], device) -> bool:
    """Whether a process asks for the end: then all of them end, or none."""
    asked = torch.tensor(float(bool(after_epoch and after_epoch(history))), device=device)
    return bool(sum_over_processes(asked))


def _evaluated(evaluate: Callable, method: Method, row: dict) -> dict[str, float]:
    found = evaluate(method)
    if not isinstance(found, Mapping):
        raise ValueError(f"evaluate returns {found!r}; let it return a dict of numbers by name")
    if taken := [name for name in found if name in row]:
        raise ValueError(f"evaluate returns {taken[0]!r}, which fit writes itself; rename it")
    return dict(found)


def _visits(
    dataset, plan: Plan, batch_size: int, generator: torch.Generator, device, read=None
) -> Iterator[tuple[Inputs, Tensor, Tensor, dict[str, Tensor] | None]]:
    """What `step` is given in an epoch: this process's share of each shuffled batch."""
    draws = None
    if not hasattr(dataset, "inputs"):  # by a generator of their own: the order is that in memory
        luck = torch.Generator().manual_seed(generator.initial_seed() + 500_009)
        draws = torch.rand(len(dataset), DRAWS, generator=luck)
    shares = _shares(len(plan.index), batch_size, generator)
    found = loaded(dataset, [plan.index[rows] for rows in shares], device, draws, read)
    with closing(found):
        for rows, batch in zip(shares, found, strict=True):
            keep = plan.keep and {m: kept[rows].to(device) for m, kept in plan.keep.items()}
            yield *batch, keep


def _shares(count: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """This process's share of each shuffled batch."""
    if count < world_size():
        raise ValueError(f"{count} samples to visit; give a data set and a plan that hold some")
    order = torch.randperm(count, generator=generator)
    order = order[: count - count % world_size()]
    return [own_rows(rows) for rows in order.split(batch_size)]


def make_optimizer(
    name: str, parameters: Iterable[Tensor], lr: float, weight_decay: float = 1e-4
) -> torch.optim.Optimizer:
    """`"sgd"` (momentum 0.9) or `"adam"`."""
    # `fused` would be faster on CUDA, but PyTorch's SGD then wants a momentum for every parameter
    # or for none, and one that got its first gradient later has none yet
    if one_of("optimizer", name, ("sgd", "adam")) == "sgd":
        return torch.optim.SGD(parameters, lr, 0.9, weight_decay=weight_decay)
    return torch.optim.Adam(parameters, lr, weight_decay=weight_decay)


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
