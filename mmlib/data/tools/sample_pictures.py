"""Sample trees of the four data sets without sound: drawn, small, in the official layouts.

Nothing in them comes from the real data sets. The class can be learned from each modality.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mmlib.arguments import one_of, whole_number
from mmlib.data.tools.drawing import blocks, near, save, start_sample, to_bytes, write_lines

ROOMS = ("bathroom", "bedroom", "kitchen", "office")
ACTIONS = ("Archery", "Bowling", "Diving")
OBJECTS = ("airplane", "chair", "lamp", "table")
VIEWS = 12


def write_nyud2(root: str | Path, clips_per_class: int = 15, seed: int = 0) -> Path:
    """A sample tree of `NYUDepthV2`: 4 rooms, two thirds of each for training; returns `root`.

    Left the picture, right the depth, 80 x 60 pixels each; the class shows in the colours of the
    walls and in the direction in which it gets farther.
    """
    root = start_sample(root, "NYU Depth V2")
    for split, label, room, number, random in _each(ROOMS, clips_per_class, seed):
        pair = np.concatenate([_room(label, random), _depth(label, random)], axis=1)
        path = root / "nyud2_trainvaltest" / split / room / f"{number:04d}.png"
        save(Image.fromarray(pair), path)
    return root


def write_ucf101(root: str | Path, clips_per_class: int = 8, seed: int = 0) -> Path:
    """A sample tree of `UCF101`: 3 actions, clips of 13 frames of 86 x 64 pixels; returns `root`.

    A third of the clips of a class are for testing. A ball rolls aside, falls or grows on a ground
    whose colour goes with the class. Test clips are of groups from 1 on, training clips of groups
    from 8 on, as in the official split 1.
    """
    root = start_sample(root, "UCF-101")
    lines = {"train": [], "test": []}
    for split, label, action, number, random in _each(ACTIONS, clips_per_class, seed):
        # seven groups in test, 18 in training, then their next clip
        first, groups = (8, 18) if split == "train" else (1, 7)
        group, clip = first + number % groups, 1 + number // groups
        video = f"v_{action}_g{group:02d}_c{clip:02d}"
        _write_clip(root, video, label, random)
        lines[split].append(f"{action}/{video}.avi {label + 1}")
    classes = [f"{number} {action}" for number, action in enumerate(ACTIONS, start=1)]
    write_lines(root / "classInd.txt", classes)
    write_lines(root / "trainlist01.txt", lines["train"])
    write_lines(root / "testlist01.txt", [line.split()[0] for line in lines["test"]])
    write_lines(root / "testlist001.txt", lines["test"])
    return root


def write_modelnet40(root: str | Path, clips_per_class: int = 12, seed: int = 0) -> Path:
    """A sample tree of `ModelNet40`: 4 kinds of objects, 12 views of 64 x 64; returns `root`.

    Two thirds of the objects of a kind are for training. View k looks from 30 (k - 1) degrees; an
    object narrows as it turns, and only the front half of the views shows its mark.
    """
    root = start_sample(root, "ModelNet40")
    lines = {"train": [], "test": []}
    for label, kind in enumerate(OBJECTS):
        for number in range(clips_per_class):
            split = "train" if number < clips_per_class - _tested(clips_per_class) else "test"
            folder = root / "modelnet40_images_new_12x" / kind / split
            random = np.random.default_rng((seed, label, number))
            shape = random.uniform(0.8, 1.2, 4)
            name = f"{kind}_{number + 1:04d}.obj.shaded"
            for view in range(1, VIEWS + 1):
                save(_object(kind, view, shape), folder / f"{name}_v{view:03d}.png")
            path = f"../modelnet40_images_new_12x/{kind}/{split}/{name}_v001.png"
            lines[split].append(f"{path}\t{label}")
    for split, of_split in lines.items():
        write_lines(root / f"{split}.txt", of_split)
    return root


FEELINGS = ("positive", "neutral", "negative")
WORDS = {
    "positive": ("happy", "lovely", "great", "excited", "beautiful", "joy"),
    "neutral": ("today", "report", "new", "update", "open", "sale"),
    "negative": ("sad", "awful", "broken", "angry", "lonely", "worst"),
}
ANYWHERE = ("the", "my", "day", "this", "with", "photo", "morning", "of", "a", "city", "RT")


def write_mvsa(
    root: str | Path, clips_per_class: int = 20, seed: int = 0, layout: str = "qmf"
) -> Path:
    """A sample tree of `MVSASingle`: tweets with a drawn face; returns `root`.

    A fifth each is for validation and for testing. `layout` is `"qmf"` (`train.jsonl`, `dev.jsonl`,
    `test.jsonl`), `"mla"` (`my_train_mvsa.txt`, ... and `stat_mvsa.txt`) or `"raw"`
    (`labelResultAll.txt`, with one conflict, and no split). Raises `ValueError` for another layout
    and for fewer than 5 of a class.
    """
    one_of("layout", layout, ("qmf", "mla", "raw"))
    fifth = whole_number("clips_per_class", clips_per_class, at_least=5) * 3 // 5
    root = start_sample(root, "MVSA-Single")
    rows = [
        _write_tweet(root, number, FEELINGS[number % 3], seed)
        for number in range(1, 3 * clips_per_class + 1)
    ]
    if layout == "raw":
        _write_raw_labels(root, rows)
        return root
    parts = {"train": rows[2 * fifth :], "dev": rows[:fifth], "test": rows[fifth : 2 * fifth]}
    for split, part in parts.items():
        if layout == "qmf":
            write_lines(root / f"{split}.jsonl", [json.dumps(row) for row in part])
        else:
            name = f"my_{'val' if split == 'dev' else split}_mvsa.txt"
            write_lines(root / name, [f"{row['id']}.jpg {row['label']}" for row in part])
    if layout == "mla":
        write_lines(root / "stat_mvsa.txt", sorted(FEELINGS))
    return root


def _each(classes: tuple[str, ...], clips_per_class: int, seed: int) -> Iterator[tuple]:
    """Split, number and name of the class, number within it, luck; a third is for testing."""
    test = _tested(clips_per_class)
    for split, count in (("train", clips_per_class - test), ("test", test)):
        for label, name in enumerate(classes):
            for number in range(count):
                random = np.random.default_rng((seed, split == "test", label, number))
                yield split, label, name, number, random


def _tested(clips_per_class: int) -> int:
    return whole_number("clips_per_class", clips_per_class, at_least=3) // 3


def _room(label: int, random: np.random.Generator) -> np.ndarray:
    """A wall and a floor with a few things before them, `(60, 80, 3)` bytes."""
    walls = np.array([(120, 170, 190), (190, 140, 120), (190, 180, 120), (130, 160, 130)])
    picture = Image.new("RGB", (80, 60), near(walls[label], random))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 42, 79, 59), fill=near((110, 95, 80), random))
    for _ in range(3):
        x, y = random.integers(0, 60), random.integers(15, 40)
        box = (x, y, x + random.integers(8, 25), y + random.integers(8, 20))
        draw.rectangle([int(side) for side in box], fill=tuple(random.integers(40, 220, 3)))
    return to_bytes(np.asarray(picture) + blocks(random, 60, 80, 8.0))


def _depth(label: int, random: np.random.Generator) -> np.ndarray:
    """Distance that grows in one of four directions, in three channels, `(60, 80, 3)` bytes."""
    down, aside = np.mgrid[-1:1:60j, -1:1:80j]
    angle = label * math.pi / 2 + random.normal(0, 0.3)
    slope = (math.cos(angle) * aside + math.sin(angle) * down)[..., None]
    noise = blocks(random, 60, 80, 15.0)
    return to_bytes(128 + slope * (70, 40, -50) + noise)


FRAMES = 13


def _write_clip(root: Path, video: str, label: int, random: np.random.Generator) -> None:
    """Frames and flow of a ball that rolls aside, grows or falls; one flow frame fewer."""
    grounds = ((90, 140, 80), (170, 120, 80), (90, 120, 180))
    ground, ball = near(grounds[label], random), near((200, 60, 60), random)
    side, speed = random.choice((-1, 1)), random.uniform(2.0, 3.5)
    x, y, radius = 43 - side * 18 * (label == 0), 12 if label == 2 else 32, 8.0
    for frame in range(1, FRAMES + 1):
        picture = Image.new("RGB", (86, 64), ground)
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(picture).ellipse(box, fill=ball)
        save(picture, root / "jpegs_256" / video / f"frame{frame:06d}.jpg")
        if frame < FRAMES:
            down, aside = np.mgrid[0:64, 0:86]
            inside = (aside - x) ** 2 + (down - y) ** 2 <= radius**2
            u = (speed * side, 0.15 * (aside - x) * speed, 0)[label] * inside
            v = (0, 0.15 * (down - y) * speed, speed)[label] * inside
            for name, motion in (("u", u), ("v", v)):
                flow = Image.fromarray(to_bytes(127.5 + 20 * motion))
                save(flow, root / "tvl1_flow" / name / video / f"frame{frame:06d}.jpg")
        x, y = x + speed * side * (label == 0), y + speed * (label == 2)
        radius += 0.4 * speed * (label == 1)


def _object(kind: str, view: int, shape: np.ndarray) -> Image.Image:
    """One view: boxes whose width goes with the angle, a mark on the front half of the views."""
    angle = math.radians(30 * (view - 1))
    turn = 0.3 + 0.7 * abs(math.cos(angle))
    boxes = {  # left, top, right, bottom in units of the half picture, before it turns
        "airplane": [(-0.8, -0.08, 0.8, 0.1), (-0.12, -0.5, 0.12, 0.5)],
        "chair": [(-0.4, -0.7, -0.25, 0.7), (-0.4, 0.0, 0.4, 0.15), (0.28, 0.0, 0.4, 0.7)],
        "lamp": [(-0.35, -0.7, 0.35, -0.3), (-0.05, -0.3, 0.05, 0.6), (-0.25, 0.6, 0.25, 0.7)],
        "table": [(-0.8, -0.2, 0.8, 0.0), (-0.7, 0.0, -0.55, 0.6), (0.55, 0.0, 0.7, 0.6)],
    }[kind]
    picture = Image.new("RGB", (64, 64), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    mirror = 1 if math.cos(angle) >= 0 else -1  # from behind, left is right
    for part, (left, top, right, bottom) in enumerate(boxes):
        sides = sorted(mirror * turn * shape[0] * side for side in (left, right))
        box = (sides[0], shape[1] * top, sides[1], shape[1] * bottom)
        grey = int(90 * shape[2]) + 20 * part + int(25 * math.cos(angle))
        draw.rectangle([32 + 30 * edge for edge in box], fill=(grey, grey, grey))
    if view <= VIEWS // 2:
        draw.ellipse((29, 29, 35, 35), fill=(60, 60, 60))
    return picture


def _write_tweet(root: Path, number: int, label: str, seed: int) -> dict[str, str]:
    """A text of common words and a few of the label's, and a face; the row of the jsonl list."""
    random = np.random.default_rng((seed, number))
    words = [*random.choice(ANYWHERE, 5), *random.choice(WORDS[label], 2)]
    random.shuffle(words)
    text = " ".join(words) + f" #{random.choice(WORDS[label])} http://t.co/{number:04d}"
    save(_face(label, random), root / "data" / f"{number}.jpg")
    (root / "data" / f"{number}.txt").write_text(text + "\n", encoding="utf-8", newline="\n")
    return {"id": str(number), "label": label, "text": text, "img": f"data/{number}.jpg"}


def _face(label: str, random: np.random.Generator) -> Image.Image:
    """A face that smiles, looks straight or frowns, 96 x 72 pixels."""
    grounds = {"positive": (185, 165, 125), "neutral": (150, 150, 150), "negative": (115, 130, 170)}
    picture = Image.new("RGB", (96, 72), near(grounds[label], random))
    draw = ImageDraw.Draw(picture)
    x, y = (int(place) for place in random.integers(-10, 11, 2))
    draw.ellipse((24 + x, 12 + y, 72 + x, 60 + y), fill=near((230, 200, 90), random))
    for eye in (38, 54):
        draw.ellipse((eye + x, 26 + y, eye + 5 + x, 32 + y), fill=(30, 30, 30))
    if label == "positive":
        draw.arc((34 + x, 30 + y, 62 + x, 54 + y), 20, 160, fill=(150, 20, 20), width=4)
    elif label == "negative":
        draw.arc((34 + x, 42 + y, 62 + x, 66 + y), 200, 340, fill=(20, 20, 150), width=4)
    else:
        draw.line((36 + x, 48 + y, 60 + x, 48 + y), fill=(60, 60, 60), width=4)
    return picture


def _write_raw_labels(root: Path, rows: list[dict[str, str]]) -> None:
    """Labels of text and of picture: mostly alike, every fifth with one neutral, one conflict."""
    lines = ["ID\ttext,image"]
    for place, row in enumerate(rows):
        text = "neutral" if place % 5 == 4 else row["label"]
        lines.append(f"{row['id']}\t{text},{row['label']}")
    lines[1] = f"{rows[0]['id']}\tnegative,positive"
    write_lines(root / "labelResultAll.txt", lines)
