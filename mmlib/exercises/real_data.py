"""The checks of lesson 8, real data; that of a data set of one's own is in `own_data`."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch

from mmlib.exercises.checking import call, compare, exercise, no_global_draws, seeded_globally

LABELS = ("NEU", "HAP", "ANG")


@exercise("Exercise 1, a list read")
def check_read_list(answer: Callable[[bytes, Sequence[str]], list]) -> None:
    """Lesson 8: `answer(content, labels)` is a list of `(clip, number of the class)`."""
    wanted = [("1001_A_NEU_XX", 0), ("1002_B_ANG_HI", 2), ("1003_C_HAP_LO", 1)]
    names = [(clip, LABELS[label]) for clip, label in wanted]
    plain = "".join(f"{clip},{name}\n" for clip, name in names)

    def read(content: bytes, hint: str) -> list:
        given = call(answer, content, LABELS, hints={Exception: hint})
        return [tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in given]

    for content, hint in (
        (plain.encode(), "a plain list comes out wrong"),
        (plain.encode("utf-8-sig"), "the byte-order mark is read as part of the first clip"),
        (plain.replace("\n", "\r\n").encode(), "Windows line ends, \\r\\n, are not taken off"),
        (plain.replace("\n", "\n\n").encode(), "empty lines are to be passed over"),
        (plain.replace("\n", "\n  \n").encode(), "lines of spaces alone are blank: pass them over"),
        (plain.replace(",", " , ").encode(), "spaces around a field are to be taken off"),
        (plain.rstrip().encode(), "the last line may end without a line end"),
    ):
        given = read(content, hint)
        assert given != names, "give the class's number, not its name"
        assert given == wanted, f"{hint}: it gives {given[:2]}"
    hint = "read it as UTF-8, and leave names as they are"
    given = read("zoë_b,ANG\n".encode(), hint)
    assert given == [("zoë_b", 2)], f"{hint}: it gives {given}"
    for bad, hint in (
        ("1004_D_ANG_XX;ANG", "a line without a comma"),
        ("1004_D_ANG_XX,MAD", "a label that is not known"),
        ("1004_D_ANG_XX,", "an empty label"),
        ("1004_D_ANG_XX,ANG,0.5", "a line of three fields"),
        (",ANG", "an empty clip"),
    ):
        fifth, ninth = (_other_numbers(answer, plain, bad, hint, line) for line in (5, 9))
        assert fifth == ninth, f"{hint}: the message is to name one line, its own"


def _other_numbers(answer: Callable, plain: str, bad: str, hint: str, line: int) -> list[str]:
    """What numbers but its own the message about `bad` in that line holds, those of `bad` aside."""
    content = plain + (line - 4) * "\n" + bad + "\n"
    try:
        answer(content.encode("utf-8-sig"), LABELS)
    except ValueError as error:
        message = str(error)
        for text in filter(None, (bad, *re.split("[,;]", bad))):
            message = message.replace(text, "")
        found = re.findall(r"\d+", message)
        assert str(line) in found, (
            f"{hint} stands in line {line}, blank lines counted; the message is {str(error)!r}"
        )
        found.remove(str(line))
        return found
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise AssertionError(f"{hint} is to raise a ValueError, not {error!r}") from error
    raise AssertionError(f"{hint} goes through: raise a ValueError with its line number")


def _tested_actors(answer: Callable, ids: list[str], share: float, seed: int) -> set[str]:
    """The actors in test, of an answer that splits the clips, and the actors, into two parts."""
    given = call(answer, list(ids), share, seed)
    pair = isinstance(given, (tuple, list)) and len(given) == 2
    assert pair, "give two lists of positions, (train, test)"
    try:
        train, test = ([int(i) for i in part] for part in given)
    except (TypeError, ValueError) as error:
        raise AssertionError("give positions, whole numbers, not names") from error
    assert not set(train) & set(test), "a clip is in train and in test"
    once = sorted(train + test) == list(range(len(ids)))
    assert once, "each clip belongs into one of the two, once"
    known, tested = ({ids[i].partition("_")[0] for i in part} for part in (train, test))
    both = len(known & tested)
    assert not both, f"{both} actors are in both parts: split actors, not clips"
    return tested


@exercise("Exercise 2, a split by actor")
def check_split_by_actor(answer: Callable[[list[str], float, int], tuple]) -> None:
    """Lesson 8: `answer(ids, share, seed)` is `(train, test)`, positions, no actor in both."""
    clips = [(k, emotion) for k in range(20) for emotion in ("NEU", "ANG", "SAD")]
    ids = [f"{1001 + k}_IEO_{emotion}_XX" for k, emotion in clips]
    ids += [f"{1001 + k}_TIE_{emotion}_XX" for k, emotion in clips if k % 3]  # some have more clips
    with no_global_draws("a global generator was used: make one of your own, seeded with seed"):
        for share, count in ((0.25, 5), (0.1, 2), (0.01, 1), (0.13, 3), (0.17, 3), (0.38, 8)):
            found = len(_tested_actors(answer, ids, share, 0))
            assert found == count, (
                f"share {share} of 20 actors: {found} in test, not {count}; it is a share of "
                "the actors, rounded (neither down nor up), at least one"
            )
        first = _tested_actors(answer, ids, 0.25, 0)
        for seed in (1, 2):
            with seeded_globally(seed):
                again = _tested_actors(answer, ids, 0.25, 0)
            assert again == first, "the same seed gives other actors: draw from a generator of seed"
    hint = (
        "another order of ids gives other actors: sort the actors' names before you draw (a set "
        "has another order in every run)"
    )
    order = np.random.default_rng(0)
    for turned in (order.permutation(ids).tolist(), ids[::-1]):
        assert _tested_actors(answer, turned, 0.25, 0) == first, hint
    draws = {frozenset(_tested_actors(answer, ids, 0.25, seed)) for seed in range(8)}
    assert len(draws) >= 3, "other seeds give the same actors"
    # Which places of the sorted actors are in test may depend on their number, share and seed, not
    # on their names: this finds the order of a set, or of hashes, in whatever run of Python.
    places = set()
    for _ in range(40):
        actors = sorted(order.choice(np.arange(1001, 1092), 12, replace=False).tolist())
        names = [f"{actor}_IEO_ANG_XX" for actor in actors]
        tested = _tested_actors(answer, order.permutation(names).tolist(), 0.25, 0)
        assert _tested_actors(answer, names, 0.25, 0) == tested, hint
        places.add(tuple(str(actor) in tested for actor in actors))
    assert len(places) == 1, (
        "which actors are drawn hangs on more than their sorted order, as by a set or a hash, "
        "whose order is another in every run: sort the names, then draw among their places"
    )


@exercise("Exercise 3, frames chosen")
def check_choose(answer: Callable[[list[str], int, torch.Generator | None], list[str]]) -> None:
    """Lesson 8: `answer(names, frames, g)` is a name of each of `frames` parts, in time order."""
    mixed = np.random.default_rng(0)

    def parts_of(count: int, frames: int) -> list[range]:
        return [range(k * count // frames, (k + 1) * count // frames) for k in range(frames)]

    def ask(count: int, frames: int, seed: int | None = None) -> list[int]:
        names = [f"{i:05d}.jpg" for i in range(count)]
        g = None if seed is None else torch.Generator().manual_seed(seed)
        changed = "names has changed: sorted() gives a new list, .sort() does not"
        given = call(answer, mixed.permutation(names).tolist(), frames, g, unchanged=changed)
        listed = not isinstance(given, str) and len(given) == frames
        assert listed, f"give a list of {frames} names"
        assert set(given) <= set(names), "give names of the listing, not their numbers"
        return [names.index(name) for name in given]

    for count, frames in ((10, 1), (10, 3), (7, 3), (4, 4), (5, 2)):
        given, parts = ask(count, frames), parts_of(count, frames)
        middle, near = ([part[(len(part) - less) // 2] for part in parts] for less in (0, 1))
        if given in (middle, near):  # of an even part either middle is one
            continue
        assert sorted(given) == given, "out of order: a listing has any order; sort the names first"
        first = [part[0] for part in parts]
        assert given != first, "without g the middle of each part, not its first"
        for k, (i, part) in enumerate(zip(given, parts, strict=True)):
            assert i in part, (
                f"of {count} names in {frames} parts, part {k} is names {part[0]} to {part[-1]}: "
                f"your bounds differ, you take {i}. Are the names sorted?"
            )
        case = f"of {count} names in {frames} parts {given} without g"
        raise AssertionError(f"{case}; the middles are {middle}, k counting from 0")
    hint = "the same generator gives other frames: draw from g, from it alone"
    with no_global_draws(hint):
        drawn, parts = [ask(10, 3, seed) for seed in range(30)], parts_of(10, 3)
        for given in drawn:
            ordered = sorted(given) == given
            assert ordered, "out of order: sort the names, and keep the parts' order"
            inside = all(i in part for i, part in zip(given, parts, strict=True))
            assert inside, f"{given} is not one of each part of ten names in three parts"
        ever = all({given[k] for given in drawn} == set(part) for k, part in enumerate(parts))
        assert ever, "some frame of a part is never drawn in 30 epochs: is g used?"
        assert [ask(10, 3, seed) for seed in range(30)] == drawn, hint
    names, g = [f"{i:05d}.jpg" for i in range(10)], torch.Generator().manual_seed(0)
    epochs = {tuple(answer(list(names), 3, g)) for _ in range(20)}
    assert len(epochs) >= 5, "one generator, twenty epochs, always the same: do not seed it anew"


@exercise("Exercise 4, the largest disagreement")
def check_largest_disagreement(answer: Callable[[float, int], float]) -> None:
    """Lesson 8: `answer(gap, n)` is the largest d with 1.96 sqrt((d - gap^2) / n) <= gap, or 1."""
    for gap, n in ((0.02, 744), (0.05, 402), (0.03, 150), (0.01, 2597)):
        given, square = float(call(answer, gap, n)), 1.96**2
        exact = gap**2 * (1 + n / square)
        mistakes = {
            "the variance of a difference takes g squared off: add it": n * gap**2 / square,
            "1.96 is squared, too": gap**2 * (1 + n / 1.96),
            "the gap is squared": gap * (1 + n / square),
            "g squared is added, not g": gap + n * gap**2 / square,
            "95 % on both sides: 1.96": gap**2 * (1 + n / 1.645**2),
            "this is one standard error, not 1.96 of them": gap**2 * (1 + n),
            "this is the root of d": exact**0.5,
            "a share, not per cent": 100 * exact,
            "the gap is a share already, not in points": 1e4 * exact,
            "the arguments are (gap, n), in this order": n**2 * (1 + gap / square),
        }
        cut = {hint: (x, min(x, 1)) if given != 1 else () for hint, x in mistakes.items()}
        half = 1.96 * (max(given - gap**2, 0) / n) ** 0.5
        hint = f"{given:g} for a gap of {gap} on {n} clips; the half width at that disagreement is "
        compare(given, exact, {**cut, f"{hint}{half:.5f}": ...}, atol=2e-6)
    whole = float(call(answer, 0.1, 1000)) == 1
    assert whole, "a gap of 0.1 on 1000 clips is clear whatever the disagreement: 1"
