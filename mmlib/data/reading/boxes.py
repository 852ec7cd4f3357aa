"""Which part of a picture is shown and whether it is flipped, read off a sample's draws.

What a picture undergoes is read off `draws`, `(B, DRAWS)` uniform numbers in [0, 1), a row a
sample: columns 0-3 crop (area, ratio, top, left), 4 flip, 5-7 choice of frames or of time.
Two pictures of one sample that get the same row are cropped and flipped alike. Where each picture
is to have a crop of its own, `own_luck` makes as many numbers of a row as are asked for.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmlib.batches import DRAWS

TRIES = 10  # of torchvision's RandomResizedCrop, which then takes the middle
SCALE = (0.08, 1.0)  # a random box's share of the picture
RATIO = (3 / 4, 4 / 3)  # its width over its height


def random_boxes(draws: Tensor, height: int, width: int) -> Tensor:
    """Boxes of `RandomResizedCrop`: `(B, DRAWS)` to `(B, 4)` int64 top, left, height, width.

    The area is uniform in `SCALE`, the ratio log-uniform in `RATIO`. A box that does not fit is cut
    to the picture, where torchvision would draw again, as `fitting_box` does.
    """
    area = height * width * (SCALE[0] + (SCALE[1] - SCALE[0]) * draws[:, 0])
    low, high = map(math.log, RATIO)
    shape = torch.exp(low + (high - low) * draws[:, 1])
    wide = (area * shape).sqrt().round().clamp(1, width)
    tall = (area / shape).sqrt().round().clamp(1, height)
    return _placed(draws, tall, wide, height, width)


def fitting_box(luck: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height, width as torchvision's `RandomResizedCrop` draws them for one picture.

    A box that does not fit is drawn again, ten times at most; then it is the middle of the picture,
    as much of it as has a ratio in `RATIO`.
    """
    for _ in range(TRIES):
        area = height * width * luck.uniform(*SCALE)
        shape = math.exp(luck.uniform(*map(math.log, RATIO)))
        wide, tall = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = luck.integers((height - tall + 1, width - wide + 1)).tolist()
            return top, left, tall, wide
    tall = min(height, round(width / RATIO[0]))
    wide = min(width, round(height * RATIO[1]))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def own_luck(draws: Sequence[float]) -> np.random.Generator:
    """Numbers without end out of one sample's `DRAWS` draws, always the same for the same row.

    From the columns of crop and flip alone: those of frames and time decide nothing here.
    """
    return np.random.Generator(np.random.PCG64([int(x * 2**32) for x in draws[:5]]))


def square_boxes(draws: Tensor | None, count: int, height: int, width: int, side: int) -> Tensor:
    """`count` boxes of `side` x `side`, `(count, 4)`: at random places, or without draws central.

    A side that is longer than the picture is cut to it.
    """
    if draws is None:
        draws = torch.full((count, DRAWS), 0.5)
    tall, wide = (torch.full_like(draws[:, 0], min(side, most)) for most in (height, width))
    return _placed(draws, tall, wide, height, width)


def whole_boxes(count: int, height: int, width: int) -> Tensor:
    """Boxes around the whole picture, `(count, 4)`."""
    return torch.tensor([[0, 0, height, width]]).expand(count, 4)


def flips(draws: Tensor) -> Tensor:
    """Who is flipped left to right, `(B,)` bool: half of them."""
    return draws[:, 4] < 0.5


def unaligned(draws: Tensor) -> Tensor:
    """Other draws for the second picture of a pair, so that its crop and flip are its own."""
    return draws * 997 % 1


def _placed(draws: Tensor, tall: Tensor, wide: Tensor, height: int, width: int) -> Tensor:
    """Boxes of the given sides at the places that columns 2 and 3 say."""
    top = (draws[:, 2] * (height - tall + 1)).floor().clamp(max=height - tall)
    left = (draws[:, 3] * (width - wide + 1)).floor().clamp(max=width - wide)
    return torch.stack([top, left, tall, wide], dim=1).long()


def check_boxes(boxes: Tensor, height: int, width: int) -> None:
    """Raises `ValueError` for a box that leaves the picture."""
    top, left, tall, wide = boxes.unbind(1)
    inside = (top >= 0) & (left >= 0) & (tall >= 1) & (wide >= 1)
    inside &= (top + tall <= height) & (left + wide <= width)
    if not bool(inside.all()):
        box = boxes[~inside][0].tolist()
        raise ValueError(f"box {box} leaves a picture of {height} x {width}; give one within it")
