"""Tables whose run is killed, for real and at any moment, end as an undisturbed run's."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from waiting import LIMIT

# Spawned workers, as the command has them, import this file too, and so run the same stand-in for
# training. The runs to be killed fork theirs: a new PyTorch for each takes most of the time.
DRIVER = """
import multiprocessing, sys, time
from pathlib import Path
from mmlib.evidence import arms
from mmlib.evidence import runs as results

def run(method, scenario, seed, options, epochs, split, weights):
    time.sleep(0.05)
    if weights:
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_text(method)
    fused = round(0.5 + options["lr"] + 0.001 * seed + 0.01 * len(method) + len(split) / 100, 4)
    return {"fused": fused, "probe_visual": 0.4}

results.run = run
arms.GRID = {"joint": {"lr": [0.1, 0.2]}, "ensemble": {"lr": [0.1, 0.3]}}
methods = ("joint", "ensemble")
arms.TABLES = {
    "noise": {"imbalanced": methods},
    "baselines": {"imbalanced": methods, "flipped": methods},
    "more": {"imbalanced": methods, "corrupted": methods},
}
if __name__ == "__main__":
    results.get_context = lambda _: multiprocessing.get_context(sys.argv[2])
    folder = Path(sys.argv[1]) / "results"
    results.write_tuning(folder, processes=2)
    results.write_tables(folder, seeds=range(3), processes=2)
"""


@pytest.mark.slow
def test_killed_twice_at_random_and_then_left_alone(tmp_path):
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)

    def start(folder, workers="fork"):
        command = [sys.executable, driver, folder, workers]
        return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, "spawn").wait(timeout=LIMIT) == 0
    luck, kills, rows = random.Random(0), 0, 0
    tables = killed / "results"
    while kills < 2:
        process = start(killed)
        wanted = rows + luck.randint(1, 10)  # die when so many rows are there, and a little later
        while process.poll() is None and _rows(tables) < wanted:
            time.sleep(0.005)
        time.sleep(luck.random() * 0.02)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=LIMIT)
        kills, rows = kills + 1, _rows(tables)
    assert rows < _rows(whole / "results")
    assert start(killed).wait(timeout=LIMIT) == 0
    files = {path.name for path in (whole / "results").glob("*.csv")}
    assert files == {"tuning.csv", "baselines.csv", "more.csv", "noise.csv"}
    for name in files:
        assert (tables / name).read_bytes() == (whole / "results" / name).read_bytes(), name
    assert {path.name for path in (killed / "weights").iterdir()} == {"joint.pt", "ensemble.pt"}


def _rows(folder: Path) -> int:
    return sum(len(pd.read_csv(path)) for path in folder.glob("*.csv"))
