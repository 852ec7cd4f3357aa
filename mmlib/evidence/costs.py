"""What training costs, measured alike for every row of the README's table: `cost.csv`."""

import json
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from mmlib.data import AVDigits
from mmlib.devices import use_threads
from mmlib.evidence.arms import ARMS
from mmlib.evidence.runs import untrained
from mmlib.evidence.stored import damaged, read_columns, write_table
from mmlib.evidence.studies import BENCH, EPOCHS, SEEDS, STUDIES, SYNTHETIC
from mmlib.evidence.wanted import chosen_options
from mmlib.training import fit

NUMBERS = ["seconds", "over_joint", "samples", "looked_at"]


def measured_rows() -> list[str]:
    """The methods of `BENCH` and their controls, one more that the verdicts name, and joint concat
    at the beginning, in the middle and at the end: its three say how steady the machine was."""
    others = [row for pair in BENCH.items() for row in pair if row not in (None, "joint")]
    others.append("two networks + unimodal losses")  # on the page of verdicts
    half = len(others) // 2
    return ["joint", *others[:half], "joint", *others[half:], "joint"]


def write_costs(folder: Path, epochs: int = EPOCHS) -> None:
    """Make or complete `cost.csv` in `folder`, with the options of the `tuning.csv` there.

    A line a run, one after the other, in this process with one thread, while nothing else of the
    library runs; all with the same data, `imbalanced` at the first seed. `seconds` are those of
    `fit`'s epochs: training with whatever a method looks at for it, but no data made, no scores.
    `over_joint` is their ratio to the mean of joint concat's runs; `samples` visited and
    `looked_at` (see `training.Plan`) are over joint concat's visited ones.

    A killed making goes on where it was. The first line of a row or options that are not wanted any
    more is measured anew, and all after it. Raises as `read_costs` and `wanted.chosen_options` do.
    """
    chosen = chosen_options(folder, STUDIES[SYNTHETIC])
    options = [(row, ARMS[row].options(chosen)) for row in measured_rows()]
    wanted = [(row, json.dumps(own, sort_keys=True)) for row, own in options]
    stored = read_costs(folder).to_dict("records")
    held = [(line["method"], line["options"]) for line in stored]
    same = [there == asked for there, asked in zip(held, wanted, strict=False)]
    lines = stored[: [*same, False].index(False)]
    if len(lines) == len(wanted):
        return
    use_threads()
    train = AVDigits("train", "imbalanced", seed=SEEDS[0])
    measure("joint", chosen["joint"], train, 1)  # PyTorch sets up in its first steps
    for row, text in tqdm(wanted[len(lines) :], "costs"):
        cost = measure(row, json.loads(text), train, epochs)
        lines.append({"method": row, "options": text} | cost)
        write_table(folder / "cost.csv", _with_ratios(lines), "train")


def measure(row: str, options: dict, train: AVDigits, epochs: int) -> dict[str, float]:
    """Train a row once; its `seconds`, `samples` and `looked_at` as in `write_costs`."""
    seed = SEEDS[0]
    method = untrained(row, train, seed, options, epochs)
    history = fit(method, train, epochs, seed=seed, progress=False)
    cost = pd.DataFrame(history)[["seconds", "samples", "looked_at"]].sum()
    cost[["samples", "looked_at"]] /= epochs * len(train)  # joint concat visits each sample once
    return cost.round(4).to_dict()


def _with_ratios(lines: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(lines)
    joint = table.loc[table["method"] == "joint", "seconds"].mean()
    table["over_joint"] = (table["seconds"] / joint).round(4)
    return table[["method", "options", *NUMBERS]]


def read_costs(folder: Path) -> pd.DataFrame:
    """`cost.csv` of `folder`, no line where there is none; errors as in `stored.read_table`."""
    path, columns = folder / "cost.csv", ["method", "options", *NUMBERS]
    if not path.exists():
        return pd.DataFrame(columns=columns)
    table = read_columns(path, columns)
    if table[NUMBERS].apply(pd.to_numeric, errors="coerce").isna().any(axis=None):
        raise damaged(path, "has a cell that is no number")
    return table


def over_joint(folder: Path) -> dict[str, float]:
    """Row -> its seconds of training over joint concat's; empty where `cost.csv` is missing."""
    return read_costs(folder).groupby("method")["over_joint"].mean().to_dict()
