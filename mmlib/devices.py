"""What a process computes with: seeds, cores and threads, the device, its precision."""

import os
from contextlib import contextmanager

import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits
from torch import nn

from mmlib.arguments import one_of, whole_number

MOST_THREADS = 256


@contextmanager
def seeded(seed: int):
    """Draw from a global generator seeded with `seed`, for PyTorch calls that take no generator
    (weight initialisation, dropout); what was there before is put back."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def usable_cores() -> int:
    """How many processor cores this process may use, at least 1.

    `os.cpu_count()` counts those of the machine; affinity and the quota of a container (cgroup)
    may leave fewer, which is what counts here. `LOKY_MAX_CPU_COUNT` in the environment limits them
    further.
    """
    return cpu_count()


def use_threads(default: int = 1) -> int:
    """Compute with `default` threads from here on, or with `MMLIB_THREADS` of the environment.

    Returns their number. One thread is right for the course's small networks: two are a third
    faster on an idle machine, and several times slower where something else wants a core, since
    each waits for the other at every operation. Another number of threads rounds otherwise, so that
    a training ends with slightly other weights.

    Raises `ValueError` for a `MMLIB_THREADS` that is not a whole number from 1 to 256.
    """
    wanted = os.environ.get("MMLIB_THREADS") or default
    if isinstance(wanted, str):
        wanted = int(wanted) if wanted.isdecimal() else wanted
    threads = whole_number("MMLIB_THREADS", wanted, at_least=1)
    if threads > MOST_THREADS:
        raise ValueError(f"MMLIB_THREADS is {threads}; give {MOST_THREADS} at most")
    torch.set_num_threads(threads)
    threadpool_limits(threads)  # NumPy's and scikit-learn's linear algebra
    return threads


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
    if one_of("precision", precision, ("float32", "bfloat16")) == "bfloat16":
        forward = torch.autocast(torch.device(device).type, torch.bfloat16)(module.forward)
        module.forward = lambda x: forward(x).float()
    return module


def use_channels_last(module: nn.Module) -> nn.Module:
    """Lay out the weights of 2-D convolutions channels last, which GPUs with tensor cores prefer.

    What such a convolution gives has the same layout, so the inputs need no change.
    """
    return module.to(memory_format=torch.channels_last)


def use_compiled(module: nn.Module, graphs: bool) -> nn.Module:
    """Compile what `module` computes; with `graphs` CUDA replays it as a graph.

    A graph's result lies where the next one's will, so the caller gets a copy of it. Gradients do,
    too: `graphs` is for steps of one backward pass a module.
    """
    forward = torch.compile(module.forward, mode="reduce-overhead" if graphs else None)
    module.forward = lambda *inputs: forward(*inputs).clone()
    return module
