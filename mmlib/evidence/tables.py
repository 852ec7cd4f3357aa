"""The tables of `assets/results/`: which runs they hold, how rows are kept.

`write_tuning` tries options on validation, `write_tables` makes every lesson's table with the best
of them; a killed run goes on where it was.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import pandas as pd
from tqdm.auto import tqdm

from mmlib.arguments import one_of
from mmlib.devices import use_threads
from mmlib.evidence.bench import draw_phenomenon, write_bench
from mmlib.evidence.costs import write_costs
from mmlib.evidence.pages import write_pages
from mmlib.evidence.runs import run, weights_path
from mmlib.evidence.stored import KEY, key_of, read_table, write_table
from mmlib.evidence.studies import EPOCHS, HUMAN, KEPT, SEEDS, STUDIES, SYNTHETIC, TABLES, Study
from mmlib.evidence.wanted import chosen_options, table_rows, tuning_rows
from mmlib.evidence.worlds import read_worlds


def write_tuning(
    folder: Path, epochs: int = EPOCHS, processes: int = 1, voices: Path | None = None
) -> None:
    """Make or complete `tuning.csv` in `folder`: every point of the grid, on validation.

    With `voices`, the folder of human ones, also that of their world, in its own folder there. With
    `processes` above 1 whole runs stand side by side, one thread each.
    """
    for study, own_voices in _worlds(voices):
        wanted = {"tuning": tuning_rows(study, epochs)}
        _complete(folder / study.place, wanted, processes, voices=own_voices)


def _worlds(voices: Path | None) -> list[tuple[Study, Path | None]]:
    """The studies that are asked for, each with its folder of voices."""
    human = [(STUDIES[HUMAN], voices)] if voices else []
    return [(STUDIES[SYNTHETIC], None), *human]


def write_tables(
    folder: Path,
    seeds: Sequence[int] = SEEDS,
    epochs: int = EPOCHS,
    processes: int = 1,
    only: Sequence[str] | None = None,
    anew: bool = False,
    voices: Path | None = None,
) -> None:
    """Make or complete the tables (test) in `folder` with the options of its `tuning.csv`, with
    `voices` those of human ones, too; then what training costs (`costs.write_costs`), the pictures
    drawn from the tables, the README's table of all methods and the evidence pages.

    `processes` and `voices` as in `write_tuning`. With `only` just the tables of those names; what
    they share with others goes there as well. With `anew` their rows are dropped first, wherever
    they stand. What is drawn from tables waits until all are complete. Raises `FileNotFoundError`
    without a `tuning.csv`, `ValueError` for one that lacks a method, for a table that does not
    exist, and as in `read_table`.
    """
    lacking = []
    for study, own_voices in _worlds(voices):
        for name in only or ():
            one_of("table", name, tuple(study.tables))
        place = folder / study.place
        wanted = table_rows(study, chosen_options(place, study), seeds, epochs)
        lacking += _complete(place, wanted, processes, only, anew, own_voices)
    if lacking:
        print(f"figures, README and pages wait for {', '.join(dict.fromkeys(lacking))}")
        return
    if set(TABLES) <= set(STUDIES[SYNTHETIC].tables):
        read_worlds(folder)  # it looks whether all columns are there, before what takes time
        write_costs(folder)
        write_pages(folder)
        write_bench(folder)
    draw_phenomenon(folder)


def split_of(name: str) -> str:
    """What the rows of a table are scored on."""
    return {"tuning": "val", "noise": "noise"}.get(name, "test")


def _read(path: Path) -> dict[tuple, dict]:
    rows = read_table(path).to_dict("records") if path.exists() else []
    return {tuple(row[column] for column in KEY): row for row in rows}


def _clean(row: dict) -> dict:
    """What a row of the noise table, or any, says of the test split as it is."""
    return {name: x for name, x in row.items() if " " not in name and not pd.isna(x)}


def _complete(
    folder: Path,
    wanted: dict[str, list[tuple]],
    processes: int,
    only: Sequence[str] | None = None,
    anew: bool = False,
    voices: Path | None = None,
) -> list[str]:
    """Make or complete the tables (`only` some): keep the rows that are wanted (`anew`: drop them),
    run each other one for the first table that wants it, save after every one; what other tables
    want of it, they get from there. Returns the tables that still lack rows."""
    keys = {name: [key_of(row) for row in rows] for name, rows in wanted.items()}
    asked = {key for name in only or keys for key in keys[name]}
    if anew:
        _drop(folder, keys, asked)
    stored = {name: _read(folder / f"{name}.csv") for name in wanted}
    tables = {
        name: {key: stored[name][key] for key in rows if key in stored[name]}
        for name, rows in keys.items()
    }
    places: dict[tuple, list[str]] = {}
    for name, rows in keys.items():
        for key in rows:
            places.setdefault(key, []).append(name)

    def share(key: tuple) -> None:
        first, *others = places[key]
        for name in others:
            tables[name].setdefault(key, _clean(tables[first][key]))

    def save(name: str) -> None:
        rows = [tables[name][key] for key in keys[name] if key in tables[name]]
        write_table(folder / f"{name}.csv", rows, split_of(name))

    there = {key for key, names in places.items() if key in tables[names[0]]}
    for key in there:
        share(key)
    missing = [key for key in places if key in asked and key not in there]
    jobs = [_job(folder, places[key][0], key, voices) for key in missing]
    with tqdm(desc="rows", total=len(jobs), smoothing=0.05) as bar:
        for key, scores in zip(missing, _run_all(jobs, processes), strict=True):
            name = places[key][0]
            tables[name][key] = dict(zip(KEY, key, strict=True)) | scores
            share(key)
            save(name)
            bar.update()
    for name in wanted:
        if tables[name].keys() - stored[name].keys():
            save(name)
    return [name for name in wanted if len(tables[name]) < len(keys[name])]


def _drop(folder: Path, names: Iterable[str], asked: set[tuple]) -> None:
    """Take rows out of every table that holds them, so that a killed run cannot keep a few."""
    for name in names:
        path = folder / f"{name}.csv"
        stored = _read(path)
        kept = [row for key, row in stored.items() if key not in asked]
        if not kept:
            path.unlink(missing_ok=True)
        elif len(kept) < len(stored):
            write_table(path, kept, split_of(name))


def _job(folder: Path, name: str, key: tuple, voices: Path | None) -> tuple:
    """The arguments of `run` for a row of a table."""
    scenario, method, epochs, options, seed = key
    kept = name == "noise" and seed == SEEDS[0] and method in KEPT and not voices
    weights = weights_path(folder, method) if kept else None
    return method, scenario, seed, json.loads(options), epochs, split_of(name), weights, voices


def _run_all(jobs: list[tuple], processes: int) -> Iterator[dict[str, float]]:
    """The scores of each job, in order."""
    if processes == 1:
        use_threads()
        yield from (run(*job) for job in jobs)
    elif jobs:
        spawn = get_context("spawn")
        with ProcessPoolExecutor(processes, spawn, _start_worker) as pool:
            yield from pool.map(run, *zip(*jobs, strict=True))


def _start_worker() -> None:
    """One thread, and no life after the parent's: a killed one cannot tell its workers."""
    use_threads()
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
