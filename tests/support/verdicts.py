"""The words of `tests/test_claims.py`, which says what each of them means."""

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmlib.evaluation import paired_interval
from mmlib.evidence.studies import SEEDS, SYNTHETIC
from mmlib.evidence.worlds import World


class Tried(NamedTuple):
    """A method at options that validation tried; see `on_validation`."""

    method: str
    options: str

    def __str__(self) -> str:
        return f"{self.method} {self.options} on validation"


Worlds = dict[str, World]
Verdict = tuple[bool, str]  # whether it is so, and the numbers
Claim = Callable[[Worlds], Verdict]
Score = str | Callable[[Callable[[str], pd.Series]], pd.Series]  # a column, or made of columns
Row = str | Tried | float  # a number in place of a row: the same at every seed


# ---- what a row is worth


def cells(
    worlds: Worlds,
    row: str | Tried,
    score: Score = "fused",
    scenario: str = "imbalanced",
    world: str = SYNTHETIC,
) -> pd.Series:
    """A row's values by seed; it has to be there at all of them."""

    def column(name: str) -> pd.Series:
        if isinstance(row, Tried):
            table, seeds = (
                tried(worlds, row.method, scenario, world),
                worlds[world].study.tuning_seeds,
            )
            found = table[table["options"] == row.options].set_index("seed")[name].sort_index()
        else:
            found, seeds = worlds[world].cells(scenario, row, name), SEEDS
        assert list(found.index) == list(seeds), f"{row} on {scenario} has no whole {name!r}"
        return found

    return score(column) if callable(score) else column(score)


def on_validation(method: str, **options) -> Tried:
    """The row of the runs that tried these options, in place of a row of the test tables."""
    return Tried(method, json.dumps(options, sort_keys=True))


def tried(
    worlds: Worlds,
    method: str,
    scenario: str = "imbalanced",
    world: str = SYNTHETIC,
) -> pd.DataFrame:
    """A method's runs that chose its options."""
    table = worlds[world].tuning
    return table[(table["method"] == method) & (table["scenario"] == scenario)]


def interval(worlds: Worlds, row: str, other: Row, score: Score, against: Score | None, where):
    """Mean, low and high of a paired difference, in points."""
    a = cells(worlds, row, score, **where)
    if isinstance(other, str | Tried):
        b = cells(worlds, other, score if against is None else against, **where)
    else:
        b = [other] * len(a)
    return [100 * x for x in paired_interval(a, b)]


def drop(*noises: str) -> Score:
    """The share of the clean accuracy that noise takes away, a mean over noises."""

    def score(column: Callable[[str], pd.Series]) -> pd.Series:
        left = sum(column(f"fused {noise}") for noise in noises) / len(noises)
        return 1 - left / column("fused clean")

    return score


def missing(rate: float) -> Score:
    """Accuracy where so many samples lack one modality, as lesson 3 has it."""

    def score(column: Callable[[str], pd.Series]) -> pd.Series:
        alone = (column("audio") + column("visual")) / 2
        return (1 - rate) * column("fused") + rate * alone

    return score


def where_hit(noise: str) -> Score:
    """Accuracy on the half of the samples that noise hits, as lesson 7 has it."""
    return lambda column: 2 * column(f"fused {noise}") - column("fused clean")


def seen(column: Callable[[str], pd.Series]) -> pd.Series:
    """The samples that pass through the network, trained on or only looked at."""
    return column("samples") + column("looked_at")


# ---- the words


def _difference(holds: Callable[[float, float, float], bool]) -> Callable[..., Claim]:
    def word(
        row: str, other: Row, score: Score = "fused", against: Score | None = None, **where
    ) -> Claim:
        def claim(worlds: Worlds) -> Verdict:
            mean, low, high = interval(worlds, row, other, score, against, where)
            text = f"{row} over {other}: {mean:.2f} points, interval {low:.2f} to {high:.2f}"
            return holds(mean, low, high), text

        return claim

    return word


def above(row: str, other: Row, *score, by: float = 0, **where) -> Claim:
    return _difference(lambda mean, low, high: low > by)(row, other, *score, **where)


def below(row: str, other: Row, *score, by: float = 0, **where) -> Claim:
    return _difference(lambda mean, low, high: high < -by)(row, other, *score, **where)


def between(row: str, other: Row, *score, low: float, high: float, **where) -> Claim:
    return _difference(lambda mean, a, b: low <= a and b <= high)(row, other, *score, **where)


def within(row: str, other: Row, *score, points: float, **where) -> Claim:
    return between(row, other, *score, low=-points, high=points, **where)


def mean_between(row: str, other: Row, *score, low: float, high: float, **where) -> Claim:
    return _difference(lambda mean, a, b: low <= mean <= high)(row, other, *score, **where)


def about(row: str, other: Row, *score, points: float, **where) -> Claim:
    return _difference(lambda mean, low, high: rounds_to(mean, points))(row, other, *score, **where)


no_clear_difference = _difference(lambda mean, low, high: low <= 0 <= high)
not_above = _difference(lambda mean, low, high: low <= 0)
not_below = _difference(lambda mean, low, high: high >= 0)
ahead = _difference(lambda mean, low, high: mean > 0)
behind = _difference(lambda mean, low, high: mean < 0)


def rounds_to(value: float, wanted: float) -> bool:
    """Whether it rounds to `wanted`, at as many decimals as that has; a whole ten to the ten."""
    digits = len(repr(wanted).split(".")[1]) if isinstance(wanted, float) else 0
    if not digits and wanted and wanted % 10 == 0:
        digits = -1
    return round(value, digits) == wanted


def further_ahead(first: tuple, second: tuple, **where) -> Claim:
    """`(row, other, score, scenario)` twice: the first mean difference is the larger."""

    def claim(worlds: Worlds) -> Verdict:
        a, b = (
            interval(worlds, row, other, score, None, where | {"scenario": scenario})[0]
            for row, other, score, scenario in (first, second)
        )
        return a > b, f"{a:.2f} and {b:.2f} points"

    return claim


def worth(row: str, number: float, score: Score = "fused", **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        mean = cells(worlds, row, score, **where).mean()
        return rounds_to(mean, number), f"{row}: {mean:.3f}"

    return claim


def times(row: str, other: str, number: float, score: Score = "samples", **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        ratio = (
            cells(worlds, row, score, **where).mean() / cells(worlds, other, score, **where).mean()
        )
        return rounds_to(ratio, number), f"{row} over {other}: {ratio:.2f} times"

    return claim


def highest(row: str, others: list[str], score: Score = "fused", sign: int = 1, **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        means = {name: cells(worlds, name, score, **where).mean() for name in {row, *others}}
        best = max(means, key=lambda name: sign * means[name])
        return best == row, f"{row} {means[row]:.3f}, {best} {means[best]:.3f}"

    return claim


def lowest(row: str, others: list[str], score: Score = "fused", **where) -> Claim:
    return highest(row, others, score, sign=-1, **where)


def best_of_all(rows: list[str], scenario: str = "imbalanced", world: str = SYNTHETIC) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        there = [name for place, name in worlds[world].rows if place == scenario]
        means = {name: cells(worlds, name, "fused", scenario, world).mean() for name in there}
        best = sorted(means, key=means.get, reverse=True)[: len(rows)]
        return set(best) == set(rows), f"best of {len(there)} rows: {best}"

    return claim


def trainings_scatter_more(rows: list[str], noise: str, **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        trainings, noises = [], []
        for row in rows:
            drawn = pd.concat(
                [cells(worlds, row, f"fused {noise}, seed {k}", **where) for k in range(3)], axis=1
            )
            noises.append(drawn.std(axis=1).mean())
            trainings.append(drawn.mean(axis=1).std())
        a, b = 100 * np.mean(trainings), 100 * np.mean(noises)
        return a > b, f"{noise}: {a:.2f} points over trainings, {b:.2f} over noises"

    return claim


def every_seed(
    row: str,
    score: Score = "fused",
    over: float = -np.inf,
    under: float = np.inf,
    less: str = "",
    **where,
) -> Claim:
    """Of a row's values, or of their differences from those of the row `less`."""

    def claim(worlds: Worlds) -> Verdict:
        values = cells(worlds, row, score, **where)
        if less:
            values = values - cells(worlds, less, score, **where)
        return bool(values.between(over, under, "neither").all()), f"{row}: {values.tolist()}"

    return claim


def seeds_lost(row: str, number: int, score: Score = "audio", under: float = 0.5, **where) -> Claim:
    """A seed is lost if its sound alone, or `score`, stays under one half, or `under`."""

    def claim(worlds: Worlds) -> Verdict:
        values = cells(worlds, row, score, **where)
        return (values < under).sum() == number, f"{row}: {values.tolist()}"

    return claim


def where_lost(row: str, score: Score, under: float, **where) -> Claim:
    """In the seeds that are lost, and there are some, `score` stays under a number."""

    def claim(worlds: Worlds) -> Verdict:
        found = cells(worlds, row, score, **where)[cells(worlds, row, "audio", **where) < 0.5]
        return bool(len(found) and (found < under).all()), f"{row}: {found.tolist()}"

    return claim


def right_order(row: str, score: Score, number: int, scenarios: dict[str, str], **where) -> Claim:
    """In so many runs the sound's share is over one half if and only if the sound is ahead alone;
    `scenarios` names the row that stands for `row` in each."""

    def claim(worlds: Worlds) -> Verdict:
        right = 0
        for scenario, name in scenarios.items():
            audio, visual, share = (
                cells(worlds, name, column, scenario, **where)
                for column in ("audio", "visual", score)
            )
            right += ((share > 0.5) == (audio > visual)).sum()
        return right == number, f"{right} runs"

    return claim


def each(word: Callable[..., Claim], rows, others, *rest, **where) -> Claim:
    rows, others = (x if isinstance(x, list) else [x] for x in (rows, others))
    return both(*(word(row, other, *rest, **where) for row in rows for other in others))


def both(*claims: Claim) -> Claim:
    """All of them; what is said is what fails."""

    def claim(worlds: Worlds) -> Verdict:
        found = [part(worlds) for part in claims]
        said = [text for holds, text in found if not holds]
        return not said, "; ".join(said or [text for _, text in found])

    return claim


# ---- what validation chose


def best_on_validation(
    method: str, scenario: str = "imbalanced", world: str = SYNTHETIC, **options
) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        means = tried(worlds, method, scenario, world).groupby("options")["fused"].mean()
        best = json.loads(means.idxmax())
        return options.items() <= best.items(), f"{method}: {best}"

    return claim


def at_every_rate(row: str, other: str, score: str = "fused", by: float = 0, **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        means = []
        for name in (row, other):
            table = tried(worlds, name, **where)
            rate = table["options"].map(lambda text: json.loads(text)["lr"])
            means.append(100 * table[score].groupby(rate).mean())
        over = means[0] - means[1]
        return bool((over > by).all()), f"{row} over {other}: {over.round(2).to_dict()}"

    return claim


def order_on_validation(*methods: str, closer: float = np.inf, **where) -> Claim:
    def claim(worlds: Worlds) -> Verdict:
        runs = [tried(worlds, name, **where) for name in methods]
        tables = [run.groupby("options")["fused"].mean() for run in runs]
        best = [100 * table.max() for table in tables]
        steps = [a - b for a, b in zip(best, best[1:])]
        return all(0 < step < closer for step in steps), f"{methods}: {np.round(best, 2)}"

    return claim
