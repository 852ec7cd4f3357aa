"""What a lesson shows of the tables: a question a row, its answers in both worlds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas.io.formats.style import Styler

from mmlib.evidence.verdicts import sign
from mmlib.evidence.worlds import World

ANSWERS = {1: "yes", 0: "not clearly", -1: "no, lower"}
NOT_TRAINED = "not trained"


class Question(NamedTuple):
    """Is `column` of `row` higher than that of `against`, over paired seeds of a scenario?

    Rows and columns are those of the tables, as the evidence pages define them. `other_column`: the
    column of `against`, where that is another.
    """

    row: str
    against: str
    column: str = "fused"
    scenario: str = "imbalanced"
    other_column: str = ""

    def interval(self, world: World) -> tuple[float, float, float] | None:
        """Mean difference and its 95 % interval in points; None where a row is missing."""
        where = self.scenario, self.row, self.against, self.column
        return world.interval(*where, other_column=self.other_column)


def answer_table(worlds: Sequence[World], questions: Mapping[str, Question]) -> Styler:
    """Question -> answer and interval, a column a world.

    "yes" and "no, lower" are said of intervals that exclude 0, "not clearly" of all others.
    """
    table = pd.DataFrame(
        {
            world.name: [_answer(question, world) for question in questions.values()]
            for world in worlds
        },
        index=list(questions),
    )
    left = {"selector": "th, td", "props": [("text-align", "left")]}
    return table.style.set_table_styles([left])


def _answer(question: Question, world: World) -> str:
    interval = question.interval(world)
    if interval is None:
        return NOT_TRAINED
    digits = 2 if min(map(abs, interval[1:])) < 0.05 else 1  # on which side of 0 an end lies
    mean, low, high = (f"{x:.{digits}f}" for x in interval)
    plus = "" if mean.startswith("-") else "+"
    return f"{ANSWERS[sign(interval)]}: {plus}{mean} ({low} to {high})"


def plot_answers(
    axes: Axes, worlds: Sequence[World], questions: Mapping[str, Question], color: str = "0.25"
) -> None:
    """Each question's interval in points, the first world as dots, the second as open squares."""
    looks = ({"fmt": "o", "mfc": None}, {"fmt": "s", "mfc": "white"})
    axes.axvline(0, color="0.4", lw=1)
    for shift, world, look in zip((-0.13, 0.13), worlds, looks, strict=True):
        found = {i: q.interval(world) for i, q in enumerate(questions.values())}
        found = {i + shift: interval for i, interval in found.items() if interval}
        if not found:
            continue
        mean, low, high = np.transpose(list(found.values()))
        ends = (mean - low, high - mean)
        axes.errorbar(
            mean, list(found), xerr=ends, color=color, capsize=4, label=world.name, **look
        )
    axes.set(yticks=range(len(questions)), yticklabels=list(questions))
    axes.set(ylim=(len(questions) - 0.5, -0.5), xlabel="points of accuracy")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
