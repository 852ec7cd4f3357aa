"""What a run may do to `--out`: go on with its own, and nothing to another one's."""

import json
import os
import socket
import stat
import subprocess
import sys

import pytest
import torch

from mmlib.__main__ import main

pytestmark = pytest.mark.slow  # each trains

WORDS = ("--epochs", "1", "--batch-size", "8")
# what the second run changes, what is said
OTHERS = {
    "method": (("--method", "ensemble"), "with method 'joint', not 'ensemble'; give another path"),
    "control": (("--method", "joint-late"), "with method 'joint', not 'joint-late'; give another"),
    "batch": (
        ("--batch-size", "4"),
        "with batch_size 8, not 4; give another path, or batch_s",
    ),
    "rate": (("--lr", "0.1"), "with lr 0.001, not 0.1; give another path, or lr=0.001"),
    "option": (("--options", "weight_decay=0.1"), "with weight_decay 0.0001, not 0.1; give"),
    "epochs": (("--epochs", "2"), "with epochs 1, not 2; give another path, or epochs=1"),
    "seed": (("--seed", "1"), "with seed 0, not 1; give another path, or seed=0"),
    "precision": (("--precision", "bfloat16"), "with precision 'float32', not 'bfloat16'; give"),
    "data options": (("--data-options", "seed=1"), "with data_options {}, not {'seed': 1}; give"),
}


def test_another_run_is_refused_by_name(start, tmp_path, capsys):
    assert start(*WORDS) == 0
    out = tmp_path / "run"
    before = {path: path.read_bytes() for path in out.iterdir()}
    for words, sentence in OTHERS.values():
        assert start(*WORDS, *words, "--resume") == 2
        said = capsys.readouterr().err
        assert f"checkpoint.pt is of a run {sentence}" in said and said.count("\n") == 1
        assert start(*WORDS, *words) == 2
        assert "exists; go on from it" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in out.iterdir()}
    assert start(*WORDS, "--lr", "0.001", "--options", "weight_decay=1e-4", "--resume") == 0


DAMAGED = {"null": b"null", "list": b"[1]", "half": b"{half", "deep": b"[" * 100_000}
DAMAGED |= {"not UTF-8": b"\xff\xfe", "empty": b"", "gone": None}


@pytest.mark.parametrize("case", DAMAGED)
def test_the_settings_are_for_people(case, start, tmp_path, capsys):
    """What they say, damaged or not, decides nothing: the checkpoint does."""
    assert start(*WORDS) == 0
    path = tmp_path / "run/settings.json"
    before = path.read_text()
    path.write_bytes(DAMAGED[case]) if DAMAGED[case] is not None else path.unlink()
    assert start("--method", "ensemble", *WORDS, "--resume") == 2
    said = capsys.readouterr().err
    assert "is of a run with method 'joint', not 'ensemble'" in said and "delete" not in said
    assert start(*WORDS, "--resume") == 0
    assert path.read_text() == before and json.loads(before)["batch_size"] == 8


def test_a_refused_run_leaves_nothing_that_is_in_the_way(start, tmp_path, capsys):
    assert start(*WORDS, "--lr", "-1") == 2
    assert start(*WORDS, "--method", "detached", "--options", "start=9") == 2
    assert not (tmp_path / "run").exists()
    assert start(*WORDS, "--resume") == 0


def test_a_damaged_checkpoint_is_one_sentence(start, tmp_path, capsys):
    assert start(*WORDS) == 0
    path = tmp_path / "run/checkpoint.pt"
    path.write_bytes(path.read_bytes()[:200])
    capsys.readouterr()
    assert start(*WORDS, "--resume") == 2
    said = capsys.readouterr().err
    assert "checkpoint.pt is damaged or no checkpoint" in said and said.count("\n") == 1


def test_a_finished_run_scores_the_same_when_repeated(start, tmp_path):
    """`valuation-mean` once measured anew what it fills in for a masked modality."""
    words = ("--method", "valuation-mean", "--epochs", "2", "--batch-size", "8", "--lr", "0.05")
    found = []
    for more in ((), ("--resume",)):
        assert start(*words, *more) == 0
        found.append((tmp_path / "run/scores.csv").read_text())
    assert found[0] == found[1]


def test_a_file_or_nothing_in_place_of_a_folder(start, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in ("file", "file/sub"):
        assert start(*WORDS, out=out) == 2
        said = capsys.readouterr().err
        assert f"{tmp_path / 'file'} is no folder; give another one" in said
        assert said.count("\n") == 1
    for words in (["--out", ""], ["--out", "x", "--root", ""]):
        with pytest.raises(SystemExit, match="2"):
            main(["train", *words])
        assert "it is empty; give a value" in capsys.readouterr().err


def test_the_weights_are_as_readable_as_any_other_file(start, tmp_path):
    assert start(*WORDS) == 0
    modes = {stat.S_IMODE(x.stat().st_mode) for x in (tmp_path / "run").glob("[!.]*")}
    assert len(modes) == 1 and not list((tmp_path / "run").glob("*.part"))


def test_what_cannot_be_compiled_is_one_sentence(start, capsys, monkeypatch):
    from torch._dynamo.exc import BackendCompilerFailed

    def fail(*given, **named):
        raise BackendCompilerFailed(print, RuntimeError("no compiler\nhere"), None)

    monkeypatch.setattr("mmlib.commands.train.fit", fail)
    assert start(*WORDS, "--compile") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "install a C++ compiler, or leave it out" in said
    with pytest.raises(BackendCompilerFailed):
        start(*WORDS, out="other")


HOLD = """
import sys
from mmlib.files import taken
with taken(sys.argv[1], "training"):
    print("there", flush=True)
    sys.stdin.read()
"""
TRAIN = """
import sys
import mmlib.data
from mmlib.__main__ import main
from toys import Lazy
mmlib.data.DATA = {"toy": Lazy}
words = "train --data toy --root . --device cpu --quiet --epochs 1 --batch-size 8 --out"
sys.exit(main([*words.split(), *sys.argv[1:]]))
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def taken_folder(tmp_path):
    """`run`, with a file in it, which another process holds."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes) as holder:
        assert holder.stdout.readline() == "there\n"
        (tmp_path / "run/settings.json").write_text("mine")
        yield tmp_path / "run"
        holder.communicate("")


def test_a_second_run_in_one_folder_is_refused(taken_folder, start, capsys):
    before = sorted(taken_folder.iterdir())
    assert start(*WORDS) == 2
    said = capsys.readouterr().err
    assert "another training is at work in" in said and said.count("\n") == 1
    assert sorted(taken_folder.iterdir()) == before
    assert (taken_folder / "settings.json").read_text() == "mine"


def two_processes(*outs):
    """Exit status and what was said of each process of a run with these folders."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    started = []
    for rank, out in enumerate(outs):
        own = place | {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, "-c", TRAIN, str(out)]
        options = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        started.append(subprocess.Popen(command, env=ENVIRONMENT | own, **options))
    return [(process.communicate(timeout=120)[1], process.returncode) for process in started]


def test_a_folder_on_two_disks_is_refused_in_all_processes(tmp_path):
    for said, status in two_processes(tmp_path / "a", tmp_path / "b"):
        assert status == 2 and said.count("\n") == 1
        assert f"--out is {tmp_path / 'a'} in process 0 and another folder in process 1" in said
    assert not list(tmp_path.glob("?/[!.]*")) and not list(tmp_path.glob("?/.seen*"))


def test_a_taken_folder_is_refused_in_all_processes(taken_folder):
    for said, status in two_processes(taken_folder, taken_folder):
        assert status == 2 and "another training is at work in" in said and said.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell closes it")
def test_a_closed_stderr_is_no_end(tmp_path):
    words = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", TRAIN, str(tmp_path / "run")]
    assert subprocess.run(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL).returncode == 0
    assert torch.load(tmp_path / "run/checkpoint.pt")["history"][0]["epoch"] == 1


def test_results_without_their_checkpoint_are_of_another_run(start, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("mine")
    for more in ((), ("--resume",)):
        assert start(*WORDS, *more) == 2
        assert "run holds metrics.csv and no checkpoint.pt, so it is" in capsys.readouterr().err
    assert [path.read_text() for path in run.glob("[!.]*")] == ["mine"]


def test_a_folder_where_a_file_is_to_be_is_told_before_training(start, tmp_path, capsys):
    (tmp_path / "run/curves.png").mkdir(parents=True)
    assert start(*WORDS) == 2
    assert "curves.png is a folder, device or pipe, not a file" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pt"))


def test_nothing_to_resume_is_told(start, tmp_path, capsys):
    assert start(*WORDS, "--resume") == 0
    assert "run holds no checkpoint, so this run is a new one" in capsys.readouterr().err
    assert start(*WORDS, "--resume") == 0
    assert "holds no checkpoint" not in capsys.readouterr().err


def test_a_best_checkpoint_that_is_gone_or_of_another_run(start, tmp_path, capsys):
    assert start(*WORDS) == 0
    best = tmp_path / "run/checkpoint-best.pt"
    kept = best.read_bytes()
    best.unlink()
    capsys.readouterr()
    assert start(*WORDS, "--resume") == 0
    said = capsys.readouterr()
    assert "best.pt is gone, so the best weights are not scored" in said.err
    assert "last" in said.out and "best on val" not in said.out
    assert start(*WORDS, "--lr", "0.3", out="other") == 0
    best.write_bytes((tmp_path / "other/checkpoint-best.pt").read_bytes())
    assert start(*WORDS, "--resume") == 2
    assert "checkpoint-best.pt is of a run with lr 0.3, not" in capsys.readouterr().err
    best.write_bytes(kept)
    assert start(*WORDS, "--resume") == 0
