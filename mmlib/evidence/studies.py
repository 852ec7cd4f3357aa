"""What is tried and trained in each world: the grid of options, the seeds, the tables."""

from collections.abc import Sequence
from typing import NamedTuple

from mmlib.evidence.arms import ARMS
from mmlib.evidence.definitions import DEFINITIONS

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

_ROWS = {section: tuple(rows) for section, rows in DEFINITIONS.items()}
# asked of `imbalanced` alone
_CLEAN = ("uneven", "weak loss's rate", "fixed number's rate", "normalised's rate", "OGM-GE's rate")
_CLEAN += ("that rate",)
_CORRUPTED = {
    section: tuple(row for row in rows if not row.endswith(_CLEAN))
    for section, rows in _ROWS.items()
}
_REFERENCES = ("joint", "joint-unimodal", "ensemble")
_METHODS = (*_REFERENCES, "ogm-ge", "valuation", "boosting", "detached", "gap", "cal")
_BY_COPIES = ("valuation", "valuation-modality", "valuation-random", "valuation-random-samples")
_BY_COPIES += ("joint, same steps", "joint-unimodal, same steps")
_NOISY = ("modality-dropout", "trained with noise")  # combinations' controls on corrupted
_COMBINED = tuple(row for row in _ROWS["combinations"] if row not in _NOISY)
_MATCHED = ("joint-unimodal, CAL's options", "bottlenecks, no more")  # CAL's, under noise
KEPT = (*_METHODS, "both uniform", *_NOISY)  # in assets/weights
BENCH = {  # method -> its control
    row: None if row in _REFERENCES else ARMS[row].against
    for row in (*_METHODS, "valuation + unimodal losses")
}
_UNDER_NOISE = (*KEPT, *BENCH, *filter(None, BENCH.values()), *_MATCHED)
TABLES = {  # file -> scenario -> what is trained there
    # first: the other tables take from it what it says of clean data
    "noise": {"imbalanced": tuple(dict.fromkeys(_UNDER_NOISE))},
    "baselines": {"imbalanced": _ROWS["baselines"], "corrupted": _CORRUPTED["baselines"]}
    | dict.fromkeys(("balanced", "flipped"), _REFERENCES),
    "valuation": {
        "imbalanced": _ROWS["valuation"],
        "corrupted": (*_REFERENCES, *_CORRUPTED["valuation"]),
        "samplewise": (*_REFERENCES, *_BY_COPIES),
    },
    "boosting": {"imbalanced": _ROWS["boosting"], "corrupted": _CORRUPTED["boosting"]},
    "detached": {
        "imbalanced": _ROWS["detached"],
        "corrupted": _CORRUPTED["detached"],
        "balanced": ("detached",),
    },
    "gap": dict.fromkeys(("imbalanced", "corrupted"), ("joint-unimodal", *_ROWS["gap"])),
    "cal": {
        "imbalanced": _ROWS["cal"],
        "corrupted": (*_CORRUPTED["cal"], *_ROWS["cal, clipped"]),
        "flipped": ("cal",),
        "balanced": ("cal",),
    },
    "combinations": {
        "imbalanced": _COMBINED,
        "corrupted": _CORRUPTED["combinations"],
    },
}

# Human voices: validation is one speaker, so that every speaker is it once; points around what was
# best for synthetic voices; the methods and what they are held against.
KNOWN = "known speakers"  # the scenario `imbalanced` with all speakers in every split
_HUMAN_SEEDS = (100, 101, 104, 105, 109, 117)
_HUMAN_GRID = {
    "joint": {"lr": RATES[1:]},
    "joint-unimodal": {"lr": RATES[2:], "unimodal_weight": [1.0, 3.0]},
    "ensemble": {"lr": RATES[2:]},
    "ogm-ge": {"lr": RATES[2:4], "alpha": [0.1, 0.8]},
    "valuation": {"lr": RATES[3:]},
    "valuation-modality": {"lr": RATES[3:]},
    "boosting": {"lr": RATES[1:4]},
    "boosting-base": {"lr": RATES[1:3]},
    "base, weak loss x 3": {"lr": RATES[:2]},
    "detached": {"lr": RATES[2:4], "temperature": [0.5, 2.0]},
    "gap": {"lr": RATES[1:3], "gap_weight": [0.3, 1.0]},
    "cal": {"lr": RATES[1:3], "unimodal_weight": [3.0], "beta": [0.01, 0.1]},
    "valuation + unimodal losses": {"lr": RATES[2:4], "unimodal_weight": [1.0, 3.0]},
    "two networks + unimodal losses": {"lr": RATES[2:4], "unimodal_weight": [1.0, 3.0]},
}
_HUMAN_ROWS = {
    "baselines": (*_REFERENCES, "ogm-ge", "joint-late", "ogm-ge-noise"),
    "valuation": _BY_COPIES[:4],
    "boosting": ("boosting", "boosting-base", "base, weak loss x 3"),
    "detached": ("detached", "isolated", "no contrast"),
    "gap": ("gap", "gap, permuted posterior", "gap's base"),
    "cal": ("cal", "both uniform", "bottlenecks, no more", "cal, swapped"),
    "combinations": (
        "valuation + unimodal losses",
        "random copies + unimodal losses",
        "two networks + unimodal losses",
    ),
}
_HUMAN_TABLES = {"noise": TABLES["noise"]} | {
    name: dict.fromkeys(("imbalanced", "corrupted"), rows) for name, rows in _HUMAN_ROWS.items()
}
_HUMAN_TABLES["baselines"][KNOWN] = _REFERENCES


class Study(NamedTuple):
    """What is tried and trained in one world; `place`: the folder of its tables in that of all."""

    place: str
    grid: dict[str, dict | list[dict]]
    tables: dict[str, dict[str, tuple[str, ...]]]
    tuning_seeds: Sequence[int]


SYNTHETIC, HUMAN = "synthetic voices", "human voices"
STUDIES = {
    SYNTHETIC: Study(".", GRID, TABLES, TUNING_SEEDS),
    HUMAN: Study("human-voices", _HUMAN_GRID, _HUMAN_TABLES, _HUMAN_SEEDS),
}


def all_tables() -> dict[str, dict[str, tuple[str, ...]]]:
    """Table -> scenario -> rows, of all worlds."""
    found: dict[str, dict[str, dict]] = {}
    for study in STUDIES.values():
        for name, scenarios in study.tables.items():
            for scenario, rows in scenarios.items():
                found.setdefault(name, {}).setdefault(scenario, {}).update(dict.fromkeys(rows))
    return {
        name: {scenario: tuple(rows) for scenario, rows in scenarios.items()}
        for name, scenarios in found.items()
    }
