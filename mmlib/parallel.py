"""Several processes under `torchrun`: each takes its share of every batch, all reach one result.

Row `i` of a batch goes to process `i % processes`. Gradients are averaged once a step, so what is a
mean over samples comes out as in one process; what is a formula over the batch (scores, weights of
mean 1, pairs to tell apart) asks for the whole batch by `whole_batch` or `mean_over_processes`;
what is drawn in a step is drawn for the whole batch, and a process takes its rows by `own_rows`.
Batch normalisation is shared by `share_batch_norm`. What is left is the order of the additions.
That the processes start as one and stay so is seen to in `mmlib.agreement`.
"""

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm

# how many tasks srun, Open MPI and MPICH started together; an allocation's SLURM_NTASKS is no such
TASKS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
TORCHRUN_GONE = threading.Event()  # set where the torchrun of this process was killed
WATCH = "torchrun watch"  # the thread that sees it


def start_processes(writes: str | Path | None = None) -> None:
    """Join the processes that `torchrun` started; does nothing in an ordinary run.

    They leave at the end of the script, and within seconds when `torchrun` itself was killed.
    `writes` is a file or folder of this run. Raises `ValueError` where the process has no GPU.
    Says so where `srun` or `mpirun` started several tasks without `torchrun`; should they all write
    that one path, its lock refuses all but one.
    """
    torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    several = torchrun or int(os.environ.get("WORLD_SIZE", 1)) > 1  # some clusters set 1 everywhere
    if "RANK" not in os.environ or not several:
        _check_alone(writes)
        return
    if torchrun:
        _watch_torchrun()
    if dist.is_initialized():
        return
    if torch.cuda.is_available():
        here, count = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if here >= count:
            raise ValueError(f"process {here} of this machine finds {count} GPUs; start {count}")
        torch.cuda.set_device(here)
    # both, so that `--device cpu` works on a machine with GPUs
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(stop_processes)


def _check_alone(writes: str | Path | None) -> None:
    tasks = max(int(os.environ.get(name) or 1) for name in TASKS)
    if writes is not None and tasks > 1 and not dist.is_initialized():
        print(
            f"mmlib: {tasks} tasks were started that know nothing of each other, and this one "
            f"writes {writes}: right for runs of their own in paths of their own; to train one "
            "network, start one task a node, with `srun torchrun ...`",
            file=sys.stderr,
        )


def _watch_torchrun() -> None:
    if all(thread.name != WATCH for thread in threading.enumerate()):
        parent = os.getppid()
        threading.Thread(target=_end_without, args=[parent], name=WATCH, daemon=True).start()


def _end_without(parent: int) -> None:
    """End this process when its parent has, as torchrun does: by SIGTERM, later for good."""
    while os.getppid() == parent:
        time.sleep(1)
    TORCHRUN_GONE.set()
    with suppress(OSError):
        os.write(2, b"mmlib: torchrun has gone, so this process ends\n")
    time.sleep(2)  # until all processes have seen it: one that waits for another knows why it left
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
    os._exit(1)


def stop_processes() -> None:
    """Leave the processes of `torchrun`; does nothing in an ordinary run."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 in an ordinary run and before the processes are joined."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 in an ordinary run and before the processes are joined."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """`values` added up, in place, over the processes of `torchrun`; as given in an ordinary run.

    What every process has to decide alike (whom to re-sample, what to add) is decided on such sums.
    """
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def mean_over_processes(values: dict, device: torch.device | str = "cpu") -> dict:
    """Numbers or scalars by name, each its mean over the processes; as given in an ordinary run."""
    if world_size() == 1 or not values:
        return values
    numbers = [float(value) for value in values.values()]
    sums = sum_over_processes(torch.tensor(numbers, dtype=torch.float64, device=device))
    return dict(zip(values, (sums / world_size()).tolist(), strict=True))


def whole_batch(rows: Tensor) -> Tensor:
    """`(B, ...)` rows of this process to those of all, in the order of the batch; no gradient.

    Every process must have as many. In an ordinary run the rows themselves.
    """
    if world_size() == 1:
        return rows
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(parts, rows)
    return torch.stack(parts, 1).flatten(0, 1)  # P of (B, ...) -> (B, P, ...) -> (B * P, ...)


def own_rows(whole: Tensor) -> Tensor:
    """This process's rows of a whole batch: the way back from `whole_batch`."""
    return whole[rank() :: world_size()]


def normal_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise of the shape of `x`, `(B, ...)`: this process's rows of the batch's."""
    whole = x.new_empty(len(x) * world_size(), *x.shape[1:])
    return own_rows(whole.normal_(generator=generator))


def average_gradients(module: nn.Module) -> None:
    """Mean of the gradients over the processes of `torchrun`; does nothing in an ordinary run.

    A method calls it between backward and what it does with gradients. A parameter that got none in
    this process, but one in another (all of a modality masked in this share of a batch), counts as
    0; one that got none in any keeps none. All gradients travel at once.
    """
    if world_size() == 1:
        return
    parameters = [p for p in module.parameters() if p.requires_grad]
    used = parameters[0].new_tensor([float(p.grad is not None) for p in parameters])
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = sum_over_processes(torch.cat([*(part.flatten() for part in parts), used]))
    *sums, used = flat.split([*(part.numel() for part in parts), len(used)])
    for parameter, part, total, processes in zip(parameters, parts, sums, used.tolist()):
        if processes:
            parameter.grad = part.copy_((total / world_size()).view_as(part))  # in its layout


def share_batch_norm(module: nn.Module, device: torch.device | str = "cpu") -> nn.Module:
    """`module` with its batch normalisation over the whole batch of all processes.

    Under `torchrun` only, and in place: layers, parameters and their names stay. For a GPU it is
    PyTorch's SyncBatchNorm, which does not run on the CPU; there it is `SharedBatchNorm`. Raises
    `ValueError` for a kind of batch normalisation whose computation is its own.
    """
    if world_size() == 1:
        return module
    kind = nn.SyncBatchNorm if torch.device(device).type == "cuda" else SharedBatchNorm
    for name, layer in module.named_modules():
        if not isinstance(layer, _BatchNorm) or type(layer) is kind:
            continue
        if type(layer).forward not in (x.forward for x in (_BatchNorm, *SHARED)):
            raise ValueError(
                f"{name} is a {type(layer).__name__}, which cannot be shared over the processes; "
                "take nn.BatchNorm1d, 2d or 3d, or a normalisation that knows no batch"
            )
        layer.__class__ = kind  # as PyTorch's lazy layers do: whoever holds it, holds it still
        layer.process_group = None  # what SyncBatchNorm asks for: all
    return module


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation with the mean and variance of all processes' rows, any of them may be 0.

    The same formula as `nn.BatchNorm1d`, `2d` and `3d`: training normalises by the biased variance,
    the running one is unbiased. The statistics carry gradients to the rows of all processes.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"input is {tuple(x.shape)}; give (B, channels, ...)")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        kind, x = x.dtype, x.float()
        dims, shape = [0, *range(2, x.dim())], (1, -1) + (1,) * (x.dim() - 2)
        count = sum_over_processes(x.new_tensor(x.numel() / x.shape[1]))
        if count < 2:
            raise ValueError("one value a channel in the whole batch; give a larger batch_size")
        mean = all_reduce(x.sum(dims)) / count
        centred = x - mean.view(shape)
        variance = all_reduce((centred**2).sum(dims)) / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        x = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            x = x * self.weight.view(shape) + self.bias.view(shape)
        return x.to(kind)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        rate = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance, rate)


SHARED = (SharedBatchNorm, nn.SyncBatchNorm)
