"""A situation's table: methods as rows, worlds (or two scenarios of one) side by side."""

from mmlib.evidence.arms import ARMS
from mmlib.evidence.markup import interval_cell, table_row
from mmlib.evidence.situations import Situation
from mmlib.evidence.verdicts import ROWS, Asked, link
from mmlib.evidence.worlds import World

REFERENCE = "joint-unimodal"  # what the rows are held against


def groups_of(s: Situation, asked: Asked) -> list[tuple[str, World, str]]:
    """The table's groups of columns: heading, world, scenario."""
    held = [w for w in asked.worlds if w.has(s.beside or s.scenario, REFERENCE, s.column)]
    if s.beside:
        names = ((s.scenario, "strangers"), (s.beside, s.beside))
        return [(heading, world, scenario) for world in held for scenario, heading in names]
    return [(world.name, world, s.scenario) for world in held]


def rows_of(s: Situation, asked: Asked) -> list[str]:
    """A situation's rows, best first: by the mean over the table's groups of what is over the
    reference; of two scenarios side by side only what both hold."""
    groups, over = groups_of(s, asked), {}
    for row in ROWS:
        held = [(w, scenario) for _, w, scenario in groups if w.has(scenario, row, s.column)]
        if len(held) == len(groups) or (held and not s.beside):
            both = [
                [w.cells(x, name, s.column).mean() for name in (row, REFERENCE)] for w, x in held
            ]
            over[row] = sum(mean - reference for mean, reference in both) / len(both)
    return sorted(over, key=lambda row: -over[row])


def situation_table(s: Situation, asked: Asked, costs: dict[str, float]) -> str:
    """Rows, best first: means, over the reference, the time where it was measured."""
    groups = groups_of(s, asked)
    head, measure = ["method"], "with noise" if s.column == "noisy" else s.column
    for heading, _, _ in groups:
        head += [f"{heading}: {measure}", f"over *{ARMS[REFERENCE].name}*"]
    head += ["time"] * bool(costs)
    lines = [table_row(head), "|---|" + "--:|" * (len(head) - 1)]
    for row in rows_of(s, asked):
        cells = [link(s.scenario, row, s.column)]
        for _, world, scenario in groups:
            found = world.cells(scenario, row, s.column)
            cells.append(f"{100 * found.mean():.1f}" if len(found) else "")
            interval = asked.interval(world, scenario, row, REFERENCE, s.column)
            cells.append(interval_cell(interval))
        if costs:
            cells.append(f"{costs[row]:.1f}x" if row in costs else "")
        lines.append(table_row(cells))
    return "\n".join(lines)
