"""Stored tables: how they are written, read and checked."""

import csv
import io
import json
import platform
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from mmlib.devices import usable_cores
from mmlib.evidence.studies import HUMAN, STUDIES
from mmlib.files import write_text

KEY = ["scenario", "method", "epochs", "options", "seed"]
SCORES = ("fused", "audio", "visual", "macro_f1", "probe_audio", "probe_visual")


def write_table(path: Path, rows: list[dict], split: str) -> None:
    """Write a table, made on `split`, and beside it what it was made with; whole at any moment."""
    packages = ("torch", "torchvision", "torchaudio", "numpy", "scikit-learn")
    made_with = {
        "command": "make tuning" if split == "val" else "make results",
        "split": split,
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "processor": platform.machine(),
        "cores": usable_cores(),
    }
    write_text(path, pd.DataFrame(rows).to_csv(index=False))
    write_text(path.with_suffix(".json"), json.dumps(made_with, indent=2) + "\n")


def read_table(path: Path, needed: Iterable[str] = ("fused",)) -> pd.DataFrame:
    """The table `path` with `KEY` and the columns `needed`.

    Raises `FileNotFoundError` where it is missing, `ValueError` where it is no such table: other
    columns, a line that is cut off, a cell that is no number, a row without a score, a row twice.
    """
    table = read_columns(path, [*KEY, *needed])
    if fault := _fault_of_cells(table):
        raise damaged(path, fault)
    return table


def read_columns(path: Path, needed: list[str]) -> pd.DataFrame:
    """The table `path` with these columns, whatever their cells hold; errors as in `read_table`."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run `{command_for(path)}` first")
    text = _text(path)
    if fault := _fault_of_lines(text, needed):
        raise damaged(path, fault)
    # an empty cell is no number; the word `nan` is not a cell that this library writes
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])


def damaged(path: Path, fault: str) -> ValueError:
    """The error that says what is wrong with a file of a table, and how to get a whole one."""
    again = f"delete it and run `{command_for(path)}`"
    if path.suffix == ".json":  # it is written with its table
        voices = " --voices FOLDER" if _is_human(path) else ""
        made = f"python -m mmlib results --tables {path.stem} --anew{voices}"
        again = f"make its table again: `{made}`"
    return ValueError(f"{path} {fault}; restore it from git, or {again}")


def _is_human(path: Path) -> bool:
    return path.parent.name == STUDIES[HUMAN].place


def command_for(path: Path) -> str:
    """What completes a table."""
    voices = "MMLIB_VOICES=FOLDER " if _is_human(path) else ""
    return voices + ("make tuning" if path.stem == "tuning" else "make results")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, "is no text in UTF-8") from error


def _fault_of_lines(text: str, needed: list[str]) -> str:
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        return f"is no table with commas ({error})"
    if not lines:
        return "is empty"
    head = lines[0]
    if missing := [name for name in needed if name not in head]:
        return f"has no column {missing[0]!r}; its first line begins {text[:30].strip()!r}"
    if len(set(head)) < len(head):
        return "has two columns of one name"
    for at, line in enumerate(lines, 1):
        if len(line) != len(head):
            return f"has {len(line)} cells in line {at}, and {len(head)} columns"
    return "" if text.endswith("\n") else "ends in the middle of a line"


def _fault_of_cells(table: pd.DataFrame) -> str:
    full = [*KEY, *(name for name in SCORES if name in table)]
    for name in table:
        cells = table[name]
        if name in full and cells.isna().any():
            return f"has no {name} in line {cells.isna().idxmax() + 2}"
        if name not in ("scenario", "method", "options"):
            numbers = pd.to_numeric(cells, errors="coerce")
            fits = numbers % 1 == 0 if name in ("epochs", "seed") else numbers.abs() < float("inf")
            if (bad := cells.notna() & ~fits).any():
                return f"has {str(cells[bad].iloc[0])!r} as {name} in line {bad.idxmax() + 2}"
    for text in table["options"].unique():
        if not isinstance(_json(str(text)), dict):
            return f"has {text!r} as options, which is no JSON object"
    twice = table.duplicated(KEY)
    return f"has line {twice.idxmax() + 2} a second time" if twice.any() else ""


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def made_with(path: Path) -> dict:
    """What the table `path` was made with, from the file beside it; errors as in `read_table`."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise damaged(beside, "is missing")
    found = _json(_text(beside))
    if not isinstance(found, dict) or not {"date", "python", "versions"} <= found.keys():
        raise damaged(beside, "does not say what made its table: date, python and versions")
    if not isinstance(found["versions"], dict) or "torch" not in found["versions"]:
        raise damaged(beside, "does not say under versions which torch made its table")
    return found


def key_of(row: tuple) -> tuple:
    """`(scenario, method, epochs, options, seed)` as the tables hold it."""
    scenario, method, epochs, options, seed = row
    return scenario, method, epochs, json.dumps(options, sort_keys=True), seed


def require_rows(path: Path, table: pd.DataFrame, wanted: Iterable[tuple]) -> None:
    """Raise `ValueError` where a table lacks one of these rows, see `key_of`."""
    held = set(table[KEY].itertuples(index=False, name=None))
    lacking = [key for key in wanted if key not in held]
    if lacking:
        scenario, method, epochs, options, seed = lacking[0]
        example = f"{method!r} on {scenario} at seed {seed} with {options} and {epochs} epochs"
        rows = f"{len(lacking)} rows, such as" if len(lacking) > 1 else "a row:"
        raise ValueError(f"{path} lacks {rows} {example}; run `{command_for(path)}` to complete it")


def with_all_seeds(table: pd.DataFrame, seeds: Iterable[int]) -> list[tuple]:
    """The rows that a table should hold if whatever it holds was trained at these seeds."""
    kinds = table[KEY[:-1]].drop_duplicates().itertuples(index=False, name=None)
    return [(*kind, seed) for kind in kinds for seed in seeds]
