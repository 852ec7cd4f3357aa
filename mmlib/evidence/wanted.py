"""The rows that `make tuning` and `make results` leave: scenario, method, epochs, options, seed."""

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from mmlib.evidence.arms import ARMS
from mmlib.evidence.stored import command_for, read_table
from mmlib.evidence.studies import TUNED_ON, Study


def tuning_rows(study: Study, epochs: int) -> list[tuple]:
    """Every point of a study's grid at each of its seeds."""
    grid = []
    for method, grids in study.grid.items():
        change, scenario = ARMS[method].change, TUNED_ON.get(method, "imbalanced")
        for point in points(grids):
            options = point | change
            grid += [(scenario, method, epochs, options, seed) for seed in study.tuning_seeds]
    return grid


def table_rows(
    study: Study, chosen: dict[str, dict], seeds: Sequence[int], epochs: int
) -> dict[str, list[tuple]]:
    """Table -> its rows, with the options that were `chosen` for each method."""
    wanted = {}
    for name, scenarios in study.tables.items():
        wanted[name] = [
            (scenario, method, arm.epochs(scenario, epochs), arm.options(chosen), seed)
            for scenario, methods in scenarios.items()
            for method, arm in ((method, ARMS[method]) for method in methods)
            for seed in seeds
        ]
    if "noise" in wanted:  # corrupting the test split takes long, and is done once a seed
        wanted["noise"].sort(key=lambda row: row[-1])
    return wanted


def chosen_options(folder: Path, study: Study) -> dict[str, dict]:
    """`choose` on the `tuning.csv` of `folder`, where it has all of the study's methods.

    Raises `FileNotFoundError` and `ValueError` as `stored.read_table` does, and `ValueError` for a
    table that lacks a method.
    """
    path = folder / "tuning.csv"
    chosen = choose(read_table(path))
    if missing := [method for method in study.grid if method not in chosen]:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}; run `{command_for(path)}` to complete it"
        )
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
