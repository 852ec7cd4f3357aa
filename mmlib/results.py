"""The tables of `assets/results/`: which runs they hold, how a run is scored, how rows are kept.

Every lesson's table is made by `write_tables`; a killed run goes on where it was.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
import torch
from tqdm.auto import tqdm

from mmlib.data import AVDigits
from mmlib.encoders import SmallCNN
from mmlib.evaluation import accuracy, collect, macro_f1, probe_encoders
from mmlib.methods import make_method
from mmlib.plotting import modality_style, set_style
from mmlib.training import fit, seeded

EPOCHS = 15
SEEDS = range(5)
TUNING_SEEDS = range(100, 103)  # validation only; apart from the seeds of the tables
KEY = ["scenario", "method", "epochs", "options", "seed"]

RATES = [0.02, 0.05, 0.1, 0.2, 0.4]
GRID = {
    "joint": {"lr": RATES},
    "joint-unimodal": {"lr": RATES, "unimodal_weight": [0.3, 1.0, 3.0]},
    "ensemble": {"lr": RATES},
    "ogm-ge": {"lr": RATES, "alpha": [0.1, 0.3, 0.8]},
}


class Control(NamedTuple):
    """A row beside a method: what is trained, with whose options, changed how, how many times as
    long."""

    method: str
    options_of: str
    change: dict = {}
    times: int = 1


CONTROLS = {
    "joint-late": Control("joint-late", "joint"),
    "joint, 30 epochs": Control("joint", "joint", times=2),
    "ogm-ge-noise": Control("ogm-ge-noise", "ogm-ge", {"alpha": 0.0}),
}
SCENARIOS = ("imbalanced", "balanced", "flipped")


def run(
    method: str, scenario: str, seed: int, options: dict, epochs: int = EPOCHS, split: str = "test"
) -> dict[str, float]:
    """Train one method on AV-Digits from `seed` (data, weights, order) and score it on `split`.

    Returns accuracy and macro-F1 of the fused logits, accuracy of each modality's own logits, each
    encoder's linear probe, seconds of training and samples seen.
    """
    train, held_out = (_data(part, scenario, seed) for part in ("train", split))
    with seeded(seed):
        encoders = {m: SmallCNN() for m in train.modalities}
    name = CONTROLS[method].method if method in CONTROLS else method
    trained = make_method(name, encoders, len(train.classes), epochs, seed, **options)
    history = fit(trained, train, epochs, seed=seed, progress=False)
    logits = collect(trained.predict, held_out)
    scores = {m: accuracy(logits[m], held_out.target) for m in logits}
    scores["macro_f1"] = macro_f1(logits["fused"], held_out.target)
    probes = probe_encoders(trained.model, train, held_out)
    scores |= {f"probe_{m}": probe for m, probe in probes.items()}
    if split == "test":  # runs of the tuning stand beside other work; their seconds tell nothing
        scores["seconds"] = sum(row["seconds"] for row in history)
    scores["samples"] = sum(row["samples"] for row in history)
    return {name: round(float(value), 4) for name, value in scores.items()}


@lru_cache(maxsize=16)  # one scenario's training and held-out data for every seed
def _data(split: str, scenario: str, seed: int) -> AVDigits:
    return AVDigits(split, scenario, seed=seed)


def write_tables(
    folder: Path,
    seeds: Sequence[int] = SEEDS,
    tuning_seeds: Sequence[int] = TUNING_SEEDS,
    epochs: int = EPOCHS,
    processes: int = 1,
) -> None:
    """Make or complete `tuning.csv` (validation) and `baselines.csv` (test) in `folder`.

    With `processes` above 1 whole runs stand side by side, one thread each.
    """
    grid = [
        ("imbalanced", method, epochs, dict(zip(options, values, strict=True)), seed)
        for method, options in GRID.items()
        for values in product(*options.values())
        for seed in tuning_seeds
    ]
    tuning = _complete(folder / "tuning.csv", grid, "val", processes)
    chosen = choose(tuning)
    arms = {method: (epochs, options) for method, options in chosen.items()}
    for name, control in CONTROLS.items():
        arms[name] = (control.times * epochs, chosen[control.options_of] | control.change)
    rows = [
        (scenario, method, *arm, seed)
        for scenario in SCENARIOS
        for method, arm in arms.items()
        for seed in seeds
    ]
    draw_phenomenon(_complete(folder / "baselines.csv", rows, "test", processes), folder)


def draw_phenomenon(baselines: pd.DataFrame, folder: Path) -> None:
    """The picture of the README, `figures/phenomenon.png` beside the tables' folder."""
    table = baselines[baselines["scenario"] == "imbalanced"].pivot(index="seed", columns="method")
    panels = (
        ("What the picture's encoder learns", "probe_visual", "linear probe", "visual", "alone"),
        ("What the network gets right", "fused", "accuracy", "fused", "apart,\nlogits added"),
    )
    set_style()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
    for ax, (title, column, label, modality, name) in zip(axes, panels, strict=True):
        pairs = 100 * table[column][["joint", "ensemble"]].to_numpy()
        style = modality_style(modality)
        ax.plot((0, 1), pairs.T, color=style["color"], alpha=0.35, lw=1)
        ax.plot((0, 1), pairs.T, style["marker"], color=style["color"], ms=6, alpha=0.6)
        for x, mean in enumerate(pairs.mean(0)):
            ax.plot((x - 0.15, x + 0.15), (mean, mean), color="0.2", lw=2.5)
            top = pairs[:, x].max() + 3
            ax.text(x, top, f"{mean:.0f} %", ha="center", fontsize=13, weight="bold")
        ax.set(title=title, ylabel=f"{label} on test (%)", xlim=(-0.5, 1.5), ylim=(0, 105))
        ax.set(xticks=(0, 1), xticklabels=("trained together\nwith the sound", f"trained {name}"))
    beside = folder / "phenomenon.part.png"
    figure.savefig(beside, dpi=110)
    plt.close(figure)
    target = folder.parent / "figures" / "phenomenon.png"
    target.parent.mkdir(exist_ok=True)
    os.replace(beside, target)


def choose(tuning: pd.DataFrame) -> dict[str, dict]:
    """The options of each method with the best mean fused accuracy on validation."""
    means = tuning.groupby(["method", "options"], sort=False)["fused"].mean()
    return {
        method: json.loads(means[method].idxmax())
        for method in means.index.get_level_values("method").unique()
    }


def _complete(path: Path, wanted: list[tuple], split: str, processes: int) -> pd.DataFrame:
    """Keep the rows of `path` that are wanted, run the others, save after every one."""
    keys = [(s, m, e, json.dumps(o, sort_keys=True), seed) for s, m, e, o, seed in wanted]
    done = {}
    if path.exists():
        for row in pd.read_csv(path).to_dict("records"):
            done[tuple(row[column] for column in KEY)] = row
    missing = [key for key in keys if key not in done]
    jobs = [(m, s, seed, json.loads(options), e, split) for s, m, e, options, seed in missing]
    finished = zip(missing, _run_all(jobs, processes), strict=True)
    for key, scores in tqdm(finished, desc=path.name, total=len(jobs), disable=not jobs):
        done[key] = dict(zip(KEY, key, strict=True)) | scores
        _save(path, [done[key] for key in keys if key in done], split)
    return pd.DataFrame([done[key] for key in keys])


def _run_all(jobs: list[tuple], processes: int) -> Iterator[dict[str, float]]:
    """The scores of each job, in order."""
    if processes == 1:
        yield from (run(*job) for job in jobs)
    elif jobs:
        spawn = get_context("spawn")
        with ProcessPoolExecutor(processes, spawn, _start_worker) as pool:
            yield from pool.map(run, *zip(*jobs, strict=True))


def _start_worker() -> None:
    """One thread, and no life after the parent's: a killed one cannot tell its workers."""
    torch.set_num_threads(1)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _save(path: Path, rows: list[dict], split: str) -> None:
    """Write the table and what it was made with, beside first and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packages = ("torch", "torchvision", "torchaudio", "numpy", "scikit-learn")
    made_with = {
        "command": "make results",
        "split": split,
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }
    for target, text in (
        (path, pd.DataFrame(rows).to_csv(index=False)),
        (path.with_suffix(".json"), json.dumps(made_with, indent=2) + "\n"),
    ):
        beside = target.with_name(target.name + ".part")
        beside.write_text(text)
        os.replace(beside, target)
