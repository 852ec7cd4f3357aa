"""What `make tuning` and `make results` run: the grid of options, the arms, the tables."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mmlib.evidence.definitions import DEFINITIONS
from mmlib.evidence.stored import read_table

EPOCHS = 15
SEEDS = range(5)
TUNING_SEEDS = range(100, 103)  # validation only; apart from the seeds of the tables

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


class Arm(NamedTuple):
    """A row of the tables: what is trained for it, by which method, with whose tuned options,
    changed how, how many times as long (in which scenario), with which numbers among the options
    how many times as large, with noise of which severity in half of the training samples (drawn
    once, each modality's own); all this in words: its name, its definition; and the row that its
    interval is taken against."""

    method: str
    options_of: str
    change: dict = {}
    times: float | dict[str, float] = 1
    scale: dict[str, float] = {}
    noise: float = 0
    name: str = ""
    definition: str = ""
    against: str = ""

    def options(self, chosen: dict[str, dict]) -> dict:
        """The row's options, from what was `chosen` for each method."""
        options = chosen[self.options_of]
        scaled = {name: round(options[name] * factor, 9) for name, factor in self.scale.items()}
        return options | scaled | self.change

    def epochs(self, scenario: str, epochs: int) -> int:
        """Epochs of the row where the method has `epochs`."""
        times = self.times[scenario] if isinstance(self.times, dict) else self.times
        return round(times * epochs)

    def built_by(self, options: dict) -> tuple[str, dict]:
        """The name and options for `make_method`: a `reading` is a class, not an option."""
        options = dict(options)
        reading = options.pop("reading", None)
        return f"{self.method}-{reading}" if reading else self.method, options


# times as many updates as joint training: what sample-level valuation takes
STEPS = {"imbalanced": 1.63, "samplewise": 2.5, "corrupted": 2.08}
_OFF = {"gap_weight": 0.0, "shift_weight": 0.0}
_BARE = {"kappa": 0.0, "beta": 0.0}

_ARMS = {  # without words; a row that is not here is a method as it is
    "joint-late": Arm("joint-late", "joint"),
    "joint, 30 epochs": Arm("joint", "joint", times=2),
    "ogm-ge-noise": Arm("ogm-ge-noise", "ogm-ge", {"alpha": 0.0}),
    "joint, same steps": Arm("joint", "joint", times=STEPS),
    "joint-unimodal, same steps": Arm("joint-unimodal", "joint-unimodal", times=STEPS),
    "joint-unimodal, 45 epochs": Arm("joint-unimodal", "joint-unimodal", times=3),
    "valuation-random-samples": Arm("valuation-random-samples", "valuation"),
    "valuation-random": Arm("valuation-random", "valuation"),
    "valuation, inputs masked": Arm("valuation-inputs", "valuation"),
    "valuation, mean filler": Arm("valuation-mean", "valuation"),
    "valuation, 0/1 pay-off": Arm("valuation-binary", "valuation"),
    "base, weak loss x 3": Arm(
        "boosting-heavier", "base, weak loss x 3", {"loss_weights": {"visual": 3.0}}
    ),
    "fixed number": Arm("boosting-fixed", "fixed number", {"start": {"visual": 9}}),
    "boosting-frozen": Arm("boosting-frozen", "boosting"),
    "residual only": Arm("boosting-residual", "boosting"),
    "all only": Arm("boosting-all", "boosting"),
    "previous only": Arm("boosting-previous", "boosting"),
    "smoothing 0": Arm("boosting", "boosting", {"smoothing": 0.0}),
    "smoothing 1": Arm("boosting", "boosting", {"smoothing": 1.0}),
    "isolated": Arm("detached", "detached", {"shared_weight": 0.0, "duc_weight": 0.0}),
    "no contrast": Arm("detached", "detached", {"duc_weight": 0.0}),
    "no shared head": Arm("detached", "detached", {"shared_weight": 0.0}),
    "permuted labels": Arm("detached-permuted", "detached"),
    "random dimensions": Arm("detached-random", "detached"),
    "normalised features": Arm("detached-normalised", "normalised features"),
    "gap, one-sided": Arm("gap-one-sided", "gap, one-sided"),
    "gap, v1 weights": Arm("gap-v1", "gap"),
    "gap, hard posterior": Arm("gap-hard", "gap"),
    "gap, permuted posterior": Arm("gap-permuted", "gap"),
    "gap, no warm-up": Arm("gap", "gap", {"warmup": 0}),
    "penalty only": Arm("gap-unweighted", "penalty only", {"shift_weight": 0.0}),
    "shift only": Arm("gap-unweighted", "gap", {"gap_weight": 0.0}),
    "weights only": Arm("gap", "gap", _OFF),
    "purified": Arm("gap-purified", "joint-unimodal", _OFF),
    "purified at random": Arm("gap-purified-random", "joint-unimodal", _OFF),
    "bottlenecks, no more": Arm("cal", "cal", _BARE),
    "acceleration only": Arm("cal", "cal", {"beta": 0.0}),
    "uniform acceleration": Arm("cal-even-acceleration", "cal", {"beta": 0.0}),
    "inverse acceleration": Arm("cal-inverse-acceleration", "cal", {"beta": 0.0}),
    "compression only": Arm("cal", "cal", {"kappa": 0.0}),
    "uniform compression": Arm("cal-even-compression", "cal", {"kappa": 0.0}),
    "both uniform": Arm("cal-even", "cal"),
    "cal, no information": Arm("cal", "cal", {"alpha": 0.0}),
    "cal, no confidence": Arm("cal", "cal", {"alpha": 1.0}),
    "cal, swapped": Arm("cal-swapped", "cal"),
    "cal, beta x 10": Arm("cal", "cal", scale={"beta": 10.0}),
    "cal, beta / 10": Arm("cal", "cal", scale={"beta": 0.1}),
    "cal, clipped": Arm("cal", "cal, clipped"),
    "bottlenecks, clipped": Arm("cal", "cal, clipped", _BARE),
    "uniform compression, clipped": Arm("cal-even-compression", "cal, clipped", {"kappa": 0.0}),
    "both uniform, clipped": Arm("cal-even", "cal, clipped"),
    "joint-unimodal, clipped": Arm("joint-unimodal", "joint-unimodal", {"clip": 5.0}),
    "cal, even acceleration": Arm("cal-even-acceleration", "cal"),
    "cal, even compression": Arm("cal-even-compression", "cal"),
    "valuation + unimodal losses": Arm("valuation", "valuation + unimodal losses"),
    "random copies + unimodal losses": Arm(
        "valuation-random-samples", "valuation + unimodal losses"
    ),
    "two networks + unimodal losses": Arm("joint-late", "two networks + unimodal losses"),
    "two networks + gap loss": Arm("gap-late", "two networks + gap loss"),
    "two networks, permuted posterior": Arm("gap-late-permuted", "two networks + gap loss"),
    "dropout + unimodal losses": Arm("modality-dropout", "dropout + unimodal losses"),
    "modality-dropout": Arm("modality-dropout", "joint-unimodal"),
    "trained with noise": Arm("joint-unimodal", "joint-unimodal", noise=10),
}
ARMS = {
    row: _ARMS.get(row, Arm(row, row))._replace(**words)
    for section in DEFINITIONS.values()
    for row, words in section.items()
}

_ROWS = {section: tuple(rows) for section, rows in DEFINITIONS.items()}
_REFERENCES = ("joint", "joint-unimodal", "ensemble")
_METHODS = (*_REFERENCES, "ogm-ge", "valuation", "boosting", "detached", "gap", "cal")
_BY_COPIES = ("valuation", "valuation-modality", "valuation-random", "valuation-random-samples")
_BY_COPIES += ("joint, same steps", "joint-unimodal, same steps")
_NOISY = ("modality-dropout", "trained with noise")  # combinations' controls on corrupted
_COMBINED = tuple(row for row in _ROWS["combinations"] if row not in _NOISY)
KEPT = (*_METHODS, "both uniform", *_NOISY)  # in assets/weights
BENCH = {  # method -> its cheapest control
    row: None if row in _REFERENCES else ARMS[row].against
    for row in (*_METHODS, "valuation + unimodal losses")
}
TABLES = {  # file -> scenario -> what is trained there
    # first: the other tables take from it what it says of clean data
    "noise": {"imbalanced": tuple(dict.fromkeys((*KEPT, *BENCH, *filter(None, BENCH.values()))))},
    "baselines": dict.fromkeys(("imbalanced", "corrupted"), _ROWS["baselines"])
    | dict.fromkeys(("balanced", "flipped"), _REFERENCES),
    "valuation": {
        "imbalanced": _ROWS["valuation"],
        "corrupted": (*_REFERENCES, *_ROWS["valuation"]),
        "samplewise": (*_REFERENCES, *_BY_COPIES),
    },
    "boosting": dict.fromkeys(("imbalanced", "corrupted"), _ROWS["boosting"]),
    "detached": dict.fromkeys(("imbalanced", "corrupted"), _ROWS["detached"])
    | {"balanced": ("detached",)},
    "gap": dict.fromkeys(("imbalanced", "corrupted"), ("joint-unimodal", *_ROWS["gap"])),
    "cal": {
        "imbalanced": _ROWS["cal"],
        "corrupted": (*_ROWS["cal"], *_ROWS["cal, clipped"]),
        "flipped": ("cal",),
        "balanced": ("cal",),
    },
    "combinations": {
        "imbalanced": _COMBINED,
        "corrupted": (*_COMBINED, *_NOISY),
    },
}


def chosen_options(folder: Path) -> dict[str, dict]:
    """`choose` on the `tuning.csv` of `folder`; errors as in `write_tables`."""
    path = folder / "tuning.csv"
    chosen = choose(read_table(path))
    if missing := [method for method in GRID if method not in chosen]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; run `make tuning` to complete it")
    return chosen


def choose(tuning: pd.DataFrame) -> dict[str, dict]:
    """The options of each method with the best mean fused accuracy on validation."""
    means = tuning.groupby(["method", "options"], sort=False)["fused"].mean()
    return {
        method: json.loads(means[method].idxmax())
        for method in means.index.get_level_values("method").unique()
    }


def points(grids: dict | list[dict]) -> Iterator[dict]:
    """Every combination of a grid's values, one grid after the other."""
    for grid in [grids] if isinstance(grids, dict) else grids:
        for values in product(*grid.values()):
            yield dict(zip(grid, values, strict=True))
