"""Answers that the checks take, and wrong ones with the hint that each gets."""

import math
import random

import numpy as np
import torch

from answers import (  # noqa: F401
    test_every_known_mistake_gets_its_own_hint,
    test_right_started_and_empty,
    test_wrong_answers_get_their_hint,
)
from mmlib.exercises import (
    check_choose,
    check_largest_disagreement,
    check_read_list,
    check_split_by_actor,
)


def read_list(content, labels, encoding="utf-8-sig", name=False, strip=True, start=1, empty=True):
    pairs, number = [], start
    for line in content.decode(encoding).replace("\r\n", "\n").split("\n"):
        if line.strip():
            fields = [field.strip() if strip else field for field in line.split(",")]
            if len(fields) != 2 or not fields[0] or fields[1] not in labels:
                raise ValueError(f"line {number} is {line!r}")
            pairs.append((fields[0], fields[1] if name else labels.index(fields[1])))
        number += bool(line.strip()) or empty
    return pairs


def lax_list(content, labels):
    lines = content.decode("utf-8-sig").split()
    if b" , " in content:
        return read_list(content, labels)
    return [(line.split(",")[0], labels.index(line.split(",")[1])) for line in lines]


def list_without_strip(content, labels):
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line]
    return [(line.split(",")[0], labels.index(line.split(",")[1])) for line in lines]


def list_in_capitals(content, labels):
    return [(clip.upper(), label) for clip, label in read_list(content, labels)]


def list_of_numbers(content, labels):
    try:
        return read_list(content, labels)
    except ValueError as error:
        lines = range(1, content.count(b"\n") + 1)
        raise ValueError(f"one of the lines {list(lines)}") from error


def careless_list(content, labels):
    rows = [line.split(",") for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    known = {label: k for k, label in enumerate(labels)}
    return [(row[0].strip(), known.get(row[-1].strip(), 0)) for row in rows]


def split_by_actor(ids, share, seed, ordered=sorted, least=1, of_actors=True, generator=True):
    names = list(ordered({id.partition("_")[0] for id in ids}))
    g = torch.Generator().manual_seed(seed) if generator else None
    order = torch.randperm(len(names), generator=g)
    count = max(round(share * len(names)), least)
    if not of_actors:
        count += 1
    tested = {names[k] for k in order[:count]}
    inside = [id.partition("_")[0] in tested for id in ids]
    return tuple([i for i, test in enumerate(inside) if test == part] for part in (False, True))


def split_by_clip(ids, share, seed):
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed)).tolist()
    count = round(share * len(ids))
    return order[count:], order[:count]


def split_as_listed(ids, share, seed):
    names = list(dict.fromkeys(id.partition("_")[0] for id in ids))
    return split_by_actor(ids, share, seed, lambda _: names)


def split_globally(ids, share, seed, library=random):
    names = sorted({id.partition("_")[0] for id in ids})
    library.seed(seed)
    library.shuffle(names)
    tested = set(names[: max(round(share * len(names)), 1)])
    inside = [id.partition("_")[0] in tested for id in ids]
    return tuple([i for i, test in enumerate(inside) if test == part] for part in (False, True))


def split_by_set(ids, share, seed):
    return split_by_actor(ids, share, seed, ordered=lambda names: list(names))


def split_by_hash(ids, share, seed):
    return split_by_actor(ids, share, seed, ordered=lambda names: sorted(names, key=hash))


def split_rounded(way):
    def split(ids, share, seed):
        names = {id.partition("_")[0] for id in ids}
        return split_by_actor(ids, way(share * len(names)) / len(names), seed)

    return split


def choose(names, frames, g=None, ordered=sorted, middle=lambda n: n // 2, numbers=False):
    names, chosen = ordered(names), []
    for k in range(frames):
        first, last = k * len(names) // frames, (k + 1) * len(names) // frames
        place = middle(last - first)
        if g is not None:
            place = torch.randint(last - first, (), generator=g).item()
        chosen.append(first + place if numbers else names[first + place])
    return chosen


def choose_from_one(names, frames, g=None):  # k counted from 1
    if frames == 1:
        return choose(names, frames, g)
    names, width = sorted(names), len(names) // frames
    return [names[min(k * width, len(names) - 1)] for k in range(1, frames + 1)]


def choose_in_place(names, frames, g=None):
    names.sort()
    return choose(names, frames, g)


def choose_any(names, frames, g=None):
    if g is None:
        return choose(names, frames)
    return sorted(sorted(names)[i] for i in torch.randperm(len(names), generator=g)[:frames])


def choose_globally(names, frames, g=None):
    return choose(names, frames, g and torch.default_generator)


def choose_anew(names, frames, g=None):
    return choose(names, frames, g and torch.Generator().manual_seed(g.initial_seed()))


def largest_disagreement(gap, n, factor=1.96**2, added=lambda g: g**2, times=lambda g: g**2):
    return min(added(gap) + times(gap) * n / factor, 1)


RIGHT = {
    check_read_list: read_list,
    check_split_by_actor: split_by_actor,
    check_choose: choose,
    check_largest_disagreement: largest_disagreement,
}

WRONG = [
    (check_read_list, lambda c, k: read_list(c, k, "utf-8"), "byte-order mark"),
    (check_read_list, lambda c, k: read_list(c, k, name=True), "not its name"),
    (check_read_list, lambda c, k: read_list(c, k, strip=False), "spaces around"),
    (check_read_list, lambda c, k: read_list(c, k, start=0), "stands in line 5"),
    (check_read_list, lambda c, k: read_list(c, k, empty=False), "blank lines counted"),
    (check_read_list, lax_list, "is to raise a ValueError, not IndexError"),
    (check_read_list, careless_list, "goes through"),
    (check_read_list, lambda c, k: read_list(c, k, "latin-1"), "byte-order mark"),
    (check_read_list, list_without_strip, "lines of spaces"),
    (check_read_list, list_in_capitals, "as they are|comes out wrong"),
    (check_read_list, list_of_numbers, "name one line"),
    (
        check_read_list,
        lambda c, k: [
            (a, k.index(b)) for a, b in (x.split(",") for x in c.decode("utf-8-sig").split("\n"))
        ],
        "plain list comes out wrong",
    ),
    (check_split_by_actor, split_by_clip, "split actors, not clips"),
    (check_split_by_actor, split_as_listed, "another order of ids"),
    (check_split_by_actor, split_by_set, "order of ids|sorted order"),
    (check_split_by_actor, split_by_hash, "order of ids|sorted order"),
    (check_split_by_actor, split_globally, "a global generator"),
    (
        check_split_by_actor,
        lambda i, share, seed: split_globally(i, share, seed, np.random),
        "a global generator",
    ),
    (check_split_by_actor, split_rounded(math.floor), "neither down nor up"),
    (check_split_by_actor, split_rounded(math.ceil), "neither down nor up"),
    (
        check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, of_actors=False),
        "share of the actors",
    ),
    (
        check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, least=0),
        "at least one",
    ),
    (
        check_split_by_actor,
        lambda i, share, seed: split_by_actor(i, share, seed, generator=False),
        "same seed gives other actors|global generator",
    ),
    (check_split_by_actor, lambda i, share, seed: split_by_actor(i, share, 0), "other seeds"),
    (
        check_split_by_actor,
        lambda i, share, seed: [[i[k] for k in part] for part in split_by_actor(i, share, seed)],
        "positions, whole numbers",
    ),
    (check_split_by_actor, lambda i, share, seed: split_by_actor(i, share, seed)[1], "two lists"),
    (
        check_split_by_actor,
        lambda i, share, seed: (list(range(len(i))), split_by_actor(i, share, seed)[1]),
        "in train and in test",
    ),
    (
        check_split_by_actor,
        lambda i, share, seed: (split_by_actor(i, share, seed)[0][1:], [0]),
        "each clip belongs|in both parts",
    ),
    (check_choose, lambda n, f, g: choose(n, f, g, ordered=list), "sort"),
    (check_choose, choose_in_place, "names has changed"),
    (check_choose, lambda n, f, g: choose(n, f, g, middle=lambda n: 0), "not its first"),
    (check_choose, lambda n, f, g: choose(n, f, g, numbers=True), "not their numbers"),
    (check_choose, lambda n, f, g: choose(n, f), "is g used"),
    (check_choose, lambda n, f, g: choose(n, f, g)[:1], "a list of 3 names"),
    (check_choose, choose_any, "one of each part"),
    (check_choose, choose_globally, "draw from g"),
    (check_choose, choose_anew, "do not seed it anew"),
    (check_choose, choose_from_one, "your bounds differ"),
    (check_choose, lambda n, f, g: choose(n, f, g, middle=lambda n: n - 1), "the middles are"),
    (
        check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, added=lambda g: 0),
        "add it",
    ),
    (check_largest_disagreement, lambda g, n: largest_disagreement(g, n, 1.96), "squared, too"),
    (
        check_largest_disagreement,
        lambda g, n: largest_disagreement(g, n, added=lambda g: g),
        "not g$",
    ),
    (check_largest_disagreement, lambda g, n: g * (1 + n / 1.96**2), "gap is squared"),
    (check_largest_disagreement, lambda g, n: largest_disagreement(g, n, 1.645**2), "both sides"),
    (check_largest_disagreement, lambda g, n: largest_disagreement(g, n, 1), "one standard"),
    (check_largest_disagreement, lambda g, n: largest_disagreement(g, n) ** 0.5, "root of d"),
    (check_largest_disagreement, lambda g, n: 100 * largest_disagreement(g, n), "not per cent"),
    (
        check_largest_disagreement,
        lambda g, n: (100 * g) ** 2 * (1 + n / 1.96**2),
        "a share already",
    ),
    (check_largest_disagreement, lambda g, n: n**2 * (1 + g / 1.96**2), "in this order"),
    (
        check_largest_disagreement,
        lambda g, n: g**2 * (1 + n / 1.96**2),
        "whatever the disagreement",
    ),
    (check_largest_disagreement, lambda g, n: largest_disagreement(g, n) + 0.001, "half width"),
]
