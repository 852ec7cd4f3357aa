"""Checkpoints: all that a run needs to go on, in one file that is always whole, and what run it is
of: one that differs in what decides the weights does not go on from it."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmlib.agreement import all_or_none
from mmlib.arguments import one_of
from mmlib.batches import digest, fingerprint
from mmlib.files import replacing, taken
from mmlib.parallel import rank

LONG = ("encoders", "samples", "targets", "ids", "inputs")  # whose values say nothing to a reader


def run_of(method, dataset=None, batch_size: int = 0, seed: int = 0) -> dict[str, Any]:
    """What decides the weights, by name: how `method` was made and, with a data set, what `fit`
    was given.

    A method of `make_method` has its name, seed and options as `identity`, a dict; one of another
    class is known by the class's name and by `identity` if it has some. The device, the number of
    processes and the epochs that `fit` goes are left out: a run goes on on another machine, and
    further. (A schedule's epochs are those of the method, and count.)
    """
    identity = getattr(method, "identity", None)
    run = {"method": type(method).__name__} | (identity if isinstance(identity, dict) else {})
    encoders = getattr(getattr(method, "model", None), "encoders", None)
    if isinstance(encoders, nn.ModuleDict):  # of the shared kinds of batch normalisation, too
        text = re.sub(r"\w*BatchNorm\w*", "BatchNorm", _placeless(encoders))
        run |= {"modalities": list(encoders), "encoders": digest(text)}
    if dataset is not None:
        run |= {"fit's seed": seed, "batch_size": batch_size} | fingerprint(dataset)
    return json.loads(json.dumps(run, default=_plain))  # as it is read back


def _plain(x) -> Any:
    """A number of NumPy or a tensor as Python's; else what `x` looks like, but for where it is."""
    return x.tolist() if hasattr(x, "tolist") else _placeless(x)


def _placeless(x) -> str:
    return re.sub(" at 0x[0-9a-f]+", "", repr(x))


def best_path(path: str | Path) -> Path:
    """Where the best state of a run is kept: `a-best.pt` beside `a.pt`."""
    path = Path(path)
    return path.with_name(f"{path.stem}-best{path.suffix}")


def save_checkpoint(
    path: str | Path, method, history: list[dict[str, float]], run: Mapping | None = None
) -> None:
    """Write the state of a method and the `run` it is of, see `run_of`.

    It is written beside and then renamed, so that `path` is always whole. Raises `ValueError` for a
    history that holds other things than numbers, and for a state that could not be read back.
    """
    run = run_of(method) if run is None else dict(run)
    rows = [{name: _number(name, x) for name, x in row.items()} for row in history]
    state = {"run": run, "state": _readable(method.state_dict()), "history": rows}
    try:
        with replacing(path) as beside:
            torch.save(state, beside)
    except RuntimeError as error:  # what a full disk comes out as
        raise OSError(
            f"{path} cannot be written ({_line(error)[:60]}); is the disk full? What was saved "
            "before is whole"
        ) from error


def _readable(x, name: str = "state_dict()") -> Any:
    """A state whose numbers of NumPy are Python's: those of a learning rate, for one."""
    if x is None or isinstance(x, (Tensor, str, bytes)) or type(x) in (bool, int, float):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.ndarray):
        return torch.as_tensor(x)
    if isinstance(x, Mapping):
        return {key: _readable(value, f"{name}[{key!r}]") for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        parts = [_readable(value, f"{name}[{i}]") for i, value in enumerate(x)]
        return tuple(parts) if isinstance(x, tuple) else parts
    raise ValueError(
        f"{name} of the method is a {type(x).__name__}, which cannot be read back safely; give "
        "tensors, numbers, texts, lists and dicts of them"
    )


def _number(name: str, x) -> float:
    """As a plain one: those of NumPy and tensors would not be read back."""
    if type(x) in (int, float):
        return x
    try:
        return float(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of an epoch is {x!r}; let evaluate return numbers") from error


def save_epoch(
    path: Path,
    method,
    history: list[dict[str, float]],
    best: str | None,
    run: Mapping | None = None,
) -> None:
    """Save the state as `path`, and where the last row has the largest `best` yet in `best_path`.

    The best first: a run killed in between does the epoch again, and with it both files. Raises
    `ValueError` for a `best` that the row lacks.
    """
    if best is not None:
        row = history[-1]
        one_of("best", best, list(row))
        before = [earlier[best] for earlier in history[:-1] if best in earlier]
        if all(row[best] > x for x in before if x == x):  # not NaN
            save_checkpoint(best_path(path), method, history, run)
    save_checkpoint(path, method, history, run)


def load_checkpoint(path: str | Path, method, run: Mapping | None = None) -> list[dict[str, float]]:
    """Bring a method to the state saved in `path`; returns the history up to there.

    Without `run` the state may be of any run of that method over such encoders, so that its weights
    can be judged. With `run`, see `run_of`, it has to be of that one. Raises `FileNotFoundError`,
    or `ValueError` for a damaged file or one of another method, model or run.
    """
    own = run_of(method)
    content = _read(Path(path))
    over = {name: own[name] for name in ("method", "modalities", "encoders") if name in own}
    _check_run(path, content["run"], over if run is None else run)
    try:
        method.load_state_dict(content["state"])
    except Exception as error:  # what passes for a checkpoint may hold anything
        raise ValueError(f"{path} is of a model of other sizes: {_line(error)}") from error
    return content["history"]


def _read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, in its right kinds."""
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise ValueError(f"{path} is a folder or device, not a file; give another path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        history = [dict(row) for row in content["history"]]
        if not all(isinstance(x, (int, float)) for row in history for x in row.values()):
            raise ValueError("its history holds other things than numbers")
        found = {"state": content["state"], "history": history}
        run = content.get("run")
        run = None if run is None else dict(run)
    except FileNotFoundError:
        raise
    except Exception as error:
        said = f" ({_line(error)})" if isinstance(error, (ValueError, TypeError)) else ""
        raise ValueError(
            f"{path} is damaged or no checkpoint{said}; restore it, or begin anew in another path"
        ) from error
    if run is None:
        raise ValueError(
            f"{path} does not say of which run it is, as those from before December 2026 did not; "
            "begin anew in another path"
        )
    return found | {"run": run}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _check_run(path: str | Path, saved: Mapping, now: Mapping) -> None:
    """Refuse by name what differs; what only one of the two says cannot be held against it."""
    for name, value in now.items():
        if name not in saved or saved[name] == value:
            continue
        if name in LONG:
            what, again = f"other {name}", f"the {name} of before"
        else:
            short = name.removeprefix("fit's ")
            what, again = f"{name} {saved[name]!r}, not {value!r}", f"{short}={saved[name]!r}"
        raise ValueError(f"{path} is of a run with {what}; give another path, or {again}")


def open_checkpoint(
    path: str | Path,
    resume: bool,
    method,
    run: Mapping | None = None,
    epochs: float = float("inf"),
) -> list[dict[str, float]]:
    """The history so far, with `method` brought to its end; empty where there is no checkpoint.

    Raises `FileExistsError` for one that is there when `resume` is off, `ValueError` for one of
    more than `epochs`, and what `load_checkpoint` does. Warns where a run begins with a method that
    was trained already.
    """
    run = run_of(method) if run is None else run
    if not Path(path).exists():
        if getattr(getattr(method, "optimizer", None), "state", None):
            warnings.warn(
                f"{path} is new, but the method has been trained: the run starts from its weights "
                "as they are, not from those of its seeds; make it anew for that",
                stacklevel=3,
            )
        return []
    if not resume:
        raise FileExistsError(
            f"{path} exists; go on from it with resume=True (--resume), or give another path"
        )
    history = load_checkpoint(path, method, run)
    if len(history) > epochs:
        raise ValueError(
            f"{path} holds {len(history)} epochs, not {epochs}; give epochs={len(history)} or "
            "more, or another path"
        )
    return history


@contextmanager
def held(path: str | Path | None) -> Iterator[None]:
    """Keep other runs away from a checkpoint, if there is one, as long as the block lasts.

    Of several processes the first one holds it. Raises `FileExistsError` where another run does.
    """
    with ExitStack() as stack:
        with all_or_none():
            if path and rank() == 0:
                name = Path(path).name
                held = taken(Path(path).parent, f"training on {name}", f".{name}-lock")
                stack.enter_context(held)
        yield
