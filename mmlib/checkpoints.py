"""Checkpoints: all that a run needs to go on, in one file that is always whole."""

from pathlib import Path

import torch

from mmlib.arguments import one_of
from mmlib.files import replacing


def save_checkpoint(path: str | Path, method, history: list[dict[str, float]]) -> None:
    """Write the state of a method, beside first and then renamed: `path` is always whole."""
    state = {"method": type(method).__name__, "state": method.state_dict(), "history": history}
    try:
        with replacing(path) as beside:
            torch.save(state, beside)
    except RuntimeError as error:  # what a full disk comes out as
        raise OSError(f"{path} cannot be written: {error}") from error


def save_epoch(path: Path, method, history: list[dict[str, float]], best: str | None) -> None:
    """Save the state as `path`, and where the last row has the largest `best` yet, as `best.pt`.

    The best first: a run killed in between does the epoch again, and with it both files. Raises
    `ValueError` for a `best` that the row lacks.
    """
    if best is not None:
        row = history[-1]
        one_of("best", best, list(row))
        if all(row[best] > earlier[best] for earlier in history[:-1]):
            save_checkpoint(path.with_name("best.pt"), method, history)
    save_checkpoint(path, method, history)


def load_checkpoint(path: str | Path, method) -> list[dict[str, float]]:
    """Bring a method to the state saved in `path`; returns the history up to there.

    Raises `FileNotFoundError`, or `ValueError` for a damaged file or one of another method or
    model.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved, state = content["method"], content["state"]
        history = [dict(row) for row in content["history"]]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged or no checkpoint: {error}") from error
    own = type(method).__name__
    # a control was once its method with an option; the last two are `Joint` and `object`
    if saved not in (own, *(kind.__name__ for kind in type(method).__mro__[:-2])):
        raise ValueError(f"{path} holds a {saved}, not a {own}; use that method")
    try:
        method.load_state_dict(state)
    except Exception as error:  # what passes for a checkpoint may hold anything
        raise ValueError(f"{path} is of a model of other sizes: {error}") from error
    return history


def open_checkpoint(path: str | Path, resume: bool, method) -> list[dict[str, float]]:
    """The history so far, with `method` brought to its end; empty where there is no checkpoint.

    Raises `FileExistsError` for one that is there when `resume` is off, and what
    `load_checkpoint` does.
    """
    if not Path(path).exists():
        return []
    if not resume:
        raise FileExistsError(
            f"{path} exists; go on from it with resume=True (--resume), or give another path"
        )
    return load_checkpoint(path, method)
