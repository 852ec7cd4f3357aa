"""The checks of lesson 8."""

import random
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mmlib.batches import DRAWS, loaded
from mmlib.exercises.checking import (
    call,
    exercise,
    global_states,
    result_of,
    same_states,
    set_global_states,
)


@exercise("Exercise 1, a list read")
def check_read_list(answer: Callable[[bytes, Sequence[str]], list]) -> None:
    """Lesson 8: `answer(content, labels)` is a list of `(clip, number of the class)`."""
    labels = ("NEU", "HAP", "ANG")
    wanted = [("1001_A_NEU_XX", 0), ("1002_B_ANG_HI", 2), ("1003_C_HAP_LO", 1)]
    plain = "".join(f"{clip},{labels[label]}\n" for clip, label in wanted)
    cases = (
        (plain.encode(), "a plain list comes out wrong"),
        (plain.encode("utf-8-sig"), "the byte-order mark is read as part of the first clip"),
        (plain.replace("\n", "\r\n").encode(), "Windows line ends, \\r\\n, are not taken off"),
        (plain.replace("\n", "\n\n").encode(), "empty lines are to be passed over"),
        (plain.replace("\n", "\n  \n").encode(), "lines of spaces alone are blank: pass them over"),
        (plain.replace(",", " , ").encode(), "spaces around a field are to be taken off"),
        (plain.rstrip().encode(), "the last line may end without a line end"),
    )
    for content, hint in cases:
        try:
            given = result_of(answer, content, labels)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise AssertionError(f"{hint}: {answer.__name__} stops with {error!r}") from error
        given = [tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in given]
        if given == [(clip, labels[label]) for clip, label in wanted]:
            raise AssertionError("give the class's number, not its name")
        if given != wanted:
            raise AssertionError(f"{hint}: it gives {given[:2]}")
    given = result_of(answer, "zoë_b,ANG\n".encode(), labels)
    if [tuple(pair) for pair in given] != [("zoë_b", 2)]:
        raise AssertionError(f"read it as UTF-8, and leave names as they are: it gives {given}")

    def numbers(bad: str, hint: str, line: int) -> list[str]:
        """The numbers in the message about `bad` in that line, but for those of `bad`."""
        content = plain + (line - 4) * "\n" + bad + "\n"
        try:
            answer(content.encode("utf-8-sig"), labels)
        except ValueError as error:
            message = str(error)
            for text in (bad, *re.split("[,;]", bad)):
                message = message.replace(text, "") if text else message
            found = re.findall(r"\d+", message)
            if str(line) not in found:
                raise AssertionError(
                    f"{hint} stands in line {line}, blank lines counted; the message is "
                    f"{str(error)!r}"
                ) from error
            found.remove(str(line))
            return found
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise AssertionError(f"{hint} is to raise a ValueError, not {error!r}") from error
        raise AssertionError(f"{hint} goes through: raise a ValueError with its line number")

    for bad, hint in (
        ("1004_D_ANG_XX;ANG", "a line without a comma"),
        ("1004_D_ANG_XX,MAD", "a label that is not known"),
        ("1004_D_ANG_XX,", "an empty label"),
        ("1004_D_ANG_XX,ANG,0.5", "a line of three fields"),
        (",ANG", "an empty clip"),
    ):
        if numbers(bad, hint, 5) != numbers(bad, hint, 9):
            raise AssertionError(f"{hint}: the message is to name one line, its own")


@exercise("Exercise 2, a split by actor")
def check_split_by_actor(answer: Callable[[list[str], float, int], tuple]) -> None:
    """Lesson 8: `answer(ids, share, seed)` is `(train, test)`, positions, no actor in both."""
    ids = [
        f"{1001 + actor}_{sentence}_{emotion}_XX"
        for sentence in ("IEO", "TIE")
        for actor in range(20)
        for emotion in ("NEU", "ANG", "SAD")
        if sentence == "IEO" or actor % 3  # so that actors have different numbers of clips
    ]

    def ask(ids: list[str], share: float, seed: int) -> tuple[list[int], set[str]]:
        given = call(answer, list(ids), share, seed)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise AssertionError("give two lists of positions, (train, test)")
        try:
            train, test = ([int(i) for i in part] for part in given)
        except (TypeError, ValueError) as error:
            raise AssertionError("give positions, whole numbers, not names") from error
        if set(train) & set(test):
            raise AssertionError("a clip is in train and in test")
        if sorted(train + test) != list(range(len(ids))):
            raise AssertionError("each clip belongs into one of the two, once")
        known, tested = ({ids[i].partition("_")[0] for i in part} for part in (train, test))
        if known & tested:
            raise AssertionError(
                f"{len(known & tested)} actors are in both parts: split actors, not clips"
            )
        return train, tested

    states = global_states()
    for share, count in ((0.25, 5), (0.1, 2), (0.01, 1), (0.13, 3), (0.17, 3), (0.38, 8)):
        _, tested = ask(ids, share, 0)
        if len(tested) != count:
            raise AssertionError(
                f"share {share} of 20 actors: {len(tested)} in test, not {count}; it is a share of "
                "the actors, rounded (neither down nor up), at least one"
            )
    _, first = ask(ids, 0.25, 0)
    kept = global_states()
    try:
        for seed in (1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            if ask(ids, 0.25, 0)[1] != first:
                raise AssertionError(
                    "the same seed gives other actors: draw from a generator of seed"
                )
    finally:
        set_global_states(kept)
    if not same_states(states, kept):
        raise AssertionError("a global generator was used: make one of your own, seeded with seed")
    hint = (
        "another order of ids gives other actors: sort the actors' names before you draw (a set "
        "has another order in every run)"
    )
    order = np.random.default_rng(0)
    turned = [ids[i] for i in order.permutation(len(ids))]
    if ask(turned, 0.25, 0)[1] != first or ask(ids[::-1], 0.25, 0)[1] != first:
        raise AssertionError(hint)
    if len({frozenset(ask(ids, 0.25, seed)[1]) for seed in range(8)}) < 3:
        raise AssertionError("other seeds give the same actors")
    # Which places of the sorted actors are in test may depend on their number, share and seed, not
    # on their names: this finds the order of a set, or of hashes, in whatever run of Python.
    places = set()
    for _ in range(40):
        actors = sorted(order.choice(np.arange(1001, 1092), 12, replace=False).tolist())
        names = [f"{actor}_IEO_ANG_XX" for actor in actors]
        turned = [names[i] for i in order.permutation(len(names))]
        tested = ask(turned, 0.25, 0)[1]
        if ask(names, 0.25, 0)[1] != tested:
            raise AssertionError(hint)
        places.add(tuple(str(actor) in tested for actor in actors))
    if len(places) > 1:
        raise AssertionError(
            "which actors are drawn hangs on more than their sorted order, as by a set or a hash, "
            "whose order is another in every run: sort the names, then draw among their places"
        )


@exercise("Exercise 3, frames chosen")
def check_choose(answer: Callable[[list[str], int, torch.Generator | None], list[str]]) -> None:
    """Lesson 8: `answer(names, frames, g)` is a name of each of `frames` parts, in time order."""
    mixed = np.random.default_rng(0)

    def parts(count: int, frames: int) -> list[range]:
        edges = [k * count // frames for k in range(frames + 1)]
        return [range(first, last) for first, last in zip(edges, edges[1:])]

    def ask(count: int, frames: int, seed: int | None) -> list[int]:
        names = [f"{i:05d}.jpg" for i in range(count)]
        turned = [names[i] for i in mixed.permutation(count)]
        kept = list(turned)
        g = None if seed is None else torch.Generator().manual_seed(seed)
        given = call(answer, turned, frames, g)
        if turned != kept:
            raise AssertionError("names has changed: sorted() gives a new list, .sort() does not")
        if isinstance(given, str) or len(given) != frames:
            raise AssertionError(f"give a list of {frames} names")
        if any(name not in names for name in given):
            raise AssertionError("give names of the listing, not their numbers")
        return [names.index(name) for name in given]

    for count, frames in ((10, 1), (10, 3), (7, 3), (4, 4), (5, 2)):
        middle = [part[len(part) // 2] for part in parts(count, frames)]
        given = ask(count, frames, None)
        if given != middle:
            if sorted(given) != given:
                raise AssertionError("out of order: a listing has any order; sort the names first")
            if given == [part[0] for part in parts(count, frames)]:
                raise AssertionError("without g the middle of each part, not its first")
            near = [part[(len(part) - 1) // 2] for part in parts(count, frames)]
            if given != near:  # of an even part either middle is one
                for k, (i, part) in enumerate(zip(given, parts(count, frames), strict=True)):
                    if i not in part:
                        raise AssertionError(
                            f"of {count} names in {frames} parts, part {k} is names {part[0]} to "
                            f"{part[-1]}: your bounds differ, you take {i}. Are the names sorted?"
                        )
                raise AssertionError(
                    f"of {count} names in {frames} parts {given} without g; the middles are "
                    f"{middle}, k counting from 0"
                )
    state = torch.random.get_rng_state()
    drawn = [ask(10, 3, seed) for seed in range(30)]
    for given in drawn:
        if sorted(given) != given:
            raise AssertionError("out of order: sort the names, and keep the parts' order")
        if any(i not in part for i, part in zip(given, parts(10, 3), strict=True)):
            raise AssertionError(f"{given} is not one of each part of ten names in three parts")
    if any({given[k] for given in drawn} != set(part) for k, part in enumerate(parts(10, 3))):
        raise AssertionError("some frame of a part is never drawn in 30 epochs: is g used?")
    again = [ask(10, 3, seed) for seed in range(30)]
    if again != drawn or not torch.equal(state, torch.random.get_rng_state()):
        raise AssertionError("the same generator gives other frames: draw from g, from it alone")
    names = [f"{i:05d}.jpg" for i in range(10)]
    g = torch.Generator().manual_seed(0)
    if len({tuple(answer(list(names), 3, g)) for _ in range(20)}) < 5:
        raise AssertionError("one generator, twenty epochs, always the same: do not seed it anew")


@exercise("Exercise 4, the largest disagreement")
def check_largest_disagreement(answer: Callable[[float, int], float]) -> None:
    """Lesson 8: `answer(gap, n)` is the largest d with 1.96 sqrt((d - gap^2) / n) <= gap, or 1."""
    for gap, n in ((0.02, 744), (0.05, 402), (0.03, 150), (0.01, 2597)):
        given = float(call(answer, gap, n))
        exact = gap**2 * (1 + n / 1.96**2)
        for wrong, hint in (
            (n * gap**2 / 1.96**2, "the variance of a difference takes g squared off: add it"),
            (gap**2 * (1 + n / 1.96), "1.96 is squared, too"),
            (gap * (1 + n / 1.96**2), "the gap is squared"),
            (gap + n * gap**2 / 1.96**2, "g squared is added, not g"),
            (gap**2 * (1 + n / 1.645**2), "95 % on both sides: 1.96"),
            (gap**2 * (1 + n), "this is one standard error, not 1.96 of them"),
            (exact**0.5, "this is the root of d"),
            (100 * exact, "a share, not per cent"),
            (1e4 * exact, "the gap is a share already, not in points"),
            (n**2 * (1 + gap / 1.96**2), "the arguments are (gap, n), in this order"),
        ):
            alike = abs(given - wrong) < 1e-6 * wrong or abs(given - min(wrong, 1)) < 1e-6
            if alike and given != 1 and abs(wrong - exact) > 1e-4 * exact:
                raise AssertionError(hint)
        if abs(given - exact) > 2e-6:
            half = 1.96 * (max(given - gap**2, 0) / n) ** 0.5
            raise AssertionError(
                f"{given:g} for a gap of {gap} on {n} clips; the half width at that disagreement "
                f"is {half:.5f}"
            )
    if float(call(answer, 0.1, 1000)) != 1:
        raise AssertionError("a gap of 0.1 on 1000 clips is clear whatever the disagreement: 1")


@exercise("Exercise 5, a data set of your own")
def check_own_data(answer: Callable[[], object]) -> None:
    """Lesson 8: `answer()` is a data set as `mmlib.batches` asks for one, read as it is needed."""
    data = call(answer)
    for name in ("modalities", "classes", "target", "split", "take", "finish", "__len__"):
        if not hasattr(data, name):
            raise AssertionError(f"the data set has no {name}")
    if hasattr(data, "inputs"):
        raise AssertionError("a data set with `inputs` is taken for one in memory; leave it out")
    for name in ("modalities", "classes"):
        try:
            names = not isinstance(getattr(data, name), str) and list(getattr(data, name))
        except TypeError:
            names = False
        if not names:
            raise AssertionError(f"{name} is to be a tuple of names, not {getattr(data, name)!r}")
    if not isinstance(data.split, str):
        raise AssertionError(f"split is to be a string such as 'train', not {data.split!r}")
    count, target = len(data), data.target
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.shape != (count,):
        raise AssertionError(f"target is to be an int64 tensor of shape ({count},)")
    if count < 8 or not 0 <= int(target.min()) <= int(target.max()) < len(data.classes):
        raise AssertionError("eight samples or more, and labels in 0..len(classes) - 1")
    index = torch.tensor([5, 0, 3, 7])
    draws = torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(0))
    states, found = global_states(), {}
    for name, d in (("rest", None), ("again", None), ("drawn", draws), ("drawn again", draws)):
        raw = call(data.take, index, d)
        if not isinstance(raw, dict) or set(raw) != set(data.modalities):
            raise AssertionError(f"take gives a dict with the keys {tuple(data.modalities)}")
        before = {m: x.clone() for m, x in raw.items()}
        found[name] = call(data.finish, raw, d)
        if not isinstance(found[name], dict):
            raise AssertionError("finish gives a dict, a modality's name to its tensor")
        if set(raw) != set(before) or any(not torch.equal(raw[m], before[m]) for m in before):
            raise AssertionError("finish changes its inputs: work on a copy, or not in place")
        for m, x in found[name].items():
            if x.dtype not in (torch.float32, torch.int64) or len(x) != len(index):
                raise AssertionError(f"{m}: finish gives float32 (text: int64), a row an index")
            if x.is_floating_point() and not torch.isfinite(x).all():
                raise AssertionError(f"{m} holds values that are not finite")
    if set(found["rest"]) != set(data.modalities):
        raise AssertionError(f"finish gives a dict with the keys {tuple(data.modalities)}")

    def alike(a: dict, b: dict) -> bool:
        return all(a[m].shape == b[m].shape and torch.allclose(a[m], b[m], atol=1e-4) for m in a)

    if not alike(found["rest"], found["again"]):
        raise AssertionError("without draws the same index gives another batch: nothing is random")
    if not alike(found["drawn"], found["drawn again"]):
        raise AssertionError("the same draws give another batch: take what is random from draws")
    if not same_states(states, global_states()):
        raise AssertionError("a global generator was used: take what is random from draws")
    raw = data.take(index, None)
    if not alike(data.finish(dict(raw), None), data.finish(dict(raw), None)):
        raise AssertionError("finish gives another batch the second time")
    for name, all_draws in (("rest", None), ("drawn", draws)):
        for row, i in enumerate(index.tolist()):
            d = None if all_draws is None else all_draws[row : row + 1]
            one = data.finish(data.take(torch.tensor([i]), d), d)
            if not alike({m: x[row : row + 1] for m, x in found[name].items()}, one):
                text = "rows come in the order of index, and no sample depends on the others"
                if d is not None:
                    text = "each row of draws belongs to its sample, not the first to all"
                raise AssertionError(f"sample {i} in a batch is not sample {i} alone: {text}")
    if all(torch.equal(x[0], x[1]) for x in found["rest"].values()):
        raise AssertionError("samples 5 and 0 are equal: does take use index?")
    parts = torch.arange(min(count, 32)).split(2)
    alone = [call(data.finish, call(data.take, part, None), None) for part in parts]
    for _ in range(3):
        for (inputs, _, _), wanted in zip(loaded(data, parts), alone, strict=True):
            if not alike(inputs, wanted):
                raise AssertionError(
                    "two threads read at a time, and then batches come out wrong: keep no open "
                    "file's place and no scratch tensor in the data set, make them in take"
                )
