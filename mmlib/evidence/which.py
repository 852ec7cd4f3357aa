"""The page for the reader who asks which method to take, situation by situation."""

from mmlib.evidence.arms import ARMS
from mmlib.evidence.markup import MADE, interval_cell, table_row, text_of
from mmlib.evidence.situations import SITUATIONS, WORTH, Situation
from mmlib.evidence.verdicts import ROWS, VERDICTS, Asked, filled, link, sign
from mmlib.evidence.worlds import World

REFERENCE, OTHER = "joint-unimodal", "ensemble"  # the simple remedies


def which_page(worlds: list[World], costs: dict[str, float]) -> str:
    """The page: a section a situation, what the five methods are worth knowing for.

    `costs`: row -> what its training takes over joint concat's; a row may lack one.
    """
    asked = Asked(worlds)
    sections = [section(s, asked, costs) for s in SITUATIONS if groups_of(s, asked)]
    worth = [f"- {text}" for lesson in WORTH if (text := _worth(lesson, asked))]
    closing = "## What the five methods are still worth knowing for"
    return text_of(
        "# Which one?",
        MADE,
        _HEAD,
        _chance(asked),
        *sections,
        closing,
        "\n".join(worth),
        _MEASURES,
    )


_HEAD = """
**Which method should I try first, what does it cost, and when not?** Below, what the tables say, in
four situations. They are two kinds of data, small networks, two modalities: on yours, begin with
the same comparison. *Clearly* above or below means that the 95 % interval of the paired difference
does not contain 0; such an interval is bold in a table. Means are over five seeds on the test
split, in per cent, differences in points; rows stand in the order of their mean difference, best
first. The last column is what training takes, over joint concat's. A method's name leads to the
page that bears its row. [All tables](README.md).
"""
_MEASURES = """
None of these is a reason to train by the method where a simple remedy is as accurate. They are
reasons to *measure*: before you choose a remedy, to see whether one is needed, and after it, to see
what it did.
"""


def _chance(asked: Asked) -> str:
    """How many of the page's intervals would miss 0 by chance."""
    count, missing = len(asked.found), sum(sign(x) != 0 for x in asked.found.values())
    return (
        f"This page rests on {count} different intervals. If no arm differed from another, about "
        f"{0.05 * count:.0f} of them (5 %) would still miss 0 by chance; {missing} do."
    )


def section(s: Situation, asked: Asked, costs: dict[str, float]) -> str:
    """A situation: its question, its table, its statements."""
    table = situation_table(s, asked, costs)
    here = asked.of({world.name for _, world, _ in groups_of(s, asked)})
    said = {
        "Try first": try_first(s, here),
        "What it costs": [_costs(s, here, costs), *s.cost],
        "What more brings": more(s, here),
        "When not": s.never,
    }
    lines = []
    for head, sentences in said.items():
        texts = filter(None, (filled(sentence, here) for sentence in sentences))
        if text := " ".join(texts):
            lines.append(f"- **{head}.** {text}")
    return "\n\n".join((f"## {s.title}", f"*{s.question}*", table, "\n".join(lines)))


def picks(s: Situation, asked: Asked) -> list[str]:
    """The simple remedies that a reader may begin with: not those that are clearly below joint
    concat, or below the other one, in a world and clearly above it in none; joint concat where
    there is no such remedy."""

    def falls_behind(row: str, other: str) -> bool:
        signs = {sign(x) for x in asked.by_world(s.scenario, row, other, s.column).values()}
        return -1 in signs and 1 not in signs

    def helps(row: str) -> bool:
        return 1 in map(sign, asked.by_world(s.scenario, row, "joint", s.column).values())

    pairs = ((REFERENCE, OTHER), (OTHER, REFERENCE))
    good = [row for row, _ in pairs if helps(row) and not falls_behind(row, "joint")]
    best = [row for row, other in pairs if row in good and not falls_behind(row, other)]
    return best or good or ["joint"]


def try_first(s: Situation, asked: Asked) -> list[str]:
    """The sentences that say where to begin."""
    chosen = picks(s, asked)
    names = " or ".join(f"*{ARMS[row].name}*" for row in chosen)
    about = f"{s.scenario}|{s.column}|"
    against = [
        f"*{ARMS[row].name.capitalize()}* against *joint concat*: {{{about}{row} over joint}}."
        for row in (REFERENCE, OTHER)
    ]
    between = f"The second against the first: {{{about}{OTHER} over {REFERENCE}}}."
    return [f"{names}.", *against, between]


def _costs(s: Situation, asked: Asked, costs: dict[str, float]) -> str:
    """What the simple remedies and the dearest row of a table take."""
    held = [row for row in rows_of(s, asked) if row in costs]
    dearest = max(held, key=costs.get)
    listed = dict.fromkeys([row for row in (REFERENCE, OTHER) if row in held] + [dearest])
    each = (f"{costs[row]:.1f} times for {link(s.scenario, row, s.column)}" for row in listed)
    return f"Training, over joint concat's: {', '.join(each)}, the most of this table."


def more(s: Situation, asked: Asked) -> list[str]:
    """Which rows of a table are clearly above or below the reference."""
    sentences = []
    for wanted in (1, -1):
        found = []
        for heading, world, scenario in groups_of(s, asked):
            rows = [row for row in rows_of(s, asked) if row != "joint"]
            of = {row: asked.interval(world, scenario, row, REFERENCE, s.column) for row in rows}
            names = [f"*{ARMS[row].name}*" for row in rows if sign(of[row]) == wanted]
            found.append(f"{', '.join(names) or 'none'} ({heading})")
        said = f"{VERDICTS[wanted].capitalize()} *{ARMS[REFERENCE].name}*: {'; '.join(found)}."
        sentences.append(said)
    return sentences


def _worth(lesson: str, asked: Asked) -> str:
    """What a lesson's method is worth knowing for."""
    texts = [text for text in (filled(sentence, asked) for sentence in WORTH[lesson]) if text]
    where = f"[Lesson {int(lesson[:2])}](../../notebooks/{lesson}.ipynb)."
    return " ".join([*texts, where]) if texts else ""


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
    """Rows, best first: means, over the reference, the cost."""
    groups = groups_of(s, asked)
    head, measure = ["method"], "with noise" if s.column == "noisy" else s.column
    for heading, _, _ in groups:
        head += [f"{heading}: {measure}", f"over *{ARMS[REFERENCE].name}*"]
    lines = [table_row([*head, "training"]), "|---|" + "--:|" * len(head)]
    for row in rows_of(s, asked):
        cells = [link(s.scenario, row, s.column)]
        for _, world, scenario in groups:
            found = world.cells(scenario, row, s.column)
            cells.append(f"{100 * found.mean():.1f}" if len(found) else "")
            interval = asked.interval(world, scenario, row, REFERENCE, s.column)
            cells.append(interval_cell(interval))
        lines.append(table_row([*cells, f"{costs[row]:.1f}x" if row in costs else ""]))
    return "\n".join(lines)
