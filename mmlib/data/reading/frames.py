"""Which frames of a clip are shown, in training by draws, in evaluation always the same."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low

from mmlib.data.reading.folders import number_of


def choose_frames(count: int, frames: int, luck: list[float] | None, rest: float) -> list[int]:
    """Which of a clip's `count` frames to take, in order: one of each of `frames` equal parts.

    `luck` holds three numbers in [0, 1) that place the frame within its part; more than three are
    scrambled from them. Without it every frame is at `rest` of its part. With fewer frames than
    parts some are taken again.
    """
    chosen = []
    for part in range(frames):
        first = part * count // frames
        last = max((part + 1) * count // frames, first + 1)
        place = rest if luck is None else _luck_of(part, luck)
        chosen.append(first + int(place * (last - first)))
    return chosen


def smv_frames(count: int, frames: int, luck: list[float] | None) -> list[int]:
    """The frames that SMV's loader takes (commit 7ed12b0), counted from 0; `luck` as above.

    Its parts have `count // frames` frames each and what is left over is never shown: of ten frames
    in three parts, the tenth. Of each part one is drawn; in evaluation it is the 1st of 3, the 2nd
    of 4. No frame after the ninth is taken, and of a clip of at most two frames a part the first is
    taken every time. (In evaluation the released code fails at 12 frames or more.)
    """
    if count <= 2 * frames:
        return [0] * frames
    length = count // frames
    middle = max(length // 2, 1) - 1
    places = [middle if luck is None else int(_luck_of(k, luck) * length) for k in range(frames)]
    return [min(k * length + place, 8) for k, place in enumerate(places)]


def after_gap(names: Sequence[str], whole: int) -> str:
    """The first frame, of names in order, before which some are missing by their numbers; or "".

    Numbers go by even steps, of seconds or of a video's frames, from 0 on, or from one step on
    where `whole` are there.
    """
    numbers = [number_of(name) for name in names]
    steps = [after - before for before, after in pairwise(numbers)]
    step = median_low(steps) if steps else 1
    if numbers[0] > step or (numbers[0] == step and len(names) < whole):
        return names[0]
    return next((name for name, x in zip(names[1:], steps, strict=True) if x > 1.5 * step), "")


def _luck_of(part: int, luck: list[float]) -> float:
    return luck[part % 3] * 997 ** (part // 3) % 1
