"""Which frames of a clip are shown, in training by draws, in evaluation always the same."""


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


def _luck_of(part: int, luck: list[float]) -> float:
    return luck[part % 3] * 997 ** (part // 3) % 1
