"""Tables of stand-ins for training, to be killed; see evidence/test_killed.py.

killed_tables.py FOLDER [fork]     writes them undisturbed, the tuning by spawned or forked workers
"""

import multiprocessing
import sys
import time
from pathlib import Path

from mmlib.evidence import studies
from mmlib.evidence import tables as results


def run(method, scenario, seed, options, epochs, split, weights, voices):
    """A row in 50 ms."""
    time.sleep(0.05)
    if weights:
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_text(method)
    fused = round(0.5 + options["lr"] + 0.001 * seed + 0.01 * len(method) + len(split) / 100, 4)
    return {"fused": fused, "probe_visual": 0.4}


def stand_in():
    """Have the stand-in run, for few tables."""
    methods = ("joint", "ensemble")
    results.run = run
    grid = {"joint": {"lr": [0.1, 0.2]}, "ensemble": {"lr": [0.1, 0.3]}}
    tables = {
        "noise": {"imbalanced": methods},
        "baselines": {"imbalanced": methods, "flipped": methods},
        "more": {"imbalanced": methods, "corrupted": methods},
    }
    studies.STUDIES[studies.SYNTHETIC] = studies.Study(".", grid, tables, range(100, 103))


def write(folder, tuning="fork"):
    """Write the tables; workers are forked, since a new PyTorch for each takes most of the time."""
    stand_in()
    for step, workers in ((results.write_tuning, tuning), (tables, "fork")):
        results.get_context = lambda _, kind=workers: multiprocessing.get_context(kind)
        step(folder / "results", processes=2)


def tables(folder, processes):
    results.write_tables(folder, seeds=range(3), processes=processes)


# Spawned workers import this file too, under another name, as the command's import its.
if __name__ == "__mp_main__":
    stand_in()
if __name__ == "__main__":
    write(Path(sys.argv[1]), tuning=(sys.argv[2:] or ["spawn"])[0])
