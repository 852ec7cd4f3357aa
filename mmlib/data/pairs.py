"""Data sets of two pictures a sample: NYU Depth V2, UCF-101 and ModelNet40.

They are read from files when a batch is taken, through a cache, and cropped, flipped and normalised
batch-wise, on the device where the batch is.
"""

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmlib.data.cache import Cache, cache_folder
from mmlib.data.lists import (
    SPLITS,
    Entry,
    bad_line,
    carved,
    folder_of,
    known_label,
    read_lines,
    safe_id,
    whole_label,
    without_repeats,
)
from mmlib.data.media import in_order, read_image
from mmlib.data.transforms import (
    IMAGENET,
    finish_pictures,
    flips,
    normalise,
    resized_crop,
    square_boxes,
    unaligned,
    whole_boxes,
)
from mmlib.training import one_of, whole_number

SIDE = 224  # pixels of what a model gets
NYUD2_STATISTICS = (0.4951, 0.3601, 0.4587), (0.1474, 0.1950, 0.1646)  # QMF's, for both halves
UCF101_STATISTICS = (
    tuple(x / 255 for x in (106.46409, 101.46796, 93.22408)),
    tuple(x / 255 for x in (68.28274, 66.40727, 67.58706)),
)
VIEWS = 12


class Pairs:
    """What the data sets of two modalities share: a batch out of the cache, one finished sample.

    A data set sets `modalities`, `classes`, `split`, `target` `(N,)` and `ids`, and says how to
    read sample i, `_read(i, draws)` with `(DRAWS,)` draws or `None`, how to finish a batch, and
    where its files are, `sources(i)`.
    """

    modalities: tuple[str, str]
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    split: str
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, {self.split!r}): {len(self)} samples"

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor, int]:
        target = self.target[index]  # raises IndexError, which ends a loop over the data set
        index = index % len(self)
        inputs = self.finish(self.take(torch.tensor([index])))
        return {m: x[0] for m, x in inputs.items()}, target, index

    def take(self, index: Tensor, draws: Tensor | None = None) -> dict[str, Tensor]:
        """The raw batch of these samples on the CPU, in compact types; `draws` `(B, DRAWS)`.

        Raises `FileNotFoundError` for a missing file, `ValueError` for a broken one.
        """
        rows = [None] * len(index) if draws is None else draws.cpu()
        read = [self._read(i, row) for i, row in zip(index.tolist(), rows, strict=True)]
        return {m: torch.stack([sample[m] for sample in read]) for m in self.modalities}

    def _keep(self, entries: Sequence[Entry]) -> None:
        if not entries:
            raise ValueError(f"split {self.split!r} of {self.root} is empty; its lists hold none")
        self.ids = tuple(entry.id for entry in entries)
        self.target = torch.tensor([entry.target for entry in entries], dtype=torch.int64)


class NYUDepthV2(Pairs):
    """NYU Depth V2 as 10 kinds of scenes: `"visual"` and `"depth"`, `(B, 3, 224, 224)` each.

    `root` holds `nyud2_trainvaltest/{train,test}/<class>/<name>.png` (or is that folder): pairs
    side by side, the picture left, the depth right, as QMF and TMC publish them; classes are the
    sorted folders of `train`. Validation is a tenth of `train`, class by class, always the same.

    Each half becomes 256 x 256; training crops 224 at random and flips, evaluation resizes the
    whole to 224. With `aligned=False` the two halves are cropped and flipped each on its own, as
    in QMF's released code (commit d7f31dd): a depth pixel then no longer lies on its picture's.

    `cache` is a folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
    `FileNotFoundError` for a missing root or folder, `ValueError` for an unknown split, a class of
    `test` that `train` lacks, a class without pictures, and, when it is read, for a picture that is
    broken or no pair: of odd width or less than 1.5 times as wide as high.
    """

    modalities = ("visual", "depth")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        aligned: bool = True,
        cache: str | Path | None | bool = None,
    ):
        self.split, self.aligned = one_of("split", split, SPLITS), aligned
        self.root = folder_of(root, "the folder of NYU Depth V2, with nyud2_trainvaltest in it")
        self._folder = _inner(self.root, "nyud2_trainvaltest")
        train = folder_of(self._folder / "train", "a folder of pictures for each class")
        self.classes = _class_folders(train)
        if split == "test":
            entries = self._walk(folder_of(self._folder / "test", "a folder for each class"))
        else:
            entries = carved(self._walk(train), split)
        self._keep(entries)
        self._cache = Cache(cache_folder(self.root, cache), {"data": "nyud2", "size": 256})

    def sources(self, index: int) -> list[Path]:
        """The one file of a sample."""
        return [self._folder / self.ids[index]]

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        finished = {}
        for modality, x in inputs.items():
            if draws is None:
                x = resized_crop(x, whole_boxes(len(x), *x.shape[-2:]), SIDE)
            else:
                own = draws if self.aligned or modality == "visual" else unaligned(draws)
                x = crop(x, square_boxes(own, len(x), *x.shape[-2:], SIDE), flips(own))
            finished[modality] = normalise(x, *NYUD2_STATISTICS)
        return finished

    def _walk(self, folder: Path) -> list[Entry]:
        entries = []
        for name in _class_folders(folder):
            if name not in self.classes:
                raise ValueError(
                    f"{folder / name} is of no class of train, {', '.join(self.classes)}; "
                    "rename or remove it"
                )
            label = self.classes.index(name)
            names = _pictures(folder / name, (".png", ".jpg"))
            entries += [Entry(f"{folder.name}/{name}/{picture}", label, 0) for picture in names]
        return entries

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        (path,) = self.sources(index)
        return self._cache.get(self.ids[index], [path], lambda: _halves(path))


class UCF101Recipe(NamedTuple):
    """How a clip of UCF-101 is shown: `windows` of `flow_frames` with `frames` pictures in each.

    `size` is the height and width in which frames are kept; `statistics` are those of the pictures;
    `flow_centre` is taken off the flow, which is then divided by `flow_scale`.
    """

    windows: int
    flow_frames: int
    frames: int
    size: tuple[int, int]
    statistics: tuple[Sequence[float], Sequence[float]]
    flow_centre: float
    flow_scale: float


UCF101_RECIPES = {
    "di-mml": UCF101Recipe(1, 10, 1, (256, 340), UCF101_STATISTICS, 127.5, 1.0),
    "balance": UCF101Recipe(3, 1, 1, (SIDE, SIDE), IMAGENET, 0.0, 255.0),
}


class UCF101(Pairs):
    """UCF-101 as optical flow and pictures: `"flow"` `(B, 2, T, 224, 224)`, `"visual"` `(B, 3, F,
    224, 224)`; 101 actions.

    `root` holds `jpegs_256/<video>/frame000001.jpg`, `tvl1_flow/u/<video>/...`, `tvl1_flow/v/...`;
    `lists` (`root`, or its folder `ucfTrainTestlist`) holds `classInd.txt`, `trainlist01.txt` and
    `testlist01.txt` or `testlist001.txt`, of that `fold`, 1 to 3. Validation is the
    highest-numbered tenth of the training groups: clips of one group are cut from one recording.

    `recipe` is `"di-mml"` (10 consecutive flow frames, 1 picture amid them; crop 224 and flip;
    DI-MML's statistics, flow minus 127.5) or `"balance"` (BalanceBenchmark: 3 flow frames and 3
    pictures, one of each third, resized whole; flip; ImageNet's statistics, flow in [0, 1]).
    `flow_frames` and `frames` (pictures a window) change its numbers. `stacked=True` gives the flow
    as `(B, 2 T, 224, 224)`: u, v of the first frame, u, v of the second, ...

    `places` is the number of places, evenly spread, from which training draws the window; 1: the
    middle one, which is also that of evaluation. (DI-MML's code re-seeds for every clip, which
    comes to one place.) `None` is any place; then nothing is cached. A window takes 2 MB of cache.

    A flipped flow points the other way: u changes its sign. `aligned=False` is what the released
    code does. DI-MML (commit 83b9b7a) mirrors the pictures and u, not v, and leaves the sign;
    BalanceBenchmark (commit 39ed569) draws for pictures, u and v each on its own and leaves the
    sign. (DI-MML also has other statistics for test pictures; here they are those of training.)

    `cache` is a folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
    `FileNotFoundError` for a missing root, list or folder of frames; `ValueError` for an unknown
    split, fold or recipe, a bad list line (with file and line), and, when it is read, for a clip
    with too few frames or a broken frame.
    """

    modalities = ("flow", "visual")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        fold: int = 1,
        recipe: str = "di-mml",
        flow_frames: int | None = None,
        frames: int | None = None,
        places: int | None = 1,
        stacked: bool = False,
        aligned: bool = True,
        cache: str | Path | None | bool = None,
    ):
        self.split, self.aligned, self.stacked = one_of("split", split, SPLITS), aligned, stacked
        self.root = folder_of(root, "the folder of UCF-101, with jpegs_256 and tvl1_flow in it")
        self.recipe = one_of("recipe", recipe, tuple(UCF101_RECIPES))
        self._how = _ucf101_recipe(recipe, flow_frames, frames)
        self._places = None if places is None else whole_number("places", places, at_least=1)
        one_of("fold", fold, (1, 2, 3))
        folder = _inner(self.root, "ucfTrainTestlist") if lists is None else Path(lists)
        folder_of(folder, "the lists of UCF-101: classInd.txt, trainlist01.txt, testlist01.txt")
        self.classes = _read_class_numbers(folder / "classInd.txt")
        if split == "test":
            path = folder / f"testlist0{fold}.txt"
            path = path if path.is_file() else folder / f"testlist00{fold}.txt"
            entries = _read_ucf101(path, self.classes)
        else:
            path = folder / f"trainlist0{fold}.txt"
            entries = _without_groups(path, _read_ucf101(path, self.classes), split)
        self._keep(entries)
        self._folders: dict[Path, dict[str, str]] = {}
        kept = {"data": "ucf101", **self._how._asdict()}
        self._cache = Cache(cache_folder(self.root, cache if places else False), kept)

    def sources(self, index: int) -> list[Path]:
        """The frames that evaluation reads: per window the flow's u, its v, and the pictures.

        Raises `FileNotFoundError` or `ValueError` for a clip without folders or frames.
        """
        clip = self._clip(index)
        starts = self._starts(clip, None)
        return [path for start in starts for part in self._window(clip, start) for path in part]

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        visual = inputs["visual"]
        boxes = square_boxes(draws, len(visual), *visual.shape[-2:], SIDE)
        flip = None if draws is None else flips(draws)
        flow = self._flipped_flow(inputs["flow"], boxes, draws)
        flow = (flow - self._how.flow_centre) / self._how.flow_scale
        if self.stacked:
            flow = flow.transpose(1, 2).flatten(1, 2)  # (B, 2, T, H, W) -> (B, 2 T, H, W)
        visual = normalise(crop(visual, boxes, flip), *self._how.statistics)
        return {"flow": flow, "visual": visual}

    def _flipped_flow(self, flow: Tensor, boxes: Tensor, draws: Tensor | None) -> Tensor:
        if draws is None:
            return crop(flow, boxes, None)
        flip = flips(draws)
        if self.aligned:
            u, v = crop(flow, boxes, flip).unbind(1)
            u = torch.where(flip.to(u.device).view(-1, 1, 1, 1), 255 - u, u)
            return torch.stack([u, v], dim=1)
        u, v = flow.unbind(1)
        if self.recipe == "di-mml":
            return torch.stack([crop(u, boxes, flip), crop(v, boxes, None)], dim=1)
        flip_u = flips(unaligned(draws))
        flip_v = flips(unaligned(unaligned(draws)))
        return torch.stack([crop(u, boxes, flip_u), crop(v, boxes, flip_v)], dim=1)

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        clip = self._clip(index)
        windows = []
        for start in self._starts(clip, draws):
            u, v, pictures = self._window(clip, start)
            make = partial(_read_window, u, v, pictures, self._how.size)
            id = f"{self.ids[index]}@{start:06d}"
            windows.append(self._cache.get(id, [*u, *v, *pictures], make))
        return {m: torch.cat([window[m] for window in windows], dim=1) for m in self.modalities}

    def _clip(self, index: int) -> tuple[list[Path], list[Path], list[Path]]:
        """The frames of a clip, in order: u, v and pictures."""
        video = self.ids[index]
        trees = (self.root / "tvl1_flow" / "u", self.root / "tvl1_flow" / "v")
        folders = [self._frames_of(tree, video) for tree in (*trees, self.root / "jpegs_256")]
        u, v, pictures = ([f / name for name in _pictures(f, (".jpg",))] for f in folders)
        if len(u) != len(v):
            raise ValueError(
                f"{folders[0]} holds {len(u)} frames and {folders[1]} {len(v)}; extract both again"
            )
        need = self._how.windows * self._how.flow_frames
        for folder, found in ((folders[0], u), (folders[2], pictures)):
            if len(found) < need:
                raise ValueError(
                    f"{folder} holds {len(found)} frames; {need} are needed, extract it again"
                )
        return u, v, pictures

    def _frames_of(self, tree: Path, video: str) -> Path:
        """A clip's folder, whatever its capitals: lists say HandStandPushups where archives say
        HandstandPushups."""
        if (tree / video).is_dir():
            return tree / video
        if tree not in self._folders:
            folder_of(tree, "a folder of frames for each clip")
            self._folders[tree] = {name.lower(): name for name in sorted(os.listdir(tree))}
        name = self._folders[tree].get(video.lower(), video)
        return folder_of(tree / name, "the frames of that clip; extract them")

    def _starts(self, clip: tuple[list[Path], ...], draws: Tensor | None) -> list[int]:
        """Where the windows start, counted from 0: in the middle of their part, or drawn."""
        count, parts, length = min(map(len, clip)), self._how.windows, self._how.flow_frames
        starts = []
        for part in range(parts):
            first = part * count // parts
            room = (part + 1) * count // parts - first - length  # places but one
            if draws is None or self._places == 1:
                starts.append(first + room // 2)
                continue
            luck = float(draws[5 + part % 3])
            if self._places is None:
                starts.append(first + int(luck * (room + 1)))
            else:
                place = int(luck * self._places)
                starts.append(first + round(place * room / (self._places - 1)))
        return starts

    def _window(self, clip: tuple[list[Path], ...], start: int) -> tuple[list[Path], ...]:
        u, v, pictures = clip
        length, count = self._how.flow_frames, self._how.frames
        amid = [start + (2 * k + 1) * length // (2 * count) for k in range(count)]
        end = start + length
        return u[start:end], v[start:end], [pictures[k] for k in amid]


class ModelNet40(Pairs):
    """ModelNet40 seen from the front and from behind: `"front"`, `"rear"`, `(B, 3, 224, 224)`.

    `root` holds `modelnet40_images_new_12x/<class>/<train|test>/<class>_0001.obj.shaded_v001.png`
    (or is that folder), twelve views of each object, 30 degrees apart: v001 is the front, v007 the
    rear. `lists` is a folder with DI-MML's `train.txt` and `test.txt` (`path<TAB>label`, front
    views only; what stands before `modelnet40_images_new_12x/` is ignored); by default they are
    used if `root` holds them, otherwise the folders are walked. Labels follow the alphabetical
    order of the classes. Validation is a tenth of `train`, class by class, always the same.

    Training crops, resizes and flips at random, both views alike; with `aligned=False` each view on
    its own, as in DI-MML (commit 83b9b7a). `views="random"` draws the front view of v001 to v006
    and the rear view of v007 to v012 in training, after ReconBoost (commit 441eb51), which takes
    two of 180 renders, at test time too; here evaluation keeps to v001 and v007.

    `cache` is a folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
    `FileNotFoundError` for a missing root, list or folder and, when it is read, view; `ValueError`
    for an unknown split or choice of views, a bad list line (with file and line) or a broken view.
    """

    modalities = ("front", "rear")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        views: str = "fixed",
        aligned: bool = True,
        cache: str | Path | None | bool = None,
    ):
        self.split, self.aligned = one_of("split", split, SPLITS), aligned
        self.views = one_of("views", views, ("fixed", "random"))
        what = "the folder of ModelNet40, with modelnet40_images_new_12x in it"
        self.root = folder_of(root, what)
        self._folder = _inner(self.root, _MODELNET40)
        if lists is None and (self.root / "train.txt").is_file():
            lists = self.root
        name = "test" if split == "test" else "train"
        if lists is None:
            self.classes = _class_folders(self._folder, within="train")
            entries = self._walk(name)
        else:
            folder_of(lists, "the lists of ModelNet40: train.txt, test.txt")
            self.classes = _classes_of_list(Path(lists) / "train.txt")
            entries = _read_modelnet40(Path(lists) / f"{name}.txt", self.classes)
        self._keep(entries if split == "test" else carved(entries, split))
        self._cache = Cache(cache_folder(self.root, cache), {"data": "modelnet40", "size": SIDE})

    def sources(self, index: int) -> list[Path]:
        """The views of an object that may be shown: the front ones, then the rear ones."""
        views = (1, 7) if self.views == "fixed" else range(1, VIEWS + 1)
        return [self._view(index, view) for view in views]

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        own = {"front": draws, "rear": draws}
        if draws is not None and not self.aligned:
            own["rear"] = unaligned(draws)
        return {m: finish_pictures(x, own[m], SIDE) for m, x in inputs.items()}

    def _walk(self, split: str) -> list[Entry]:
        entries = []
        for label, name in enumerate(self.classes):
            folder = folder_of(self._folder / name / split, f"the {split} views of {name}")
            views = [view for view in _pictures(folder, (".png",)) if view.endswith(_FRONT)]
            if not views:
                raise ValueError(f"{folder} holds no view that ends in {_FRONT}; render it again")
            entries += [
                Entry(f"{name}/{split}/{view.removesuffix(_FRONT)}", label, 0) for view in views
            ]
        return entries

    def _view(self, index: int, view: int) -> Path:
        return self._folder / f"{self.ids[index]}_v{view:03d}.png"

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        front, rear = 1, 7
        if self.views == "random" and draws is not None:
            front, rear = (first + int(x * 6) for first, x in zip((1, 7), draws[5:7].tolist()))
        return {"front": self._picture(index, front), "rear": self._picture(index, rear)}

    def _picture(self, index: int, view: int) -> Tensor:
        path = self._view(index, view)
        id = f"{self.ids[index]}_v{view:03d}"
        return self._cache.get(id, [path], lambda: {"picture": read_image(path, SIDE)})["picture"]


_MODELNET40 = "modelnet40_images_new_12x"
_FRONT = "_v001.png"


def crop(pictures: Tensor, boxes: Tensor, flip: Tensor | None, side: int = SIDE) -> Tensor:
    """Cut squares out of `(B, ..., H, W)` without resizing, and flip some: `(B, ..., side, side)`.

    Of `boxes`, `(B, 4)`, the first two columns count, top and left; `flip` is `(B,)` bool.
    """
    boxes = boxes.to(pictures.device)
    pixel = torch.arange(side, device=boxes.device)
    rows, columns = boxes[:, :1] + pixel, boxes[:, 1:2] + pixel  # (B, side)
    if flip is not None:
        columns = torch.where(flip.to(boxes.device)[:, None], columns.flip(1), columns)
    x = pictures.flatten(1, -3)  # (B, ..., H, W) -> (B, n, H, W)
    x = x.gather(2, rows[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
    x = x.gather(3, columns[:, None, None, :].expand(-1, x.shape[1], side, -1))
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


def _inner(root: Path, name: str) -> Path:
    """The folder of that name in `root`, or `root` where it is left out."""
    return root / name if (root / name).is_dir() else root


def _class_folders(folder: Path, within: str = "") -> tuple[str, ...]:
    """Sorted names of the folders in a folder, hidden ones left out; those that hold `within`."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    names = [name for name in names if (folder / name / within).is_dir()]
    if not names:
        raise FileNotFoundError(f"{folder} holds no folders; expected one for each class")
    return tuple(names)


def _pictures(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """File names with one of the endings, by their numbers; at least one."""
    names = [n for n in os.listdir(folder) if n.lower().endswith(endings) and n[0] != "."]
    if not names:
        raise ValueError(f"{folder} holds no {' or '.join(endings)}; extract its pictures again")
    return in_order(names)


def _halves(path: Path) -> dict[str, Tensor]:
    """Left and right half of a picture, `(3, 256, 256)` bytes each, bicubic as in QMF."""
    pair = read_image(path)
    height, width = pair.shape[-2:]
    if width % 2 or width < 1.5 * height:
        raise ValueError(
            f"{path} is {width} x {height} pixels; expected a picture and its depth side by side, "
            "of even width and at least 1.5 times as wide as high"
        )
    sides = [
        resize(half, (256, 256), Image.Resampling.BICUBIC).contiguous()
        for half in pair.chunk(2, dim=2)
    ]
    return dict(zip(NYUDepthV2.modalities, sides))


def _ucf101_recipe(name: str, flow_frames: int | None, frames: int | None) -> UCF101Recipe:
    recipe = UCF101_RECIPES[name]
    if flow_frames is not None:
        flow_frames = whole_number("flow_frames", flow_frames, at_least=1)
        recipe = recipe._replace(flow_frames=flow_frames)
    if frames is not None:
        recipe = recipe._replace(frames=whole_number("frames", frames, at_least=1))
    if recipe.frames > recipe.flow_frames:
        raise ValueError(
            f"frames is {recipe.frames}, more than the {recipe.flow_frames} flow_frames of a window"
        )
    return recipe


def _read_window(
    u: list[Path], v: list[Path], pictures: list[Path], size: tuple[int, int]
) -> dict[str, Tensor]:
    """`"flow"` `(2, T, H, W)` and `"visual"` `(3, F, H, W)`, bytes."""
    flow = [torch.stack([_frame(path, size)[0] for path in paths]) for paths in (u, v)]
    visual = torch.stack([_frame(path, size) for path in pictures], dim=1)
    return {"flow": torch.stack(flow), "visual": visual}


def _frame(path: Path, size: tuple[int, int]) -> Tensor:
    # a square is the whole frame resized, out of proportion, as BalanceBenchmark has it
    return read_image(path, size) if size[0] == size[1] else shrink(read_image(path), size)


def _read_class_numbers(path: Path) -> tuple[str, ...]:
    """`classInd.txt`: `1 ApplyEyeMakeup`, one class a line, numbered from 1 in order."""
    classes: list[str] = []
    for number, text in read_lines(path):
        words = text.split()
        if len(words) != 2 or words[0] != str(len(classes) + 1):
            raise bad_line(path, number, text, f"'{len(classes) + 1} Class', numbered in order")
        if words[1] in classes:
            raise bad_line(path, number, text, "each class once")
        classes.append(safe_id(path, number, words[1]))
    return tuple(classes)


_VIDEO = re.compile(r"v_\w+_g(\d{1,4})_c\d{1,4}", re.ASCII)


def _read_ucf101(path: Path, classes: tuple[str, ...]) -> list[Entry]:
    """A list of clips, `Class/v_Class_g01_c01.avi`, with the class's number behind it or not."""
    expected = "'Class/v_Class_g01_c01.avi', and behind it the number of the class or nothing"
    entries = []
    for number, text in read_lines(path):
        words = text.split()
        parts = safe_id(path, number, words[0], nested=True).split("/")
        video = parts[-1].removesuffix(".avi")
        if len(words) > 2 or len(parts) != 2 or not _VIDEO.fullmatch(video):
            raise bad_line(path, number, text, expected)
        label = known_label(path, number, parts[0], classes)
        if len(words) == 2 and words[1] != str(label + 1):
            raise bad_line(path, number, text, f"{label + 1}, the number of {parts[0]}, at the end")
        entries.append(Entry(video, label, number))
    return without_repeats(path, entries)


def _without_groups(path: Path, entries: list[Entry], split: str) -> list[Entry]:
    """Training or validation: the highest-numbered tenth of the groups, at least one, is kept."""
    group = {entry.id: int(_VIDEO.fullmatch(entry.id)[1]) for entry in entries}
    groups = sorted(set(group.values()))
    if len(groups) < 2:
        raise ValueError(f"{path} is all of group {groups[0]}; validation needs another group")
    held = set(groups[-max(round(0.1 * len(groups)), 1) :])
    return [entry for entry in entries if (group[entry.id] in held) == (split == "val")]


def _split_modelnet40(path: Path, number: int, text: str) -> tuple[str, str, str]:
    """A line of a ModelNet40 list: class, id and label."""
    listed, tab, label = text.partition("\t")
    below = listed.replace("\\", "/").rpartition(f"{_MODELNET40}/")[2]
    parts = safe_id(path, number, below, nested=True).split("/")
    if not tab or len(parts) != 3 or not below.endswith(_FRONT):
        expected = f"'{_MODELNET40}/class/train/class_0001.obj.shaded{_FRONT}', a tab and a label"
        raise bad_line(path, number, text, expected)
    return parts[0], below.removesuffix(_FRONT), label.strip()


def _classes_of_list(path: Path) -> tuple[str, ...]:
    return tuple(sorted({_split_modelnet40(path, *line)[0] for line in read_lines(path)}))


def _read_modelnet40(path: Path, classes: tuple[str, ...]) -> list[Entry]:
    entries = []
    for number, text in read_lines(path):
        name, id, label = _split_modelnet40(path, number, text)
        place = known_label(path, number, name, classes)
        if whole_label(path, number, label, len(classes)) != place:
            expected = f"label {place}: {name} is that in the alphabetical order of the classes"
            raise bad_line(path, number, text, expected)
        entries.append(Entry(id, place, number))
    return without_repeats(path, entries)
