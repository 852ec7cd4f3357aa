"""Tables whose run is killed, for real and at any moment, end as an undisturbed run's."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import killed_tables
from waiting import LIMIT


@pytest.mark.slow
def test_killed_twice_at_random_and_then_left_alone(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, killed_tables.__file__, whole]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=LIMIT).returncode == 0
    luck, kills, rows = random.Random(0), 0, 0
    tables = killed / "results"
    while kills < 2:
        process = _start(killed)
        wanted = rows + luck.randint(1, 10)  # die when so many rows are there, and a little later
        while process.poll() is None and _rows(tables) < wanted:
            time.sleep(0.005)
        time.sleep(luck.random() * 0.02)
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.wait(LIMIT)
        kills, rows = kills + 1, _rows(tables)
    assert rows < _rows(whole / "results")
    assert _start(killed).wait(LIMIT) == 0
    files = {path.name for path in (whole / "results").glob("*.csv")}
    assert files == {"tuning.csv", "baselines.csv", "more.csv", "noise.csv"}
    for name in files:
        assert (tables / name).read_bytes() == (whole / "results" / name).read_bytes(), name
    assert {path.name for path in (killed / "weights").iterdir()} == {"joint.pt", "ensemble.pt"}


def _start(folder: Path) -> subprocess.Popen:
    """A process of its own: one forked from here could wait for a lock of a thread it lacks."""
    command = [sys.executable, killed_tables.__file__, folder, "fork"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _rows(folder: Path) -> int:
    return sum(len(pd.read_csv(path)) for path in folder.glob("*.csv"))
