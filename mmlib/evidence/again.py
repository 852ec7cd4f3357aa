"""One row of the tables trained again, beside the one that is there."""

import json
from difflib import get_close_matches
from pathlib import Path

from mmlib.arguments import one_of
from mmlib.devices import use_threads
from mmlib.evidence.arms import ARMS
from mmlib.evidence.markup import say
from mmlib.evidence.runs import run
from mmlib.evidence.stored import KEY, SCORES, read_table
from mmlib.evidence.studies import HUMAN, STUDIES, SYNTHETIC, Study
from mmlib.evidence.tables import split_of

TOLERANCE = 0.05  # on emulated processors the scores of a row moved by up to 0.03


def find_arm(name: str) -> str:
    """The row that has this name in the tables, or in plain English.

    Raises `ValueError` for a name that no arm has, with those that are like it.
    """
    rows = {row.casefold(): row for row in ARMS}
    rows |= {arm.name.casefold(): row for row, arm in ARMS.items()}
    if name.casefold() in rows:
        return rows[name.casefold()]
    like = get_close_matches(name.casefold(), rows, n=3, cutoff=0.5)
    near = f"; near it are {', '.join(map(repr, like))}" if like else ""
    raise ValueError(f"arm is {name!r}{near}; assets/evidence/README.md leads to all of them")


def find_place(
    row: str, scenario: str | None, table: str | None, study: Study = STUDIES[SYNTHETIC]
) -> tuple[str, str]:
    """The table and scenario in which a row is looked up: what is asked for, else the first.

    The noise table, whose rows take long, comes last. Raises `ValueError` where a row is not.
    """
    tables = {n: study.tables[n] for n in sorted(study.tables, key=lambda n: n == "noise")}
    if table is not None:
        tables = {table: tables[one_of("table", table, tuple(tables))]}
    places = [(t, s) for t, held in tables.items() for s, rows in held.items() if row in rows]
    if not places and table is None:
        raise ValueError(f"arm is {row!r}, which was not trained with {HUMAN}; leave out --voices")
    if not places:
        raise ValueError(f"table is {table!r}, which holds no row of {row!r}; leave it out")
    scenarios = list(dict.fromkeys(s for _, s in places))
    one_of(f"scenario of {row!r}", scenario or scenarios[0], scenarios)
    return next((t, s) for t, s in places if s == (scenario or scenarios[0]))


def committed(folder: Path, table: str, scenario: str, row: str, seed: int) -> dict:
    """The row as it stands in the table. Errors as in `read_table`, and
    `ValueError` where there is none of that seed."""
    path = folder / f"{table}.csv"
    held = read_table(path, SCORES).query("scenario == @scenario and method == @row")
    if held.empty:
        raise ValueError(f"{path} lacks {row!r} on {scenario}; run `make results` to complete it")
    one_of("seed", seed, held["seed"].tolist())
    return held[held["seed"] == seed].iloc[0].dropna().to_dict()


def compare(then: dict, now: dict) -> tuple[str, bool]:
    """A line a column, a sentence, and whether no score differs by more than `TOLERANCE`."""
    columns = [name for name in then if name not in KEY and name in now]
    width = max(map(len, columns))
    lines = [f"{'column':{width}} {'committed':>10} {'now':>10} {'difference':>10}"]
    for name in columns:
        change = "=" if now[name] == then[name] else f"{now[name] - then[name]:+.4f}"
        lines.append(f"{name:{width}} {then[name]:>10.4f} {now[name]:>10.4f} {change:>10}")
    equal = sum(now[name] == then[name] for name in columns)
    worst = max(SCORES, key=lambda name: abs(now[name] - then[name]))
    largest = abs(now[worst] - then[worst])
    lines += ["", f"{equal} of {len(columns)} columns are equal to the last digit (=).", _ADVICE]
    if largest > 0:
        lines.append(f"The scores differ by at most {largest:.4f} ({worst}); allowed {TOLERANCE}.")
    return "\n".join(lines), largest <= TOLERANCE


_ADVICE = "Other processors and thread counts round otherwise, and training amplifies it."


def again(
    folder: Path,
    name: str,
    seed: int | None = None,
    scenario: str | None = None,
    table: str | None = None,
    voices: Path | None = None,
) -> bool:
    """Train a row, print it beside the committed one; whether the two agree, see `compare`.

    With `voices`, the folder of human ones, it is a row of that world. Raises `ValueError` for an
    arm, scenario, table or seed that the tables do not hold.
    """
    row, study = find_arm(name), STUDIES[HUMAN if voices else SYNTHETIC]
    table, scenario = find_place(row, scenario, table, study)
    then = committed(folder / study.place, table, scenario, row, seed or 0)
    options = json.loads(then["options"])
    print(f"{ARMS[row].name} ({row}), {scenario}, seed {then['seed']}, table {table}")
    print(f"{say(options)}; {then['epochs']} epochs", flush=True)
    use_threads()
    now = run(row, scenario, then["seed"], options, then["epochs"], split_of(table), voices=voices)
    text, agree = compare(then, now)
    print(text)
    return agree
