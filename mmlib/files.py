"""Files that come with the course, and files that are whole at any moment when written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path, beside: Path | None = None) -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends: `<path>.part`, or `beside` if given.

    Until then `path` is what it was; a block that fails leaves nothing. The folder of `path` is
    made, unless `beside` is given: by processes that may write one file at a time, each its own, on
    the same file system.
    """
    path = Path(path)
    if beside is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, see `replacing`; what that cannot hold (the bytes of an odd file
    name) is escaped."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def asset(name: str) -> Path:
    """The path of a file or folder of `assets/`: in the installed package, else in the checkout.

    Raises `FileNotFoundError` if it is in neither place.
    """
    package = Path(__file__).resolve().parent
    places = [package / "assets" / name, package.parent / "assets" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{places[-1]} is missing; restore it from the repository")
