"""`python -m mmlib` with kernels that give the same digits in every process; for gpu_check.py.

KILL_AT_STEP=n in the environment kills the process as it begins its n-th step. COLLECTIVES=1 makes
a group of one process send what larger ones send.
"""

import os
import signal
import sys

import torch

import mmlib.commands.train as command
from mmlib import parallel
from mmlib.__main__ import main
from mmlib.methods.baselines import Joint


class Alone(int):
    """One that passes for more, so that no shortcut is taken."""

    __hash__ = int.__hash__

    def __eq__(self, other):
        return False

    def __gt__(self, other):
        return True


def without_choosing(run):
    """`train` lets cuDNN choose kernels by their time; another process may choose others."""

    def steady(*arguments):
        torch.backends.cudnn.benchmark = False
        return run(*arguments)

    return steady


def killed_at(number, step):
    """A step that kills the process the n-th time."""
    taken = []

    def counted(*arguments):
        taken.append(True)
        if len(taken) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)

    return counted


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    command.run = without_choosing(command.run)
    if "KILL_AT_STEP" in os.environ:
        Joint.step = killed_at(int(os.environ["KILL_AT_STEP"]), Joint.step)
    if "COLLECTIVES" in os.environ:
        parallel.world_size = lambda: Alone(1)
    sys.exit(main())
