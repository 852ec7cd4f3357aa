"""NYU Depth V2: a room, its picture and its depth."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from mmlib.arguments import switch
from mmlib.data.reading.base import FromFiles
from mmlib.data.reading.boxes import flips, square_boxes, unaligned, whole_boxes
from mmlib.data.reading.folders import class_folders, folder_of, inner_folder, picture_names
from mmlib.data.reading.lists import Entry, carved
from mmlib.data.reading.media import read_image
from mmlib.data.reading.near import PICTURES
from mmlib.data.reading.transforms import SIDE, crop, normalise, resize, resized_crop

STATISTICS = (0.4951, 0.3601, 0.4587), (0.1474, 0.1950, 0.1646)  # QMF's, for both halves


class NYUDepthV2(FromFiles):
    """NYU Depth V2 as 10 kinds of scenes: `"visual"` and `"depth"`, `(B, 3, 224, 224)` each.

    `root` holds `nyud2_trainvaltest/{train,test}/<class>/<name>.png` (or is that folder): pairs
    side by side, the picture left, the depth right, as QMF and TMC publish them; classes are the
    sorted folders of `train`. Validation is a tenth of `train`, class by class, always the same.

    Each half becomes 256 x 256; training crops 224 at random and flips, evaluation resizes the
    whole to 224. With `aligned=False` the two halves are cropped and flipped each on its own, as
    in QMF's released code (commit d7f31dd): a depth pixel then no longer lies on its picture's.
    (QMF resizes halves of at most 224 columns by bilinear interpolation; here all are by bicubic.)

    `missing="drop"` leaves out the samples that lack a file; see `FromFiles`. `cache` is a
    folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
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
        missing: str = "error",
    ):
        what = "the folder of NYU Depth V2, with nyud2_trainvaltest in it"
        self._open(root, split, what, missing)
        self.aligned = switch("aligned", aligned)
        self._folder = inner_folder(self.root, "nyud2_trainvaltest")
        train = folder_of(self._folder / "train", "a folder of pictures for each class")
        self.classes = class_folders(train)
        if split == "test":
            entries = self._walk(folder_of(self._folder / "test", "a folder for each class"))
        else:
            entries = carved(self._walk(train), split)
        self._keep(entries, cache, {"data": "nyud2", "size": 256})

    def sources(self, index: int) -> list[Path]:
        """The one file of a sample."""
        return self._needs(self._entries[index])

    def _needs(self, entry: Entry) -> list[Path]:
        return [self._folder / entry.id]

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        finished = {}
        for modality, x in inputs.items():
            if draws is None:
                x = resized_crop(x, whole_boxes(len(x), *x.shape[-2:]), SIDE)
            else:
                own = draws if self.aligned or modality == "visual" else unaligned(draws)
                x = crop(x, square_boxes(own, len(x), *x.shape[-2:], SIDE), flips(own))
            finished[modality] = normalise(x, *STATISTICS)
        return finished

    def _walk(self, folder: Path) -> list[Entry]:
        entries = []
        for name in class_folders(folder):
            if name not in self.classes:
                raise ValueError(
                    f"{folder / name} is of no class of train, {', '.join(self.classes)}; "
                    "rename or remove it"
                )
            label = self.classes.index(name)
            names = picture_names(folder / name, PICTURES)
            entries += [Entry(f"{folder.name}/{name}/{picture}", label) for picture in names]
        return entries

    def _read(self, index: int, draws: Tensor | None) -> dict[str, Tensor]:
        (path,) = self.sources(index)
        return self._cache.get(self.ids[index], [path], lambda: _halves(path))


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
