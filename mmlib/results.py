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
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm.auto import tqdm

from mmlib.data import AVDigits
from mmlib.encoders import SmallCNN
from mmlib.evaluation import accuracy, collect, macro_f1, probe_encoders
from mmlib.methods import make_method
from mmlib.methods.valuation import contributions
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
    "valuation": {"lr": [*RATES[1:], 0.8]},
    "valuation-modality": {"lr": [*RATES[1:], 0.8]},
    "boosting": {"lr": RATES[1:]},
    "boosting-base": {"lr": RATES[1:]},
    # controls that a larger gradient would make diverge at the method's own rate
    "base, weak loss x 3": {"lr": [0.01, *RATES[:3]]},
    "fixed number": {"lr": [0.01, *RATES[:3]]},
}


class Control(NamedTuple):
    """A row beside a method: what is trained, with whose options, changed how, how many times as
    long (in which scenario)."""

    method: str
    options_of: str
    change: dict = {}
    times: float | dict[str, float] = 1

    def epochs(self, scenario: str, epochs: int) -> int:
        """Epochs of the row where the method has `epochs`."""
        times = self.times[scenario] if isinstance(self.times, dict) else self.times
        return round(times * epochs)


# times as many updates as joint training: what sample-level valuation takes
STEPS = {"imbalanced": 1.6, "samplewise": 2.4, "corrupted": 1.95}

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
}

_LESSON_1 = ("joint", "joint-unimodal", "ensemble", "ogm-ge")
_LESSON_1 += ("joint-late", "joint, 30 epochs", "ogm-ge-noise")
_VALUATION = ("valuation", "valuation-modality", "valuation-random", "valuation-random-samples")
_VALUATION += ("joint, same steps", "joint-unimodal, same steps")
_REFERENCES = ("joint", "joint-unimodal", "ensemble")
TABLES = {  # file -> scenario -> what is trained there
    "baselines": dict.fromkeys(("imbalanced", "balanced", "flipped"), _LESSON_1),
    "valuation": {
        "imbalanced": _VALUATION
        + ("valuation, inputs masked", "valuation, mean filler", "valuation, 0/1 pay-off")
        + ("joint-unimodal, 45 epochs",),
        "samplewise": _REFERENCES + _VALUATION,
        "corrupted": _REFERENCES + _VALUATION,
    },
    "boosting": {
        "imbalanced": ("boosting", "boosting-base", "base, weak loss x 3", "fixed number")
        + ("boosting-frozen", "residual only", "all only", "previous only")
        + ("smoothing 0", "smoothing 1"),
    },
}


def run(
    method: str, scenario: str, seed: int, options: dict, epochs: int = EPOCHS, split: str = "test"
) -> dict[str, float]:
    """Train one method on AV-Digits from `seed` (data, weights, order) and score it on `split`.

    Returns accuracy and macro-F1 of the fused logits, accuracy of each modality's own logits, each
    encoder's linear probe, seconds of training, samples seen (and looked at, see `Plan`); on test
    also what `_with_validation` adds.
    """
    train, held_out = (_data(part, scenario, seed) for part in ("train", split))
    with seeded(seed):
        encoders = {m: SmallCNN() for m in train.modalities}
    name = CONTROLS[method].method if method in CONTROLS else method
    trained = make_method(
        name, encoders, len(train.classes), epochs, seed, dataset=train, **options
    )
    history = fit(trained, train, epochs, seed=seed, progress=False)
    logits = collect(trained.predict, held_out)
    scores = {m: accuracy(logits[m], held_out.target) for m in logits}
    scores["macro_f1"] = macro_f1(logits["fused"], held_out.target)
    probes = probe_encoders(trained.model, train, held_out)
    scores |= {f"probe_{m}": probe for m, probe in probes.items()}
    scores |= {name: x for name, x in history[-1].items() if name.startswith("classifiers")}
    if split == "test":  # runs of the tuning stand beside other work; their seconds tell nothing
        val = _data("val", scenario, seed)
        scores |= _with_validation(collect(trained.predict, val), val, logits, held_out)
        scores["seconds"] = sum(row["seconds"] for row in history)
    for cost in ("samples", "looked_at"):
        scores[cost] = sum(row[cost] for row in history)
    return {name: round(float(value), 4) for name, value in scores.items()}


def _with_validation(
    val_logits: dict[str, Tensor], val: AVDigits, logits: dict[str, Tensor], test: AVDigits
) -> dict[str, float]:
    """Test scores that take something from validation: fusion weights, and a table of bits.

    `fused_weighted`: the best weight of two modalities' logits on validation; `fused_normalised`:
    each modality's logits over their deviation there. Where modalities were ruined, the area under
    the ROC curve with which each of three scores finds the ruined one: a low contribution (`auc`),
    the modality alone being wrong (`auc_wrong`), and the best rule on the three correctness bits,
    the share of ruined samples in each of their eight cells, estimated on validation (`auc_bits`).
    """

    def mix(z: dict[str, Tensor], w: float) -> Tensor:
        return (1 - w) * z["audio"] + w * z["visual"]

    weights = torch.linspace(0, 1, 21).tolist()
    best = max(weights, key=lambda w: accuracy(mix(val_logits, w), val.target))
    level = {m: z / val_logits[m].std() for m, z in logits.items()}
    scores = {
        "weight_visual": best,
        "fused_weighted": accuracy(mix(logits, best), test.target),
        "fused_normalised": accuracy(mix(level, 0.5), test.target),
    }
    if not test.truth["ruined"].any():
        return scores
    phi, cells = contributions(logits, test.target), _cells(logits, test.target)
    val_cells = _cells(val_logits, val.target)
    for which, m in enumerate(("audio", "visual"), start=1):
        ruined, val_ruined = test.truth["ruined"] == which, val.truth["ruined"] == which
        share = [val_ruined[val_cells == cell].float().mean().nan_to_num() for cell in range(8)]
        wrong = logits[m].argmax(1) != test.target
        for name, score in (
            ("auc", -phi[m]),
            ("auc_wrong", wrong),
            ("auc_bits", torch.stack(share)[cells]),
        ):
            scores[f"{name}_{m}"] = roc_auc_score(ruined, score)
    return scores


def _cells(logits: dict[str, Tensor], target: Tensor) -> Tensor:
    """Which of 2 x 2 x 2 cells a sample is in: sound right, picture right, both together right."""
    bits = [(logits[m].argmax(1) == target).long() for m in ("audio", "visual", "fused")]
    return bits[0] + 2 * bits[1] + 4 * bits[2]


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
    """Make or complete `tuning.csv` (validation) and the files of `TABLES` (test) in `folder`.

    With `processes` above 1 whole runs stand side by side, one thread each.
    """
    grid = []
    for method, options in GRID.items():
        change = CONTROLS[method].change if method in CONTROLS else {}
        for values in product(*options.values()):
            point = dict(zip(options, values, strict=True)) | change
            grid += [("imbalanced", method, epochs, point, seed) for seed in tuning_seeds]
    tuning = _complete(folder / "tuning.csv", grid, "val", processes)
    chosen = choose(tuning)
    for name, scenarios in TABLES.items():
        rows = []
        for scenario, methods in scenarios.items():
            for method in methods:
                control = CONTROLS.get(method, Control(method, method))
                options = chosen[control.options_of] | control.change
                length = control.epochs(scenario, epochs)
                rows += [(scenario, method, length, options, seed) for seed in seeds]
        table = _complete(folder / f"{name}.csv", rows, "test", processes)
        if name == "baselines":
            draw_phenomenon(table, folder)


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
