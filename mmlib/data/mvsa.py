"""MVSA-Single: a tweet, its picture and the feeling that both convey."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmlib.arguments import one_of, switch, whole_number
from mmlib.data.reading.base import FromFiles, check_draws
from mmlib.data.reading.boxes import flips, square_boxes
from mmlib.data.reading.damage import refusal_of, stub_of
from mmlib.data.reading.folders import NoList, file_of, folder_of
from mmlib.data.reading.lists import Line, WrongList, carve, carved, read_lines, without_repeats
from mmlib.data.reading.media import read_image
from mmlib.data.reading.near import near_names
from mmlib.data.reading.transforms import SIDE, crop, normalise, shrink
from mmlib.data.text import WordTokenizer

FEELINGS = ("negative", "neutral", "positive")
NEUTRAL = 1
STATISTICS = (0.4678, 0.4453, 0.4066), (0.1222, 0.1215, 0.1438)  # QMF's
LISTS = {  # of each layout, the file by which it is known
    "qmf": "train.jsonl",
    "mla": "my_train_mvsa.txt",
    "raw": "labelResultAll.txt",
}


class Tweet(NamedTuple):
    """A line of a list: `target` is its class, or `None` where its labels leave none.

    `picture` is relative to the root; `text` is `None` where a file has it.
    """

    id: str
    target: int | None
    line: Line
    picture: str
    text: str | None = None


class MVSASingle(FromFiles):
    """MVSA-Single: `"text"` `(B, length)` int64 and `"visual"` `(B, 3, 224, 224)`; 3 feelings.

    `root` holds `data/<id>.jpg` and `data/<id>.txt`; `lists` (`root` by default) one of three
    `layout`s, told apart by the files in it, in this order:

    - `"qmf"`: `train.jsonl`, `dev.jsonl`, `test.jsonl`, an object `{"id", "label", "text", "img"}`
      a line; classes in the order of their first appearance in training.
    - `"mla"`: `my_train_mvsa.txt`, `my_val_mvsa.txt`, `my_test_mvsa.txt`, `477.jpg positive` a
      line, and `stat_mvsa.txt` with the classes, which are sorted. Without `my_val_mvsa.txt` a
      tenth of training, class by class, is for validation.
    - `"raw"`: `labelResultAll.txt`, an id, a tab and `text,image` a line. With `cleaning="usual"` a
      pair whose labels are positive and negative is dropped, and of neutral and another the other
      is its label; `cleaning="agreeing"` keeps only pairs of two equal labels, as QMF's lists seem
      to (they hold 2,592 pairs, as many neutral ones as agree). There is no official split: a fixed
      draw deals out 60, 20 and 20 per cent of every class, QMF's proportions.

    `tokenizer` turns N texts into `(N, length)` numbers. By default it is the course's own, whose
    vocabulary is made of the training texts, whatever the split, when it is first needed.

    Pictures: the shorter side becomes 256, the middle 224 x 224 is cut out, in training too (QMF
    changes nothing at random); `augment=True` cuts at random and flips in training.

    `missing="drop"` leaves out the samples that lack a file; see `FromFiles`. `cache` is a
    folder, `None` for `root/.mmlib-cache`, `False` for none. Raises
    `FileNotFoundError` for a missing root, list, text or picture; `ValueError` for an unknown
    split, layout or cleaning, a bad list line (with file and line) or a broken picture.
    """

    modalities = ("text", "visual")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        lists: str | Path | None = None,
        layout: str | None = None,
        cleaning: str = "usual",
        tokenizer: Callable[[Sequence[str]], Tensor] | None = None,
        length: int = 64,
        augment: bool = False,
        cache: str | Path | None | bool = None,
        missing: str = "error",
    ):
        what = "the folder of MVSA-Single, with data/ in it"
        self._open(root, split, what, missing)
        self.augment = switch("augment", augment)
        lists = self.root if lists is None else folder_of(lists, "the lists of MVSA-Single")
        self.layout = _layout_of(lists) if layout is None else layout
        one_of("layout", self.layout, tuple(LISTS))
        one_of("cleaning", cleaning, ("usual", "agreeing"))
        if self.layout == "raw":
            self.classes, parts = _read_raw(lists / LISTS["raw"], cleaning, split)
        else:
            read = _read_qmf if self.layout == "qmf" else _read_mla
            self.classes, parts = read(lists, split)
        train, rows = parts["train"], parts[split]
        self._found = self._near(
            [*train, *rows]
        )  # of the files that are not there by their own name
        self._train = self._whole(train, "train")
        self._keep(rows, cache, {"data": "mvsa-single", "size": 256})
        self._length = whole_number("length", length, at_least=1)
        if tokenizer is not None:
            self.tokenizer = tokenizer

    @cached_property
    def tokenizer(self) -> Callable[[Sequence[str]], Tensor]:
        """N texts to `(N, length)` int64; the default one reads the training texts when first used.

        Raises `FileNotFoundError` for a missing text.
        """
        return WordTokenizer.from_texts(map(self._text, self._train), self._length)

    @property
    def vocabulary(self) -> int:
        """How many words the tokenizer knows, for `mmlib.encoders.TextEncoder`."""
        return len(self.tokenizer)

    def text(self, index: int) -> str:
        """The text of a sample."""
        return self._text(self._entries[index])

    def sources(self, index: int) -> list[Path]:
        """The picture of a sample and, where the list does not hold it, the file of its text."""
        return self._needs(self._entries[index])

    def _needs(self, row: Tweet) -> list[Path]:
        texts = [] if row.text is not None else [self._text_file(row)]
        return [self._file(row.picture), *texts]

    def take(self, index: Tensor, draws: Tensor | None = None) -> dict[str, Tensor]:
        """The raw batch: tokens `(B, length)` int64, pictures `(B, 3, 256, 256)` uint8."""
        check_draws(index, draws)
        rows = [self._entries[i] for i in index.tolist()]
        pictures = torch.stack([self._picture(row) for row in rows])
        return {"text": self.tokenizer(list(map(self._text, rows))), "visual": pictures}

    def finish(self, inputs: dict[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """A raw batch to what the model gets; `draws` `(B, DRAWS)` in training."""
        x, draws = inputs["visual"], draws if self.augment else None
        boxes = square_boxes(draws, len(x), *x.shape[-2:], SIDE)
        x = crop(x, boxes, None if draws is None else flips(draws))
        return inputs | {"visual": normalise(x, *STATISTICS)}

    def _picture(self, row: Tweet) -> Tensor:
        path = self._file(row.picture)
        # by its path, for ids are unique within one list only
        id = str(Path(row.picture))
        return self._cache.get(
            id, [path], lambda: {"picture": shrink(read_image(path), (256, 256))}
        )["picture"]

    def _text(self, row: Tweet) -> str:
        if row.text is not None:
            return row.text
        path = file_of(self._text_file(row), "put the text of the tweet there")
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if stub_of(content):
            raise ValueError(refusal_of(path, "the text of a tweet"))
        try:
            return content.decode("utf-8").strip()
        except UnicodeDecodeError:  # some of the published files are not UTF-8
            return content.decode("latin-1").strip()

    def _text_file(self, row: Tweet) -> Path:
        return self._file(f"data/{row.id}.txt")

    def _file(self, name: str) -> Path:
        return self.root / self._found.get(name, name)

    def _near(self, rows: Sequence[Tweet]) -> dict[str, str]:
        wanted = [row.picture for row in rows]
        wanted += [f"data/{row.id}.txt" for row in rows if row.text is None]
        folders: dict[str, list[str]] = {}
        for folder, _, name in (path.rpartition("/") for path in wanted):
            folders.setdefault(folder, []).append(name)
        return {
            f"{folder}/{name}": f"{folder}/{there}"
            for folder, names in folders.items()
            for name, there in near_names(self.root / folder, names).items()
        }


def _layout_of(lists: Path) -> str:
    for layout, name in LISTS.items():
        if (lists / name).is_file():
            return layout
    raise NoList(f"{lists} holds no list; expected one of {', '.join(LISTS.values())}")


# what the readers of lists give: the classes, and the tweets of training and of the split
Read = tuple[tuple[str, ...], dict[str, list[Tweet]]]


def _read_qmf(lists: Path, split: str) -> Read:
    found = (FEELINGS[row.target] for row in _read_jsonl(lists / "train.jsonl", FEELINGS))
    classes = tuple(dict.fromkeys(found))
    names = {"train": "train", split: "dev" if split == "val" else split}
    return classes, {s: _read_jsonl(lists / f"{n}.jsonl", classes) for s, n in names.items()}


def _read_jsonl(path: Path, classes: tuple[str, ...]) -> list[Tweet]:
    rows, keys = [], ("id", "label", "text", "img")
    for line in read_lines(path):
        try:
            row = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise line.bad("one JSON object a line") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in keys):
            raise line.bad(f"an object with the texts {', '.join(keys)}")
        # JSON can hold halves of characters, which no file name and no tokenizer takes
        id, label, words, picture = (
            row[key].encode("utf-8", "replace").decode("utf-8") for key in keys
        )
        target, id = line.known_label(label, classes), line.safe_id(id)
        picture = line.safe_id(picture, nested=True)
        rows.append(Tweet(id, target, line, picture, words))
    return without_repeats(rows)


def _read_mla(lists: Path, split: str) -> Read:
    stat = read_lines(lists / "stat_mvsa.txt")
    for line in stat:
        line.known_label(line.text, FEELINGS)
    classes = tuple(sorted({line.text for line in stat}))
    train = _read_names(lists / "my_train_mvsa.txt", classes)
    shipped = (lists / "my_val_mvsa.txt").is_file()
    parts = {"train": train} if shipped else {s: carved(train, s) for s in ("train", "val")}
    if split not in parts:
        parts[split] = _read_names(lists / f"my_{split}_mvsa.txt", classes)
    return classes, parts


def _read_names(path: Path, classes: tuple[str, ...]) -> list[Tweet]:
    rows = []
    for line in read_lines(path):
        name, _, label = line.text.partition(" ")
        label = label.strip()
        if not name.endswith(".jpg") or not label:
            raise line.bad("'477.jpg positive'")
        target = line.known_label(label, classes)
        id = line.safe_id(name.removesuffix(".jpg"))
        rows.append(Tweet(id, target, line, f"data/{name}"))
    return without_repeats(rows)


def _read_raw(path: Path, cleaning: str, split: str) -> Read:
    """Out of the labels as published."""
    rows = []
    for line in read_lines(path):
        id, tab, labels = line.text.partition("\t")
        if line.number == 1 and id == "ID":
            continue
        pair = labels.split(",")
        if not tab or len(pair) != 2:
            two = "two labels, 'text,image'; MVSA-Multiple has three such"
            raise line.bad(f"an id, a tab and {two}")
        target = _cleaned(*(line.known_label(label, FEELINGS) for label in pair), cleaning)
        rows.append(Tweet(line.safe_id(id), target, line, f"data/{id}.jpg"))
    kept = [row for row in without_repeats(rows) if row.target is not None]
    if not kept:
        raise WrongList(f"{path} holds no pair that is left after cleaning; restore the list")
    return FEELINGS, {"train": _dealt(kept, "train"), split: _dealt(kept, split)}


def _cleaned(text: int, picture: int, cleaning: str) -> int | None:
    """The class of a pair, or `None` where it is dropped."""
    if text == picture:
        return text
    if cleaning == "agreeing" or NEUTRAL not in (text, picture):
        return None
    return picture if text == NEUTRAL else text


def _dealt(rows: list[Tweet], split: str) -> list[Tweet]:
    """60, 20 and 20 per cent of every class, dealt out once for all."""
    target = torch.tensor([row.target for row in rows])
    rest, test = carve(target, 0.2, seed=1)
    train, val = carve(target[rest], 0.25)
    index = {"train": rest[train], "val": rest[val], "test": test}[split]
    return [rows[i] for i in index.tolist()]
