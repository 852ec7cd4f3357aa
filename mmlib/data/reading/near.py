"""Names that are nearly those of a list: other capitals, another spelling of é, folders between."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
MOST_BETWEEN = 500  # folders that are looked into, more than any data set has classes


def matched(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """For wanted names that are not there, the one that is there and differs in spelling alone.

    Names with two candidates, and candidates of two names, are left out.
    """
    wanted, there = set(wanted), set(there)
    lost = wanted - there
    if not lost:
        return {}
    free = _by_key(there - wanted)
    asked = Counter(map(_key, lost))
    return {
        name: free[key][0]
        for name in sorted(lost)
        if len(free.get(key := _key(name), ())) == 1 and asked[key] == 1
    }


def near_names(folder: str | Path, wanted: Iterable[str]) -> dict[str, str]:
    """Where in `folder` those of `wanted` are that are not there by their own name.

    Names of one spelling are told apart by nothing but capitals, the way an accent is written (NFC,
    NFD), the ending of a picture, and CREMA-D's level of an emotion (`X` for `XX`). If none of the
    names is there, folders between are looked into: of classes, or a folder that was unpacked into
    one of its own name. The folder is listed once; a name that is ambiguous is left out.
    """
    wanted, there = set(wanted), _names(folder)
    found = matched(wanted, there)
    if found or not wanted.isdisjoint(there):
        return found
    below: dict[str, list[str]] = defaultdict(list)
    for name in _folders(folder, there):
        for inner in _names(os.path.join(folder, name)):
            below[inner].append(f"{name}/{inner}")
    places = {name: paths[0] for name, paths in below.items() if len(paths) == 1}
    names = matched(wanted, places) | {name: name for name in wanted & places.keys()}
    return {name: places[inner] for name, inner in names.items()}


def beside(path: str | Path) -> str:
    """What lies near a path that is missing: ` (did you mean ...?)`, or nothing."""
    try:
        places = _beside(Path(path))
    except (OSError, ValueError):  # folders that may not be looked into, names that cannot be
        return ""
    shown = " or ".join(map(_shown, places[:2]))
    return f" (did you mean {shown}{' ...' if len(places) > 2 else ''}?)" if places else ""


def _beside(path: Path) -> list[Path]:
    while not path.parent.is_dir():
        if path.parent == path:
            return []
        path = path.parent
    folder = path.parent
    index, folders = _content(folder, folder.stat().st_mtime_ns)
    text = path.suffix == ".txt"  # a tweet's picture is not meant where its text is missing
    names = [name for name in index.get(_loose(path.name), ()) if name.endswith(".txt") == text]
    places = [folder / name for name in names]
    places = places or [p for d in (*folders, "..") if (p := folder / d / path.name).exists()]
    return [] if path in places else places


def _names(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _folders(folder: str | Path, names: Collection[str]) -> list[str]:
    """The folders among the names in a folder; none where there are too many to look into."""
    if len(names) > MOST_BETWEEN:
        return []
    return [n for n in sorted(names) if n[0] != "." and os.path.isdir(os.path.join(folder, n))]


@lru_cache(maxsize=8)
def _content(folder: Path, changed: int) -> tuple[Mapping[str, list[str]], list[str]]:
    """The names in a folder by what is left of them without endings and numbers of frames, and its
    folders."""
    index: dict[str, list[str]] = defaultdict(list)
    names = os.listdir(folder)
    for name in sorted(names):
        for key in {_loose(name), re.sub(r"[_-]?\d+$", "", _loose(name))}:
            index[key].append(name)
    return index, _folders(folder, names)


def _by_key(names: Iterable[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_key(name)].append(name)
    return found


def _key(name: str) -> str:
    """What all spellings of a name share."""
    stem, ending = os.path.splitext(_folded(name))
    return re.sub("_x$", "_xx", stem) + (".jpg" if ending in PICTURES else ending)


def _loose(name: str) -> str:
    """What names share that may have been confused."""
    return re.sub("_x$", "_xx", os.path.splitext(_folded(name))[0])


def _folded(name: str) -> str:
    """In small letters and one way to write accents, also where the name is of an old encoding."""
    if not is_utf8(name):
        name = os.fsencode(name).decode("latin-1")
    return unicodedata.normalize("NFC", name).casefold()


def is_utf8(name: str) -> bool:
    """Whether a file's name is text; Python has marked the bytes of another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    text = os.path.normpath(path)
    return text if is_utf8(text) else f"{text!a}, whose name is not UTF-8: rename it"
