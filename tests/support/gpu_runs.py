"""Part of gpu_check.py: a run of the command line that is killed goes on to the same weights.

OGM-GE on AV-Digits: it draws on the GPU at every step, so that a generator's state has to come back
too. The kernels are steady (see steady_train.py); as users run it, cuDNN chooses kernels by their
time and two runs round otherwise, which is reported beside it.
"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import load_file

HERE = Path(__file__).parent
STEADY = [sys.executable, str(HERE / "steady_train.py")]
PLAIN = [sys.executable, "-m", "mmlib"]
SETTINGS = ["--method", "ogm-ge", "--epochs", "4", "--lr", "0.003", "--quiet"]
IN_THIRD_EPOCH = 23  # of 10 steps each


def rows(device, quick):
    """How far the weights are apart."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(4 if device == "cuda" else 1) as pool:
        folder = Path(folder)
        words = {
            "straight": (STEADY, {}),
            "killed": (STEADY, {"KILL_AT_STEP": str(IN_THIRD_EPOCH)}),
            "plain": (PLAIN, {}),
            "again": (PLAIN, {}),
        }
        runs = {
            name: pool.submit(train, command, folder / name, device, **environment)
            for name, (command, environment) in words.items()
            if not quick or command is STEADY
        }
        ended = {name: run.result() for name, run in runs.items()}
        yield "exit status", ended, fault(ended, {"killed": -signal.SIGKILL})
        resumed = {"resumed": train(STEADY, folder / "killed", device, "--resume")}
        yield "exit status, resumed", resumed, fault(resumed, {})
        # steady kernels leave nothing that could differ
        yield "resumed, over straight", *apart(folder / "straight", folder / "killed", 0)
        if not quick:
            value, _ = apart(folder / "plain", folder / "again", 0)
            yield "two plain runs (told, not judged)", value, None


def train(command, out, device, *more, **environment):
    """The exit status of a run."""
    words = [*command, "train", *SETTINGS, "--data-options", "size=640", "--device", device]
    words += ["--out", str(out), *more]
    return subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"} | environment).returncode


def fault(ended, wanted):
    """What ended otherwise than wanted."""
    wrong = {name: status for name, status in ended.items() if status != wanted.get(name, 0)}
    return f"ended with {wrong}" if wrong else None


def apart(first, second, limit):
    """The largest difference of two runs' weights, and whether it is over the limit."""
    one, two = (load_file(folder / "model.safetensors") for folder in (first, second))
    value = max((one[name].double() - two[name].double()).abs().max().item() for name in one)
    return value, None if value <= limit else f"{value} is over {limit}"
