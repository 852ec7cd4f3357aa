"""The command line: what a run leaves, goes on with after a kill, and says to bad input."""

import dataclasses
import inspect
import json
import subprocess
import sys
import types
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import mmlib.data
import toys
from mmlib.__main__ import NAMES, main
from mmlib.commands.presets import PRESETS
from mmlib.commands.report import as_table, draw_curves, write_csv
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.missing import Dropped
from mmlib.data.text import WordTokenizer
from mmlib.data.tools.published import KNOWN
from mmlib.data.tools.samples import WRITERS, write_sample
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
from mmlib.methods import METHODS

pytestmark = pytest.mark.slow  # files are made and read in each

HERE = Path(toys.__file__).parent
SHIPPED = mmlib.data.DATA  # before a test puts its own there
REAL = tuple(name for name in SHIPPED if name != "av-digits")


def test_train_leaves_everything_and_resumes(start, tmp_path, capsys):
    words = ("--method", "ogm-ge", "--epochs", "3", "--batch-size", "8", "--lr", "0.05")
    assert start(*words) == 0
    printed = capsys.readouterr().out
    assert "test_macro_f1" in printed and "best on val" in printed
    files = {path.name for path in (tmp_path / "run").glob("[!.]*")}
    assert files == {
        *("checkpoint.pt", "checkpoint-best.pt", "settings.json", "metrics.csv", "curves.png"),
        *("model.safetensors", "scores.json", "scores.csv"),
    }
    weights = load_file(tmp_path / "run/model.safetensors")
    assert "encoders.visual.layers.0.weight" in weights
    metrics = pd.read_csv(tmp_path / "run/metrics.csv")
    assert list(metrics["epoch"]) == [1, 2, 3] and {"loss", "val_fused"} < set(metrics)
    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert scores["epoch"] == 3
    wanted = ("test_fused", "test_audio", "test_visual", "test_macro_f1", "test_map")
    table = pd.read_csv(tmp_path / "run/scores.csv", index_col="weights")
    for name in wanted:
        assert 0 <= scores[name] <= 1 and table.loc["last", name] == pytest.approx(scores[name])
    best = metrics["val_fused"].idxmax() + 1
    assert table.loc["best on val", "epoch"] == best

    assert start(*words) == 2
    assert "exists; go on from it" in capsys.readouterr().err
    assert start(*words, "--resume") == 0
    assert capsys.readouterr().out == printed


def test_av_digits_by_default(tmp_path):
    words = ["--epochs", "1", "--device", "cpu", "--quiet", "--data-options", "size=40"]
    assert main(["train", *words, "--out", str(tmp_path / "run")]) == 0
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["options"] == {} and settings["batch_size"] == 64


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_lazy_data(name, start, tmp_path):
    whole = name.startswith("boosting") or name in ("detached", "cal")
    options = () if whole else ("--accumulate", "2")
    words = ("--method", name, "--epochs", "2", "--batch-size", "16", "--lr", "0.02")
    assert start(*words, *options) == 0
    assert (tmp_path / "run/scores.csv").is_file()


def test_explicit_flags_win_over_the_preset(start, tmp_path, monkeypatch):
    published = PRESETS["cremad", "ogm-ge"]
    monkeypatch.setitem(PRESETS, ("toy", "ogm-ge"), type(published)("x", 2, 8, published.options))
    words = ("--method", "ogm-ge", "--preset", "paper", "--lr", "0.02", "--options", "alpha=0.3")
    assert start(*words) == 0
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["epochs"] == 2 and settings["batch_size"] == 8
    assert settings["options"] == {
        "lr": 0.02,
        "weight_decay": 1e-4,
        "decay_at": [70],
        "initialisation": "xavier",
        "alpha": 0.3,
        "modulated_epochs": 51,
    }


def test_a_run_with_a_preset_says_what_it_does_otherwise(start, monkeypatch, capsys):
    published = PRESETS["cremad", "ogm-ge"]
    short = dataclasses.replace(published, epochs=1, batch_size=8, data={})
    monkeypatch.setitem(PRESETS, ("toy", "ogm-ge"), short)
    words = ("--method", "ogm-ge", "--preset", "paper")
    assert start(*words) == 0
    said = capsys.readouterr()
    assert said.err.startswith("published values of OGM-GE (CVPR 2022, commit 343dc1d); differ")
    lines = [f"- {sentence}." for sentence in published.differences]
    assert len(lines) == 3 and said.err.splitlines()[1:4] == lines
    assert "published" not in said.out  # that is for the scores
    assert start(*words, "--lr", "0.01", "--options", "alpha=0.3", out="own") == 0
    assert capsys.readouterr().err.splitlines()[4].endswith("values: lr 0.01, alpha 0.3.")
    assert start("--method", "ogm-ge", "--epochs", "1", out="plain") == 0
    assert "published" not in capsys.readouterr().err
    assert start(*words, "--options", "alpa=3", out="wrong") == 2
    assert "--options has 'alpa'" in capsys.readouterr().err


@pytest.mark.parametrize("key", PRESETS, ids=" ".join)
def test_presets_fit_their_method_and_data_set(key):
    data, name = key
    found = PRESETS[key]
    method = toys.make(name, toys.Lazy(".", "train"), found.epochs, **found.options)
    assert method.lr == found.options["lr"] and found.source
    assert set(found.data) <= set(inspect.signature(SHIPPED[data]).parameters)
    if "audio" in found.data:
        assert found.data["audio"] in mmlib.data.spectrograms.RECIPES


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_every_data_set_gets_a_network(name, tmp_path, monkeypatch):
    """On its sample tree: the network takes what the data set gives."""
    from mmlib.commands import train as command

    monkeypatch.setitem(mmlib.data.DATA, name, SHIPPED[name])
    write_sample(name, tmp_path)
    words = ["train", "--data", name, "--root", str(tmp_path), "--out", "x"]
    arguments = mmlib.__main__.parser().parse_args(words)
    settings = command.settings_of(arguments)
    data = command.open_data(arguments, settings, "test")
    method = command.build(arguments, settings, data, torch.device("cpu"))
    index = torch.arange(2)
    logits = method.predict(data.finish(data.take(index)))
    assert set(logits) == {"fused", *data.modalities}
    assert all(z.shape == (2, len(data.classes)) for z in logits.values())


def test_an_encoder_for_each_kind_of_input():
    from mmlib.commands.building import encoder_for

    data = types.SimpleNamespace(vocabulary=50)
    settings = {"text_model": None, "pretrained": False}
    kinds = {
        (torch.zeros(12, dtype=torch.int64)): TextEncoder,
        torch.zeros(1, 40, 51): SmallCNN,
        torch.zeros(1, 257, 188): ResNet18,
        torch.zeros(3, 1, 28, 28): ResNet18,  # frames, which a small network does not take
        torch.zeros(2, 10, 224, 224): ResNet18,
    }
    for x, kind in kinds.items():
        encoder = encoder_for(x, data, settings)
        assert isinstance(encoder, kind)
        assert getattr(encoder, "channels", x.shape[0]) == x.shape[0]
    assert TextEncoder(50, features=512).features == ResNet18.features  # detached needs equal ones


BAD = {
    "unknown data": (["--data", "oops"], "--data is 'oops'; choose one of av-digits, toy"),
    "no root": (["--root", "nowhere"], "nowhere is missing; give the folder of the toy data"),
    "data option": (["--data-options", "sise=3"], "--data-options has 'sise'; toy takes seed"),
    "option": (["--options", "alpa=3"], "--options has 'alpa'; joint takes accumulate, clip, de"),
    "by flag and option": (["--lr", "0.1", "--options", "lr=0.2"], "lr is given twice, by --lr a"),
    "text for a number": (["--options", "unimodal_weight=much"], "unimodal_weight is 'much'; give"),
    "text for a switch": (["--method", "ogm-ge", "--options", "noise=abc"], "noise is 'abc'; give"),
    "NaN": (["--options", "weight_decay=NaN"], "weight_decay is nan; give a number of at least 0"),
    "the seed": (["--options", "seed=3"], "--options has 'seed'; joint takes accumulate, clip"),
    "not of options": (["--method", "boosting-heavier", "--options", "arguments=3"], "'arguments'"),
    "negative": (["--lr", "-1"], "lr is -1.0"),
    "epochs": (["--epochs", "0"], "epochs is 0; give a whole number of at least 1"),
    "batch": (["--batch-size", "0"], "batch_size is 0; give a whole number of at least 1"),
    "parts": (["--method", "detached", "--accumulate", "2"], "accumulate is 2, but Detached tells"),
    "preset": (["--preset", "paper"], "no published values for joint on toy; there are some for"),
    "device": (["--device", "abacus"], "device is 'abacus'; give cpu, cuda"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, start, capsys):
    words, sentence = BAD[case]
    assert start("--epochs", "1", *words) == 2
    said = capsys.readouterr().err
    assert said.startswith("mmlib: ") and said.count("\n") == 1 and sentence in said


@pytest.mark.parametrize("word", ["False", "false"])
def test_what_is_written_false_is_off(word, start, tmp_path):
    assert start("--method", "ogm-ge", "--epochs", "1", "--options", f"noise={word}") == 0
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["options"]["noise"] is False


def test_options_may_stand_behind_several_flags(start, tmp_path):
    words = ("--options", "lr=0.02", "--options", "clip=None", "decay_at=(1,)", "optimizer='sgd'")
    assert start("--epochs", "1", *words) == 0
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    wanted = {"lr": 0.02, "clip": None, "decay_at": [1], "optimizer": "sgd"}
    assert settings["options"] == wanted


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("aligned=abc", "aligned is 'abc'; give True or False"),
        ("aligned=1", "aligned is 1; give True or False"),
        ("cache=3", "cache is 3; give a text or None or True or False"),
    ],
)
def test_a_data_option_of_another_kind(option, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(mmlib.data.DATA, "nyud2", SHIPPED["nyud2"])
    monkeypatch.chdir(tmp_path)
    write_sample("nyud2", tmp_path / "nyud2")
    start = ["train", "--data", "nyud2", "--root", "nyud2", "--out", "run", "--data-options"]
    assert main([*start, option]) == 2
    assert words in capsys.readouterr().err
    arguments = mmlib.__main__.parser().parse_args([*start, "aligned=False", "cache=False"])
    from mmlib.commands import train as command

    data = command.open_data(arguments, command.settings_of(arguments), "train")
    assert data.aligned is False and len(data[0][0]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"nyud2"}  # no folder `False`


@pytest.mark.parametrize("key", PRESETS, ids=" ".join)
def test_a_preset_can_be_shortened(key, start, tmp_path, monkeypatch, capsys):
    data, name = key
    monkeypatch.setitem(PRESETS, ("toy", name), dataclasses.replace(PRESETS[key], data={}))
    assert start("--method", name, "--preset", "paper", "--epochs", "2", "--lr", "0.001") == 0
    said = capsys.readouterr().err
    options = json.loads((tmp_path / "run/settings.json").read_text())["options"]
    counted = [k for k in ("start", "head_epochs", "decay_at", "every", "warmup") if k in options]
    published = PRESETS[key]
    wanted = [max(1, round(2 * x / published.epochs)) for x in published.options["decay_at"]]
    assert options["decay_at"] == wanted and options.get("start", 0) == 0
    line = said.splitlines()[-1]
    assert line.startswith(f"- Fewer epochs than {published.epochs} make in proportion: ")
    assert all(option in line for option in counted) and "decay_at" in counted


def test_a_shorter_preset_keeps_what_is_given_and_its_shape():
    published = PRESETS["cremad", "detached"]
    half = published.shortened(85)
    assert (half.epochs, half.options["start"], half.options["head_epochs"]) == (85, 10, 10)
    assert half.options["decay_at"] == (35, 70) and half.options["lr"] == published.options["lr"]
    assert published.shortened(170) is published is published.shortened(300)
    words = ["train", "--data", "cremad", "--method", "detached", "--preset", "paper", "--out", "x"]
    from mmlib.commands import train as command

    given = [*words, "--epochs", "85", "--options", "start=3"]
    arguments = mmlib.__main__.parser().parse_args(given)
    assert command.settings_of(arguments)["options"]["start"] == 3
    assert "start 3" in command.preset_and_flags(arguments).splitlines()[-2]
    assert "start" not in command.preset_and_flags(arguments).splitlines()[-1]


def test_no_root_given(tmp_path, capsys):
    assert main(["train", "--data", "toy", "--out", str(tmp_path / "run")]) == 2
    assert "--root is missing; give the folder of toy" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_words_that_the_parser_refuses(capsys):
    for words, sentence in (
        (["--method", "oops"], "invalid choice: 'oops'"),
        (["--options", "alpha"], "'alpha' is not of the form NAME=VALUE"),
        (["--options", "alpha="], "alpha: the value is empty; give one, or leave the option out"),
        (["--data-options", "cache=off"], "cache: 'off' is no value; give True, False or None"),
        (["--options", "alpha=1", "alpha=2"], "--options gives alpha twice; give it once"),
        (["--options", "alpha=1", "--options", "alpha=1"], "--options gives alpha twice"),
        (["--root", ""], "--root: it is empty"),
        (["--out", ""], "--out: it is empty"),
        (["--text-model", ""], "--text-model: it is empty"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["train", "--out", "x", *words])
        assert sentence in capsys.readouterr().err


class Incomplete(toys.Lazy):
    """The toy data as it is when opened without what lacks a file."""

    dropped = Dropped(24, 20, first="a.wav is missing")


def test_a_run_without_the_missing_samples_says_so_and_keeps_to_it(
    start, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(mmlib.data.DATA, "toy", Incomplete)
    words, path = ("--epochs", "1", "--batch-size", "8"), tmp_path / "run/settings.json"
    assert start(*words) == 0
    said = capsys.readouterr().err.splitlines()
    counts = "20 of 24 samples kept, 4 dropped; the first: a.wav is missing"
    assert said == [f"mmlib: {split}: {counts}" for split in SPLITS]
    assert json.loads(path.read_text())["samples of val"] == "20 of 24"
    assert start(*words, "--resume") == 0
    monkeypatch.setattr(Incomplete, "dropped", Dropped(24, 21, first="a.wav is missing"))
    capsys.readouterr()
    assert start(*words, "--resume") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "is of a run with samples of train '20 of 24', not '21 of 24'; give another" in error


class Tweets(toys.Lazy):
    """The toy data with a tokenizer, as data with text has it."""

    tokenizer = WordTokenizer(["sun", "rain"])


def test_the_vocabulary_of_a_run(start, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(mmlib.data.DATA, "toy", Tweets)
    words, path = ("--epochs", "1", "--batch-size", "8"), tmp_path / "run/vocabulary.json"
    assert start(*words) == 0
    assert WordTokenizer.load(path).words[2:] == ("sun", "rain")
    assert start(*words, "--resume") == 0
    for other, said in (
        (["sun", "snow"], "the 4 words of the run, the training texts now give 4; word 3 was 'rai"),
        (["sun"], "now give 3; word 3 was 'rain' and is None; restore the data's lists and texts"),
        (["sun", "rain", "fog"], "now give 5; word 4 was None and is 'fog'"),
    ):
        monkeypatch.setattr(Tweets, "tokenizer", WordTokenizer(other))
        capsys.readouterr()
        assert start(*words, "--resume") == 2
        error = capsys.readouterr().err
        assert error.startswith(f"mmlib: {path} holds") and said in error and error.count("\n") == 1
        assert start(*words) == 2  # the run that is there is not overwritten, its words neither
        assert WordTokenizer.load(path).words[2:] == ("sun", "rain")
    path.write_text("[]")
    assert start(*words, "--resume") == 2
    assert "vocabulary.json is damaged or no vocabulary" in capsys.readouterr().err


def test_the_vocabulary_is_that_of_the_training_texts(tmp_path):
    from mmlib.commands.train import check_vocabulary
    from mmlib.data.tools.sample_pictures import write_mvsa

    root, out = write_mvsa(tmp_path / "mvsa", clips_per_class=5), tmp_path / "run"
    check_vocabulary(out, SHIPPED["mvsa-single"](root, "val"), resume=False)
    check_vocabulary(out, SHIPPED["mvsa-single"](root, "train"), resume=True)
    lines = [json.loads(line) for line in (root / "train.jsonl").read_text().splitlines()]
    texts = [json.dumps(line | {"text": "brand new words"}) + "\n" for line in lines]
    (root / "train.jsonl").write_text("".join(texts))
    with pytest.raises(ValueError, match=r"vocabulary\.json holds .* and is 'brand'; restore the"):
        check_vocabulary(out, SHIPPED["mvsa-single"](root, "train"), resume=True)
    numbers = SHIPPED["mvsa-single"](root, "train", tokenizer=lambda texts: torch.zeros(2, 2))
    check_vocabulary(out, numbers, resume=True)  # not words: nothing to compare


def test_tensorboard_is_an_extra(start, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert start("--epochs", "1", "--tensorboard") == 2
    assert "needs the package tensorboard; pip install" in capsys.readouterr().err

    written = []
    writer = types.SimpleNamespace(add_scalar=lambda *row: written.append(row), flush=lambda: None)
    fake = types.SimpleNamespace(SummaryWriter=lambda folder: writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    assert start("--epochs", "2", "--tensorboard", out="other") == 0
    assert {(name, epoch) for name, _, epoch in written} > {("loss", 1), ("val_fused", 2)}


def test_out_of_memory_is_one_sentence(start, capsys, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr("mmlib.commands.train.fit", full)
    assert start("--epochs", "1") == 2
    assert "out of memory; give a smaller --batch-size" in capsys.readouterr().err


def test_check_data_and_prepare_tell_by_their_exit_status(monkeypatch, capsys):
    class Found:
        def __init__(self, ok):
            self.ok = ok

        def __str__(self):
            return "40 of 40 clips" if self.ok else "clip7 is missing"

    calls = []

    def stub(ok):
        return lambda *given, **named: calls.append((given, named)) or Found(ok)

    for ok, status in ((True, 0), (False, 1)):
        for module, command in (("check", "check_data"), ("prepare", "prepare")):
            fake = types.SimpleNamespace(**{command: stub(ok)})
            monkeypatch.setitem(sys.modules, f"mmlib.data.tools.{module}", fake)
        for command in ("check-data", "prepare"):
            assert main([command, "cremad", "there"]) == status
            assert str(Found(ok)) in capsys.readouterr().out
    wanted = {"thorough": False, "expected": True, "options": {}}
    assert calls[0] == (("cremad", Path("there")), wanted)


def test_help_names_the_data_sets():
    assert NAMES.split() == list(SHIPPED)
    assert set(REAL) == set(KNOWN) == set(WRITERS)


def test_text_model_needs_text(start, capsys):
    assert start("--epochs", "1", "--text-model", "folder") == 2
    assert "--text-model is for data with text; toy has none" in capsys.readouterr().err


def test_tables_and_curves(tmp_path):
    rows = [{"weights": "last", "epoch": 3, "test_map": 0.1234}]
    assert as_table(rows).splitlines() == ["weights  epoch  test_map", "   last      3      12.3"]
    write_csv(tmp_path / "a.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "gap": 0.1}])
    assert (tmp_path / "a.csv").read_text() == "epoch,loss,gap\n1,0.5,\n2,,0.1\n"
    history = [{"epoch": i, "loss": 1 / i, "val_front": 0.5, "val_fused": 0.6} for i in (1, 2)]
    draw_curves(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "curves.png"}


KILLED = ("joint-unimodal", "valuation", "boosting", "detached", "gap", "cal")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of the runs that were killed or sent signals, `{what: numbers}`, what was said."""
    folder = tmp_path_factory.mktemp("stopped")
    command = [sys.executable, HERE / "killed_driver.py", folder, *KILLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    lines = (line.split() for line in done.stdout.splitlines())
    return folder, {what: list(map(int, numbers)) for what, *numbers in lines}, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_killed_at_random_points_and_resumed(name, stopped):
    """Twice each, so twelve times; then as an undisturbed run, to the last bit."""
    folder, numbers, _ = stopped
    assert numbers[name] == [2]
    whole, killed = folder / name / "whole", folder / name / "killed"
    assert {path.name for path in whole.iterdir()} == {path.name for path in killed.iterdir()}
    for file in ("model.safetensors", "scores.csv"):
        assert (whole / file).read_bytes() == (killed / file).read_bytes(), file
    tables = (pd.read_csv(folder / "metrics.csv") for folder in (whole, killed))
    pd.testing.assert_frame_equal(*(table.drop(columns="seconds") for table in tables))


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves(stopped):
    """Once: the epoch is finished and saved. Twice: at once. Both resume to the same weights."""
    folder, numbers, said = stopped
    assert numbers["Ctrl-C"] == [130, 130, 0, 0]  # once, twice, resumed, resumed
    assert "finishing this epoch; again to leave at once" in said
    files = [folder / name / "model.safetensors" for name in ("whole", "once", "twice")]
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.slow
def test_sigterm_leaves_at_once(stopped):
    """Sent to two processes, as torchrun does: one of them tells, and both resume."""
    folder, numbers, said = stopped
    assert numbers["SIGTERM"] == [130, 130, 0, 0]  # both, resumed, both
    sentence = "stopped; what was finished is kept, --resume goes on from there"
    assert said.count(sentence) == 2 + 1  # those of Ctrl-C, and one of the two
    files = [folder / "two" / name / "model.safetensors" for name in ("whole", "ended")]
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pretrained"], "--pretrained is for ResNet-18; av-digits has no use for one"),
        (["--text-model", "bert"], "--text-model is for data with text; av-digits has none"),
        (["--data", "toy", "--root", ".", "--scenario", "flipped"], "--scenario is of av-dig"),
    ],
)
def test_a_flag_that_would_change_nothing_is_refused(words, sentence, tmp_path, capsys):
    run = ["train", "--out", str(tmp_path / "run"), "--epochs", "1"]
    digits = [] if "--data" in words else ["--data-options", "size=20"]
    assert main([*run, *words, *digits]) == 2
    assert sentence in capsys.readouterr().err
