"""The tables of `assets/results/`: which runs they hold, how a run is scored, how rows are kept.

`write_tuning` tries options on validation, `write_tables` makes every lesson's table with the best
of them; a killed run goes on where it was.
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

from mmlib.arguments import one_of
from mmlib.data import AVDigits
from mmlib.data.corruptions import corrupt
from mmlib.devices import seeded, usable_cores, use_threads
from mmlib.encoders import SmallCNN
from mmlib.evidence.bench import METHODS, TEST_TABLES, write_bench
from mmlib.evidence.robustness import CONDITIONS, corrupted_sets, under_corruption
from mmlib.evidence.scoring import of_first_mixture, score
from mmlib.files import replacing, write_text
from mmlib.methods import make_method
from mmlib.methods.gap import Gap
from mmlib.plotting import modality_style, set_style
from mmlib.training import Method, fit

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
    "valuation": {"lr": [*RATES[1:], 0.8]},
    "valuation-modality": {"lr": [*RATES[1:], 0.8]},
    "boosting": {"lr": RATES[1:]},
    "boosting-base": {"lr": RATES[1:]},
    "detached": {"lr": [*RATES[2:], 0.8], "temperature": [0.2, 0.5, 2.0, 8.0]},
    "normalised features": {"lr": [*RATES[3:], 0.8], "temperature": [0.05, 0.1, 0.3]},
    "gap": {"lr": RATES[1:4], "gap_weight": [0.3, 1.0, 3.0]},
    "gap, one-sided": {"lr": RATES[1:4], "gap_weight": [0.3, 1.0, 3.0]},
    "penalty only": {"lr": RATES[1:4], "gap_weight": [0.3, 1.0, 3.0]},
    # controls that a larger gradient would make diverge at the method's own rate
    "base, weak loss x 3": {"lr": [0.01, *RATES[:3]]},
    "fixed number": {"lr": [0.01, *RATES[:3]]},
    # rates and weights first, then how uneven W is and what hangs on it, then the other readings;
    # rate 0.2 with weight 3 and accelerated encoders diverges
    "cal": [
        {"lr": RATES[1:3], "unimodal_weight": [1.0, 3.0], "beta": [0.001, 0.01, 0.1]},
        {"lr": RATES[3:4], "unimodal_weight": [1.0], "beta": [0.001, 0.01, 0.1]},
        {
            "lr": [0.1],
            "unimodal_weight": [3.0],
            "beta": [0.1, 1.0],
            "kappa": [1.0],
            "temperature": [0.05, 0.25],
        },
        {
            "lr": [0.05],
            "unimodal_weight": [3.0],
            "beta": [0.1, 1.0],
            "kappa": [3.0],
            "temperature": [0.05, 0.25],
        },
        {
            "lr": [0.1],
            "unimodal_weight": [3.0],
            "beta": [0.1],
            "kappa": [1.0],
            "temperature": [0.05],
            "reading": ["epoch", "sample", "channels", "loss"],
        },
    ],
    # on corrupted some seeds lose an encoder without it
    "cal, clipped": {
        "lr": [0.1],
        "unimodal_weight": [3.0],
        "beta": [0.1],
        "clip": [None, 20.0, 10.0, 5.0, 3.0],
    },
}
# two remedies at once, for lesson 7
GRID |= {
    "valuation + unimodal losses": {"lr": RATES[1:4], "unimodal_weight": [1.0, 3.0]},
    "two networks + unimodal losses": {"lr": RATES[2:], "unimodal_weight": [1.0, 3.0]},
    "two networks + gap loss": {"lr": RATES[2:4], "gap_weight": [0.3, 1.0]},
    "dropout + unimodal losses": {
        "lr": RATES[2:4],
        "unimodal_weight": [3.0],
        "rate": [0.1, 0.3, 0.5],
    },
}
TUNED_ON = {"cal, clipped": "corrupted"}


class Control(NamedTuple):
    """A row beside a method: what is trained, with whose options, changed how, how many times as
    long (in which scenario), with which numbers among the options how many times as large, with
    noise of which severity in half of the training samples (drawn once, each modality's own)."""

    method: str
    options_of: str
    change: dict = {}
    times: float | dict[str, float] = 1
    scale: dict[str, float] = {}
    noise: float = 0

    def options(self, chosen: dict[str, dict]) -> dict:
        """The row's options, from what was `chosen` for each method."""
        options = chosen[self.options_of]
        scaled = {name: round(options[name] * factor, 9) for name, factor in self.scale.items()}
        return options | scaled | self.change

    def epochs(self, scenario: str, epochs: int) -> int:
        """Epochs of the row where the method has `epochs`."""
        times = self.times[scenario] if isinstance(self.times, dict) else self.times
        return round(times * epochs)


# times as many updates as joint training: what sample-level valuation takes
STEPS = {"imbalanced": 1.63, "samplewise": 2.5, "corrupted": 2.08}

_PLAIN = {"gap_weight": 0.0, "shift_weight": 0.0, "weights": "none"}

CONTROLS = {
    "joint-late": Control("joint-late", "joint"),
    "joint, 30 epochs": Control("joint", "joint", times=2),
    "ogm-ge-noise": Control("ogm-ge-noise", "ogm-ge", {"alpha": 0.0}),
    "joint, same steps": Control("joint", "joint", times=STEPS),
    "joint-unimodal, same steps": Control("joint-unimodal", "joint-unimodal", times=STEPS),
    "joint-unimodal, 45 epochs": Control("joint-unimodal", "joint-unimodal", times=3),
    "valuation-random-samples": Control("valuation-random-samples", "valuation"),
    "valuation-random": Control("valuation-random", "valuation"),
    "valuation, inputs masked": Control("valuation", "valuation", {"mask": "inputs"}),
    "valuation, mean filler": Control("valuation", "valuation", {"filler": "mean"}),
    "valuation, 0/1 pay-off": Control("valuation", "valuation", {"payoff": "binary"}),
    "base, weak loss x 3": Control(
        "boosting-base", "base, weak loss x 3", {"loss_weights": {"visual": 3.0}}
    ),
    "fixed number": Control("boosting-base", "fixed number", {"start": {"visual": 9}}),
    "boosting-frozen": Control("boosting-frozen", "boosting"),
    "residual only": Control("boosting", "boosting", {"terms": ["residual"]}),
    "all only": Control("boosting", "boosting", {"terms": ["all"]}),
    "previous only": Control("boosting", "boosting", {"terms": ["previous"]}),
    "smoothing 0": Control("boosting", "boosting", {"smoothing": 0.0}),
    "smoothing 1": Control("boosting", "boosting", {"smoothing": 1.0}),
    "isolated": Control("detached", "detached", {"shared_weight": 0.0, "duc_weight": 0.0}),
    "no contrast": Control("detached", "detached", {"duc_weight": 0.0}),
    "no shared head": Control("detached", "detached", {"shared_weight": 0.0}),
    "permuted labels": Control("detached", "detached", {"dimensions": "permuted"}),
    "random dimensions": Control("detached", "detached", {"dimensions": "random"}),
    "normalised features": Control("detached", "normalised features", {"normalise": True}),
    "gap, one-sided": Control("gap", "gap, one-sided", {"one_sided": True}),
    "gap, v1 weights": Control("gap", "gap", {"weights": "v1"}),
    "gap, hard posterior": Control("gap", "gap", {"posterior": "hard"}),
    "gap, permuted posterior": Control("gap", "gap", {"posterior": "permuted"}),
    "gap, no warm-up": Control("gap", "gap", {"warmup": 0}),
    "penalty only": Control("gap", "penalty only", {"shift_weight": 0.0, "weights": "none"}),
    "shift only": Control("gap", "gap", {"gap_weight": 0.0, "weights": "none"}),
    "weights only": Control("gap", "gap", {"gap_weight": 0.0, "shift_weight": 0.0}),
    "purified": Control("gap", "joint-unimodal", _PLAIN | {"purify": "posterior"}),
    "purified at random": Control("gap", "joint-unimodal", _PLAIN | {"purify": "random"}),
    "bottlenecks, no more": Control("cal", "cal", {"acceleration": "none", "compression": "none"}),
    "acceleration only": Control("cal", "cal", {"compression": "none"}),
    "uniform acceleration": Control(
        "cal", "cal", {"acceleration": "uniform", "compression": "none"}
    ),
    "inverse acceleration": Control(
        "cal", "cal", {"acceleration": "inverse", "compression": "none"}
    ),
    "compression only": Control("cal", "cal", {"acceleration": "none"}),
    "uniform compression": Control(
        "cal", "cal", {"acceleration": "none", "compression": "uniform"}
    ),
    "both uniform": Control("cal", "cal", {"acceleration": "uniform", "compression": "uniform"}),
    "cal, no information": Control("cal", "cal", {"alpha": 0.0}),
    "cal, no confidence": Control("cal", "cal", {"alpha": 1.0}),
    "cal, swapped": Control("cal", "cal", {"swap": True}),
    "cal, beta x 10": Control("cal", "cal", scale={"beta": 10.0}),
    "cal, beta / 10": Control("cal", "cal", scale={"beta": 0.1}),
    "cal, clipped": Control("cal", "cal, clipped"),
    "bottlenecks, clipped": Control(
        "cal", "cal, clipped", {"acceleration": "none", "compression": "none"}
    ),
    "uniform compression, clipped": Control(
        "cal", "cal, clipped", {"acceleration": "none", "compression": "uniform"}
    ),
    "both uniform, clipped": Control(
        "cal", "cal, clipped", {"acceleration": "uniform", "compression": "uniform"}
    ),
    "joint-unimodal, clipped": Control("joint-unimodal", "joint-unimodal", {"clip": 5.0}),
    "cal, even acceleration": Control("cal", "cal", {"acceleration": "uniform"}),
    "cal, even compression": Control("cal", "cal", {"compression": "uniform"}),
    "valuation + unimodal losses": Control("valuation", "valuation + unimodal losses"),
    "random copies + unimodal losses": Control(
        "valuation-random-samples", "valuation + unimodal losses"
    ),
    "two networks + unimodal losses": Control("joint-late", "two networks + unimodal losses"),
    "two networks + gap loss": Control("gap-late", "two networks + gap loss"),
    "two networks, permuted posterior": Control(
        "gap-late", "two networks + gap loss", {"posterior": "permuted"}
    ),
    "dropout + unimodal losses": Control("modality-dropout", "dropout + unimodal losses"),
    "modality-dropout": Control("modality-dropout", "joint-unimodal"),
    "trained with noise": Control("joint-unimodal", "joint-unimodal", noise=10),
}

_BASELINES = ("joint", "joint-unimodal", "ensemble", "ogm-ge")
_BASELINES += ("joint-late", "joint, 30 epochs", "ogm-ge-noise")
_REFERENCES = ("joint", "joint-unimodal", "ensemble")
_BY_COPIES = ("valuation", "valuation-modality", "valuation-random", "valuation-random-samples")
_BY_COPIES += ("joint, same steps", "joint-unimodal, same steps")
_VALUATION = (*_BY_COPIES, "valuation, inputs masked", "valuation, mean filler")
_VALUATION += ("valuation, 0/1 pay-off", "joint-unimodal, 45 epochs")
_BOOSTING = ("boosting", "boosting-base", "base, weak loss x 3", "fixed number")
_BOOSTING += ("boosting-frozen", "residual only", "all only", "previous only")
_BOOSTING += ("smoothing 0", "smoothing 1")
_DETACHED = ("detached", "isolated", "no contrast", "no shared head")
_DETACHED += ("permuted labels", "random dimensions", "normalised features")
_GAP = ("gap", "gap, one-sided", "penalty only", "shift only", "weights only")
_GAP += ("gap, permuted posterior", "gap, hard posterior", "gap, v1 weights")
_GAP += ("gap, no warm-up", "purified", "purified at random")
_CAL = ("cal", "bottlenecks, no more", "acceleration only", "uniform acceleration")
_CAL += ("inverse acceleration", "compression only", "uniform compression", "both uniform")
_CAL += ("cal, no information", "cal, no confidence", "cal, swapped")
_CAL += ("cal, beta x 10", "cal, beta / 10", "cal, even acceleration")
_CAL += ("cal, even compression",)
_CLIPPED = ("cal, clipped", "bottlenecks, clipped", "uniform compression, clipped")
_CLIPPED += ("both uniform, clipped", "joint-unimodal, clipped")
_COMBINED = ("valuation + unimodal losses", "random copies + unimodal losses")
_COMBINED += ("two networks + unimodal losses", "two networks + gap loss")
_COMBINED += ("two networks, permuted posterior", "dropout + unimodal losses")
_METHODS = (*_BASELINES[:4], "valuation", "boosting", "detached", "gap", "cal")
KEPT = (*_METHODS, "both uniform", "modality-dropout", "trained with noise")  # in assets/weights
_BENCH = (*METHODS, *(control[0] for control in METHODS.values() if control))
TABLES = {  # file -> scenario -> what is trained there
    # first: the other tables take from it what it says of clean data
    "noise": {"imbalanced": tuple(dict.fromkeys((*KEPT, *_BENCH)))},
    "baselines": {
        "imbalanced": _BASELINES,
        "corrupted": _BASELINES,
        "balanced": _REFERENCES,
        "flipped": _REFERENCES,
    },
    "valuation": {
        "imbalanced": _VALUATION,
        "corrupted": (*_REFERENCES, *_VALUATION),
        "samplewise": (*_REFERENCES, *_BY_COPIES),
    },
    "boosting": {"imbalanced": _BOOSTING, "corrupted": _BOOSTING},
    "detached": {
        "imbalanced": _DETACHED,
        "corrupted": _DETACHED,
        "balanced": ("detached",),
    },
    "gap": {
        "imbalanced": ("joint-unimodal", *_GAP),
        "corrupted": ("joint-unimodal", *_GAP),
    },
    "cal": {
        "imbalanced": _CAL,
        "corrupted": (*_CAL, *_CLIPPED),
        "flipped": ("cal",),
        "balanced": ("cal",),
    },
    "combinations": {
        "imbalanced": _COMBINED,
        "corrupted": (*_COMBINED, "modality-dropout", "trained with noise"),
    },
}


def run(
    method: str,
    scenario: str,
    seed: int,
    options: dict,
    epochs: int = EPOCHS,
    split: str = "test",
    weights: Path | None = None,
) -> dict[str, float]:
    """Train one method on AV-Digits from `seed` (data, weights, order) and score it on `split`.

    Returns what `scoring.score` does, seconds of training, samples seen (and looked at, see
    `Plan`); of the gap loss also how its first mixture came out on the training data. The split
    `"noise"` is the test split, with what `robustness.under_corruption` says of it in addition,
    under names that have a space. The trained state is saved as `weights`, if given.
    """
    train = _data("train", scenario, seed)
    if method in CONTROLS and CONTROLS[method].noise:
        train = _with_noise(train, CONTROLS[method].noise, seed)
    trained = _untrained(method, train, seed, options, epochs)
    first: dict[str, float] = {}

    def watch(trained) -> dict:
        if isinstance(trained, Gap) and trained.mixture and not first:
            first.update(of_first_mixture(trained, train))
        return {}

    history = fit(trained, train, epochs, seed=seed, progress=False, evaluate=watch)
    if weights:
        trained.optimizer.state.clear()  # momentum is of no use any more
        with replacing(weights) as beside:
            torch.save(trained.state_dict(), beside)
    val = _data("val", scenario, seed)
    if split == "val":
        scores = score(trained, train, val) | first
    else:
        test = _data("test", scenario, seed)
        scores = score(trained, train, test, val) | first
    if split == "noise":
        scores |= under_corruption(trained, test, _corrupted(scenario, seed))
    logged = ("classifiers_", "contribution_", "information_", "confidence_", "divergence_")
    scores |= {name: x for name, x in history[-1].items() if name.startswith(logged)}
    if split != "val":  # runs of the tuning stand beside other work; their seconds tell nothing
        scores["seconds"] = sum(row["seconds"] for row in history)
    for cost in ("samples", "looked_at"):
        scores[cost] = sum(row[cost] for row in history)
    return {name: round(float(value), 4) for name, value in scores.items()}


def _untrained(method: str, train: AVDigits, seed: int, options: dict, epochs: int) -> Method:
    with seeded(seed):
        encoders = {m: SmallCNN() for m in train.modalities}
    name = CONTROLS[method].method if method in CONTROLS else method
    classes = len(train.classes)
    return make_method(name, encoders, classes, epochs, seed, dataset=train, **options)


def trained(method: str, folder: Path, train: AVDigits) -> Method:
    """The network of the noise table's row `method` at the first seed, as `make results` left it.

    `folder` is that of the tables; `train` the training split of `imbalanced` at seed 0. Raises
    `ValueError` for a method that is not in `KEPT`, `FileNotFoundError` if there is no file.
    """
    one_of("method", method, KEPT)
    options = CONTROLS.get(method, Control(method, method)).options(chosen_options(folder))
    found = _untrained(method, train, SEEDS[0], options, EPOCHS)
    found.load_state_dict(torch.load(_weights(folder, method), weights_only=True))
    return found


def _weights(folder: Path, method: str) -> Path:
    """Where the noise table's network of the first seed is kept."""
    return folder.parent / "weights" / f"{method.replace(' ', '-')}.pt"


@lru_cache(maxsize=16)  # one scenario's training and held-out data for every seed
def _data(split: str, scenario: str, seed: int) -> AVDigits:
    return AVDigits(split, scenario, seed=seed)


def _with_noise(train: AVDigits, severity: float, seed: int) -> AVDigits:
    """Noise in half of the samples, other than any of the noise table's."""
    for m, corruption in CONDITIONS["both noisy"].items():
        train = corrupt(train, m, corruption, severity, seed=1000 + seed)
    return train


@lru_cache(maxsize=1)  # the noise table goes through the methods seed by seed
def _corrupted(scenario: str, seed: int) -> list[tuple[str, AVDigits]]:
    return list(corrupted_sets(_data("test", scenario, seed)))


def write_tuning(
    folder: Path,
    tuning_seeds: Sequence[int] = TUNING_SEEDS,
    epochs: int = EPOCHS,
    processes: int = 1,
) -> None:
    """Make or complete `tuning.csv` in `folder`: every point of `GRID`, on validation.

    With `processes` above 1 whole runs stand side by side, one thread each.
    """
    grid = []
    for method, grids in GRID.items():
        change = CONTROLS[method].change if method in CONTROLS else {}
        for point in _points(grids):
            scenario = TUNED_ON.get(method, "imbalanced")
            grid += [(scenario, method, epochs, point | change, seed) for seed in tuning_seeds]
    _complete(folder, {"tuning": grid}, processes)


def write_tables(
    folder: Path, seeds: Sequence[int] = SEEDS, epochs: int = EPOCHS, processes: int = 1
) -> None:
    """Make or complete the files of `TABLES` (test) in `folder` with the options of its
    `tuning.csv`, the pictures drawn from them, and the README's table of all methods.

    `processes` as in `write_tuning`. Raises `FileNotFoundError` without a `tuning.csv`,
    `ValueError` for one that lacks a method.
    """
    chosen = chosen_options(folder)
    wanted = {}
    for name, scenarios in TABLES.items():
        wanted[name] = [
            (scenario, method, control.epochs(scenario, epochs), control.options(chosen), seed)
            for scenario, methods in scenarios.items()
            for method in methods
            for control in [CONTROLS.get(method, Control(method, method))]
            for seed in seeds
        ]
    if "noise" in wanted:  # corrupting the test split takes long, and is done once a seed
        wanted["noise"].sort(key=lambda row: row[-1])
    _complete(folder, wanted, processes)
    draw_phenomenon(pd.read_csv(folder / "baselines.csv"), folder)
    if {*TEST_TABLES, "noise"} <= set(TABLES):
        write_bench(folder)


def chosen_options(folder: Path) -> dict[str, dict]:
    """`choose` on the `tuning.csv` of `folder`; errors as in `write_tables`."""
    path = folder / "tuning.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run `make tuning` first")
    chosen = choose(pd.read_csv(path))
    if missing := [method for method in GRID if method not in chosen]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; run `make tuning` to complete it")
    return chosen


def _split(name: str) -> str:
    """What the rows of a table are scored on."""
    return {"tuning": "val", "noise": "noise"}.get(name, "test")


def _key(row: tuple) -> tuple:
    """`(scenario, method, epochs, options, seed)` as the tables hold it."""
    scenario, method, epochs, options, seed = row
    return scenario, method, epochs, json.dumps(options, sort_keys=True), seed


def _read(path: Path) -> dict[tuple, dict]:
    return _by_key(pd.read_csv(path)) if path.exists() else {}


def _by_key(table: pd.DataFrame) -> dict[tuple, dict]:
    return {tuple(row[column] for column in KEY): row for row in table.to_dict("records")}


def _clean(row: dict) -> dict:
    """What a row of the noise table, or any, says of the test split as it is."""
    return {name: x for name, x in row.items() if " " not in name and not pd.isna(x)}


def _points(grids: dict | list[dict]) -> Iterator[dict]:
    """Every combination of a grid's values, one grid after the other."""
    for grid in [grids] if isinstance(grids, dict) else grids:
        for values in product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


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
    with replacing(folder.parent / "figures" / "phenomenon.png") as beside:
        figure.savefig(beside, dpi=110, format="png")
    plt.close(figure)


def choose(tuning: pd.DataFrame) -> dict[str, dict]:
    """The options of each method with the best mean fused accuracy on validation."""
    means = tuning.groupby(["method", "options"], sort=False)["fused"].mean()
    return {
        method: json.loads(means[method].idxmax())
        for method in means.index.get_level_values("method").unique()
    }


def _complete(folder: Path, wanted: dict[str, list[tuple]], processes: int) -> None:
    """Make or complete the tables: keep the rows that are wanted, run each other one for the first
    table that wants it, save after every one; what other tables want of it, they get from there."""
    keys = {name: [_key(row) for row in rows] for name, rows in wanted.items()}
    stored = {name: _read(folder / f"{name}.csv") for name in wanted}
    tables = {
        name: {key: stored[name][key] for key in rows if key in stored[name]}
        for name, rows in keys.items()
    }
    places: dict[tuple, list[str]] = {}
    for name, rows in keys.items():
        for key in rows:
            places.setdefault(key, []).append(name)

    def share(key: tuple) -> None:
        first, *others = places[key]
        for name in others:
            tables[name].setdefault(key, _clean(tables[first][key]))

    def save(name: str) -> None:
        rows = [tables[name][key] for key in keys[name] if key in tables[name]]
        _save(folder / f"{name}.csv", rows, _split(name))

    missing = [key for key, names in places.items() if key not in tables[names[0]]]
    for key in places.keys() - missing:
        share(key)
    jobs = [_job(folder, places[key][0], key) for key in missing]
    with tqdm(desc="rows", total=len(jobs), smoothing=0.05) as bar:
        for key, scores in zip(missing, _run_all(jobs, processes), strict=True):
            name = places[key][0]
            tables[name][key] = dict(zip(KEY, key, strict=True)) | scores
            share(key)
            save(name)
            bar.update()
    for name in wanted:
        if tables[name].keys() - stored[name].keys():
            save(name)


def _job(folder: Path, name: str, key: tuple) -> tuple:
    """The arguments of `run` for a row of a table."""
    scenario, method, epochs, options, seed = key
    kept = name == "noise" and seed == SEEDS[0] and method in KEPT
    weights = _weights(folder, method) if kept else None
    return method, scenario, seed, json.loads(options), epochs, _split(name), weights


def _run_all(jobs: list[tuple], processes: int) -> Iterator[dict[str, float]]:
    """The scores of each job, in order."""
    if processes == 1:
        use_threads()
        yield from (run(*job) for job in jobs)
    elif jobs:
        spawn = get_context("spawn")
        with ProcessPoolExecutor(processes, spawn, _start_worker) as pool:
            yield from pool.map(run, *zip(*jobs, strict=True))


def _start_worker() -> None:
    """One thread, and no life after the parent's: a killed one cannot tell its workers."""
    use_threads()
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _save(path: Path, rows: list[dict], split: str) -> None:
    """Write the table and what it was made with, beside first and then renamed."""
    packages = ("torch", "torchvision", "torchaudio", "numpy", "scikit-learn")
    made_with = {
        "command": "make tuning" if split == "val" else "make results",
        "split": split,
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "processor": platform.machine(),
        "cores": usable_cores(),
    }
    write_text(path, pd.DataFrame(rows).to_csv(index=False))
    write_text(path.with_suffix(".json"), json.dumps(made_with, indent=2) + "\n")
