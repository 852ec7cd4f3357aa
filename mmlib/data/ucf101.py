"""UCF-101: an action, its pictures and its optical flow."""

import re
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmlib.arguments import one_of, switch, whole_number
from mmlib.data.reading.base import FromFiles
from mmlib.data.reading.boxes import flips, square_boxes, unaligned
from mmlib.data.reading.folders import folder_of, inner_folder, number_of, picture_names
from mmlib.data.reading.lists import Entry, WrongList, read_lines, without_repeats
from mmlib.data.reading.media import read_image
from mmlib.data.reading.near import near_names
from mmlib.data.reading.transforms import IMAGENET, SIDE, crop, normalise, shrink

STATISTICS = (  # DI-MML's, of the pictures
    tuple(x / 255 for x in (106.46409, 101.46796, 93.22408)),
    tuple(x / 255 for x in (68.28274, 66.40727, 67.58706)),
)


TREES = ("tvl1_flow/u", "tvl1_flow/v", "jpegs_256")


class Recipe(NamedTuple):
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


RECIPES = {
    "di-mml": Recipe(1, 10, 1, (256, 340), STATISTICS, 127.5, 1.0),
    "balance": Recipe(3, 1, 1, (SIDE, SIDE), IMAGENET, 0.0, 255.0),
}


class UCF101(FromFiles):
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
    comes to one place for all clips of a length, in training not the middle, and to the 7th picture
    of ten; here it is the 6th.) `None` is any place; then nothing is cached. A window takes 2 MB of
    cache. Frames of 341 columns lose the last one, so that all fit in one batch.

    A flipped flow points the other way: u changes its sign. `aligned=False` is what the released
    code does. DI-MML (commit 83b9b7a) mirrors the pictures and u, not v, and leaves the sign;
    BalanceBenchmark (commit 39ed569) draws for pictures, u and v each on its own and leaves the
    sign. (DI-MML also has other statistics for test pictures; here they are those of training.)

    `missing="drop"` leaves out the samples that lack a file; see `FromFiles`. `cache` is a
    folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
    `FileNotFoundError` for a missing root, list or folder of frames; `ValueError` for an unknown
    split, fold or recipe, a bad list line (with file and line), and, when it is read, for a clip
    with too few frames, a broken frame, or pictures and flow of other numbers in their names.
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
        missing: str = "error",
    ):
        what = "the folder of UCF-101, with jpegs_256 and tvl1_flow in it"
        self._open(root, split, what, missing)
        self.aligned, self.stacked = switch("aligned", aligned), switch("stacked", stacked)
        self.recipe = one_of("recipe", recipe, tuple(RECIPES))
        self._how = _recipe_of(recipe, flow_frames, frames)
        self._places = None if places is None else whole_number("places", places, at_least=1)
        one_of("fold", fold, (1, 2, 3))
        folder = inner_folder(self.root, "ucfTrainTestlist") if lists is None else Path(lists)
        folder_of(folder, "the lists of UCF-101: classInd.txt, trainlist01.txt, testlist01.txt")
        self.classes = _read_class_numbers(folder / "classInd.txt")
        path = folder / f"{'test' if split == 'test' else 'train'}list0{fold}.txt"
        if split == "test" and not path.is_file():
            path = folder / f"testlist00{fold}.txt"
        entries = _read_list(path, self.classes)
        entries = entries if split == "test" else _without_groups(path, entries, split)
        recipe = {"data": "ucf101", **self._how._asdict()}
        # HandStandPushups in the lists is HandstandPushups in the archives
        ids = [entry.id for entry in entries]
        self._names = {tree: near_names(self.root / tree, ids) for tree in TREES}
        self._keep(entries, cache if places else False, recipe)

    def sources(self, index: int) -> list[Path]:
        """The frames that evaluation reads: per window the flow's u, its v, and the pictures.

        Raises `FileNotFoundError` or `ValueError` for a clip without folders or frames.
        """
        clip = self._clip(index)
        return list(chain(*(chain(*self._window(clip, s)) for s in self._starts(clip, None))))

    def _needs(self, entry: Entry) -> list[Path]:
        return [self._place(tree, entry.id) for tree in TREES]

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
            flip_v = None
        else:
            flip, flip_v = flips(unaligned(draws)), flips(unaligned(unaligned(draws)))
        return torch.stack([crop(u, boxes, flip), crop(v, boxes, flip_v)], dim=1)

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        clip = self._clip(index)
        windows = []
        for start in self._starts(clip, draws):
            window, id = self._window(clip, start), f"{self.ids[index]}@{start:06d}"
            make = partial(_read_window, *window, self._how.size)
            windows.append(self._cache.get(id, list(chain(*window)), make))
        return {m: torch.cat([window[m] for window in windows], dim=1) for m in self.modalities}

    def _clip(self, index: int) -> tuple[list[Path], list[Path], list[Path]]:
        """The frames of a clip, in order: u, v and pictures."""
        folders = [self._frames_of(tree, self.ids[index]) for tree in TREES]
        u, v, pictures = ([f / name for name in picture_names(f, (".jpg",))] for f in folders)
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
        _check_numbers(u, v)
        _check_numbers(u, pictures)
        return u, v, pictures

    def _frames_of(self, tree: str, video: str) -> Path:
        """A clip's folder."""
        folder = self._place(tree, video)
        if not folder.is_dir():
            folder_of(self.root / tree, "a folder of frames for each clip")
        return folder_of(folder, "the frames of that clip; extract them")

    def _place(self, tree: str, video: str) -> Path:
        return self.root / tree / self._names[tree].get(video, video)

    def _starts(self, clip: tuple[list[Path], ...], draws: Tensor | None) -> list[int]:
        """Where the windows start, counted from 0: in the middle of their part, or drawn."""
        count, parts, length = min(map(len, clip)), self._how.windows, self._how.flow_frames
        starts = []
        for part in range(parts):
            first = part * count // parts
            room = (part + 1) * count // parts - first - length  # places but one
            luck = 0.0 if draws is None else float(draws[5 + part % 3])
            if draws is None or self._places == 1:
                place = room // 2
            elif self._places is None:
                place = int(luck * (room + 1))
            else:
                place = round(int(luck * self._places) * room / (self._places - 1))
            starts.append(first + place)
        return starts

    def _window(self, clip: tuple[list[Path], ...], start: int) -> tuple[list[Path], ...]:
        u, v, pictures = clip
        length, count = self._how.flow_frames, self._how.frames
        amid = [start + (2 * k + 1) * length // (2 * count) for k in range(count)]
        end = start + length
        return u[start:end], v[start:end], [pictures[k] for k in amid]


def _check_numbers(flow: list[Path], others: list[Path]) -> None:
    """Frames of one place have one number; there may be one picture more than flow, at the end."""
    for one, other in zip(flow, others, strict=False):
        if one.name != other.name and number_of(one.name) != number_of(other.name):
            raise ValueError(
                f"{other} stands where {one.name} of {one.parent} does, another frame; "
                "extract both again"
            )


def _recipe_of(name: str, flow_frames: int | None, frames: int | None) -> Recipe:
    given = {"flow_frames": flow_frames, "frames": frames}
    given = {n: whole_number(n, x, at_least=1) for n, x in given.items() if x is not None}
    recipe = RECIPES[name]._replace(**given)
    if recipe.frames > recipe.flow_frames:
        raise ValueError(
            f"frames is {recipe.frames}, more than the {recipe.flow_frames} flow_frames of a window"
        )
    return recipe


def _read_window(u: list[Path], v: list[Path], pictures: list[Path], size) -> dict[str, Tensor]:
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
    for line in read_lines(path):
        words = line.text.split()
        if len(words) != 2 or words[0] != str(len(classes) + 1):
            raise line.bad(f"'{len(classes) + 1} Class', numbered in order")
        if words[1] in classes:
            raise line.bad("each class once")
        classes.append(line.safe_id(words[1]))
    return tuple(classes)


_VIDEO = re.compile(r"v_\w+_g(\d{1,4})_c\d{1,4}", re.ASCII)


def _read_list(path: Path, classes: tuple[str, ...]) -> list[Entry]:
    """A list of clips, `Class/v_Class_g01_c01.avi`, with the class's number behind it or not."""
    expected = "'Class/v_Class_g01_c01.avi', and behind it the number of the class or nothing"
    entries = []
    for line in read_lines(path):
        words = line.text.split()
        parts = line.safe_id(words[0], nested=True).split("/")
        video = parts[-1].removesuffix(".avi")
        if len(words) > 2 or len(parts) != 2 or not _VIDEO.fullmatch(video):
            raise line.bad(expected)
        label = line.known_label(parts[0], classes)
        if len(words) == 2 and words[1] != str(label + 1):
            raise line.bad(f"{label + 1}, the number of {parts[0]}, at the end")
        entries.append(Entry(video, label, line))
    return without_repeats(entries)


def _without_groups(path: Path, entries: list[Entry], split: str) -> list[Entry]:
    """Training or validation: the highest-numbered tenth of the groups, at least one, is kept."""
    group = {entry.id: int(_VIDEO.fullmatch(entry.id)[1]) for entry in entries}
    groups = sorted(set(group.values()))
    if len(groups) < 2:
        raise WrongList(f"{path} is all of group {groups[0]}; validation needs another group")
    held = set(groups[-max(round(0.1 * len(groups)), 1) :])
    return [entry for entry in entries if (group[entry.id] in held) == (split == "val")]
