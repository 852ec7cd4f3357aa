"""Folders below a data set's root: whether they are there, and what is in them."""

import os
from pathlib import Path

from mmlib.data.reading.media import in_order


def folder_of(path: str | Path, what: str) -> Path:
    """`path`, if it is a folder; otherwise a `FileNotFoundError` that says what belongs there."""
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is missing or no folder; expected {what}")
    return path


def inner_folder(root: Path, name: str) -> Path:
    """The folder of that name in `root`, or `root` where it is left out."""
    return root / name if (root / name).is_dir() else root


def list_folder(root: Path, lists: str | Path | None, usual: str) -> Path:
    """`lists` if given, else `root/usual` if it is there, else `root`."""
    return inner_folder(root, usual) if lists is None else folder_of(lists, "the data set's lists")


def first_file(folder: Path, *names: str) -> Path:
    """The first of `names` that is in the folder; otherwise a `FileNotFoundError`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds no list {' or '.join(names)}; put it there, or give its folder as lists="
    )


def class_folders(folder: Path, within: str = "") -> tuple[str, ...]:
    """Sorted names of the folders in a folder, hidden ones left out; those that hold `within`."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    names = [name for name in names if (folder / name / within).is_dir()]
    if not names:
        raise FileNotFoundError(f"{folder} holds no folders; expected one for each class")
    return tuple(names)


def picture_names(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """File names with one of the endings, by their numbers; at least one."""
    names = [n for n in os.listdir(folder) if n.lower().endswith(endings) and n[0] != "."]
    if not names:
        raise ValueError(f"{folder} holds no {' or '.join(endings)}; extract its pictures again")
    return in_order(names)
