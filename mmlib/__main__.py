"""Command line: train a method, check or prepare a data set, make the course's tables.

`torchrun --standalone --nproc-per-node=4 -m mmlib train ...` trains on four GPUs; on several
machines, which share the folders `--root` and `--out`, by `--nnodes` instead of `--standalone`.
"""

import argparse
import io
import os
import sys
from pathlib import Path

from mmlib.arguments import value_of
from mmlib.data import DATA
from mmlib.data.av_digits import SCENARIOS
from mmlib.devices import usable_cores
from mmlib.files import taken
from mmlib.methods import METHODS, NAMED

NAMES = " ".join(DATA)


def pair(text: str) -> tuple[str, object]:
    """`NAME=VALUE`; the value is read as JSON or Python where it is some, else as text."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, value_of(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error


def word(text: str) -> str:
    """A text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; give a value")
    return text


def folder(text: str) -> Path:
    """A path; the empty one would be the current folder."""
    return Path(word(text))


class Pairs(argparse.Action):
    """All pairs of a flag that may come several times, each name once."""

    def __call__(self, parser, namespace, values, option_string=None):
        """See `argparse.Action`."""
        found = [*getattr(namespace, self.dest), *values]
        names = [name for name, _ in found]
        for name in names:
            if names.count(name) > 1:
                parser.error(f"{option_string} gives {name} twice; give it once")
        setattr(namespace, self.dest, found)


PAIRS = {"type": pair, "action": Pairs, "nargs": "+", "default": [], "metavar": "NAME=VALUE"}


def add_train(commands) -> None:
    """The arguments of `train`."""
    parser = commands.add_parser("train", help="train a method on a data set")
    add = parser.add_argument
    add("--data", default="av-digits", metavar="NAME", help=f"one of {NAMES}")
    add("--root", type=folder, help="folder of the data set; of av-digits: of human voices")
    add("--scenario", choices=list(SCENARIOS), help="of av-digits; imbalanced by default")
    methods = f"one of {' '.join(METHODS)}, or of the other controls in mmlib.methods.controls; "
    methods += "gap and cal are our reading of their papers' abstracts"
    add("--method", choices=list(NAMED), default="joint", metavar="METHOD", help=methods)
    add("--preset", choices=["paper"], help="published values; tells what the run does otherwise")
    add("--epochs", type=int, help="15, or the preset's, whose schedule shrinks with fewer")
    add("--batch-size", type=int, help="of all processes together; 64, or the preset's")
    add("--lr", type=float, help="the method's own on av-digits, else 0.001, or the preset's")
    add("--accumulate", type=int, help="go through a batch in that many parts")
    add("--options", **PAIRS, help="of the method, such as alpha=0.5 noise=False")
    add("--data-options", **PAIRS, help="of the data set, such as cache=None")
    add("--pretrained", action="store_true", help="start ResNet-18 from ImageNet (downloads)")
    add("--text-model", type=word, help="folder of a Hugging Face text model, not the course's own")
    add("--seed", type=int, default=0)
    add("--device", type=word, help="cpu, cuda, cuda:1 or mps; the best one by default")
    add("--precision", choices=["float32", "bfloat16"], default="float32")
    add("--compile", action="store_true", help="compile the encoders (torch.compile)")
    add("--out", type=folder, required=True, help="folder for what training leaves")
    add("--resume", action="store_true", help="go on from --out's checkpoint")
    add("--tensorboard", action="store_true", help="also write to --out/tensorboard")
    add("--quiet", action="store_true", help="no progress bar")


def add_data(commands, command: str, text: str, names: str) -> argparse.ArgumentParser:
    """A command on the folder of one of these data sets."""
    parser = commands.add_parser(command, help=text)
    parser.add_argument("name", metavar="NAME", help=f"one of {names}")
    parser.add_argument("root", metavar="ROOT", type=folder)
    return parser


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    main = argparse.ArgumentParser(prog="python -m mmlib", description=__doc__.split("\n")[0])
    commands = main.add_subparsers(dest="command", required=True)
    add_train(commands)
    real = NAMES.removeprefix("av-digits ")
    check = add_data(commands, "check-data", "hold a data set against what should be in it", NAMES)
    check.add_argument("--thorough", action="store_true", help="open every file")
    check.add_argument("--data-options", **PAIRS, help="of the data set, as train takes them")
    ids = "write all missing and broken ids there: id, split, which, why"
    check.add_argument("--write-missing", type=folder, metavar="FILE", help=ids)
    check.add_argument("--sample", action="store_true", help="do not expect the published counts")
    films = "cremad ave kinetics-sounds"
    prepare = add_data(commands, "prepare", "make frames and sound from a data set's videos", films)
    prepare.add_argument("--fps", type=float, default=1.0, help="frames per second to keep")
    prepare.add_argument("--processes", type=int, help="by default one a usable core")
    add_data(commands, "sample", "write a small made-up data set in the official layout", real)
    place = "folder of the tables, assets/results by default; results writes to the folders "
    place += "evidence, figures and weights beside it, and a table into the README.md above these"
    human = "the Free Spoken Digit Dataset: also make the tables of human voices, in the folder "
    human += "human-voices of --out; by default what MMLIB_VOICES says, if it is set (with --arm: "
    human += "the row is of human voices, and the flag alone counts)"
    for name, what in (("tuning", "the table of tried options"), ("results", "all other tables")):
        tables = commands.add_parser(name, help=f"make {what} of assets/results")
        tables.add_argument("--out", type=folder, default=Path("assets/results"), help=place)
        tables.add_argument("--voices", type=folder, metavar="FOLDER", help=human)
    add_results(tables)
    return main


def add_results(parser: argparse.ArgumentParser) -> None:
    """The arguments of `results` alone."""
    add = parser.add_argument
    add("--tables", nargs="+", metavar="NAME", help="make or complete only these")
    anew = "first drop the rows of these tables, wherever they stand; git has the old ones"
    add("--anew", action="store_true", help=f"{anew}; needs --tables")
    add("--pages", action="store_true", help="only write the evidence pages from the tables")
    row = parser.add_argument_group("one row again, beside the committed one")
    row.add_argument("--arm", metavar="NAME", help="of the row in the tables, or in plain English")
    row.add_argument("--seed", type=int, help="0 by default")
    row.add_argument("--scenario", help="by default the first that the arm has rows of")
    row.add_argument("--table", help="by default the first with such a row, noise last")


def run(arguments: argparse.Namespace) -> int:
    """The exit status of a command: 1 where a data set is not as it should be."""
    if arguments.command == "train":
        from mmlib.commands.train import train

        train(arguments)
    elif arguments.command == "check-data":
        from mmlib.data.tools.check import check_data

        report = check_data(
            arguments.name,
            arguments.root,
            thorough=arguments.thorough,
            expected=not arguments.sample,
            options=dict(arguments.data_options),
        )
        print(report)
        if arguments.write_missing:
            print(report.write_faults(arguments.write_missing))
        return 0 if report.ok else 1
    elif arguments.command == "prepare":
        from mmlib.data.tools.prepare import prepare

        report = prepare(arguments.name, arguments.root, arguments.processes, arguments.fps)
        print(report)
        return 0 if report.ok else 1
    elif arguments.command == "sample":
        from mmlib.data.tools.samples import write_sample

        print(
            f"a made-up sample of {arguments.name}: {write_sample(arguments.name, arguments.root)}"
        )
    elif arguments.command == "tuning":
        from mmlib.evidence.tables import write_tuning

        with taken(arguments.out, "making of tables"):
            voices = voices_of(arguments)
            write_tuning(arguments.out, processes=usable_cores(), voices=voices)
    else:
        return results(arguments)
    return 0


def voices_of(arguments: argparse.Namespace) -> Path | None:
    """The folder of human voices whose tables are asked for, too; all recordings are in it."""
    human = arguments.voices or os.environ.get("MMLIB_VOICES")
    if not human:
        return None
    from mmlib.data.reading.voices import human_digits

    human_digits(Path(human).resolve())
    return Path(human).resolve()


def results(arguments: argparse.Namespace) -> int:
    """Tables, pages, or one row again: exit status 1 where that differs from the committed one."""
    given = arguments.seed, arguments.scenario, arguments.table
    if arguments.arm is None and given != (None, None, None):
        raise ValueError("--seed, --scenario and --table are of one row; name it with --arm")
    if arguments.anew and not arguments.tables:
        raise ValueError("--anew drops rows; say of which tables with --tables")
    if (arguments.arm is not None) + bool(arguments.tables) + arguments.pages > 1:
        raise ValueError("--arm, --tables and --pages are three things to do; give one of them")
    if arguments.pages and arguments.voices:
        raise ValueError("--pages trains nothing; leave out --voices")
    if not arguments.out.is_dir():
        raise NotADirectoryError(f"--out is {arguments.out}; give the folder that holds the tables")
    if arguments.arm is not None:
        from mmlib.evidence.again import again

        agree = again(arguments.out, arguments.arm, *given, voices=arguments.voices)
        return 0 if agree else 1
    from mmlib.evidence.pages import write_pages
    from mmlib.evidence.tables import write_tables

    with taken(arguments.out, "making of tables"):
        if arguments.pages:
            write_pages(arguments.out)
        else:
            only = {"only": arguments.tables, "anew": arguments.anew} if arguments.tables else {}
            voices = voices_of(arguments)
            write_tables(arguments.out, processes=usable_cores(), voices=voices, **only)
    return 0


def main(words: list[str] | None = None) -> int:
    """Run one command; bad input ends in one sentence and exit status 2.

    Whatever the encoding of the terminal or file, all is printed: what it cannot hold as an escape.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # as after `2>&-`; a file would get its number otherwise
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        return outcome(parser().parse_args(words))
    finally:
        for stream in streams:
            deliver(stream)


def outcome(arguments: argparse.Namespace) -> int:
    """The exit status of a command, after a sentence where it failed."""
    try:
        status = run(arguments)
        print(end="", flush=True)
        return status
    except BrokenPipeError:  # the reader has gone, as after `| head -1`
        return 128 + 13  # as of a program that SIGPIPE ends
    except (ValueError, KeyError, OSError, ModuleNotFoundError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"mmlib: {text}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "out of memory" not in str(error):
            raise
        print("mmlib: out of memory; give a smaller --batch-size or --accumulate", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = ", --resume goes on from there" if arguments.command == "train" else ""
        print(f"\nmmlib: stopped; what was finished is kept{again}", file=sys.stderr)
        return 130


def deliver(stream: io.TextIOWrapper) -> None:
    """Write out what was printed; if that fails, drop it, so that Python does not fail again."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
