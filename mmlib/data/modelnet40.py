"""ModelNet40: an object, seen from the front and from behind."""

from pathlib import Path

from torch import Tensor

from mmlib.arguments import one_of, switch
from mmlib.data.reading.base import FromFiles
from mmlib.data.reading.boxes import own_luck
from mmlib.data.reading.folders import class_folders, folder_of, inner_folder, picture_names
from mmlib.data.reading.lists import Entry, Line, carved, read_lines, without_repeats
from mmlib.data.reading.media import read_image
from mmlib.data.reading.transforms import SIDE, finish_pictures, released_view

VIEWS = 12
_FOLDER = "modelnet40_images_new_12x"
_FRONT = "_v001.png"


class ModelNet40(FromFiles):
    """ModelNet40 seen from the front and from behind: `"front"`, `"rear"`, `(B, 3, 224, 224)`.

    `root` holds `modelnet40_images_new_12x/<class>/<train|test>/<class>_0001.obj.shaded_v001.png`
    (or is that folder), twelve views of each object, 30 degrees apart: v001 is the front, v007 the
    rear. `lists` is a folder with DI-MML's `train.txt` and `test.txt` (`path<TAB>label`, front
    views only; what stands before `modelnet40_images_new_12x/` is ignored); by default they are
    used if `root` holds them, otherwise the folders are walked. Labels follow the alphabetical
    order of the classes. Validation is a tenth of `train`, class by class, always the same.

    Training crops, resizes and flips at random, both views alike; a box that does not fit is cut to
    the view. With `aligned=False` each view has a box and a flip of its own, and one that does not
    fit is drawn again, as in DI-MML (commit 83b9b7a): a box covers 48 % of the view on average, not
    53 %. `take` does this then, and `finish` only normalises. (The published views are 224 x 224.
    Others are squeezed to that first where they are cropped alike.)

    `views="random"` draws the front view of v001 to v006 and the rear view of v007 to v012 in
    training, after ReconBoost (commit 441eb51), which takes two of 180 renders, at test time too;
    here evaluation keeps to v001 and v007.

    `missing="drop"` leaves out the samples that lack a file; see `FromFiles`. `cache` is a
    folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
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
        missing: str = "error",
    ):
        what = "the folder of ModelNet40, with modelnet40_images_new_12x in it"
        self._open(root, split, what, missing)
        self.views = one_of("views", views, ("fixed", "random"))
        self.aligned = switch("aligned", aligned)
        self._folder = inner_folder(self.root, _FOLDER)
        if lists is None and (self.root / "train.txt").is_file():
            lists = self.root
        name = "test" if split == "test" else "train"
        if lists is None:
            self.classes = class_folders(self._folder, within="train")
            entries = self._walk(name)
        else:
            lists = folder_of(lists, "the lists of ModelNet40: train.txt, test.txt")
            train = read_lines(lists / "train.txt")
            self.classes = tuple(sorted({_split(line)[0] for line in train}))
            entries = _read_list(lists / f"{name}.txt", self.classes)
        recipe = {"data": "modelnet40", "size": SIDE if aligned else "whole"}
        self._keep(entries if split == "test" else carved(entries, split), cache, recipe)

    def sources(self, index: int) -> list[Path]:
        """The views of an object that may be shown: the front ones, then the rear ones."""
        return self._needs(self._entries[index])

    def _needs(self, entry: Entry) -> list[Path]:
        views = (1, 7) if self.views == "fixed" else range(1, VIEWS + 1)
        return [self._view(entry.id, view) for view in views]

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        own = draws if self.aligned else None  # else they were cropped when they were read
        return {m: finish_pictures(x, own, SIDE) for m, x in inputs.items()}

    def _walk(self, split: str) -> list[Entry]:
        entries = []
        for label, name in enumerate(self.classes):
            folder = folder_of(self._folder / name / split, f"the {split} views of {name}")
            views = [view for view in picture_names(folder, (".png",)) if view.endswith(_FRONT)]
            if not views:
                there = picture_names(folder, (".png",))[0]
                raise ValueError(
                    f"{folder} holds {there} and no view that ends in {_FRONT}; render them again"
                )
            objects = (view.removesuffix(_FRONT) for view in views)
            entries += [Entry(f"{name}/{split}/{one}", label) for one in objects]
        return entries

    def _view(self, id: str, view: int) -> Path:
        return self._folder / f"{id}_v{view:03d}.png"

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        front, rear = 1, 7
        if self.views == "random" and draws is not None:
            front, rear = (first + int(x * 6) for first, x in zip((1, 7), draws[5:7].tolist()))
        pictures = [self._picture(index, view) for view in (front, rear)]
        if not self.aligned:
            luck = None if draws is None else own_luck(draws.tolist())
            views = [released_view(x.movedim(0, -1), luck, SIDE) for x in pictures]
            pictures = [x.movedim(-1, 0) for x in views]
        return dict(zip(self.modalities, pictures))

    def _picture(self, index: int, view: int) -> Tensor:
        path, side = self._view(self.ids[index], view), SIDE if self.aligned else None
        id = f"{self.ids[index]}_v{view:03d}"
        return self._cache.get(id, [path], lambda: {"picture": read_image(path, side)})["picture"]


def _split(line: Line) -> tuple[str, str, str]:
    """A line of a list: class, id and label."""
    listed, tab, label = line.text.partition("\t")
    below = listed.replace("\\", "/").rpartition(f"{_FOLDER}/")[2]
    parts = line.safe_id(below, nested=True).split("/")
    if not tab or len(parts) != 3 or not below.endswith(_FRONT):
        raise line.bad(f"'{_FOLDER}/class/train/class_0001.obj.shaded{_FRONT}', a tab and a label")
    return parts[0], below.removesuffix(_FRONT), label.strip()


def _read_list(path: Path, classes: tuple[str, ...]) -> list[Entry]:
    entries = []
    for line in read_lines(path):
        name, id, label = _split(line)
        place = line.known_label(name, classes)
        if line.whole_label(label, len(classes)) != place:
            alphabetical = f"{name} is that in the alphabetical order of the classes"
            raise line.bad(f"label {place}: {alphabetical}")
        entries.append(Entry(id, place, line))
    return without_repeats(entries)
