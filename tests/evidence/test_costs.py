"""What training costs: every row of the README's table once, joint concat three times, alike."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmlib.data import AVDigits
from mmlib.evidence import costs, studies, tables
from mmlib.evidence.arms import ARMS
from mmlib.evidence.pages import cost_section, index
from mmlib.evidence.wanted import choose

TABLES = Path(__file__).parents[2] / "assets/results"
ROWS = {row for pair in studies.BENCH.items() for row in pair if row}
ROWS.add("two networks + unimodal losses")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The tuning alone and a stand-in for training: `(folder, calls)`, a call a second longer."""
    shutil.copy(TABLES / "tuning.csv", tmp_path)
    calls = []

    def measure(row, options, train, epochs):
        calls.append((row, options, epochs))
        return {"seconds": 10.0 + len(calls), "samples": 1.5, "looked_at": 0.25}

    monkeypatch.setattr(costs, "measure", measure)
    monkeypatch.setattr(costs, "AVDigits", lambda *_, **__: None)
    return tmp_path, calls


def test_every_row_of_the_bench_once_and_joint_three_times():
    rows = costs.measured_rows()
    assert len(ROWS) == 18 and set(rows) == ROWS and len(rows) == 20
    assert [at for at, row in enumerate(rows) if row == "joint"] == [0, 9, 19]


def test_costs_are_over_the_mean_of_joint(measured):
    folder, calls = measured
    assert costs.over_joint(folder) == {}
    costs.write_costs(folder)
    chosen = choose(pd.read_csv(folder / "tuning.csv"))
    assert calls[0] == ("joint", chosen["joint"], 1)  # for what PyTorch sets up; not counted
    assert [(row, epochs) for row, _, epochs in calls[1:]] == [
        (row, studies.EPOCHS) for row in costs.measured_rows()
    ]
    table = pd.read_csv(folder / "cost.csv")
    assert table["seconds"].tolist() == [12.0 + at for at in range(20)]
    joint = (12 + 21 + 31) / 3
    assert table["over_joint"].tolist() == [round((12 + at) / joint, 4) for at in range(20)]
    assert [json.loads(text) for text in table["options"]] == [x for _, x, _ in calls[1:]]
    over = costs.over_joint(folder)
    assert set(over) == ROWS and over["joint"] == pytest.approx(1, abs=1e-3)
    assert json.loads((folder / "cost.json").read_text())["split"] == "train"
    calls.clear()
    costs.write_costs(folder)
    assert not calls


def test_a_killed_measuring_goes_on_where_it_was(measured, monkeypatch):
    folder, calls = measured
    costs.write_costs(folder)
    whole = pd.read_csv(folder / "cost.csv")
    whole.head(12).to_csv(folder / "cost.csv", index=False)
    calls.clear()
    costs.write_costs(folder)
    assert [row for row, *_ in calls] == ["joint", *costs.measured_rows()[12:]]
    again = pd.read_csv(folder / "cost.csv")
    assert again.head(12)["seconds"].equals(whole.head(12)["seconds"])
    assert again["over_joint"][0] == round(12 / ((12 + 21 + 19) / 3), 4)  # of the joint of now


def test_other_options_are_measured_anew(measured):
    folder, calls = measured
    costs.write_costs(folder)
    table = pd.read_csv(folder / "cost.csv")
    table.loc[table["method"] == "cal", "options"] = '{"lr": 9.0}'
    table.to_csv(folder / "cost.csv", index=False)
    calls.clear()
    costs.write_costs(folder)
    rows = costs.measured_rows()
    assert [row for row, *_ in calls[1:]] == rows[rows.index("cal") :]


def test_the_committed_costs_are_those_of_the_options_of_now_on_a_steady_machine():
    table, chosen = costs.read_costs(TABLES), choose(pd.read_csv(TABLES / "tuning.csv"))
    assert table["method"].tolist() == costs.measured_rows()
    for row, options in zip(table["method"], table["options"], strict=True):
        assert json.loads(options) == ARMS[row].options(chosen), row
    seconds = table[table["method"] == "joint"]["seconds"]
    assert seconds.max() / seconds.min() < 1.15
    # README and lesson 8: the two simple remedies take about as long as joint concat
    over = costs.over_joint(TABLES)
    assert all(abs(over[row] - 1) < 0.15 for row in ("joint-unimodal", "ensemble"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cost.csv is empty; restore it from git, or delete it and run `make results`"),
        ("method,options\n", "cost.csv has no column 'seconds'; its first line begins"),
        (
            "method,options,seconds,over_joint,samples,looked_at\njoint,{},a,1,1,0\n",
            "cost.csv has a cell that is no number; restore it from git, or delete it and run",
        ),
    ],
)
def test_a_damaged_file_is_told_in_a_sentence(text, said, tmp_path):
    (tmp_path / "cost.csv").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=said):
        costs.over_joint(tmp_path)


def test_the_page_shows_the_costs_or_nothing(measured):
    folder, _ = measured
    without = index([], cost_section(costs.read_costs(folder)))
    assert "training costs" not in without and without == without.strip() + "\n"
    costs.write_costs(folder)
    text = index([], cost_section(costs.read_costs(folder)))
    before, shown = text.split("## What training costs")
    assert before.strip() == without.strip()
    assert "| **joint concat** | 1.0x | 1.5x | 0.2x |" in shown
    assert "12.0, 21.0, 31.0 seconds, a mean of 21.3." in " ".join(shown.split())
    assert shown.count("↳") == 7 and shown.count("\n| ") == 1 + 18


def test_the_costs_come_once_when_the_tables_of_all_worlds_are_complete(monkeypatch, tmp_path):
    done, tuning = [], pd.read_csv(TABLES / "tuning.csv")
    monkeypatch.setattr(tables, "_complete", lambda folder, *_: done.append(folder.name) or [])
    for name in ("read_worlds", "write_costs", "write_pages", "write_bench"):
        monkeypatch.setattr(tables, name, lambda _, name=name: done.append(name))
    monkeypatch.setattr(tables, "draw_phenomenon", lambda *_: None)
    monkeypatch.setattr(tables, "chosen_options", lambda *_: choose(tuning))
    shutil.copy(TABLES / "baselines.csv", tmp_path)
    tables.write_tables(tmp_path)
    drawn = ["read_worlds", "write_costs", "write_pages", "write_bench"]
    assert done == [tmp_path.name, *drawn]
    done.clear()
    tables.write_tables(tmp_path, voices=tmp_path)
    assert done == [tmp_path.name, "human-voices", *drawn]


def test_a_row_is_trained_without_a_score(monkeypatch):
    """For real, on few samples; visits are over joint concat's."""
    monkeypatch.setattr("mmlib.evidence.runs.AVDigits", None)  # no other split is made
    train = AVDigits("train", "imbalanced", seed=0, size=128)
    joint = costs.measure("joint", {"lr": 0.1}, train, 1)
    assert joint["seconds"] > 0 and (joint["samples"], joint["looked_at"]) == (1, 0)
    boosting = costs.measure("boosting", {"lr": 0.1}, train, 1)
    assert boosting["seconds"] > 0 and boosting["samples"] == 1
