"""The evidence pages: every table in words, as Markdown that reads on the forge."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mmlib.evidence.arms import ARMS
from mmlib.evidence.costs import over_joint, read_costs
from mmlib.evidence.described import arm_section, tuning_page
from mmlib.evidence.markup import MADE, by_chance, details, interval_cell, table_row, text_of
from mmlib.evidence.studies import BENCH, all_tables
from mmlib.evidence.told import told_page
from mmlib.evidence.which import which_page
from mmlib.evidence.words import (
    FUSED,
    GROUPS,
    NOISE_GROUPS,
    OUTCOMES,
    QUESTIONS,
    SCENARIOS,
    WORLDS,
    Column,
)
from mmlib.evidence.worlds import World, read_worlds
from mmlib.files import write_text


def write_pages(folder: Path) -> None:
    """Write `pages` to `evidence` beside the tables' folder."""
    for name, text in pages(folder).items():
        write_text(folder.parent / "evidence" / name, text)


def pages(folder: Path) -> dict[str, str]:
    """File -> text: an index, which method to take, the tuning, what the lessons say, and a page
    for each of `all_tables()`.

    `folder` is that of the tables; one that is there for another world, too, adds its columns.
    Raises `FileNotFoundError` without a `tuning.csv`; other errors as in `read_worlds`.
    """
    worlds = read_worlds(folder)
    if not worlds:
        raise FileNotFoundError(f"{folder / 'tuning.csv'} is missing; run `make tuning` first")
    found = {f"{table}.md": table_page(table, worlds) for table in all_tables()}
    first = {
        "README.md": index(worlds, cost_section(read_costs(folder))),
        "which-one.md": which_page(worlds, over_joint(folder)),
        "tuning.md": tuning_page(worlds),
        "lessons.md": told_page(worlds),
    }
    return first | found


def index(worlds: list[World], costs: str) -> str:
    """The page that leads to the others, and says what training `costs`."""
    lines = ["| page | question | lesson | arms |", "|---|---|---|--:|"]
    which = "Which method should I try first, what does it cost, and when not?"
    lines.append(f"| [which one?](which-one.md) | {which} | {_lesson('08_real_data')} | |")
    for table, (lesson, question) in QUESTIONS.items():
        count = len(rows_of(table))
        lines.append(f"| [{table}]({table}.md) | {question} | {_lesson(lesson)} | {count} |")
    lines.append("| [tuning](tuning.md) | Which options were tried, and which were best? | all | |")
    lines.append(
        "| [lessons](lessons.md) | Which intervals do their sentences rest on? | 1 to 4 | |"
    )
    parts = _INDEX, "\n".join(lines), _REGENERATE, _worlds(worlds), costs
    return text_of("# Evidence", MADE, *parts)


_INDEX = """
Whatever the lessons and the README claim rests on these tables. Each page says what its table asks,
shows the means and intervals, and defines every arm: what is trained, with which options, how those
were chosen, what it is compared with, and the command that trains one of its rows again.

Five seeds each; a seed draws the data, the weights and the order of the samples, and is the same
for all arms, so that arms are compared in pairs. Options are chosen on validation, with other
seeds. The test split is read once, after the last epoch. An interval is Student's, over the five
paired differences; where it contains 0, that is no proof that two arms are equal.
"""
_REGENERATE = """
## A row again

```sh
python -m mmlib results --arm "sample valuation" --seed 0
```

trains that row and prints it beside the committed one. On a processor like the one that made the
tables, with one thread, all digits come out again. Another one rounds otherwise, and training
amplifies that: a score of one seed then moves by up to three points, up or down (tried with the
arithmetic of two other processors). The exit status is 1 where a score differs by more than five
points.

With `--voices FOLDER`, where the Free Spoken Digit Dataset is, it trains the row of the human
voices; see [how to get them](../../README.md). `MMLIB_VOICES=FOLDER make results` completes the
tables of both worlds.

`python -m mmlib results --tables valuation --anew` makes a whole table again, and
`python -m mmlib results --pages` writes these pages from the tables that are there.
"""


def _worlds(worlds: list[World]) -> str:
    lines = [f"- **{world.name}**: {WORLDS[world.name]}" for world in worlds]
    return "## Worlds\n\n" + "\n".join(lines)


def cost_section(costs: pd.DataFrame) -> str:
    """What training costs, from `read_costs`; empty where nothing was measured."""
    if costs.empty:
        return ""
    seconds = costs[costs["method"] == "joint"]["seconds"]
    found = costs.groupby("method")[["over_joint", "samples", "looked_at"]].mean()
    lines = ["| row | time | samples | looked at |", "|---|--:|--:|--:|"]
    for row in dict.fromkeys(costs["method"]):
        name = f"↳ *{ARMS[row].name}*" if row in BENCH.values() else f"**{ARMS[row].name}**"
        lines.append(table_row([name, *(f"{x:.1f}x" if x else "" for x in found.loc[row])]))
    told = _COSTS.format(", ".join(f"{x:.1f}" for x in seconds), seconds.mean())
    return "## What training costs\n\n" + told.strip() + "\n\n" + "\n".join(lines)


_COSTS = """
Training alone, without the making of data and without scores: 15 epochs of the scenario
*imbalanced* at the first seed, one run after the other on one thread, with nothing beside them
([cost.csv](../results/cost.csv), [made with](../results/cost.json)). Time is over joint concat's,
which was trained at the beginning, in the middle and at the end: {} seconds, a mean of {:.1f}.
Samples are those that training visited, and looked at are those that were only passed through the
network to choose among them, both over joint concat's visited ones. With that file deleted,
`make results` measures again.
"""


def _lesson(stem: str) -> str:
    return f"[{int(stem[:2])}](../../notebooks/{stem}.ipynb)"


def rows_of(table: str, scenario: str | None = None) -> list[str]:
    """The rows of a table, below that of joint concat, in the order of the definitions."""
    held = all_tables()[table]
    names = [scenario] if scenario else held
    rows = {"joint"}.union(*(held[name] for name in names))
    return [row for row in ARMS if row in rows]


def defined_on(table: str) -> list[str]:
    """The rows of a table, and those that their intervals are taken against."""
    rows = rows_of(table)
    named = {*rows, *(ARMS[row].against for row in rows)}
    return [row for row in ARMS if row in named]


def table_page(table: str, worlds: list[World]) -> str:
    """The page of one table."""
    lesson, question = QUESTIONS[table]
    head = f"**{question}** This is a question of lesson {_lesson(lesson)}."
    parts = [f"# Table `{table}`", MADE, head, _reading(table, worlds)]
    for scenario in all_tables()[table]:
        parts += scenario_section(table, scenario, worlds)
    parts += ["## The arms", *(arm_section(row, table, worlds) for row in defined_on(table))]
    return text_of(*parts, legend(table, worlds))


def _reading(table: str, worlds: list[World]) -> str:
    """How the page is read, what its table was made with, how many intervals miss 0 by chance."""
    sources = []
    for world in worlds:
        if (world.folder / f"{table}.csv").exists():
            made = world.made_with(table)
            place = (world.folder / f"{table}.csv").relative_to(worlds[0].folder)
            with_ = f"PyTorch {made['versions']['torch']}, Python {made['python']}"
            sources.append(f"[{place}](../results/{place}) ({made['date']}, {with_})")
    return (
        "Means over five seeds on the test split, in per cent. *Over* is a mean difference of "
        "paired seeds in points, with its 95 % interval, in bold where the interval does not "
        f"contain 0. {by_chance(intervals(table, worlds).values())}\n\n"
        f"Numbers from {' and '.join(sources)}. Other pages: [all tables](README.md)."
    )


def intervals(table: str, worlds: list[World]) -> dict[tuple, tuple[float, float, float]]:
    """Every interval of a page once: two arms are one pair, in either order."""
    found = {}
    for scenario in all_tables()[table]:
        for column in OUTCOMES.get(table, FUSED):
            for world in worlds:
                for row in rows_of(table, scenario):
                    for against in {"joint", ARMS[row].against} - {""}:
                        interval = world.interval(scenario, row, against, column)
                        pair = frozenset((row, against))
                        if interval:
                            found.setdefault((scenario, column, world.name, pair), interval)
    return found


def scenario_section(table: str, scenario: str, worlds: list[World]) -> Iterator[str]:
    """What a table holds of a scenario."""
    yield f"## Scenario *{scenario}*: {SCENARIOS[scenario]}"
    rows = rows_of(table, scenario)
    held = [
        w
        for w in worlds
        if any(w.has(scenario, row, "fused") for row in all_tables()[table][scenario])
    ]
    for column, (heading, meaning) in OUTCOMES.get(table, FUSED).items():
        if meaning:
            yield f"*{heading.capitalize()}*: {meaning}"
        yield outcome_table(rows, scenario, held, column, heading)
    for world in held:
        where = f", {world.name}" if len(held) > 1 else ""
        for title, columns in _groups(table).items():
            shown = _shown(columns, scenario, rows, world)
            if shown:
                yield details(title + where, group_table(rows, scenario, world, shown))


def outcome_table(
    rows: list[str], scenario: str, worlds: list[World], column: str, heading: str
) -> str:
    """A row an arm: its mean and intervals, of each world."""
    head = ["arm"]
    for world in worlds:
        where = f"{world.name}: " if len(worlds) > 1 else ""
        head += [where + what for what in (heading, "over joint concat", "over its reference")]
    lines = [table_row([*head, "its reference"]), "|---|" + "--:|" * (len(head) - 1) + "---|"]
    for row in rows:
        cells, against = [ARMS[row].name], ARMS[row].against
        for world in worlds:
            found = world.cells(scenario, row, column)
            cells.append(f"{100 * found.mean():.1f}" if len(found) else "")
            own = against if against != "joint" else row  # it stands in the column before
            for other in ("joint", own):
                cells.append(interval_cell(world.interval(scenario, row, other, column)))
        held = any(world.has(scenario, against, column) for world in worlds)
        lines.append(table_row([*cells, ARMS[against].name if held else ""]))
    return "\n".join(lines)


def _groups(table: str) -> dict[str, dict[str, Column]]:
    return GROUPS | NOISE_GROUPS if table == "noise" else GROUPS


def _shown(
    columns: dict[str, Column], scenario: str, rows: list[str], world: World
) -> dict[str, Column]:
    """The columns that any of the rows has a value in."""
    return {
        name: column
        for name, column in columns.items()
        if any(world.has(scenario, row, name) for row in rows)
    }


def group_table(rows: list[str], scenario: str, world: World, columns: dict[str, Column]) -> str:
    """Means over seeds of some columns, for the rows that have them."""
    lines = [table_row(["arm", *(column.heading for column in columns.values())])]
    lines.append("|---|" + "--:|" * len(columns))
    for row in rows:
        cells = []
        for name, column in columns.items():
            found = world.cells(scenario, row, name)
            if column.unit == "x":
                found = found / world.cells(scenario, "joint", "samples").mean()
            cells.append(column.write(found.mean()) if len(found) else "")
        if any(cells):
            lines.append(table_row([ARMS[row].name, *cells]))
    return "\n".join(lines)


def legend(table: str, worlds: list[World]) -> str:
    """What the columns of a page say."""
    lines = []
    for title, columns in GROUPS.items():
        shown = {}
        for world in worlds:
            for scenario in all_tables()[table]:
                shown |= _shown(columns, scenario, rows_of(table, scenario), world)
        if shown:
            lines += ["", f"*{title}*", ""]
            lines += [f"- {c.heading}: {c.meaning}" for name, c in columns.items() if name in shown]
    return "## What the columns say\n" + "\n".join(lines)
