"""Sentences whose numbers and verdicts are filled from the tables."""

import re

from mmlib.evidence.arms import ARMS
from mmlib.evidence.markup import interval_cell
from mmlib.evidence.studies import BENCH, all_tables
from mmlib.evidence.words import GROUPS
from mmlib.evidence.worlds import World

ROWS = (*BENCH, "two networks + unimodal losses")  # what a reader may choose among
VERDICTS = {1: "clearly above", 0: "no clear difference", -1: "clearly below"}
_NOISE = ("noisy", "lost")  # columns that the noise table bears
_COLUMNS = {name: column for group in GROUPS.values() for name, column in group.items()}


class Asked:
    """The worlds, and every interval that the page rests on, each pair of rows once."""

    def __init__(self, worlds: list[World], found: dict | None = None):
        self.worlds, self.found = worlds, {} if found is None else found

    def of(self, names: set[str]) -> "Asked":
        """Only some of the worlds; what is asked of them counts here."""
        return Asked([world for world in self.worlds if world.name in names], self.found)

    def interval(
        self, world: World, scenario: str, row: str, against: str, column: str, beside: str = ""
    ) -> tuple[float, float, float] | None:
        """As `World.interval`."""
        interval = world.interval(scenario, row, against, column, beside)
        pair = frozenset(((scenario, row), (beside or scenario, against)))
        if interval:
            self.found.setdefault((world.name, column, pair), interval)
        return interval

    def by_world(self, *what: str) -> dict[str, tuple[float, float, float]]:
        """World -> the interval, where it has both rows."""
        found = {world.name: self.interval(world, *what) for world in self.worlds}
        return {name: interval for name, interval in found.items() if interval}


def sign(interval: tuple[float, float, float] | None) -> int:
    """1 for an interval above 0, -1 for one below, 0 for one that contains it or none."""
    return 0 if interval is None else (interval[1] > 0) - (interval[2] < 0)


def verdict(intervals: dict[str, tuple[float, float, float]]) -> str:
    """World -> interval, in words: worlds of one verdict together."""
    groups: dict[str, list[str]] = {}
    for name, interval in intervals.items():
        numbers = f"{interval_cell(interval, bold=False)} with {name}"
        groups.setdefault(VERDICTS[sign(interval)], []).append(numbers)
    return "; ".join(f"{words}, {' and '.join(numbers)}" for words, numbers in groups.items())


def link(scenario: str, row: str, column: str = "fused", text: str = "") -> str:
    """A link to the page that bears a row."""
    holds = [name for name, held in all_tables().items() if row in held.get(scenario, ())]
    page = "noise" if column in _NOISE else min(holds, key=lambda name: name == "noise")
    return f"[{text or ARMS[row].name}]({page}.md)"


def filled(sentence: str, asked: Asked) -> str:
    """A sentence with its fields filled; empty where the tables lack a number."""
    missing = []

    def fill(field: re.Match) -> str:
        text = _field(*field[1].split("|"), asked)
        missing.extend([] if text else [field[1]])
        return text

    text = re.sub(r"\{(.+?)\}", fill, sentence)
    return "" if missing else text


def _field(scenario: str, column: str, what: str, asked: Asked) -> str:
    row, _, against = what.partition(" over ")
    if not against:
        worst = what == "worst"
        found = _worst(scenario, column, asked) if worst else _means(scenario, row, column, asked)
        return " and ".join(f"{text} with {name}" for name, text in found.items())
    beside, _, other = against.rpartition(":")
    found = asked.by_world(scenario, row, other, column, beside)
    source = link(scenario, row, column, f"row `{row}`, *{scenario}*")
    return f"{verdict(found)} ({source})" if found else ""


def _means(scenario: str, row: str, column: str, asked: Asked) -> dict[str, str]:
    """World -> a row's mean, linked."""
    cells = {world.name: world.cells(scenario, row, column) for world in asked.worlds}
    return {
        name: link(scenario, row, column, _written(column, found.mean()))
        for name, found in cells.items()
        if len(found)
    }


def _written(column: str, mean: float) -> str:
    """A mean with its unit."""
    if column not in _COLUMNS or _COLUMNS[column].unit == "%":
        return f"{100 * mean:.1f} %"
    return _COLUMNS[column].write(mean)


def _worst(scenario: str, column: str, asked: Asked) -> dict[str, str]:
    """World -> the lowest seed of all methods, and whose it is."""
    found = {}
    for world in asked.worlds:
        lowest = {row: world.cells(scenario, row, column).min() for row in ROWS}
        lowest = {row: x for row, x in lowest.items() if x == x}  # not of rows that are missing
        if lowest:
            row = min(lowest, key=lowest.get)
            found[world.name] = f"{100 * lowest[row]:.1f} % ({link(scenario, row, column)})"
    return found
