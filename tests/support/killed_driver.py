"""Trains on the toy data in forked processes and kills them; see commands/test_train.py.

killed_driver.py FOLDER METHOD...

Kills each method's run twice at random, then lets it end; interrupts two runs, by one and by two
Ctrl-C, and one of two processes by SIGTERM, then lets them end.
"""

import os
import random
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import sklearn.metrics  # noqa: F401 - what training imports late, before the forks instead
import torch
import torch._dynamo  # noqa: F401

import mmlib.commands.train  # noqa: F401
import mmlib.data
import mmlib.plotting  # noqa: F401
from mmlib.__main__ import main
from toys import Lazy

torch.set_num_threads(1)
mmlib.data.DATA = {"toy": Lazy}


def start(out, method, *more):
    """The process of a run of six epochs with five steps each."""
    words = ["--data", "toy", "--root", ".", "--device", "cpu", "--quiet", "--resume"]
    words += ["--epochs", "6", "--batch-size", "8", "--lr", "0.02", "--method", method]
    process = os.fork()
    if process == 0:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        status = main(["train", "--out", str(out), *words, *more])
        sys.stderr.flush()
        os._exit(status)
    return process


def start_two(out):
    """The two processes of a run, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = []
    for number in ("0", "1"):
        os.environ.update(place | {"RANK": number, "LOCAL_RANK": number})
        processes.append(start(out, "joint", "--data-options", "pause=0.02"))
    return processes


def end(process):
    """Its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_twice(folder, method, luck):
    begun = time.monotonic()
    assert end(start(folder / "whole", method)) == 0
    took = time.monotonic() - begun
    kills = 0
    while kills < 2:
        process = start(folder / "killed", method)
        time.sleep(luck.uniform(0, took * 0.45))
        os.kill(process, signal.SIGKILL)
        if end(process) == -signal.SIGKILL:
            kills += 1
        else:  # the machine has become faster: it was through
            shutil.rmtree(folder / "killed")
            kills, took = 0, took / 2
    assert end(start(folder / "killed", method)) == 0
    print(method, kills, flush=True)


def interrupt(folder):
    slow = ("joint", "--data-options", "pause=0.02")
    assert end(start(folder / "whole", *slow)) == 0
    found = []
    for name, times in (("once", 1), ("twice", 2)):
        process = start(folder / name, *slow)
        while not (folder / name / "checkpoint.pt").exists():
            time.sleep(0.005)
        for _ in range(times):
            time.sleep(0.03)
            os.kill(process, signal.SIGINT)
        found.append(end(process))
    print("Ctrl-C", *found, *(end(start(folder / name, *slow)) for name in ("once", "twice")))


def terminate(folder):
    assert [end(process) for process in start_two(folder / "whole")] == [0, 0]
    processes = start_two(folder / "ended")
    while not (folder / "ended" / "checkpoint.pt").exists():
        time.sleep(0.005)
    time.sleep(0.05)  # within the second epoch
    for process in processes:
        os.kill(process, signal.SIGTERM)
    found = [end(process) for process in processes]
    print("SIGTERM", *found, *(end(process) for process in start_two(folder / "ended")))


if __name__ == "__main__":
    folder, luck = Path(sys.argv[1]), random.Random(0)
    for method in sys.argv[2:]:
        kill_twice(folder / method, method, luck)
    interrupt(folder)
    terminate(folder / "two")
