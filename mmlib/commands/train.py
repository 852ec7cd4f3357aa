"""The `train` command: from names to a data set, a model and a method, and what it leaves.

In `--out`: `settings.json` and, of data with text, `vocabulary.json` at once, `checkpoint.pt`,
`best.pt` and `metrics.csv` after every epoch, `curves.png`, `model.safetensors`, `scores.json` and
`scores.csv` at the end.
"""

import argparse
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from mmlib.arguments import one_of
from mmlib.checkpoints import load_checkpoint
from mmlib.commands.presets import Preset, preset
from mmlib.commands.report import (
    TensorBoard,
    accuracies,
    as_table,
    draw_curves,
    final_scores,
    write_csv,
    write_json,
)
from mmlib.data.reading.lists import SPLITS
from mmlib.data.text import HuggingFaceEncoder, HuggingFaceTokenizer, WordTokenizer
from mmlib.devices import (
    pick_device,
    seeded,
    usable_cores,
    use_channels_last,
    use_compiled,
    use_precision,
    use_threads,
)
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
from mmlib.files import replacing
from mmlib.methods import METHODS, make_method
from mmlib.parallel import rank, share_batch_norm, start_processes, stop_processes
from mmlib.training import Method, fit


def train(arguments: argparse.Namespace) -> None:
    """Train a method on a data set as the command line says; see the module."""
    start_processes()
    with stopping_cleanly():
        settings = settings_of(arguments)
        device = pick_device(arguments.device)
        torch.backends.cudnn.benchmark = device.type == "cuda"
        tell_threads(arguments, device)
        splits = {split: open_data(arguments, settings, split) for split in SPLITS}
        check_settings(arguments.out, settings, arguments.resume)
        check_vocabulary(arguments.out, splits["train"], arguments.resume)
        if arguments.preset and rank() == 0:
            print(preset_and_flags(arguments), file=sys.stderr)

        def make() -> Method:
            return build(arguments, settings, splits["train"], device)

        with finishing_the_epoch() as interrupted:
            method, history = run(arguments, settings, make(), splits, device, interrupted)
        if len(history) < settings["epochs"]:
            raise KeyboardInterrupt
        leave_scores(arguments.out, make, method, history, splits["test"], device)


def preset_and_flags(arguments: argparse.Namespace) -> str:
    """The preset, what it does otherwise than its code, and what the user's own flags change."""
    names = ("epochs", "batch_size", "lr", "accumulate")
    flags = {name: getattr(arguments, name) for name in names}
    flags |= dict(arguments.options) | dict(arguments.data_options)
    flags["pretrained"] = arguments.pretrained or None
    own = ", ".join(f"{name} {value}" for name, value in flags.items() if value is not None)
    text = str(preset(arguments.data, arguments.method))
    return f"{text}\n- Your flags stand above the published values: {own}." if own else text


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
    options = base.options | dict(arguments.options)
    for name in ("lr", "accumulate"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    names = ("data", "method", "seed", "precision", "pretrained", "text_model")
    settings = {name: getattr(arguments, name) for name in names} | {
        "scenario": None if real else arguments.scenario,
        "epochs": arguments.epochs if arguments.epochs is not None else base.epochs,
        "batch_size": arguments.batch_size if arguments.batch_size is not None else base.batch_size,
        "options": options,
        "data_options": base.data | dict(arguments.data_options),
    }
    return json.loads(json.dumps(settings))  # as it is read back


def check_settings(out: Path, settings: dict, resume: bool) -> None:
    """Refuse to resume a run with other settings; leave them for the next time.

    Raises `ValueError` that names the first difference.
    """
    path = out / "settings.json"
    if resume and path.exists():
        try:
            known = dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}; delete it to go on") from error
        for name, value in settings.items():
            if known.get(name) != value:
                raise ValueError(
                    f"{out} was trained with {name} {known.get(name)!r}, not {value!r}; resume "
                    "with the same, or give another --out"
                )
    if rank() == 0 and (resume or not (out / "checkpoint.pt").exists()):
        write_json(path, settings)


def check_vocabulary(out: Path, dataset, resume: bool) -> None:
    """Refuse to resume a run on text with other words; leave them for the next time.

    Raises `ValueError` that names the first difference, or for a file that is no vocabulary.
    """
    now = getattr(dataset, "tokenizer", None)
    if not isinstance(now, WordTokenizer):  # that of a Hugging Face model is in its folder
        return
    path = out / "vocabulary.json"
    if resume and path.exists():
        then = WordTokenizer.load(path)
        for number, (old, new) in enumerate(zip_longest(then.words, now.words)):
            if old != new:
                raise ValueError(
                    f"{path} holds the {len(then)} words of the run, the training texts now give "
                    f"{len(now)}; word {number} was {old!r} and is {new!r}; restore the data's "
                    "lists and texts, or give another --out"
                )
    if rank() == 0 and (resume or not (out / "checkpoint.pt").exists()):
        now.save(path)


def open_data(arguments: argparse.Namespace, settings: dict, split: str):
    """A split of the data set of that name. Raises what the data set does, and `ValueError` for an
    unknown name, a missing `--root` or an option that the data set does not have."""
    from mmlib.data import DATA

    kind = DATA[one_of("--data", arguments.data, list(DATA))]
    options = settings["data_options"]
    if arguments.data == "av-digits":
        known = ("size",)
    else:
        known = tuple(inspect.signature(kind).parameters)[2:]  # after root and split
        if arguments.root is None:
            raise ValueError(f"--root is missing; give the folder of {arguments.data}")
    for name in options:
        one_of("--data-options", name, known)
    if arguments.data == "av-digits":
        return kind(split, settings["scenario"], seed=settings["seed"], **options)
    if settings["text_model"]:
        if "tokenizer" not in known:
            raise ValueError(f"--text-model is for data with text; {arguments.data} has none")
        options = options | {"tokenizer": HuggingFaceTokenizer(settings["text_model"])}
    return kind(arguments.root, split, **options)


def build(arguments: argparse.Namespace, settings: dict, dataset, device: torch.device) -> Method:
    """The method over fresh encoders, as fast as the device and the flags allow."""
    name, options = settings["method"], settings["options"]
    known = {
        p for kind in METHODS[name][1].__mro__[:-1] for p in inspect.signature(kind).parameters
    }
    known = (known | {"initialisation"}) - {"model", "dataset", "epochs", "options"}
    for option in options:
        one_of("--options", option, sorted(known))
    with seeded(settings["seed"]):
        encoders = {m: encoder_for(x, dataset, settings) for m, x in dataset[0][0].items()}
    for m, encoder in encoders.items():
        encoder = share_batch_norm(encoder, device)
        if device.type == "cuda":
            encoder = use_channels_last(encoder)
        encoders[m] = use_precision(encoder, settings["precision"], device)
        if arguments.compile:
            graphs = device.type == "cuda" and options.get("accumulate", 1) == 1
            use_compiled(encoder, graphs)
    classes, epochs, seed = len(dataset.classes), settings["epochs"], settings["seed"]
    try:
        return make_method(name, encoders, classes, epochs, seed, device, dataset, **options)
    except TypeError as error:
        raise ValueError(f"options {options} do not fit {name}: {error}") from error


def encoder_for(x: torch.Tensor, dataset, settings: dict) -> nn.Module:
    """An encoder for one modality, from a sample of it: text, AV-Digits, or pictures and sound."""
    if x.dtype == torch.int64 and settings["text_model"]:
        return HuggingFaceEncoder(settings["text_model"])
    if x.dtype == torch.int64:
        return TextEncoder(dataset.vocabulary, features=ResNet18.features)
    if x.dim() == 3 and min(x.shape[-2:]) < 64:
        return SmallCNN(channels=x.shape[0])
    return ResNet18(x.shape[0], "IMAGENET1K_V1" if settings["pretrained"] else None)


def run(
    arguments: argparse.Namespace,
    settings: dict,
    method: Method,
    splits: dict,
    device: torch.device,
    interrupted: Callable[[], bool],
) -> tuple[Method, list[dict]]:
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
    return method, history


def leave_scores(
    out: Path,
    make: Callable[[], Method],
    method: Method,
    history: list[dict],
    test,
    device: torch.device,
) -> None:
    """Score the last weights and the best ones of validation on test, once; print a table."""
    scores = history[-1] | final_scores(method, test, device)
    rows = [{"weights": "last", "epoch": len(history)} | of_split(scores, "test")]
    best = make()
    epoch = len(load_checkpoint(out / "best.pt", best))
    found = final_scores(best, test, device) if epoch < len(history) else scores
    rows.append({"weights": "best on val", "epoch": epoch} | of_split(found, "test"))
    if rank() > 0:
        return
    weights = {name: x.contiguous() for name, x in method.model.state_dict().items()}
    try:
        with replacing(out / "model.safetensors") as beside:
            save_file(weights, beside)
    except SafetensorError as error:  # what a full disk comes out as
        raise OSError(f"{out / 'model.safetensors'} cannot be written: {error}") from error
    write_json(out / "scores.json", scores)
    write_csv(out / "scores.csv", rows)
    print(as_table(rows))


def of_split(scores: dict[str, float], split: str) -> dict[str, float]:
    """The scores of a split, without its name."""
    return {k: v for k, v in scores.items() if k.startswith(f"{split}_")}


@contextmanager
def stopping_cleanly():
    """SIGTERM, which `torchrun` and schedulers send before they kill, ends the run as Ctrl-C does.

    It does not wait for the epoch: the state of the last whole one is there already. Of several
    processes the first one tells it. All leave their group at the end.
    """
    asked = []

    def stop(number, frame):
        if not asked:  # a second one must not break off the leaving
            asked.append(True)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        # a process that waits for one that has left already ends with a RuntimeError
        if not asked and isinstance(error, RuntimeError):
            raise
        if rank() > 0:
            raise SystemExit(130) from None
        raise KeyboardInterrupt from None
    finally:
        stop_processes()
        signal.signal(signal.SIGTERM, before)


@contextmanager
def finishing_the_epoch():
    """The first Ctrl-C asks for an end after this epoch, whose state is then saved; the second ends
    at once, and the epoch is done again after `--resume`. Yields whether one was pressed."""
    pressed = []

    def press(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        if rank() == 0:  # not print, which may just be in use by the progress bar
            os.write(2, b"\nmmlib: finishing this epoch; again to leave at once\n")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
