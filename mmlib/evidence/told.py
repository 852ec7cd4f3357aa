"""The page of the intervals that lessons rest on, beyond those that they show."""

from collections.abc import Iterable

from mmlib.evidence.arms import ARMS
from mmlib.evidence.lessons import Question
from mmlib.evidence.markup import MADE, by_chance, interval_cell, table_row, text_of
from mmlib.evidence.verdicts import link
from mmlib.evidence.words import GROUPS, Column
from mmlib.evidence.worlds import World

SOUND, PICTURE, PROBE = "audio", "visual", "probe_visual"
PROBES = ("probe_audio", PROBE, "probe_lead")
_COLUMNS = {"fused": Column("fused", "%", "accuracy of the fused logits")}
_COLUMNS |= {name: column for group in GROUPS.values() for name, column in group.items()}
_COLUMNS["probe_lead"] = Column("picture's probe less sound's", "%", "the difference of the two")
_NAMES = {name: column.heading for name, column in _COLUMNS.items()} | {
    name: f"{title.partition(':')[0].lower()} by {column.heading}"
    for title, group in GROUPS.items()
    for name, column in group.items()
    if title.startswith("Finding")  # where a heading alone would not say what is found
}
_NAMES |= {
    "separability_audio": "sound's separability",
    "fused_ruined": "certainty weights, ruined samples",
    "fused_uniform_ruined": "equal weights, ruined samples",
    "fused_uniform": "equal weights",
}


def _of(
    row: str, *against: str, columns: Iterable[str] = ("fused",), scenario: str = "imbalanced"
) -> list[Question]:
    """A row over each of some others, in each of some columns."""
    return [Question(row, other, column, scenario) for other in against for column in columns]


# lesson -> section -> what is asked of the tables
TOLD: dict[str, dict[int, list[Question]]] = {
    "01_imbalance_phenomenon": {
        8: [
            *_of("joint-late", "joint", columns=["fused", PROBE]),
            *_of("ensemble, joint's rate", "joint"),
            *_of("joint, 30 epochs", "joint"),
            *_of("joint, OGM-GE's rate", "joint", "ogm-ge"),
            *_of("ogm-ge", "ogm-ge-noise", "joint", "joint, OGM-GE's rate", columns=[PROBE]),
            *_of("ogm-ge", "ogm-ge-noise", "joint", scenario="corrupted"),
            *_of("ensemble", "joint", scenario="corrupted"),
            *_of("ensemble, joint's rate", "joint", scenario="corrupted"),
        ],
        9: [
            Question("ensemble", "ensemble", PICTURE, "imbalanced", SOUND),
            Question("ensemble", "ensemble", PICTURE, "balanced", SOUND),
            Question("ensemble", "ensemble", PICTURE, "flipped", SOUND),
            *_of("ensemble", "joint", columns=PROBES),
            *_of("ensemble", "joint", columns=PROBES, scenario="balanced"),
            *_of("ensemble", "joint", columns=PROBES, scenario="flipped"),
        ],
        14: [
            Question("joint", "ensemble", "fused", scenario, alone)
            for scenario, alone in (
                ("imbalanced", SOUND),
                ("imbalanced", PICTURE),
                ("balanced", SOUND),
                ("balanced", PICTURE),
                ("flipped", SOUND),
                ("flipped", PICTURE),
                ("corrupted", SOUND),
                ("corrupted", PICTURE),
                ("samplewise", SOUND),
                ("samplewise", PICTURE),
            )
        ],
    },
    "02_sample_valuation": {
        5: [
            *_of("joint-unimodal", "joint", columns=["auc_visual"], scenario="corrupted"),
            *_of("joint-unimodal", "joint", columns=["auc_audio"], scenario="samplewise"),
            *_of("valuation", "valuation-random-samples", scenario="corrupted"),
        ],
        6: _of("valuation", "valuation-random", "ensemble", "joint-unimodal, same steps"),
        7: [
            *_of("joint, same steps", "joint", scenario="samplewise"),
            *_of(
                "valuation",
                "joint",
                "joint-unimodal",
                "joint-unimodal, same steps",
                "ensemble",
                "valuation-random",
                scenario="samplewise",
            ),
        ],
        12: [
            *_of("valuation-modality", "joint"),
            *_of("valuation", "joint", scenario="corrupted"),
            *_of("valuation-modality", "joint", scenario="corrupted"),
            *_of("valuation-modality", "joint", scenario="samplewise"),
        ],
    },
    "03_boosting": {
        8: [
            *_of("boosting", "joint-unimodal"),
            *_of("boosting", "boosting-base", columns=["fused", "fused_weighted", PROBE, SOUND]),
            *_of("fixed number", "boosting-base", columns=["fused", PICTURE]),
            *_of("boosting-base", "joint", "ensemble"),
            *_of("base, weak loss x 3", "boosting-base", columns=["fused", PICTURE]),
            *_of("boosting", "base, weak loss x 3"),
            *_of("boosting, weak loss's rate", "base, weak loss x 3", columns=["fused", PICTURE]),
            *_of("boosting", "all only", columns=["fused", PICTURE]),
            *_of("all only", "boosting-base", columns=["fused", PICTURE]),
            *_of("boosting", "boosting-frozen", columns=["fused", PROBE]),
            *_of("boosting-frozen", "boosting-base", columns=[PICTURE, PROBE]),
            *_of("boosting", "smoothing 0", columns=["fused", PICTURE]),
            *_of("boosting", "boosting-frozen", columns=[PICTURE], scenario="corrupted"),
            *_of("boosting", "boosting-base", "joint-unimodal", "joint", scenario="corrupted"),
        ],
        11: [
            *_of("boosting", "ensemble", columns=[PICTURE]),
            *_of(
                "boosting",
                "ensemble",
                "joint-unimodal",
                columns=[PICTURE],
                scenario="corrupted",
            ),
        ],
        12: [
            *_of("boosting", "fixed number", "smoothing 1", columns=["fused", PICTURE]),
            *_of("boosting, fixed number's rate", "fixed number", columns=["fused", PICTURE]),
            *_of("residual only", "boosting", columns=["fused", PICTURE]),
            *_of("previous only", "boosting", columns=["fused", PICTURE]),
        ],
    },
    "04_detached_learning": {
        8: [
            *_of("detached", "isolated", columns=["fused", PROBE, SOUND]),
            *_of("no contrast", "isolated", columns=["fused", SOUND]),
            *_of("detached", "no contrast", columns=["fused", SOUND]),
            Question("detached", "detached", "fused_heads", other_column="concat"),
            Question("detached", "detached", "fused_heads", other_column="fused"),
            Question("detached", "ensemble", "fused_heads", other_column="fused"),
            Question("detached", "detached", "fused", other_column="fused_uniform"),
            Question(
                "detached",
                "detached",
                "fused_ruined",
                "corrupted",
                other_column="fused_uniform_ruined",
            ),
            Question("detached", "detached", "fused", "corrupted", other_column="fused_uniform"),
            *_of("ensemble", "ensemble, that rate", columns=[PROBE]),
            *_of("isolated", "ensemble, that rate", columns=[PROBE]),
            *_of("detached", "ensemble, that rate", columns=["fused", PROBE]),
            Question("detached", "ensemble, that rate", "fused_heads", other_column="fused"),
            *_of(
                "detached, normalised's rate",
                "ensemble",
                "ensemble, joint's rate",
                columns=["fused", PROBE],
            ),
            *_of("detached", "joint", "ogm-ge", "valuation"),
        ],
        9: [
            *_of("detached", "random dimensions", "permuted labels", columns=["fused", PROBE]),
            *_of("no contrast", "isolated", columns=["separability_audio"]),
            *_of("detached", "no contrast", columns=["separability_audio"]),
            *_of("no contrast", "ensemble, joint's rate", columns=[PROBE]),
            *_of("detached", "ensemble, joint's rate", columns=[PROBE]),
            *_of("ensemble, joint's rate", "ensemble, that rate", columns=[PROBE]),
        ],
    },
}


def told_page(worlds: list[World]) -> str:
    """The page: a table a lesson."""
    asked = [q for sections in TOLD.values() for found in sections.values() for q in found]
    found = [x for q in asked for world in worlds if (x := q.interval(world))]
    parts = [_table(stem, sections, worlds) for stem, sections in TOLD.items()]
    shown = {q.column for q in asked} | {q.other_column for q in asked}
    legend = [f"- {_NAMES[name]}: {c.meaning}" for name, c in _COLUMNS.items() if name in shown]
    words = "## What the scores say\n\n" + "\n".join(legend)
    return text_of("# What the lessons say", MADE, _HEAD, by_chance(found), *parts, words)


_HEAD = """
**Which intervals do the sentences of a lesson rest on, beyond those that it shows?**

Each line is the mean difference of two rows over five paired seeds on test, in points, with its
95 % interval, in bold where that does not contain 0. A row's name leads to the page that bears and
defines it. Other pages: [all tables](README.md).
"""


def _table(stem: str, sections: dict[int, list[Question]], worlds: list[World]) -> str:
    """What a lesson's sections ask, line by line."""
    head = ["section", "difference", "score", "scenario", *(world.name for world in worlds)]
    lines = [table_row(head), "|--:|---|---|---|" + "--:|" * len(worlds)]
    for section, questions in sections.items():
        for q in questions:
            found = [interval_cell(q.interval(world)) for world in worlds]
            lines.append(table_row([str(section), _rows(q), _score(q), q.scenario, *found]))
    title = f"## Lesson {int(stem[:2])}"
    return f"{title}\n\nOf [this lesson](../../notebooks/{stem}.ipynb).\n\n" + "\n".join(lines)


def _rows(q: Question) -> str:
    """The two rows that are compared."""
    if q.row == q.against:
        return link(q.scenario, q.row)
    return f"{link(q.scenario, q.row)}, over *{ARMS[q.against].name}*"


def _score(q: Question) -> str:
    """The column that is compared, or both."""
    return " over ".join(_NAMES[column] for column in (q.column, q.other_column) if column)
