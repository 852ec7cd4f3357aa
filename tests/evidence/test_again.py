"""One row again: which one, how it is held against the committed one, the exit status."""

from pathlib import Path

import pandas as pd
import pytest

from mmlib.__main__ import main
from mmlib.evidence import again, studies
from mmlib.evidence.arms import ARMS

TABLES = Path(__file__).parents[2] / "assets/results"
HERE = ["results", "--out", str(TABLES), "--arm"]


def test_an_arm_has_two_names():
    for row, arm in ARMS.items():
        assert again.find_arm(row) == again.find_arm(arm.name) == row
    assert again.find_arm("ogm-ge's noise without its BRAKE") == "ogm-ge-noise"


@pytest.mark.parametrize(
    ("row", "asked", "place"),
    [
        ("joint", (None, None), ("baselines", "imbalanced")),
        ("joint", ("samplewise", None), ("valuation", "samplewise")),
        ("joint", (None, "noise"), ("noise", "imbalanced")),
        ("cal, clipped", (None, None), ("cal", "corrupted")),
    ],
)
def test_where_a_row_is_looked_up(row, asked, place):
    assert again.find_place(row, *asked) == place


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sample evaluation"], "arm is 'sample evaluation'; near it are 'sample valuation'"),
        (["cal", "--scenario", "samplewise"], "scenario of 'cal' is 'samplewise'; choose one of"),
        (["cal", "--seed", "5"], "seed is 5; choose one of 0, 1, 2, 3, 4"),
        (["cal", "--table", "tuning"], "table is 'tuning'; choose one of baselines, "),
        (["cal", "--table", "gap"], "table is 'gap', which holds no row of 'cal'; leave it out"),
        (["cal", "--pages"], "--arm, --tables and --pages are three things to do"),
    ],
)
def test_what_the_tables_do_not_hold_is_told_in_a_sentence(words, sentence, capsys):
    assert main([*HERE, *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "0"], "--seed, --scenario and --table are of one row; name it with --arm"),
        (["--anew"], "--anew drops rows; say of which tables with --tables"),
        (["--pages", "--voices", "here"], "--pages trains nothing; leave out --voices"),
    ],
)
def test_flags_that_need_another_one(words, sentence, capsys, tmp_path):
    assert main(["results", "--out", str(tmp_path), *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("change", "status"), [(0.0, 0), (0.03, 0), (-0.06, 1)])
def test_exit_status_is_1_where_a_score_differs(change, status, monkeypatch, capsys):
    """By more than another processor can explain; every column is printed with its difference."""
    rows = pd.read_csv(TABLES / "baselines.csv").query("scenario == 'imbalanced' and seed == 2")
    row = rows.set_index("method").loc["ogm-ge"].dropna().to_dict()
    asked = []

    def run(*job, voices):
        asked.append((*job, voices))
        return row | {"probe_visual": row["probe_visual"] + change}

    monkeypatch.setattr(again, "run", run)
    assert main([*HERE, "OGM-GE", "--seed", "2"]) == status
    options = {"alpha": 0.1, "lr": 0.1}
    assert asked == [("ogm-ge", "imbalanced", 2, options, 15, "test", None)]
    said = capsys.readouterr().out
    assert (
        "OGM-GE (ogm-ge), imbalanced, seed 2, table baselines\nalpha 0.1, lr 0.1; 15 epochs" in said
    )
    (line,) = (line.split() for line in said.splitlines() if line.startswith("probe_visual"))
    assert line[-1] == ("=" if change == 0 else f"{change:+.4f}")
    assert ("differ by at most" in said) == (change != 0)


def test_a_row_of_human_voices(tmp_path, monkeypatch, capsys):
    """Held against that world's table, trained with its options and the folder that is given."""
    table = pd.read_csv(TABLES / studies.STUDIES[studies.HUMAN].place / "baselines.csv")
    row = table.query("scenario == 'known speakers' and method == 'ensemble' and seed == 1")
    row, asked = row.iloc[0].dropna().to_dict(), []

    def run(*job, voices):
        asked.append((*job[:3], voices))
        return row

    monkeypatch.setattr(again, "run", run)
    words = ["two networks, logits added", "--seed", "1", "--scenario", "known speakers"]
    assert main([*HERE, *words, "--voices", str(tmp_path)]) == 0
    assert asked == [("ensemble", "known speakers", 1, tmp_path)]
    assert main([*HERE, "fixed number", "--voices", str(tmp_path)]) == 2
    assert "which was not trained with human voices; leave out --voices" in capsys.readouterr().err
    assert main([*HERE, *words]) == 2
    assert "scenario of 'ensemble' is 'known speakers'; choose" in capsys.readouterr().err
