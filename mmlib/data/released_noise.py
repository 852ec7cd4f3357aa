"""Noise at test time as the released code of the published baselines adds it, quirks and all.

For a comparison with the tables of papers that follow QMF (Zhang et al., ICML 2023,
github.com/QingyangZhang/QMF, its `text-image-classification` at commit 00f4bc8 and
`RGBD-scene-recognition` at 76f4598); for own measurements take `corruptions.corrupt`. The quirks:

1. The argument called `variance` is used as a deviation: 10 times the severity in grey levels on
   MVSA-Single, once the severity on NYUD2, so "severity 5" is 50 grey levels there and 5 here.
2. NumPy's generator is seeded with 0 for every image: all images of one size get the same noise, a
   scene's colour and depth image too, in every repetition.
3. One plane of noise for all three channels: the picture gets grey noise, not colour noise.
4. Only values above 255 are clipped. Negative ones wrap: -3 becomes 253, dark becomes bright.
5. Salt and pepper has density 0.1 at every severity, and is reached with probability severity / 100
   inside a gate of 1/2: at severity 10, 5 % of the images are changed at all. (Before commit
   00f4bc8 with probability severity / 10, so 50 %.)
6. Each image and each text has its own gate of 1/2, so a quarter of the samples stay clean and a
   quarter have both modalities hit.
7. A word is what stands between single spaces; it becomes "_", with probability severity / 10.
8. The gates of the text draw from the generator that 2. resets: after an image with noise the next
   draws are the same each time. Here gates and words draw from the generator that is passed in.
9. It lies at two places, in bytes at both. On NYUD2 a half becomes 256 x 256, then 224 x 224, and
   then comes the noise, so that nothing smooths it. On MVSA-Single the shorter side becomes 256,
   then comes the noise, then the middle 224 x 224 is cut out.

`MVSASingle.take` gives the middle 256 x 256: add the noise to it, then `finish`. (Its plane is that
of 256 columns; QMF's is as wide as the picture, so for one that is not square it has other numbers
of the same distribution.) What `NYUDepthV2.take` gives is resized before it gets noise, by
`resized_crop(x, whole_boxes(len(x), 256, 256), 224).byte()`; `finish` then normalises only.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmlib.arguments import one_of
from mmlib.data.reading.transforms import SIDE

GREY_LEVELS = {"mvsa-single": 10.0, "nyud2": 1.0}  # a severity's deviation of Gaussian noise
GATE = 0.5
DENSITY = 0.1


def released_noise(
    sample: Mapping[str, Tensor | str],
    data: str,
    severity: float,
    generator: torch.Generator,
    kind: str = "gaussian",
) -> dict[str, Tensor | str]:
    """A sample of raw modalities with the noise that the released test loaders add.

    `sample` maps modality names to images, `(C, H, W)` uint8 after resizing and before anything
    else (`"visual"`, `"depth"`; see 9.), and to the text as a `str`. `data` is `"mvsa-single"` or
    `"nyud2"`; `kind` is `"gaussian"` or, on MVSA-Single, `"salt-and-pepper"`; it says what happens
    to images, texts lose words with either. Severity 0 changes nothing.

    Raises `ValueError` for another `data` or `kind`, a severity outside [0, 10], an image that is
    not uint8, or one of NYUD2 that is larger than 224 x 224, so not resized yet.
    """
    one_of("data", data, tuple(GREY_LEVELS))
    one_of("kind", kind, ("gaussian", "salt-and-pepper")[: 2 if data == "mvsa-single" else 1])
    if not 0 <= severity <= 10:
        raise ValueError(f"severity is {severity}; give a number in [0, 10]")
    result = dict(sample)
    for m, x in sample.items():
        if not isinstance(x, str):
            _check_image(m, x, data)
        if severity == 0 or torch.rand((), generator=generator) >= GATE:
            continue
        if isinstance(x, str):
            result[m] = _without_words(x, severity / 10, generator)
        elif kind == "gaussian":
            result[m] = _wrapped_gaussian(x, GREY_LEVELS[data] * severity)
        elif torch.rand((), generator=generator) < severity / 100:
            result[m] = _salt_and_pepper(x, generator)
    return result


def _check_image(name: str, image: Tensor, data: str) -> None:
    shape = tuple(image.shape)
    if image.dtype != torch.uint8 or image.dim() != 3:
        raise ValueError(f"{name} is {shape} {image.dtype}; give a (C, H, W) uint8 image")
    if data == "nyud2" and max(shape[1:]) > SIDE:
        size = f"{shape[1]} x {shape[2]}"
        raise ValueError(f"{name} is {size}; resize it to {SIDE} x {SIDE}, then add NYUD2's noise")


def _wrapped_gaussian(image: Tensor, deviation: float) -> Tensor:
    plane = np.random.RandomState(0).normal(scale=deviation, size=image.shape[1:])
    # as a cast to bytes does: towards 0, then what is left after 256
    moved = (image.double() + torch.from_numpy(plane)).clamp(max=255).trunc().long()
    return (moved % 256).to(torch.uint8)


def _salt_and_pepper(image: Tensor, generator: torch.Generator) -> Tensor:
    luck = torch.rand(image.shape[1:], generator=generator)
    salted = torch.where(luck < DENSITY, torch.full_like(image, 255), image)
    return torch.where(luck < DENSITY / 2, torch.zeros_like(image), salted)


def _without_words(text: str, probability: float, generator: torch.Generator) -> str:
    words = text.split(" ")
    luck = torch.rand(len(words), generator=generator)
    return " ".join("_" if x < probability else w for w, x in zip(words, luck, strict=True))
