"""What is published of the real data sets: how many samples and classes, and where to get them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from mmlib.data.ave import AVE
from mmlib.data.cremad import CremaD
from mmlib.data.kinetics_sounds import KineticsSounds, folder_of_lists, has_list
from mmlib.data.modelnet40 import ModelNet40
from mmlib.data.mvsa import MVSASingle
from mmlib.data.nyud2 import NYUDepthV2
from mmlib.data.reading.lists import SPLITS
from mmlib.data.tools.leaks import (
    Alike,
    actor,
    content,
    each,
    id_of,
    recording,
    thing,
    video,
    words,
)
from mmlib.data.tools.published_names import (
    AVE_CLASSES,
    AVE_TWICE,
    MODELNET40_CLASSES,
    UCF101_CLASSES,
)
from mmlib.data.ucf101 import UCF101


class Known(NamedTuple):
    """What is known of a data set.

    `kind` is its class, `options` how it is opened; `classes` how many there are; `counts` the
    published number of samples of some splits together, `by_class` their numbers class by class,
    exact or as the least and the most of any class (`""`). `lists` and `media` say where to get
    what; `videos` is the folder that `prepare` starts from. `names` are the classes where
    `by_class` does not name them; `alike` is what no two splits should share.
    """

    kind: type
    classes: int
    counts: Mapping[tuple[str, ...], int]
    by_class: Mapping[tuple[str, ...], Mapping[str, int | tuple[int, int]]]
    lists: str
    media: str
    videos: str = ""
    options: Mapping = {}
    names: tuple[str, ...] = ()
    alike: tuple[Alike, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether lists say what there is; folders do otherwise."""
        return not self.lists.startswith("none are needed")

    def has_part(self, classes: Sequence[str]) -> bool:
        """Whether these are some of the published classes, and not all."""
        names = self.names or {name for part in self.by_class.values() for name in part}
        return set(map(_plain, classes)) < set(map(_plain, names))


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()


def _by_name(names: str, *counts: int) -> dict[str, int]:
    names = [name.replace("_", " ") for name in names.split()]
    return dict(zip(names, counts, strict=True))


_TRAINING, _ALL = ("train", "val"), SPLITS  # where a part of train is held out, and all together
_EMOTIONS = "ANG DIS FEA HAP NEU SAD"
_FEELINGS = "positive negative neutral"

KNOWN = {
    "cremad": Known(
        CremaD,
        6,
        {_TRAINING: 6698, ("test",): 744},
        {
            _TRAINING: _by_name(_EMOTIONS, 1166, 1142, 1138, 1148, 973, 1131),
            ("test",): _by_name(_EMOTIONS, 105, 129, 133, 123, 114, 140),
        },
        "train.csv and test.csv of github.com/GeWu-Lab/OGM-GE_CVPR2022, in ROOT/data/CREMAD",
        "github.com/CheyneyComputerScience/CREMA-D, by git lfs (its zip archive holds pointers)",
        "VideoFlash",
        alike=(Alike("clips", each(id_of)), Alike("actors", each(actor), None)),
    ),
    "ave": Known(
        AVE,
        28,
        {("train",): 3311, ("val",): 401, ("test",): 402},
        {},
        "trainSet.txt, valSet.txt and testSet.txt of the data set's archive, in ROOT",
        "sites.google.com/view/audiovisualresearch",
        "AVE",
        names=AVE_CLASSES,
        alike=(Alike("videos", each(id_of), AVE_TWICE),),
    ),
    "kinetics-sounds": Known(
        KineticsSounds,
        31,
        {_TRAINING: 14_799, ("test",): 2597},
        {_TRAINING: {"": (197, 690)}, ("test",): {"": (63, 92)}},
        "my_train.txt and my_test.txt of github.com/GeWu-Lab/OGM-GE_CVPR2022, in ROOT",
        "Kinetics-400, github.com/cvdfoundation/kinetics-dataset; many clips are gone for good",
        "ks_video",
        names=tuple(map(str, range(31))),
        alike=(Alike("videos", each(video)),),
    ),
    "mvsa-single": Known(
        MVSASingle,
        3,
        {("train",): 1555, ("val",): 518, ("test",): 519},
        {
            ("train",): _by_name(_FEELINGS, 851, 422, 282),
            ("val",): _by_name(_FEELINGS, 282, 141, 95),
            ("test",): _by_name(_FEELINGS, 265, 161, 93),
        },
        "train.jsonl, dev.jsonl and test.jsonl of github.com/QingyangZhang/QMF, in ROOT",
        "the MVSA page of mcrlab.net",
        # without it, the vocabulary would be made of all texts
        options={"tokenizer": lambda texts: torch.zeros(len(texts), 1, dtype=torch.int64)},
        alike=(
            Alike("pictures", content, None, "as tweets repeat them"),
            Alike("texts", each(words), None, "as tweets repeat them"),
        ),
    ),
    "nyud2": Known(
        NYUDepthV2,
        10,
        {_TRAINING: 795, ("test",): 654},
        {
            _ALL: _by_name(
                "bedroom kitchen living_room bathroom dining_room office home_office classroom "
                "bookstore others",
                *(383, 225, 221, 121, 117, 78, 50, 49, 36, 169),
            )
        },
        "none are needed: the folders in ROOT/nyud2_trainvaltest say split and class",
        "the archive that github.com/QingyangZhang/QMF names, or NYU Depth V2 of "
        "cs.nyu.edu/~silberman, as pairs side by side",
        alike=(Alike("pictures", content),),
    ),
    "ucf101": Known(
        UCF101,
        101,
        {_TRAINING: 9537, ("test",): 3783},
        {},
        "classInd.txt, trainlist01.txt and testlist01.txt (or 02, 03) of crcv.ucf.edu, in ROOT",
        "the archives ucf101_jpegs_256 and ucf101_tvl1_flow of github.com/feichtenhofer/"
        "twostreamfusion",
        names=UCF101_CLASSES,
        alike=(Alike("recordings", each(recording)),),
    ),
    "modelnet40": Known(
        ModelNet40,
        40,
        {_TRAINING: 9843, ("test",): 2468},
        {},
        "none are needed: the folders in ROOT/modelnet40_images_new_12x say split and class",
        "the shaded images of MVCNN, 12 views of each object of modelnet.cs.princeton.edu",
        names=MODELNET40_CLASSES,
        alike=(Alike("objects", each(thing)),),
    ),
}


def numbers_of(known: Known, splits: Mapping, options: Mapping, root: Path) -> Known:
    """What is known of a data set opened with these options; without numbers where none are."""
    if known.kind is UCF101 and options.get("fold", 1) != 1:
        counts = {2: (9586, 3734), 3: (9624, 3696)}[options["fold"]]
        return known._replace(counts=dict(zip((_TRAINING, ("test",)), counts)))
    if known.kind is CremaD and options.get("split_by") == "actor":
        parts = known.by_class.values()
        total = {name: sum(part[name] for part in parts) for name in _EMOTIONS.split()}
        return known._replace(counts={_ALL: sum(total.values())}, by_class={_ALL: total})
    if not _are_published(known, splits, options, root):
        return known._replace(counts=dict.fromkeys((split,) for split in SPLITS), by_class={})
    classes = next((data.classes for data in splits.values()), ())
    return _of_classes(known, classes) if known.has_part(classes) else known


def _of_classes(known: Known, classes: Sequence[str]) -> Known:
    """The numbers of some of the classes, as far as they are known."""
    mine = set(map(_plain, classes))
    by_class = {
        names: {name: n for name, n in part.items() if _plain(name) in mine}
        for names, part in known.by_class.items()
    }
    totals = {n: sum(by_class[n].values()) if n in by_class else None for n in known.counts}
    return known._replace(counts=totals, by_class=by_class)


def _are_published(known: Known, splits: Mapping, options: Mapping, root: Path) -> bool:
    """Whether the lists are those whose numbers are known."""
    lists = options.get("lists")
    if known.kind is MVSASingle:
        shipped = (Path(lists or root) / "my_val_mvsa.txt").is_file()
        return all(d.layout == "qmf" or d.layout == "mla" and shipped for d in splits.values())
    if known.kind is KineticsSounds:
        usual = all(len(data.classes) == known.classes for data in splits.values())
        return usual and not has_list(folder_of_lists(root, lists), "val")
    return True
