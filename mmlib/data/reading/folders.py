"""Files and folders below a data set's root: whether they are there, and what is in them."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from mmlib.data.reading.damage import no_file
from mmlib.data.reading.near import PICTURES, beside, is_utf8


class NoList(FileNotFoundError):
    """A list of the data set is missing."""


def file_of(path: str | Path, what: str) -> Path:
    """`path`, if it is a file; otherwise a `FileNotFoundError` that says what to do."""
    path = Path(path)
    wrong = no_file(path)
    if wrong:
        raise FileNotFoundError(f"{path} {wrong}; {what}{beside(path)}")
    return path


def folder_of(path: str | Path, what: str) -> Path:
    """`path`, if it is a folder; otherwise a `FileNotFoundError` that says what belongs there."""
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is missing or no folder; expected {what}{beside(path)}")
    return path


def inner_folder(root: Path, name: str) -> Path:
    """The folder of that name in `root`, or `root` where it is left out.

    A folder that was unpacked into one of its own name is gone into.
    """
    while (root / name).is_dir():
        root = root / name
    return root


def list_folder(root: Path, lists: str | Path | None, usual: str) -> Path:
    """`lists` if given, else `root/usual` if it is there, else `root`."""
    return inner_folder(root, usual) if lists is None else folder_of(lists, "the data set's lists")


def first_file(folder: Path, *names: str) -> Path:
    """The first of `names` that is in the folder; otherwise a `FileNotFoundError`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise NoList(
        f"{folder} holds no list {' or '.join(names)}; put it there, or give its folder as lists="
        + beside(folder / names[0])
    )


def class_folders(folder: Path, within: str = "") -> tuple[str, ...]:
    """Sorted names of the folders in a folder, hidden ones left out; those that hold `within`."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    names = [name for name in names if (folder / name / within).is_dir()]
    if not names:
        raise FileNotFoundError(f"{folder} holds no folders; expected one for each class")
    return tuple(_of_text(folder, names))


def picture_names(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """File names with one of the endings, or else of another picture, by their numbers."""
    there = [name for name in os.listdir(folder) if name[0] != "."]
    names = [name for name in there if name.lower().endswith(endings)]
    names = names or [name for name in there if name.lower().endswith(PICTURES)]
    if not names:
        raise ValueError(f"{folder} holds no {' or '.join(endings)}; extract its pictures again")
    return in_order(_of_text(folder, names))


def frame_names(folder: str | Path) -> list[str]:
    """The pictures of a folder in the order of their numbers, whatever the file system's order.

    Raises `FileNotFoundError` for a folder that is missing or holds none.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise FileNotFoundError(
            f"{folder} is missing; extract the clip's frames there{beside(folder)}"
        ) from error
    # hidden files too are left behind by some systems: ._00000.jpg is no picture
    names = [name for name in names if name.lower().endswith(PICTURES) and name[0] != "."]
    if not names:
        inner = Path(folder, Path(folder).name)
        meant = f" (did you mean {inner}?)" if inner.is_dir() else ""
        raise FileNotFoundError(f"{folder} holds no frames; extract the clip's frames there{meant}")
    return in_order(_of_text(folder, names))


def _of_text(folder: str | Path, names: list[str]) -> list[str]:
    """`names`, if all of them are text; otherwise a `ValueError`."""
    for name in names:
        if not is_utf8(name):
            raise ValueError(f"{folder} holds a name that is not UTF-8, {name!a}; rename it")
    return names


def in_order(names: Collection[str]) -> list[str]:
    """File names by their numbers, `frame2` before `frame10`."""
    return sorted(names) if len({*map(len, names)}) == 1 else sorted(names, key=_natural)


def number_of(name: str) -> int:
    """The number of a frame, the last one in its file name; -1 where there is none."""
    return int((re.findall("[0-9]+", os.path.splitext(name)[0]) or [-1])[-1])


def _natural(name: str) -> list[str | int]:
    parts = re.split("([0-9]+)", name)  # text and numbers in turn
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
