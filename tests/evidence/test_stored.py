"""Damaged or incomplete tables: one sentence that names the file, and nothing is written."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmlib.__main__ import main
from mmlib.evidence import studies, tables
from mmlib.evidence.stored import read_table
from mmlib.evidence.studies import HUMAN, STUDIES

TABLES = Path(__file__).parents[2] / "assets/results"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the committed tables; nothing is trained."""
    monkeypatch.setattr(tables, "run", None)
    monkeypatch.setattr("mmlib.evidence.again.run", None)
    return shutil.copytree(TABLES, tmp_path / "results")


def without(query):
    """A change of a table: rows dropped."""
    return lambda path: pd.read_csv(path).query(f"not ({query})").to_csv(path, index=False)


def text(change):
    """A change of a file's text."""
    return lambda path: path.write_text(change(path.read_text("utf-8")), "utf-8")


def cell(column, value):
    """A change of the first row's cell."""

    def change(path):
        table = pd.read_csv(path, dtype=str)
        table.loc[0, column] = value
        table.to_csv(path, index=False)

    return change


def without_column(name):
    return lambda path: pd.read_csv(path).drop(columns=name).to_csv(path, index=False)


def no_json(path):
    path.with_suffix(".json").unlink()


def as_json(found):
    return lambda path: path.with_suffix(".json").write_text(found, "utf-8")


def with_row_of_other_options(path):
    table = pd.read_csv(path)
    row = table.head(1).assign(options='{"lr": 9.0}')
    pd.concat([table, row]).to_csv(path, index=False)


ROWS = {name: 5 * sum(map(len, scenarios.values())) for name, scenarios in studies.TABLES.items()}
CORRUPTED = 5 * len(studies.TABLES["gap"]["corrupted"])
SEEDS = without("scenario == 'imbalanced' and method == 'gap' and seed >= 2")
CASES = {  # file, what was done to it, what is said after the file's name
    "seeds": ("gap", SEEDS, " lacks 3 rows, such as 'gap' on imbalanced at seed 2 with {"),
    "one row": ("noise", without("method == 'cal' and seed == 4"), " lacks a row: 'cal' on imb"),
    "an arm": ("gap", without("method == 'gap, v1 weights'"), " lacks 10 rows, such as"),
    "semicolons": ("gap", text(lambda x: x.replace(",", ";")), " has no column 'scenario'; its"),
    "cut off": ("gap", text(lambda x: x[:-1]), " ends in the middle of a line; restore it"),
    "half": ("gap", text(lambda x: x[: len(x) // 2]), " has "),
    "half its lines": (
        "gap",
        text(lambda x: x[: x.index("corrupted")]),
        f" lacks {CORRUPTED} rows, such as",
    ),
    "another": (
        "cal",
        lambda p: shutil.copy(p.with_name("gap.csv"), p),
        f" lacks {ROWS['cal']} rows, such",
    ),
    "gone": ("gap", Path.unlink, " is missing; run `make results` first"),
    "no json": ("gap", no_json, ".json is missing; restore it from git, or make its table"),
    "empty": ("gap", text(lambda x: ""), " is empty; restore it from git, or delete it and run"),
    "head": ("gap", text(lambda x: x.split("\n")[0] + "\n"), f" lacks {ROWS['gap']} rows, such as"),
    "no UTF-8": ("gap", lambda p: p.write_bytes(b"\xff\xfe"), " is no text in UTF-8"),
    "nan": ("gap", cell("fused", "nan"), " has 'nan' as fused in line 2"),
    "nan elsewhere": ("gap", cell("samples", "nan"), " has 'nan' as samples in line 2"),
    "infinite": ("gap", cell("visual", "inf"), " has 'inf' as visual in line 2"),
    "a word": ("gap", cell("probe_audio", "?"), " has '?' as probe_audio in line 2"),
    "no score": ("gap", cell("probe_audio", ""), " has no probe_audio in line 2"),
    "half a seed": ("gap", cell("seed", "0.5"), " has '0.5' as seed in line 2"),
    "options": ("gap", cell("options", "{"), " has '{' as options, which is no JSON object"),
    "a list": ("gap", cell("options", "[1]"), " has '[1]' as options, which is no JSON object"),
    "twice": (
        "gap",
        text(lambda x: x + x.split("\n")[1] + "\n"),
        f" has line {ROWS['gap'] + 2} a second time",
    ),
    "two": ("gap", with_row_of_other_options, " has two rows of 'joint-unimodal' on imbalanced at"),
    "a column": ("gap", without_column("macro_f1"), " has no column 'macro_f1'; its first line"),
    "no noise": ("noise", without_column("fused clean"), " has no column 'fused clean'; its"),
    "tuning": ("tuning", without("method == 'gap'"), " lacks 27 rows, such as 'gap' on imbalanced"),
    "a try": ("tuning", without("method == 'joint' and seed == 101"), " lacks 5 rows, such as"),
    "tuning;": ("tuning", text(lambda x: x.replace(",", ";")), " has no column 'scenario'; its"),
}

CASES |= {
    name: ("gap", as_json(found), said)
    for name, found, said in (
        ("json list", "[1,2]", ".json does not say what made its table: date, python and"),
        ("json half", "{", ".json does not say what made its table"),
        ("json deep", "[" * 100_000, ".json does not say what made its table"),
        ("json empty", "{}", ".json does not say what made its table"),
        (
            "no torch",
            json.dumps({"date": "", "python": "", "versions": {}}),
            ".json does not say under versions which torch made its table",
        ),
    )
}


def sentence(place, said):
    return f"mmlib: {place}{said}" if said.startswith(".json") else f"mmlib: {place}.csv{said}"


@pytest.mark.parametrize("case", CASES)
def test_no_page_is_made_of_tables_that_are_not_whole(case, folder, capsys):
    name, change, said = CASES[case]
    change(folder / f"{name}.csv")
    assert main(["results", "--pages", "--out", str(folder)]) == 2
    found = capsys.readouterr().err
    assert sentence(folder / name, said) in found and found.count("\n") == 1
    assert not (folder.parent / "evidence").exists()


@pytest.mark.parametrize("case", ["a column", "no noise", "no json", "json half"])
def test_complete_tables_that_no_page_can_be_made_of_are_not_drawn(case, folder, capsys):
    name, change, said = CASES[case]
    change(folder / f"{name}.csv")
    assert main(["results", "--out", str(folder)]) == 2
    assert sentence(folder / name, said) in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_another_world_needs_all_seeds_of_what_it_holds(folder, capsys):
    other = folder / STUDIES[HUMAN].place
    (other / "cal.csv").unlink()
    without("scenario == 'corrupted'")(other / "baselines.csv")
    assert main(["results", "--pages", "--out", str(folder)]) == 0
    SEEDS(other / "gap.csv")
    assert main(["results", "--pages", "--out", str(folder)]) == 2
    found = capsys.readouterr().err
    assert (
        f"mmlib: {other / 'gap.csv'} lacks 3 rows, such as 'gap' on imbalanced at seed 2" in found
    )
    assert "run `MMLIB_VOICES=FOLDER make results` to complete it" in found


def test_the_tuning_alone_makes_no_pages(folder, capsys):
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.stem != "tuning":
            path.unlink()
    assert main(["results", "--pages", "--out", str(folder)]) == 2
    found = capsys.readouterr().err
    assert f"{folder / 'noise.csv'} is missing; run `make results` first\n" in found


DAMAGED = ("semicolons", "cut off", "empty", "no UTF-8", "nan", "no score", "options", "twice")


@pytest.mark.parametrize("words", [["--tables", "gap"], ["--arm", "gap"]])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_table_is_one_sentence_in_every_command(case, words, folder, capsys):
    name, change, said = CASES[case]
    change(folder / f"{name}.csv")
    before = (folder / "gap.csv").read_bytes()
    assert main(["results", *words, "--out", str(folder)]) == 2
    found = capsys.readouterr().err
    assert f"mmlib: {folder / 'gap.csv'}{said}" in found and found.count("\n") == 1
    assert (folder / "gap.csv").read_bytes() == before


@pytest.mark.parametrize("command", ["tuning", "results"])
def test_a_damaged_tuning_is_one_sentence(command, folder, capsys):
    (folder / "tuning.csv").write_text("", "utf-8")
    assert main([command, "--out", str(folder)]) == 2
    found = capsys.readouterr().err
    assert f"mmlib: {folder / 'tuning.csv'} is empty; restore it from git, or delete" in found
    assert "run `make tuning`" in found and found.count("\n") == 1


@pytest.mark.parametrize(
    "path", sorted({*TABLES.glob("*.csv")} - {TABLES / "cost.csv"}), ids=lambda path: path.stem
)
def test_a_whole_table_is_read_as_pandas_reads_it(path):
    pd.testing.assert_frame_equal(read_table(path), pd.read_csv(path), check_exact=True)


@pytest.mark.parametrize("words", [[], ["--pages"], ["--arm", "gap"], ["--tables", "gap"]])
def test_results_need_a_folder_that_is_there(words, tmp_path, capsys):
    (tmp_path / "file").write_text("mine", "utf-8")
    for name in ("file", "nowhere", "file/sub"):
        assert main(["results", *words, "--out", str(tmp_path / name)]) == 2
        found = capsys.readouterr().err
        sentence = f"--out is {tmp_path / name}; give the folder that holds the tables"
        assert sentence in found and found.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_help_says_where_pages_and_figures_go(capsys):
    for command in ("results", "tuning"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert "writes to the folders evidence, figures and weights beside it, and a table" in said
