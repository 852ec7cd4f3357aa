"""What a process computes with: processor cores and threads."""

import os

import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from mmlib.training import whole_number

MOST_THREADS = 256


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
