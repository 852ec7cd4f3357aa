"""The page for the reader who asks which method to take, situation by situation."""

from mmlib.evidence.arms import ARMS
from mmlib.evidence.markup import MADE, by_chance, text_of
from mmlib.evidence.side_by_side import REFERENCE, groups_of, rows_of, situation_table
from mmlib.evidence.situations import SITUATIONS, WORTH, Situation
from mmlib.evidence.verdicts import VERDICTS, Asked, filled, link, sign
from mmlib.evidence.worlds import World

OTHER = "ensemble"  # the simple remedy beside the reference


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
        by_chance(asked.found.values(), "rests on"),
        *sections,
        closing,
        "\n".join(worth),
        _MEASURES,
    )


_HEAD = """
**Which method should I try first, what does it cost, and when not?**

Begin with *joint training with unimodal losses*; where you need no layer that sees both modalities,
*two networks, logits added* do as well. Where training data are ruined, a clipped gradient may
help. Where you know the noise of the test, train with it, at a price on clean data. None of the
five methods (valuation, boosting, detached learning, gap loss, CAL) is clearly above unimodal
losses in any situation of this page; and where valuation adds to them on clean data, copies of
random samples show no clear difference.

Here is what the tables say. They were made with small networks, two modalities and few seeds: "no
clear difference" is no proof that there is none, and the intervals show how large one may be. On
your data, train each modality alone, probe the encoders of the joint network, and act where a probe
is far below.

Means are over five seeds on the test split, in per cent. *Over* is a mean difference of paired
seeds in points, with its 95 % interval. It is *clearly* above or below, and bold in a table, where
the interval does not contain 0. Rows stand in the order of that difference, a mean of both worlds,
best first. *Time* is that of training, over joint concat's. A row's name leads to the page that
bears it, with its definition and its command. Other pages: [all tables, and how time was
measured](README.md).
"""
_MEASURES = """
Most of this can be measured in a network with unimodal losses, too, and often as well. So none of
it is a reason to train by the method. It is a reason to measure: before you choose a remedy, to see
whether one is needed, and after it, to see what it did.
"""


def section(s: Situation, asked: Asked, costs: dict[str, float]) -> str:
    """A situation: its question, its table, its statements."""
    here = asked.of({world.name for _, world, _ in groups_of(s, asked)})
    first = " or ".join(ARMS[row].name for row in picks(s, here))
    said = {
        f"Try first: {first}.": try_first(s),
        "What it costs.": (_costs(s, here, costs), *s.cost),
        "What more brings.": (*more(s, here), *s.more),
        "When not, and what to look at.": s.never,
    }
    parts = [f"## {s.title}", f"*{s.question}*", situation_table(s, here, costs)]
    for head, sentences in said.items():
        texts = [text for sentence in sentences if (text := filled(sentence, here))]
        if texts:
            parts += [f"**{head}**", "\n".join(f"- {text}" for text in texts)]
    return "\n\n".join(parts)


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


def try_first(s: Situation) -> list[str]:
    """The sentences that bear where to begin."""
    pairs = ((REFERENCE, "joint"), (OTHER, "joint"), (OTHER, REFERENCE))
    return [
        f"*{ARMS[row].name.capitalize()}* against *{ARMS[against].name}*: "
        f"{{{s.scenario}|{s.column}|{row} over {against}}}."
        for row, against in pairs
    ]


def _costs(s: Situation, asked: Asked, costs: dict[str, float]) -> str:
    """What the simple remedies and the dearest row of a table take."""
    held = [row for row in rows_of(s, asked) if row in costs]
    if not held:
        return ""
    said = {row: f"{costs[row]:.1f}x for {link(s.scenario, row, s.column)}" for row in held}
    simple = [row for row in (REFERENCE, OTHER) if row in held]
    dearest = max((row for row in held if row != "joint"), key=costs.get)
    most = "" if dearest in simple else f"; the most is {said[dearest]}"
    return f"Time, over joint concat's: {', '.join(map(said.get, simple))}{most}."


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
        besides = " (besides *joint concat*)" if wanted < 0 else ""
        what = f"{VERDICTS[wanted].capitalize()} *{ARMS[REFERENCE].name}*{besides}"
        sentences.append(f"{what}: {'; '.join(found)}.")
    return sentences


def _worth(lesson: str, asked: Asked) -> str:
    """What a lesson's method is worth knowing for."""
    texts = [text for text in (filled(sentence, asked) for sentence in WORTH[lesson]) if text]
    where = f"[Lesson {int(lesson[:2])}](../../notebooks/{lesson}.ipynb)."
    return " ".join([*texts, where]) if texts else ""
