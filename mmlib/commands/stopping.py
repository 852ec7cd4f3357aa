"""How a training run ends before its time: after this epoch by Ctrl-C, at once by SIGTERM."""

import os
import signal
from contextlib import contextmanager

from mmlib.parallel import TORCHRUN_GONE, rank, stop_processes


@contextmanager
def stopping_cleanly():
    """SIGTERM, which `torchrun` and schedulers send before they kill, ends the run as Ctrl-C does.

    It does not wait for the epoch: the state of the last whole one is there already. Of several
    processes the first one tells it. All leave their group at the end. A `torchrun` that was killed
    sends nothing, and each process sees it by itself.
    """
    asked = []

    def stop(number, frame):
        if not asked:  # a second one must not break off the leaving
            asked.append(True)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        # a process that waits for one that has left already ends with a RuntimeError
        if isinstance(error, RuntimeError) and not (asked or TORCHRUN_GONE.is_set()):
            raise
        if rank() > 0:
            raise SystemExit(130) from None
        raise KeyboardInterrupt from None
    finally:
        stop_processes()
        signal.signal(signal.SIGTERM, before)


@contextmanager
def finishing_the_epoch():
    """The first Ctrl-C asks for an end after this epoch, whose state is then saved; the second ends
    at once, and the epoch is done again after `--resume`. Yields whether one was pressed."""
    pressed = []

    def press(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        if rank() == 0:  # not print, which may just be in use by the progress bar
            os.write(2, b"\nmmlib: finishing this epoch; again to leave at once\n")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
