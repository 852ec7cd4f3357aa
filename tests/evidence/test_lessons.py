"""What a lesson shows of the tables: the answers say what the intervals say, in both worlds."""

import matplotlib.pyplot as plt
import pytest

from mmlib.evidence.lessons import Question, answer_table, plot_answers
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
