"""Crop, flip, resize and normalise whole batches of pictures, on the device where they are."""

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mmlib.data.reading.boxes import check_boxes, fitting_box, flips, random_boxes, whole_boxes
from mmlib.data.reading.buffers import Buffers

SIDE = 224  # pixels of what a model gets
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of the channels


def resized_crop(
    pictures: Tensor, boxes: Tensor, size: int | tuple[int, int], flip: Tensor | None = None
) -> Tensor:
    """Cut a box out of every picture and resize it to `size`: float32, in the pictures' units.

    `pictures` is `(B, ..., H, W)` of any type; `boxes` `(B, 4)` top, left, height, width; `flip`
    `(B,)` bool. Bilinear with antialiasing, as torchvision's `resized_crop`; bytes on the CPU come
    out as whole numbers, as PIL's do. Raises `ValueError` for a box that leaves the picture.
    """
    if len(boxes) != len(pictures):
        raise ValueError(f"{len(boxes)} boxes for {len(pictures)} pictures; give one box a picture")
    if boxes.device.type == "cpu":  # elsewhere, looking at them would make the CPU wait
        check_boxes(boxes, *pictures.shape[-2:])
    size = (size, size) if isinstance(size, int) else tuple(size)
    x = pictures.flatten(1, -3)  # (B, ..., H, W) -> (B, n, H, W)
    if x.dtype == torch.uint8 and x.device.type == "cpu":
        x = _one_by_one(x, boxes, size, flip).float()
    else:
        x = _at_once(x.float(), boxes, size, flip)
    return x.unflatten(1, pictures.shape[1:-2])


def _one_by_one(x: Tensor, boxes: Tensor, size: tuple[int, int], flip: Tensor | None) -> Tensor:
    """PyTorch's kernel for bytes, ten times as fast on a CPU as anything in floating point."""
    result = x.new_empty(*x.shape[:2], *size)
    x = x.unflatten(1, (-1, 1 if x.shape[1] % 3 else 3))  # it likes three channels best
    for row, cut in enumerate(_cuts(x, boxes, size, flip)):
        result[row] = cut.flatten(0, 1)
    return result


def _cuts(x: Tensor, boxes: Tensor, size: tuple[int, int], flip: Tensor | None) -> Iterator[Tensor]:
    """The box of each sample of `(B, n, c, H, W)`, resized and flipped: `(n, c, *size)`."""
    flipped = repeat(False) if flip is None else flip.tolist()
    for row, box, mirrored in zip(x.unbind(), boxes.tolist(), flipped):
        yield _cut(row, box, size, mirrored)


def _cut(x: Tensor, box: Sequence[int], size: tuple[int, int], mirrored: bool) -> Tensor:
    top, left, tall, wide = box
    x = x[..., top : top + tall, left : left + wide]
    x = F.interpolate(x, size, mode="bilinear", antialias=True)
    return x.flip(-1) if mirrored else x


def released_view(picture: Tensor, luck: np.random.Generator | None, size: int) -> Tensor:
    """What the released clip loaders make of one picture: `(H, W, 3)` to `(size, size, 3)`, bytes.

    With `luck`, torchvision's `RandomResizedCrop(size)` and a flip of one half; without, its
    `Resize((size, size))`, out of proportion. A level (of 255) from PIL's numbers, seldom two.
    """
    height, width = picture.shape[:2]
    if luck is None:
        box, mirrored = (0, 0, height, width), False
    else:
        box, mirrored = fitting_box(luck, height, width), luck.random() < 0.5
    return _cut(picture.movedim(-1, 0)[None], box, (size, size), mirrored)[0].movedim(0, -1)


def _at_once(x: Tensor, boxes: Tensor, size: tuple[int, int], flip: Tensor | None) -> Tensor:
    """Two products with matrices, one a side, for the whole batch: what a GPU likes."""
    height, width = x.shape[-2:]
    boxes = _sent(boxes, x.device)
    rows = _interpolation(boxes[:, 0], boxes[:, 2], height, size[0])  # (B, tall, H)
    columns = _interpolation(boxes[:, 1], boxes[:, 3], width, size[1])  # (B, wide, W)
    if flip is not None:
        columns = torch.where(_sent(flip, x.device)[:, None, None], columns.flip(1), columns)
    with torch.autocast(x.device.type, enabled=False):
        x = x.flatten(1, 2) @ columns.mT  # (B, n, H, W) -> (B, n * H, wide)
        return rows[:, None] @ x.unflatten(1, (-1, height))  # (B, n, tall, wide)


def crop(pictures: Tensor, boxes: Tensor, flip: Tensor | None) -> Tensor:
    """Cut squares out of `(B, ..., H, W)` without resizing, and flip some: `(B, ..., 224, 224)`.

    Of `boxes`, `(B, 4)`, the first two columns count, top and left; `flip` is `(B,)` bool.
    """
    boxes = _sent(boxes, pictures.device)
    pixel = torch.arange(SIDE, device=boxes.device)
    rows, columns = boxes[:, :1] + pixel, boxes[:, 1:2] + pixel  # (B, side)
    if flip is not None:
        columns = torch.where(_sent(flip, boxes.device)[:, None], columns.flip(1), columns)
    x = pictures.flatten(1, -3)  # (B, ..., H, W) -> (B, n, H, W)
    x = x.gather(2, rows[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
    x = x.gather(3, columns[:, None, None, :].expand(-1, x.shape[1], SIDE, -1))
    return x.unflatten(1, pictures.shape[1:-2])


def shrink(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """`(3, H, W)` bytes, scaled to cover `size`, height and width, and cut to it centrally."""
    sides = picture.shape[-2:]
    factor = max(least / side for side, least in zip(sides, size))
    scaled = tuple(max(int(factor * side), least) for side, least in zip(sides, size))
    if sides[0] != size[0] or sides[1] < size[1]:  # frames of the right height are only cut
        picture = resize(picture, scaled, Image.Resampling.BILINEAR)
    top, left = (round((side - least) / 2) for side, least in zip(picture.shape[1:], size))
    return picture[:, top : top + size[0], left : left + size[1]].contiguous()


def resize(picture: Tensor, size: tuple[int, int], method: Image.Resampling) -> Tensor:
    """`(3, H, W)` bytes to `size`, height and width, by PIL, whose roundings the literature has."""
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())  # (3, H, W) -> (H, W, 3)
    return torch.from_numpy(np.array(image.resize(size[::-1], method))).permute(2, 0, 1)


def normalise(pictures: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """`(pictures / 255 - mean) / deviation`, the numbers a channel; `pictures` is `(B, C, ...)`."""
    numbers = torch.tensor([mean, deviation], dtype=torch.float32).mul(255)
    numbers = _sent(numbers, pictures.device).view(2, 1, -1, *[1] * (pictures.dim() - 2))
    return (pictures - numbers[0]).div_(numbers[1])


def finish_pictures(
    pictures: Tensor,
    draws: Tensor | None = None,
    size: int = SIDE,
    buffers: Buffers | None = None,
) -> Tensor:
    """What the model gets of `(B, 3, ..., H, W)` pictures: float32 `(B, 3, ..., size, size)`.

    With `draws` a random resized crop and a flip, the same for all frames of a sample; without, the
    whole picture resized. Then ImageNet's statistics of the channels. Bytes on the CPU are finished
    in memory from `buffers`.
    """
    height, width = pictures.shape[-2:]
    if draws is None:
        boxes, flip = whole_boxes(len(pictures), height, width), None
    else:
        boxes, flip = random_boxes(draws, height, width), flips(draws)
    if pictures.dtype == torch.uint8 and pictures.device.type == "cpu":
        return _finished_rows(pictures, boxes, size, flip, buffers or Buffers())
    if draws is None and (height, width) == (size, size):
        return normalise(pictures, *IMAGENET)
    return normalise(resized_crop(pictures, boxes, size, flip), *IMAGENET)


def _finished_rows(
    pictures: Tensor, boxes: Tensor, size: int, flip: Tensor | None, buffers: Buffers
) -> Tensor:
    """`finish_pictures` of bytes on the CPU, picture by picture: each stays in the CPU's cache."""
    frames = pictures.shape[2:-2]  # may be empty
    x = pictures.flatten(2, -3) if frames else pictures.unsqueeze(2)  # (B, 3, n, H, W)
    x = x.transpose(1, 2)  # -> (B, n, 3, H, W)
    result = buffers.empty(*x.shape[:2], size, size, 3)
    # as long as a row of pixels: numbers a channel alone are subtracted six times as slowly
    mean, deviation = (torch.tensor(x).mul(255).expand(size, 3).contiguous() for x in IMAGENET)
    for row, cut in zip(result.unbind(), _cuts(x, boxes, (size, size), flip)):
        row.copy_(cut.movedim(1, -1)).sub_(mean).div_(deviation)
    result = result.movedim(-1, 1)  # (B, 3, n, size, size)
    return result.unflatten(2, frames) if frames else result[:, :, 0]


def _sent(x: Tensor, device: torch.device) -> Tensor:
    """A small tensor on a device; to a GPU from pinned memory, which the CPU need not wait for."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.contiguous().pin_memory().to(device, non_blocking=True)
    return x.to(device)


def _interpolation(start: Tensor, length: Tensor, side: int, wanted: int) -> Tensor:
    """How much each of `side` pixels counts for each of `wanted` new ones: `(B, wanted, side)`."""
    pixel = torch.arange(side, device=start.device, dtype=torch.float32)
    new = torch.arange(wanted, device=start.device, dtype=torch.float32)
    factor = (length / wanted)[:, None, None]  # old pixels a new one
    centre = (new[:, None] + 0.5) * factor  # (B, wanted, 1)
    place = pixel - start[:, None, None]  # (B, 1, side)
    weight = (1 - (place + 0.5 - centre).abs() / factor.clamp(min=1)).clamp(min=0)
    weight = weight * ((place >= 0) & (place < length[:, None, None]))
    return weight / weight.sum(-1, keepdim=True)
