"""Files that come with the course, and files that are whole at any moment when written."""

import glob
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".mmlib-lock"  # stays in a folder, empty: it is held, not there or gone


@contextmanager
def taken(folder: str | Path, what: str, lock: str = LOCK) -> Iterator[None]:
    """Hold a folder, made if need be, for this process as long as the block lasts.

    With another name of a `lock` not the folder is held, but what goes by that name in it.

    `what` is the work that is done in it, for the sentence that others get. A process that is
    killed holds nothing any more. Raises `FileExistsError` where another one holds the folder, and
    `OSError` where it cannot be written to. A file system without locks gives a warning.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / lock, timeout=0)
    try:
        held.acquire()
    except Timeout as error:
        raise FileExistsError(
            f"another {what} is at work in {folder}; wait until it has ended, or give another "
            "folder"
        ) from error
    except PermissionError as error:
        raise OSError(error.errno, "the folder cannot be written to", str(folder)) from error
    except OSError as error:
        warnings.warn(
            f"{folder} cannot be locked ({error.strerror}): nothing keeps a second {what} away",
            stacklevel=3,
        )
    try:
        yield
    finally:
        held.release()


@contextmanager
def replacing(path: str | Path, beside: Path | None = None) -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends, on the disk and not only on its way.

    That is `<path>.<8 digits>.part`, of this process alone; those of killed ones are removed. Until
    then `path` is what it was; a block that fails leaves nothing. The folder of `path` is made.
    Where `path` is a link, what it leads to is replaced. Raises `ValueError` where there is no
    file: a folder, a device, a pipe.
    With `beside`, a name of the caller's own on the same file system, none of this is done but the
    renaming: for the many small files of a cache, whose reader knows a broken one.
    """
    path = regular(path)
    if beside is not None:
        with _renamed(beside, path):
            yield beside
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"):
        with _held(old) as free:
            if free:
                old.unlink(missing_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with _held(beside), _renamed(beside, path):
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())


def regular(path: str | Path) -> Path:
    """Where a file is to be written, links followed; `ValueError` where something else is."""
    path = Path(path)
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a folder, device or pipe, not a file; give another path")
    return path


@contextmanager
def _renamed(beside: Path, path: Path) -> Iterator[None]:
    try:
        yield
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Lock a file that is being written; yields whether nobody else held it."""
    lock = FileLock(path, timeout=0)
    free = False
    if os.name == "posix":  # elsewhere a lock keeps its own process from writing, too
        with suppress(OSError):  # `Timeout` is one; nor can every file system lock
            lock.acquire()
            free = True
    try:
        yield free
    finally:
        lock.release()


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
