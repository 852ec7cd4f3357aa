"""The `train` command: from names to a data set, a model and a method, and what it leaves.

In `--out`: `settings.json` and, of data with text, `vocabulary.json` at once, `checkpoint.pt`,
`checkpoint-best.pt` and `metrics.csv` after every epoch, `curves.png`, `model.safetensors`,
`scores.json` and `scores.csv` at the end. `settings.json` is for people: what a run was trained
with stands in its checkpoint.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors.torch import save

from mmlib.agreement import all_or_none, check_seen
from mmlib.checkpoints import best_path, load_checkpoint, open_checkpoint, run_of
from mmlib.commands.building import build, check_once, open_data
from mmlib.commands.presets import EPOCHS, Preset, preset
from mmlib.commands.report import (
    TensorBoard,
    accuracies,
    as_table,
    draw_curves,
    final_scores,
    write_csv,
    write_json,
)
from mmlib.commands.stopping import finishing_the_epoch, stopping_cleanly
from mmlib.data.reading.lists import SPLITS
from mmlib.data.text import WordTokenizer
from mmlib.devices import pick_device, usable_cores, use_threads
from mmlib.files import regular, replacing, taken
from mmlib.parallel import rank, start_processes
from mmlib.preconditions import check_run
from mmlib.training import Method, fit

LEFT = ("metrics.csv", "curves.png", "model.safetensors", "scores.json", "scores.csv")


def train(arguments: argparse.Namespace) -> None:
    """Train a method on a data set as the command line says; see the module."""
    start_processes(writes=arguments.out)
    with stopping_cleanly():
        settings = settings_of(arguments)
        device = pick_device(arguments.device)
        torch.backends.cudnn.benchmark = device.type == "cuda"
        tell_threads(arguments, device)
        splits = {split: open_data(arguments, settings, split) for split in SPLITS}
        settings |= count_dropped(splits)

        def make() -> Method:
            made = build(arguments, settings, splits["train"], device)
            known = {*made.identity, "options"}
            made.identity |= {name: x for name, x in settings.items() if name not in known}
            return made

        method = make()
        with one_folder(arguments.out), compiling(arguments.compile):
            begin(arguments, settings, method, splits["train"], device)
            with finishing_the_epoch() as interrupted:
                history = run(arguments, settings, method, splits, device, interrupted)
            if len(history) < settings["epochs"]:
                raise KeyboardInterrupt
            leave_scores(arguments.out, make, method, history, splits["test"], device)


@contextmanager
def one_folder(out: Path) -> Iterator[None]:
    """Hold `--out` for this run, all of whose processes see it, as long as the block lasts.

    Raises `FileExistsError` where another run holds it, and `ValueError` where it is a file or not
    the same in all processes; before anything is written, and in all of them.
    """
    with ExitStack() as stack:
        with all_or_none():
            if rank() == 0:
                there = next((path for path in (out, *out.parents) if path.exists()), out)
                if not there.is_dir():
                    raise ValueError(f"--out is {out}, but {there} is no folder; give another one")
                stack.enter_context(taken(out, "training"))
        check_seen("--out", out)
        yield


@contextmanager
def compiling(asked: bool) -> Iterator[None]:
    """Where compiling was asked for and fails, raise `ValueError`."""
    try:
        yield
    except RuntimeError as error:
        by = type(error).__module__
        if not asked or not by.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise ValueError(
            f"--compile fails ({str(error).splitlines()[0]}); install a C++ compiler, or leave it "
            "out"
        ) from error


def begin(
    arguments: argparse.Namespace, settings: dict, method: Method, dataset, device: torch.device
) -> None:
    """Refuse what cannot be trained, and to go on with another run; then say in `--out`, and of a
    preset aloud, what this one is."""
    out = arguments.out
    numbers = (settings[name] for name in ("epochs", "batch_size", "seed"))
    with all_or_none():
        check_run(method, dataset, *numbers, device)
        resumed = check_folder(out, arguments.resume, method)
        check_vocabulary(out, dataset, arguments.resume)
    if rank() > 0:
        return
    if arguments.resume and not resumed:
        print(f"mmlib: {out} holds no checkpoint, so this run is a new one", file=sys.stderr)
    write_json(out / "settings.json", settings)
    if arguments.preset:
        print(preset_and_flags(arguments), file=sys.stderr)


def check_folder(out: Path, resume: bool, method: Method) -> bool:
    """Whether `out` holds a checkpoint, which is then of this run, as is the best one beside it.

    Raises what `open_checkpoint` does, and `FileExistsError` for results of which none is there.
    """
    path = out / "checkpoint.pt"
    for name in LEFT:
        if regular(out / name).exists() and not path.exists():
            raise FileExistsError(
                f"{out} holds {name} and no checkpoint.pt, so it is of another run; give another "
                "--out"
            )
    history = open_checkpoint(path, resume, method)
    if history and best_path(path).exists():
        load_checkpoint(best_path(path), method, run_of(method))  # `fit` loads the last one again
    return bool(history)


def preset_and_flags(arguments: argparse.Namespace) -> str:
    """The preset, what it does otherwise than its code, and what the user's own flags change."""
    names = ("epochs", "batch_size", "lr", "accumulate")
    flags = {name: getattr(arguments, name) for name in names}
    flags |= dict(arguments.options) | dict(arguments.data_options)
    flags["pretrained"] = arguments.pretrained or None
    own = ", ".join(f"{name} {value}" for name, value in flags.items() if value is not None)
    found = preset(arguments.data, arguments.method)
    text = f"{found}\n- Your flags stand above the published values: {own}." if own else str(found)
    short = found.shortened(arguments.epochs or found.epochs).options
    scaled = [f"{k} {x}" for k, x in short.items() if k in EPOCHS and k not in flags]
    if short == found.options or not scaled:
        return text
    return f"{text}\n- Fewer epochs than {found.epochs} make in proportion: {', '.join(scaled)}."


def tell_threads(arguments: argparse.Namespace, device: torch.device) -> None:
    """One thread for small networks and beside a GPU; a ResNet on the CPU gets all usable cores."""
    alone = arguments.data == "av-digits" or device.type != "cpu"
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # processes of torchrun on this machine
    threads = use_threads(1 if alone else max(usable_cores() // here, 1))
    if rank() == 0 and not arguments.quiet:
        text = f"mmlib: on {device} with {threads} threads (MMLIB_THREADS sets another number)"
        print(text.replace(" 1 threads", " 1 thread"), file=sys.stderr)


def settings_of(arguments: argparse.Namespace) -> dict:
    """What decides the weights that come out: the preset's values, and over them the flags'."""
    real = arguments.data != "av-digits"
    base = Preset("", 15, 64, {"lr": 1e-3} if real else {})
    if arguments.preset:
        base = preset(arguments.data, arguments.method)
        base = base.shortened(arguments.epochs or base.epochs)
    check_once(arguments)
    given = {name: x for name, x in vars(arguments).items() if x is not None}
    flags = {name: given[name] for name in ("lr", "accumulate") if name in given}
    names = ("data", "method", "seed", "precision", "pretrained", "text_model")
    settings = {name: getattr(arguments, name) for name in names} | {
        "scenario": None if real else arguments.scenario or "imbalanced",
        "voices": None if real or arguments.root is None else "human",
        "epochs": given.get("epochs", base.epochs),
        "batch_size": given.get("batch_size", base.batch_size),
        "options": base.options | dict(arguments.options) | flags,
        "data_options": base.data | dict(arguments.data_options),
    }
    return json.loads(json.dumps(settings))  # as it is read back


def count_dropped(splits: dict) -> dict[str, str]:
    """Of data opened with `missing="drop"` how many samples are kept, for the settings; told."""
    found = {split: getattr(data, "dropped", None) for split, data in splits.items()}
    found = {split: dropped for split, dropped in found.items() if dropped}
    for split, dropped in found.items():
        if rank() == 0:
            print(f"mmlib: {split}: {dropped}", file=sys.stderr)
    return {f"samples of {s}": f"{d.kept} of {d.listed}" for s, d in found.items()}


def check_vocabulary(out: Path, dataset, resume: bool) -> None:
    """Refuse to resume a run on text with other words; leave them for the next time.

    Raises `ValueError` that names the first difference, or for a file that is no vocabulary.
    """
    now = getattr(dataset, "tokenizer", None)
    if not isinstance(now, WordTokenizer):  # that of a Hugging Face model is in its folder
        return
    path = out / "vocabulary.json"
    if resume and path.is_file():
        then = WordTokenizer.load(path)
        for number, (old, new) in enumerate(zip_longest(then.words, now.words)):
            if old != new:
                raise ValueError(
                    f"{path} holds the {len(then)} words of the run, the training texts now give "
                    f"{len(now)}; word {number} was {old!r} and is {new!r}; restore the data's "
                    "lists and texts, or give another --out"
                )
    if rank() == 0:
        now.save(path)


def run(
    arguments: argparse.Namespace,
    settings: dict,
    method: Method,
    splits: dict,
    device: torch.device,
    interrupted: Callable[[], bool],
) -> list[dict]:
    """Train, and after every epoch write down how it went; ends early where `interrupted`."""
    out = arguments.out
    board = TensorBoard(out / "tensorboard") if arguments.tensorboard and rank() == 0 else None

    def after_epoch(history: list[dict]) -> bool:
        if rank() == 0:
            write_csv(out / "metrics.csv", history)
            if board:
                board.write(history[-1])
        return interrupted()

    history = fit(
        method,
        splits["train"],
        settings["epochs"],
        settings["batch_size"],
        settings["seed"],
        device,
        evaluate=lambda method: accuracies(method, splits["val"], device),
        checkpoint=out / "checkpoint.pt",
        resume=arguments.resume,
        progress=not arguments.quiet,
        best="val_fused",
        after_epoch=after_epoch,
    )
    if rank() == 0:  # once more, for a run killed between its checkpoint and its table
        write_csv(out / "metrics.csv", history)
        draw_curves(history, out / "curves.png")
    return history


def leave_scores(
    out: Path,
    make: Callable[[], Method],
    method: Method,
    history: list[dict],
    test,
    device: torch.device,
) -> None:
    """Score the last weights and the best ones of validation on test, once; print a table."""
    last, path = final_scores(method, test, device), best_path(out / "checkpoint.pt")
    rows = [{"weights": "last", "epoch": len(history)} | last]
    if path.exists():
        best = make()
        epoch = len(load_checkpoint(path, best))
        found = final_scores(best, test, device) if epoch < len(history) else last
        rows.append({"weights": "best on val", "epoch": epoch} | found)
    if rank() > 0:
        return
    if len(rows) == 1:
        print(f"mmlib: {path} is gone, so the best weights are not scored", file=sys.stderr)
    weights = {name: x.contiguous() for name, x in method.model.state_dict().items()}
    with replacing(out / "model.safetensors") as beside:
        beside.write_bytes(save(weights))
    write_json(out / "scores.json", history[-1] | last)
    write_csv(out / "scores.csv", rows)
    print(as_table(rows))
