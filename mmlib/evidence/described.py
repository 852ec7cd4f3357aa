"""An arm on an evidence page, in words; the page of all options that were tried."""

import json
import shlex
from collections.abc import Iterable, Iterator

import pandas as pd

from mmlib.evidence.arms import ARMS, Arm
from mmlib.evidence.markup import MADE, details, say, table_row, text_of, value_of
from mmlib.evidence.studies import EPOCHS, TABLES, TUNED_ON
from mmlib.evidence.words import SCENARIOS
from mmlib.evidence.worlds import World
from mmlib.methods import NAMED


def arm_section(row: str, table: str, worlds: list[World]) -> str:
    """An arm in words: definition, class, options and where they are from, reference, command."""
    arm = ARMS[row]
    lines = [f"### {arm.name}", "", arm.definition, ""]
    needed = {arm.options_of, *arm.copied.values()}
    for world in worlds:
        trained = any(world.has(scenario, row, "fused") for scenario in SCENARIOS)
        if not trained or not needed <= world.chosen.keys():
            continue
        options = arm.options(world.chosen)
        method, settings = arm.built_by(options)
        _, cls, fixed = NAMED[method]
        where = f" ({world.name})" if len(worlds) > 1 else ""
        path = f"`{cls.__module__}.{cls.__name__}`, `--method {method}`"
        lines.append(f"- Trained{where} by {path}, with {say(fixed | settings)}; {_long(arm)}.")
        lines.append(f"- Options{where}: {chosen_how(row, world)}.")
    if arm.against:
        others = dict.fromkeys(("joint", arm.against))
        names = " and with ".join(f"*{ARMS[other].name}*" for other in others)
        lines.append(f"- Compared with {names}.")
    noise = " --table noise" if table == "noise" and row in TABLES["noise"]["imbalanced"] else ""
    command = f"python -m mmlib results --arm {shlex.quote(row)} --seed 0{noise}"
    return "\n".join([*lines, f"- Row `{row}`; again: `{command}`"])


def _long(arm: Arm) -> str:
    """How long an arm is trained."""
    if isinstance(arm.times, dict):
        each = ", ".join(f"{arm.epochs(s, EPOCHS)} on {s}" for s in arm.times)
        return f"epochs: {each}"
    return f"{arm.epochs('', EPOCHS)} epochs"


def tuning_means(row: str, world: World) -> pd.DataFrame:
    """Means over the tuning's seeds, a row a point of the grid, by its options' JSON."""
    tried = world.tuning[world.tuning["method"] == row]
    return tried.groupby("options", sort=False)[["fused", "macro_f1", "probe_visual"]].mean()


def chosen_how(row: str, world: World) -> str:
    """How the options of an arm were chosen: tuned over which grid, or copied, and what changed."""
    arm = ARMS[row]
    changed = {name: arm.options(world.chosen)[name] for name in arm.scale} | arm.change
    changes = [say(changed)] if changed else []
    if arm.noise:
        changes.append(f"noise of severity {arm.noise:g} in half of the training samples")
    if arm.times != 1:
        changes.append("number of epochs")
    if row not in world.study.grid:
        copied = f"copied from {ARMS[arm.options_of].name} ({say(world.chosen[arm.options_of])})"
        return f"{copied}; changed: {', '.join(changes)}" if changes else copied
    fixed = f"; fixed: {', '.join(changes)}" if changes else ""
    return f"{tuned_how(row, world)}{fixed}"


def tuned_how(row: str, world: World) -> str:
    """The grid of an arm, its best point, and which options of that lie at the grid's edge."""
    means = tuning_means(row, world)
    best, tried = world.chosen[row], tried_values(row, means.index)
    grid = ", ".join(f"{name.replace('_', ' ')} {_among(values)}" for name, values in tried.items())
    ends = {name: _ends(values) for name, values in tried.items()}
    edge = [name.replace("_", " ") for name, end in ends.items() if best.get(name) in end]
    return (
        f"tuned on validation ([{len(means)} points](tuning.md)) among {grid}; "
        f"best: {say({name: best[name] for name in tried if name in best})}"
        + (f" (at the grid's edge: {', '.join(edge)})" if edge else "")
    )


def tried_values(row: str, points: Iterable[str]) -> dict[str, list]:
    """Option -> the values that these points of a row's grid have, each once, in order."""
    values: dict[str, dict] = {}
    for point in map(json.loads, points):
        for name in point:
            if name not in ARMS[row].change:
                values.setdefault(name, {})[point[name]] = None
    return {name: list(values[name]) for name in sorted(values, key=lambda name: name != "lr")}


def _among(values: list) -> str:
    return " / ".join(value_of(x) for x in values)


def _ends(values: list) -> tuple:
    """The smallest and largest of some numbers; of one, or of words, there is no edge."""
    if len(values) < 2 or not all(isinstance(x, int | float) for x in values):
        return ()
    return min(values), max(values)


def tuning_page(worlds: list[World]) -> str:
    """Every option that was tried, with its score on validation."""
    parts = []
    for world in worlds:
        parts += [f"## {world.name.capitalize()}", *_tried(world)]
    return text_of("# Tuning", MADE, _TUNING, *parts)


_TUNING = """
**Which options were tried, and which were best?** For every method that has a grid: the mean fused
accuracy on validation over three seeds, in per cent, of each point. The best one, in bold, is used
in all tables and scenarios of its world, for the method and for the arms that copy its options.
A learning rate `lr` is that of the course's small networks. Other pages: [all tables](README.md).
"""


def _tried(world: World) -> Iterator[str]:
    for row in (row for row in world.study.grid if row in world.chosen):
        means = tuning_means(row, world)
        best = means["fused"].idxmax()
        lines = [table_row(["options", "fused", "macro-F1", "picture's probe"])]
        lines.append("|---|--:|--:|--:|")
        for options, scores in means.iterrows():
            name = say(json.loads(options))
            name = f"**{name}**" if options == best else name
            lines.append(table_row([name, *(f"{100 * x:.1f}" for x in scores)]))
        on = f", on {TUNED_ON[row]}" if row in TUNED_ON else ""
        share = f"{100 * means['fused'].max():.1f} %"
        summary = f"{ARMS[row].name}{on}: {say(json.loads(best))} ({share}), of {len(means)} points"
        yield details(summary, "\n".join(lines))
