"""What is in two splits of a data set, and makes a test easier than it should be."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from mmlib.data.cremad import actor_of

Keys = dict[str, list[Hashable]]  # by split, of each sample in turn; `None` is like no other


class Alike(NamedTuple):
    """What samples of two splits should not have in common, and `keys` that are equal if they do.

    `published` are the keys that the published splits share, or `None` where any may be; `note` is
    what to say of them.
    """

    what: str
    keys: Callable[[Mapping], Keys]
    published: frozenset | None = frozenset()
    note: str = "as published"


class Leak(NamedTuple):
    """What is in two splits; a `fault` if the published ones do not share it."""

    text: str
    fault: bool


def leaks_of(alike: Sequence[Alike], splits: Mapping) -> Iterator[Leak]:
    """What the samples of two splits have in common: of each kind the published, and the rest."""
    for kind in alike:
        found = _shared(kind.keys(splits))
        known = found if kind.published is None else kind.published
        usual = {key: places for key, places in found.items() if key in known}
        rest = {key: places for key, places in found.items() if key not in known}
        if usual:
            yield Leak(f"{kind.what} in two splits, {kind.note}: {_told(usual, splits)}", False)
        if rest:
            yield Leak(f"{kind.what} in two splits: {_told(rest, splits)}", True)


Shared = dict[Hashable, dict[str, list[int]]]  # by key and split, the samples that have it


def _shared(keys: Keys) -> Shared:
    found: Shared = {}
    for split, of_split in keys.items():
        for i, key in enumerate(of_split):
            found.setdefault(key, {}).setdefault(split, []).append(i)
    return {k: places for k, places in found.items() if k is not None and len(places) > 1}


def _told(shared: Shared, splits: Mapping) -> str:
    """In which splits, how many with two labels, and on a line of its own the first."""
    pairs = Counter(pair for places in shared.values() for pair in combinations(places, 2))
    text = ", ".join(f"{a} + {b} {count:,}" for (a, b), count in pairs.items())
    labels = [
        {splits[split].target[i].item() for split, [i] in places.items()}
        for places in shared.values()
        if all(len(samples) == 1 for samples in places.values())
    ]
    twice = sum(len(found) > 1 for found in labels)
    text += f" ({twice:,} with two labels)" if twice else ""
    return f"{text};\n  such as {_first(next(iter(shared.values())), splits, bool(twice))}"


def _first(places: dict[str, list[int]], splits: Mapping, labelled: bool) -> str:
    """One sample of each split; an id, which may be that of all, once."""
    texts, last = [], None
    for split, (i, *_) in places.items():
        data = splits[split]
        label = f" ({data.classes[data.target[i]]})" if labelled else ""
        texts.append(
            f"{split}{label}" if data.ids[i] == last else f"{data.ids[i]} in {split}{label}"
        )
        last = data.ids[i]
    return ", ".join(texts)


def each(key: Callable[[Any, int], Hashable]) -> Callable[[Mapping], Keys]:
    """The keys of all samples, by that of a data set's sample i."""
    return lambda splits: {s: [key(d, i) for i in range(len(d))] for s, d in splits.items()}


def id_of(data, index: int) -> str:
    """The id itself."""
    return data.ids[index]


def actor(data, index: int) -> str:
    """Who acts in a clip of CREMA-D."""
    return actor_of(data.ids[index])


def video(data, index: int) -> str:
    """The video of a clip of Kinetics, whose id goes on with its start, and perhaps its end."""
    parts = re.fullmatch(r"(.{11})(_[0-9]{1,6}){1,2}", data.ids[index])
    return parts[1] if parts else data.ids[index]


def recording(data, index: int) -> str:
    """The group of a clip of UCF-101: clips of a group are cut from one recording."""
    return data.ids[index].rpartition("_c")[0]


def thing(data, index: int) -> str:
    """The object of ModelNet40, whatever its folder."""
    return data.ids[index].rpartition("/")[2]


def words(data, index: int) -> str | None:
    """The text of a tweet, if there is one."""
    try:
        return data.text(index) or None
    except (OSError, ValueError):
        return None


def content(splits: Mapping) -> Keys:
    """Size and digest of each sample's first file; only files of a size seen twice are read."""
    paths = {s: [data.sources(i)[0] for i in range(len(data))] for s, data in splits.items()}
    sizes = {s: list(map(_size, of_split)) for s, of_split in paths.items()}
    often = Counter(size for of_split in sizes.values() for size in of_split)
    return {
        s: [_digest(path) if size and often[size] > 1 else None for path, size in zip(paths[s], of)]
        for s, of in sizes.items()
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _digest(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
