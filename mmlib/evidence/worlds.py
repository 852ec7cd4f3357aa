"""The tables of each world as the evidence pages need them: means, intervals, what was tuned."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mmlib.evaluation import paired_interval
from mmlib.evidence.robustness import ATTACKS, CONDITIONS, SEVERITIES
from mmlib.evidence.robustness import STEPS as ATTACK_STEPS
from mmlib.evidence.stored import (
    SCORES,
    damaged,
    key_of,
    made_with,
    read_table,
    require_rows,
    with_all_seeds,
)
from mmlib.evidence.studies import EPOCHS, SEEDS, STUDIES, SYNTHETIC, Study
from mmlib.evidence.wanted import choose, table_rows, tuning_rows

NOTHING = pd.Series(dtype=float)
ROW = ["scenario", "method", "seed"]
NOISES = ("visual gaussian", "visual salt-and-pepper", "audio white-noise", "both noisy")


class World(NamedTuple):
    """One kind of data, for which there are tables: `rows` (test; scenario and method -> a line a
    seed), `tuning` (validation), the options that were `chosen` from it."""

    name: str
    folder: Path
    rows: dict[tuple[str, str], pd.DataFrame]
    tuning: pd.DataFrame
    chosen: dict[str, dict]

    @property
    def study(self) -> Study:
        return STUDIES[self.name]

    def cells(self, scenario: str, row: str, column: str) -> pd.Series:
        """A row's values by seed; none where the world does not hold it."""
        return self.rows[scenario, row][column] if self.has(scenario, row, column) else NOTHING

    def has(self, scenario: str, row: str, column: str) -> bool:
        """Whether there are such values."""
        return (scenario, row) in self.rows and column in self.rows[scenario, row]

    def interval(
        self,
        scenario: str,
        row: str,
        against: str,
        column: str,
        beside: str = "",
        other_column: str = "",
    ) -> tuple[float, float, float] | None:
        """`paired_interval` of two rows over the seeds of both, in points; None below two.

        `beside`, `other_column`: the scenario and the column of `against`, where that is another.
        """
        one, other = (scenario, row, column), (beside or scenario, against, other_column or column)
        pairs = self.cells(*one), self.cells(*other)
        both = pairs[0].index.intersection(pairs[1].index)
        if len(both) < 2 or one == other:
            return None
        mean, low, high = paired_interval(*(cells[both] for cells in pairs))
        return 100 * mean, 100 * low, 100 * high

    def made_with(self, table: str) -> dict:
        """What stands beside a table."""
        return made_with(self.folder / f"{table}.csv")


def read_worlds(folder: Path) -> list[World]:
    """The worlds with tables in `folder`, or in their folder in it.

    Those of `folder` itself have to be complete; another world's may be some rows of some tables,
    each at all seeds. Errors as in `stored.read_table` and `require_rows`.
    """
    places = {name: folder / study.place for name, study in STUDIES.items()}
    there = {name: place for name, place in places.items() if (place / "tuning.csv").exists()}
    return [_read(name, place) for name, place in there.items()]


def _read(name: str, folder: Path) -> World:
    path, study, whole = folder / "tuning.csv", STUDIES[name], name == SYNTHETIC
    tuning = read_table(path, SCORES)
    tried = map(key_of, tuning_rows(study, EPOCHS))
    require_rows(path, tuning, tried if whole else with_all_seeds(tuning, study.tuning_seeds))
    chosen = choose(tuning)
    found = _tables(folder, study, table_rows(study, chosen, SEEDS, EPOCHS) if whole else {})
    if not found:
        return World(name, folder, {}, tuning, chosen)
    if "noise" in found:
        found["noise"] = with_noise_means(found["noise"])
    once = pd.concat(found.values()).groupby(ROW).first()  # of each column what any table has
    # the picture's probe over the sound's: a difference of two rows' leads is an interval, too
    once["probe_lead"] = once["probe_visual"] - once["probe_audio"]
    rows = {
        key: part.droplevel(["scenario", "method"]).dropna(axis=1, how="all")
        for key, part in once.groupby(["scenario", "method"])
    }
    return World(name, folder, rows, tuning, chosen)


def _tables(folder: Path, study: Study, wanted: dict[str, list[tuple]]) -> dict[str, pd.DataFrame]:
    """The tables that are there or `wanted`, checked."""
    paths = {name: folder / f"{name}.csv" for name in study.tables}
    there = {name: path for name, path in paths.items() if name in wanted or path.exists()}
    return {name: _checked(path, wanted.get(name)) for name, path in there.items()}


def _checked(path: Path, wanted: list[tuple] | None) -> pd.DataFrame:
    """A table with the rows that are `wanted`, of which each arm has one a scenario and seed."""
    noises = ["fused clean", *(f"fused {name}, 10, seed 0" for name in NOISES)]
    needed = [*SCORES, "samples", *(noises if path.stem == "noise" else ())]
    table = read_table(path, needed)
    rows = with_all_seeds(table, SEEDS) if wanted is None else map(key_of, wanted)
    require_rows(path, table, rows)
    twice = table[table.duplicated(ROW)]
    if len(twice):
        scenario, method, seed = twice[ROW].iloc[0]
        raise damaged(path, f"has two rows of {method!r} on {scenario} at seed {seed}")
    made_with(path)
    return table


def conditions() -> list[str]:
    """What the noise table's columns are called after: condition and severity."""
    single = [f"{name}, {s}" for name in CONDITIONS for s in SEVERITIES]
    attacks = [f"{which} {a}, {s}" for a in ATTACK_STEPS for which in ATTACKS for s in SEVERITIES]
    return single + attacks


def with_noise_means(noise: pd.DataFrame) -> pd.DataFrame:
    """The noise table with a mean over its noise seeds for every condition, under the condition's
    name; `noisy` (fused accuracy, a mean over `NOISES` at severity 10); and `lost`, the share of
    the clean accuracy that is not left then."""
    means = {}
    for kind in ("fused", "certain", "error"):
        for name in conditions():
            drawn = noise.filter(like=f"{kind} {name}, seed")
            if len(drawn.columns):
                means[f"{kind} {name}"] = drawn.mean(axis=1)
    means["noisy"] = sum(means[f"fused {name}, 10"] for name in NOISES) / len(NOISES)
    means["lost"] = 1 - means["noisy"] / noise["fused clean"]
    return pd.concat([noise, pd.DataFrame(means, index=noise.index)], axis=1)
