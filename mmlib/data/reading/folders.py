"""Folders below a data set's root: their names and what is in them."""

import os
from pathlib import Path

from mmlib.data.reading.media import in_order


def inner_folder(root: Path, name: str) -> Path:
    """The folder of that name in `root`, or `root` where it is left out."""
    return root / name if (root / name).is_dir() else root


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
