"""What the writers of sample trees share: the folder, its files, colours."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from mmlib.files import LOCK

README = (
    "This is a generated sample of mmlib in the layout of {name}: drawn pictures and synthetic "
    "speech,\nno file of the real data set. It is for trying out the course; results on it say "
    "nothing about {name}.\n"
)


def start_sample(root: str | Path, name: str) -> Path:
    """Make the folder of a sample, with a README that says so.

    Raises `FileExistsError` for a folder that holds something else.
    """
    root = free_for_sample(root, name)
    root.mkdir(parents=True, exist_ok=True)
    (root / "README.txt").write_text(README.format(name=name), encoding="utf-8")
    return root


def free_for_sample(root: str | Path, name: str = "") -> Path:
    """`root`, if nothing or a sample (of `name`, if given) is in it; otherwise a `FileExistsError`:
    lists would be overwritten."""
    root, readme = Path(root), Path(root) / "README.txt"
    opening = README.partition("{name}")[0] + (f"{name}:" if name else "")
    ours = readme.is_file() and readme.read_text("utf-8", errors="replace").startswith(opening)
    if not ours and root.exists() and any(path.name != LOCK for path in root.iterdir()):
        what = f"no sample of {name}" if name else "no sample of mmlib"
        raise FileExistsError(f"{root} is not empty and {what}; give another folder")
    return root


def save(picture: Image.Image, path: Path, quality: int = 80) -> None:
    """Write a picture, and make its folder; `quality` is that of a jpeg."""
    form = Image.registered_extensions()[path.suffix]
    written(path, lambda file: picture.save(file, form, quality=quality))


def written(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Write what `save` puts into a file, and make its folder.

    In memory first: encoders do not say that the disk is full.
    """
    content = io.BytesIO()
    save(content)
    placed(path).write_bytes(content.getvalue())


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a list, and make its folder."""
    text = "".join(f"{line}\n" for line in lines)
    placed(path).write_text(text, encoding="utf-8", newline="\n")


def placed(path: Path) -> Path:
    """`path`, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def near(colour, random: np.random.Generator) -> tuple[int, ...]:
    """A colour near to the given one."""
    return tuple(int(c) for c in np.clip(np.asarray(colour) + random.normal(0, 12, 3), 0, 255))


def blocks(random: np.random.Generator, height: int, width: int, strength: float) -> np.ndarray:
    """Noise in blocks of 8 pixels, `(height, width, 1)`; it keeps the files small."""
    few = random.normal(0, strength, (-(-height // 8), -(-width // 8)))
    return few.repeat(8, 0).repeat(8, 1)[:height, :width, None]


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Grey levels, rounded and cut to what a byte holds."""
    return np.clip(values, 0, 255).round().astype(np.uint8)
