"""Command line: `python -m mmlib train ...`, `python -m mmlib tuning`, `python -m mmlib results`.

`torchrun --nproc-per-node=4 -m mmlib train ...` trains on four GPUs.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from safetensors.torch import save_file

from mmlib.data import AVDigits
from mmlib.data.av_digits import SCENARIOS
from mmlib.encoders import SmallCNN
from mmlib.evaluation import accuracy, collect
from mmlib.methods import METHODS, make_method
from mmlib.results import write_tables, write_tuning
from mmlib.training import fit, pick_device, rank, seeded, start_processes, use_precision


def train(arguments: argparse.Namespace) -> None:
    """Train a method; leave `checkpoint.pt`, `model.safetensors` and `scores.json` in `--out`."""
    start_processes()
    device, seed = pick_device(arguments.device), arguments.seed
    train, val, test = (
        AVDigits(s, arguments.scenario, seed=seed) for s in ("train", "val", "test")
    )
    with seeded(seed):
        encoders = {m: SmallCNN() for m in train.modalities}
    for encoder in encoders.values():
        use_precision(encoder, arguments.precision, device)
    method = make_method(
        arguments.method, encoders, len(train.classes), arguments.epochs, seed, device, train
    )

    def score(method, dataset=val):
        logits = collect(method.predict, dataset, device)
        return {f"{dataset.split}_{m}": accuracy(z, dataset.target) for m, z in logits.items()}

    history = fit(
        method,
        train,
        arguments.epochs,
        arguments.batch_size,
        seed,
        device,
        evaluate=score,
        checkpoint=arguments.out / "checkpoint.pt",
        resume=arguments.resume,
    )
    if rank() == 0:
        scores = history[-1] | score(method, test)
        weights = {name: x.contiguous() for name, x in method.model.state_dict().items()}
        save_file(weights, arguments.out / "model.safetensors")
        (arguments.out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
        print(", ".join(f"{name} {value:.3f}" for name, value in scores.items() if "_" in name))


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    main = argparse.ArgumentParser(prog="python -m mmlib", description=__doc__.split("\n")[0])
    commands = main.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train a method on a data set")
    training.add_argument("--data", choices=["av-digits"], default="av-digits")
    training.add_argument("--scenario", choices=list(SCENARIOS), default="imbalanced")
    training.add_argument("--method", choices=list(METHODS), default="joint")
    training.add_argument("--epochs", type=int, default=15)
    training.add_argument("--batch-size", type=int, default=64)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--device", help="cpu, cuda, cuda:1 or mps; the best one by default")
    training.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    training.add_argument("--out", type=Path, required=True, help="folder for what training leaves")
    training.add_argument("--resume", action="store_true", help="go on from --out's checkpoint")
    for name, what in (("tuning", "the table of tried options"), ("results", "all other tables")):
        tables = commands.add_parser(name, help=f"make {what} of assets/results")
        tables.add_argument("--out", type=Path, default=Path("assets/results"))
    return main


def main(words: list[str] | None = None) -> int:
    """Run one command; bad input ends in one sentence and exit status 2."""
    arguments = parser().parse_args(words)
    try:
        if arguments.command == "train":
            train(arguments)
        else:
            write = write_tuning if arguments.command == "tuning" else write_tables
            write(arguments.out, processes=os.cpu_count())
    except (ValueError, OSError) as error:
        print(f"mmlib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmmlib: stopped; what was finished is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
