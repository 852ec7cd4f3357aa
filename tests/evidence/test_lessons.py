"""What a lesson shows of the tables: the answers say what the intervals say, in both worlds."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

from mmlib.evaluation import paired_interval
from mmlib.evidence.lessons import Question, answer_table, plot_answers
from mmlib.evidence.markup import interval_cell
from mmlib.evidence.told import TOLD, told_page
from mmlib.evidence.worlds import read_worlds
from mmlib.files import asset

ASKED = {
    "better than joint?": Question("valuation", "joint"),
    "better than random?": Question("valuation", "valuation-random-samples"),
    "worse than valuation?": Question("joint", "valuation"),
    "on samplewise?": Question("valuation", "joint", scenario="samplewise"),
    "the picture's probe?": Question("valuation", "joint", "probe_visual"),
    "by a hair?": Question("no contrast", "isolated", "probe_visual"),
}


@pytest.fixture(scope="module")
def worlds():
    return read_worlds(asset("results"))


def test_answers_follow_the_intervals(worlds):
    table = answer_table(worlds, ASKED).data
    assert list(table.columns) == ["synthetic voices", "human voices"]
    for name, question in ASKED.items():
        for world in worlds:
            answer, interval = table.loc[name, world.name], question.interval(world)
            if interval is None:
                assert answer == "not trained"
                continue
            mean, low, high = interval
            word = "yes" if low > 0 else "no, lower" if high < 0 else "not clearly"
            digits = 2 if min(abs(low), abs(high)) < 0.05 else 1
            assert answer.startswith(f"{word}: {mean:+.{digits}f} ("), answer
    words = [answer.partition(":")[0] for answer in table["synthetic voices"]]
    assert words == ["yes", "not clearly", "no, lower", "not clearly", "yes", "yes"]
    assert table.loc["by a hair?", "human voices"] == "yes: +1.18 (0.01 to 2.35)"
    assert table.loc["on samplewise?", "human voices"] == "not trained"


def test_each_interval_is_drawn_on_its_row(worlds):
    figure, axes = plt.subplots()
    plot_answers(axes, worlds, ASKED)
    synthetic, human = axes.containers
    assert list(synthetic.lines[0].get_ydata()) == pytest.approx([i - 0.13 for i in range(6)])
    assert list(human.lines[0].get_ydata()) == pytest.approx([0.13, 1.13, 2.13, 4.13, 5.13])
    wanted = ASKED["on samplewise?"].interval(worlds[0])
    bar = synthetic.lines[2][0].get_segments()[3][:, 0]
    assert [synthetic.lines[0].get_xdata()[3], *bar] == pytest.approx(wanted)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(ASKED)
    plt.close(figure)


def test_a_world_without_any_of_the_rows_is_left_out(worlds):
    figure, axes = plt.subplots()
    only = {row: Question(row, "joint", scenario="samplewise") for row in ("valuation", "ensemble")}
    plot_answers(axes, worlds, only)
    assert [text.get_text() for text in axes.get_legend().texts] == ["synthetic voices"]
    plt.close(figure)


def test_the_page_of_the_lessons_asks_each_interval_once_and_the_tables_answer(worlds):
    synthetic, human = worlds
    asked = [q for sections in TOLD.values() for found in sections.values() for q in found]
    assert len(set(asked)) == len(asked)
    assert all(q.interval(synthetic) for q in asked)
    page = told_page(worlds)
    for q in asked:
        for interval in filter(None, (q.interval(synthetic), q.interval(human))):
            assert interval_cell(interval) in page
    assert page.count("\n| ") == len(asked) + len(TOLD)  # and a head for each lesson
    found = [i for q in asked for world in worlds if (i := q.interval(world))]
    missing = sum(low > 0 or high < 0 for _, low, high in found)
    assert f"shows {len(found)} different intervals." in page
    assert f"would still miss 0 by chance; {missing} do." in page


def test_a_row_is_held_against_itself_in_another_column(worlds):
    other = {"other_column": "fused_uniform"}
    question = Question("detached", "detached", "fused", **other)
    one, two = (worlds[0].cells("imbalanced", "detached", c) for c in ("fused", "fused_uniform"))
    assert question.interval(worlds[0]) == pytest.approx(
        [100 * x for x in paired_interval(one, two)]
    )
    assert Question("detached", "detached").interval(worlds[0]) is None


@pytest.mark.parametrize("lesson", TOLD)
def test_a_lesson_leads_to_its_intervals(lesson):
    page, root = told_page(read_worlds(asset("results"))), Path(__file__).parents[2]
    cells = nbformat.read(root / "notebooks" / f"{lesson}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    number = int(lesson[:2])
    assert f"evidence/lessons.md#lesson-{number})" in text and f"\n## Lesson {number}\n" in page
    titles = {int(n) for n in re.findall(r"^## (\d+)\. ", text, re.M)}
    assert titles >= TOLD[lesson].keys()
