"""The human voices of AV-Digits, held against what is published of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm.auto import tqdm

from mmlib.data.reading.voices import GET, SPEAKERS, TAKES, read_word, recordings_of
from mmlib.data.tools.report import Fault, Report
from mmlib.data.tools.table import Row

GROUP = ("recordings",)


def check_voices(root: Path, progress: bool = True) -> Report:
    """Look for all recordings and read each: 3,000, of 6 speakers and 10 digits, 50 each.

    Raises `FileNotFoundError` for a folder that is missing or holds none of them.
    """
    paths, missing = recordings_of(root)
    gone, broken = {*missing}, {}
    there = [path for path in paths if path not in gone]
    for path in tqdm(there, desc="check av-digits", disable=not progress, leave=False):
        try:
            read_word(path)
        except (OSError, ValueError) as error:
            broken[path] = str(error)
    return Report(
        name="av-digits",
        root=Path(root),
        classes=(len({_names(path)[1] for path in there}), 10),
        part=None,
        rows=tuple(_rows(there, broken)),
        problems=(),
        missing=tuple(Fault(path.stem, GROUP[0], f"{path} is missing") for path in missing),
        broken=tuple(Fault(path.stem, GROUP[0], text) for path, text in broken.items()),
        silent=(),
        leaks=(),
        opened=len(there),
        samples=len(there),
        kept={},
        drop=False,
        strict=True,
        advice=(f"get the recordings: {GET}",) if missing or broken else (),
    )


def _rows(there: Iterable[Path], broken: Iterable[Path]) -> Iterator[Row]:
    """All, each speaker and each digit: how many should be there, are, and can be read."""
    listed = Counter(name for path in there for name in _names(path))
    spoilt = Counter(name for path in broken for name in _names(path))
    published = {"all": len(SPEAKERS) * 10 * TAKES} | dict.fromkeys(SPEAKERS, 10 * TAKES)
    published |= {f"digit {digit}": len(SPEAKERS) * TAKES for digit in range(10)}
    for name, count in published.items():
        yield Row(GROUP, name, count, listed[name], listed[name] - spoilt[name])


def _names(path: Path) -> tuple[str, str, str]:
    """The rows in which a recording counts."""
    digit, speaker, _ = path.stem.split("_")
    return "all", f"digit {digit}", speaker
