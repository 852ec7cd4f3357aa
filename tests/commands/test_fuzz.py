"""Random command lines: none ends in a traceback, and none trains what was not asked.

`FUZZ=500 python -m pytest tests/commands/test_fuzz.py` tries more of them.
"""

import csv
import inspect
import json
import os
import random
from itertools import product

import pytest

from mmlib.__main__ import main
from mmlib.data import DATA
from mmlib.methods import NAMED

TRIED = int(os.environ.get("FUZZ", 60))

NO, MAYBE = object(), object()  # refused; refused or not, as the rest may be
# of every flag and option: words, and what they mean
FLAGS = {
    "--epochs": {"1": MAYBE, "2": 2, "0": NO, "-1": NO, "1.5": NO, "two": NO, "": NO},
    "--batch-size": {"16": 16, "60": 60, "0": NO, "-8": NO, "1e3": NO},
    "--lr": {"0.01": 0.01, "1e-4": 1e-4, "0": NO, "-1": NO, "nan": NO, "inf": NO, "": NO},
    "--seed": {"0": 0, "7": 7, "-1": NO, "x": NO, "0.5": NO},
    "--device": {"cpu": "cpu", "cuda:99": NO, "tpu": NO, "": NO},
    "--precision": {"float32": "float32", "bfloat16": "bfloat16", "float64": NO},
    "--scenario": {"corrupted": "corrupted", "flipped": "flipped", "hard": NO},
    "--accumulate": {"1": 1, "0": NO, "-2": NO, "all": NO},
    "--preset": {"paper": NO, "none": NO},
    "--text-model": {"/nowhere": NO},
    "--method": dict.fromkeys(NAMED, MAYBE) | {"sum": NO, "": NO, "Joint": NO},
    "--data": {"av-digits": "av-digits", "AV-Digits": NO, "cremad": NO},
}
OPTIONS = {
    "weight_decay": {"0": 0, "1e-3": 1e-3, "-1": NO, "abc": NO, "nan": NO, "true": NO},
    "unimodal_weight": {"0.5": 0.5, "-1": NO, "None": NO, "[]": NO, "NaN": NO},
    "clip": {"5": 5, "null": None, "0": NO, "abc": NO, "inf": NO, "False": NO},
    "optimizer": {"adam": "adam", '"adam"': "adam", "'sgd'": "sgd", "lion": NO, "0": NO},
    "decay_at": {"[1]": [1], "(1, 2)": [1, 2], "None": None, "3": NO, "x": NO},
    "modulated_epochs": {"1": MAYBE, "abc": NO, "-1": NO},
    "alpha": {"0.3": MAYBE, "abc": NO, "NaN": NO, "True": NO, "[0.3]": NO},
    "noise": {"True": MAYBE, "False": MAYBE, "false": MAYBE, "no": NO, "0.5": NO},
    "warm_up": {"1": MAYBE, "1.5": NO, "None": MAYBE},
}
GIVEN = {"model", "dataset", "epochs", "seed", "options"}  # by `make_method`
DATA_OPTIONS = {
    "size": {"60": 60, "61": 61, "0": NO, "-1": NO, "abc": NO, "True": NO, "60.5": NO},
    "sise": {"60": NO},
    "cache": {"False": NO},
    "seed": {"1": NO},
    "split": {"test": NO},
}


def chosen(luck, table, count):
    """Some of the names, each with words and their meaning; a wrong one is not the rule."""
    for name in luck.sample(list(table), count):
        words = list(table[name])
        good = [word for word in words if table[name][word] is not NO]
        word = luck.choice(good if good and luck.random() < 0.7 else words)
        yield name, word, table[name][word]


def options_of(method):
    """What that method's options may be given; of one that is not listed, wrong words alone."""
    if method not in NAMED:
        return OPTIONS
    kinds = NAMED[method][1].__mro__[:-1]
    known = {name for kind in kinds for name in inspect.signature(kind).parameters} - GIVEN
    wrong = {"abc": NO, "nan": NO, "{}": NO}
    unknown = {"lerning_rate": {"0.1": NO}} | {name: {"3": NO} for name in ("model", "seed", "")}
    return {name: OPTIONS.get(name, wrong) for name in sorted(known)} | unknown


def drawn(seed):
    """The words of a command line, and what every name in it means."""
    luck = random.Random(seed)
    asked = {"--method": [luck.choice(list(NAMED)), MAYBE] if seed % 2 else ["joint", "joint"]}
    asked |= {name: rest for name, *rest in chosen(luck, FLAGS, luck.randrange(5))}
    asked.setdefault("--epochs", ["2", 2])
    table, count = options_of(asked["--method"][0]), luck.choice((0, 0, 1, 1, 2))
    options = {name: rest for name, *rest in chosen(luck, table, count)}
    data = {"size": ["60", 60]}
    data |= {name: rest for name, *rest in chosen(luck, DATA_OPTIONS, luck.choice((0, 0, 0, 1)))}
    words = [word for name, (text, _) in asked.items() for word in (name, text)]
    for flag, pairs in (("--options", options), ("--data-options", data)):
        words += [flag, *(f"{name}={text}" for name, (text, _) in pairs.items())] if pairs else []
    return words, asked, options, data


def status_of(words):
    try:
        return main(words)
    except SystemExit as end:  # the parser's
        return end.code


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(TRIED))
def test_a_command_line_is_done_as_it_says_or_refused(seed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, asked, options, data = drawn(seed)
    start = ["train", "--out", "run", "--quiet", *words]
    status, err = status_of(start), capsys.readouterr().err
    meanings = [meaning for part in (asked, options, data) for _, meaning in part.values()]
    assert "Traceback" not in err and " object at 0x" not in err
    if NO in meanings:
        assert status == 2, f"{words} was trained"
    if status == 2:
        assert MAYBE in meanings or NO in meanings, f"{words} was refused: {err}"
        *_, last = err.splitlines()
        assert last.startswith("mmlib: ") or "error: " in last
        # nothing that stands in the way of the right command; an empty file holds the folder
        assert not any(content(tmp_path).values())
        return
    assert status == 0, err
    run = tmp_path / "run"
    as_asked(run, asked, options, data)
    left = content(run)
    assert status_of(start) == 2 and content(run) == left
    for name in ("--seed", "--batch-size", "--lr"):
        other = ["--resume", name, {"--seed": "5", "--batch-size": "20", "--lr": "0.033"}[name]]
        assert status_of(start + other) == 2 and content(run) == left, name
    assert status_of([*start, "--resume"]) == 0
    kept = {path: text for path, text in content(run).items() if path.suffix != ".png"}
    assert kept == {path: text for path, text in left.items() if path.suffix != ".png"}


def as_asked(out, asked, options, data):
    """What the run left says what was asked, and nothing else."""
    settings = json.loads((out / "settings.json").read_text())
    for flag, (text, meaning) in asked.items():
        name = flag[2:].replace("-", "_")
        if name in ("device", "text_model"):
            continue
        found = settings["options"] if name in ("lr", "accumulate") else settings
        assert found[name] == (
            int(text) if name == "epochs" else text if meaning is MAYBE else meaning
        )
    for part, pairs in (("options", options), ("data_options", data)):
        for name, (_, meaning) in pairs.items():
            assert meaning in (MAYBE, settings[part][name])
            assert not isinstance(settings[part][name], str) or name == "optimizer"
    flags = {"lr", "accumulate"} & {flag[2:] for flag in asked}
    assert settings["options"].keys() == options.keys() | flags
    assert settings["data_options"].keys() == data.keys()
    with (out / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == settings["epochs"]


@pytest.mark.slow
def test_other_commands_refuse_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    names, roots = ["cremad", "ave", "mvsa-single", "av-digits", "x", ""], ["a", "file", "", "\0"]
    extra = {
        "check-data": [[], ["--thorough"], ["--sample"], ["--data-options", "classes=x"]],
        "prepare": [[], ["--fps", "nan"], ["--fps", "-1"], ["--processes", "0"], ["--fps", "x"]],
        "sample": [[], ["--x"]],
    }
    for command, ends in extra.items():
        for words in product([command], names, roots, ends):
            if words[:3] == ("sample", words[1], "a") and words[1] in DATA:
                continue  # which is right
            command, name, root, end = words
            status, said = status_of([command, name, root, *end]), capsys.readouterr()
            assert status in (1, 2) and "Traceback" not in said.err, words
            assert said.err or said.out, words
    assert os.listdir(tmp_path) == ["file"]
