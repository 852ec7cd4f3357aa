"""The evidence pages: they say what the tables hold, their links and commands work, and a second
world has its columns."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmlib.__main__ import main
from mmlib.evaluation import paired_interval
from mmlib.evidence import arms, studies
from mmlib.evidence.pages import intervals, pages
from mmlib.evidence.words import GROUPS, QUESTIONS, SCENARIOS
from mmlib.evidence.worlds import read_worlds

ROOT = Path(__file__).parents[2]
TABLES, PAGES = ROOT / "assets/results", ROOT / "assets/evidence"


@pytest.fixture(scope="module")
def written():
    return pages(TABLES)


def test_the_committed_pages_are_what_the_tables_say(written):
    committed = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir()}
    assert committed.keys() == written.keys()
    for name, text in written.items():
        assert committed[name] == text, f"{name}: run `python -m mmlib results --pages`"


def test_every_table_scenario_and_column_is_in_words():
    assert set(QUESTIONS) == set(studies.TABLES)
    assert {s for table in studies.TABLES.values() for s in table} <= set(SCENARIOS)
    known = {"scenario", "method", "epochs", "options", "seed", "fused"}
    known |= {column for group in GROUPS.values() for column in group}
    for table in studies.TABLES:
        columns = pd.read_csv(TABLES / f"{table}.csv", nrows=0).columns
        assert {name for name in columns if " " not in name} <= known, table
    assert all(len(group) <= 7 for group in GROUPS.values())


def test_links_lead_to_files(written):
    for name, text in written.items():
        for target in re.findall(r"\]\((.+?)\)", text):
            assert (PAGES / target).resolve().is_file(), (name, target)


def test_every_arm_is_defined_with_its_command(written):
    for table, scenarios in studies.TABLES.items():
        for row in {row for rows in scenarios.values() for row in rows}:
            arm = arms.ARMS[row]
            assert f"### {arm.name}\n\n{arm.definition}\n" in written[f"{table}.md"]
            assert f"--arm {shlex.quote(row)} --seed 0" in written[f"{table}.md"]


def test_tables_fit_a_page_and_hold_no_json(written):
    for name, text in written.items():
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert max(line.count(" | ") for line in rows) <= 7, name
        assert "{" not in text and "nan" not in re.findall(r"\w+", text), name


def test_an_interval_by_hand(written):
    table = pd.read_csv(TABLES / "cal.csv").query("scenario == 'corrupted'")
    one, other = (
        table[table["method"] == m].sort_values("seed")["fused"] for m in ("cal", "both uniform")
    )
    mean, low, high = (100 * x for x in paired_interval(one, other))
    cell = f"{mean:+.1f} ({low:.1f} to {high:.1f})"
    section = written["cal.md"].split("## Scenario *corrupted*")[1]
    (line,) = re.findall(r"\| CAL with AIB \(our reading\) \| .* \| CAL with even .*", section)
    assert cell in line and f"| {100 * one.mean():.1f} |" in line


def test_how_many_intervals_would_miss_0_by_chance(written):
    found = intervals("gap", read_worlds(TABLES))
    pairs = {(scenario, world, pair) for scenario, _, world, pair in found}
    assert len(pairs) == len(found)  # two arms are one pair, in either order
    missing = sum(low > 0 or high < 0 for _, low, high in found.values())
    assert f"shows {len(found)} different intervals." in written["gap.md"]
    assert f"would still miss 0 by chance; {missing} do." in written["gap.md"]


def test_a_second_world_adds_its_columns(tmp_path, monkeypatch):
    place = studies.STUDIES[studies.HUMAN].place
    shutil.copytree(TABLES, tmp_path / "results", ignore=shutil.ignore_patterns(place))
    other = tmp_path / "results" / place
    other.mkdir()
    shutil.copy(TABLES / "baselines.json", other)
    tried = pd.read_csv(TABLES / "tuning.csv").query("method in ('joint', 'ogm-ge')")
    tried = tried[(tried["seed"] == 100) & ~tried["options"].str.contains("0.8")]
    seeds = studies.STUDIES[studies.HUMAN].tuning_seeds
    tuning = pd.concat([tried.assign(seed=seed) for seed in seeds])
    tuning.to_csv(other / "tuning.csv", index=False)
    rows = pd.read_csv(TABLES / "baselines.csv").query("scenario == 'imbalanced'")
    rows.loc[rows["method"] != "joint", "fused"] += 0.01
    rows.to_csv(other / "baselines.csv", index=False)
    monkeypatch.setattr("mmlib.evidence.tables.run", None)  # nothing is trained
    assert main(["results", "--pages", "--out", str(tmp_path / "results")]) == 0
    page = (tmp_path / "evidence/baselines.md").read_text(encoding="utf-8")
    first, second = page.split("## Scenario *corrupted*")
    (line,) = re.findall(r"^\| OGM-GE \|.*\| OGM-GE's noise .*", first, re.MULTILINE)
    assert len(line.split(" | ")) == 8 and "human voices: fused" in first
    assert line.count(" | -0.5 (-1.1 to 0.1)") == 2  # of both worlds against its own control
    assert "-0.8 (-2.2 to 0.6)" in line and "+0.2 (-1.2 to 1.6)" in line  # and against joint
    assert "human voices: fused" not in second.split("## The arms")[0]
    assert "- Options (human voices): tuned on validation ([10 points](tuning.md)) among lr" in page
    alone = (tmp_path / "evidence/boosting.md").read_text(encoding="utf-8")
    assert "human voices: fused" not in alone


@pytest.mark.slow
def test_a_command_of_a_page_does_what_it_says(written, monkeypatch, capsys):
    """The cheapest row's."""
    (command,) = re.findall(r"`(python -m mmlib results --arm joint .*?)`", written["baselines.md"])
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)[3:]) == 0
    said = capsys.readouterr().out
    row = pd.read_csv(TABLES / "baselines.csv").query(
        "scenario == 'imbalanced' and method == 'joint' and seed == 0"
    )
    assert f"{row['fused'].item():.4f}" in said
    assert json.loads(row["options"].item()) == {"lr": 0.2} and "lr 0.2; 15 epochs" in said
