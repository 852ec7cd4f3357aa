"""Sample trees in the official layouts: generated, small, and no data of the real sets.

They are for trying out loaders, commands and lessons. What the traps of real data do can be seen
on them, because it is built in: in the clips of CREMA-D's layout the first frame is nearly neutral
(reading first frames costs accuracy), and every actor has a style of their own for each emotion
(actors that are in training and test make the test easier).
"""

import colorsys
import math
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image, ImageDraw

from mmlib.arguments import one_of, whole_number
from mmlib.data.reading.digits import SAMPLE_RATE as CLIP_RATE
from mmlib.data.reading.digits import spoken_digits
from mmlib.data.reading.lists import carve
from mmlib.data.reading.media import read_first_channel
from mmlib.data.spectrograms import spectrogram
from mmlib.data.tools.drawing import placed, save, start_sample, write_lines, written

RATE = 16_000  # Hz, of every sound written
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
# of each emotion: speed, loudness, pause in s; mouth's bend, mouth's opening, brows' slant
EMOTIONS = {
    "NEU": (1.00, 1.0, 0.12, 0.0, 0.1, 0.0),
    "HAP": (1.20, 1.8, 0.10, 1.0, 0.5, 0.2),
    "SAD": (0.80, 0.3, 0.30, -1.0, 0.1, 0.8),
    "FEA": (1.45, 0.6, 0.02, -0.3, 1.0, 0.6),
    "DIS": (0.85, 1.4, 0.20, -0.8, 0.3, -0.4),
    "ANG": (1.10, 4.0, 0.04, -0.4, 0.7, -1.0),
}
EVENTS = ("Church bell", "Male speech, man speaking", "Bark", "Fixed-wing aircraft, airplane")
EVENTS += ("Race car, auto racing", "Female speech, woman speaking", "Helicopter", "Violin, fiddle")


def write_cremad(
    root: str | Path, clips_per_class: int = 32, actors: int = 8, seed: int = 0
) -> Path:
    """A sample tree of `CremaD`: six emotions, 2 to 4 frames of 480 x 360 a clip; returns `root`.

    A quarter of each class is for testing; as in the usual lists, every actor is in both parts.
    """
    whole_number("clips_per_class", clips_per_class, at_least=2)
    whole_number("actors", actors, at_least=1)
    root, lines = start_sample(root, "CREMA-D"), []
    for label, emotion in enumerate(EMOTIONS):
        for number in range(clips_per_class):
            actor, take = number % actors, number // actors
            sentence, level = SENTENCES[take % 12], ("XX", "LO", "MD", "HI")[take // 12 % 4]
            clip = f"{1001 + actor}_{sentence}_{emotion}_{level}"
            random = np.random.default_rng((seed, 0, number, label))
            # what this actor does with this emotion, in all clips: what others do not share
            style = np.random.default_rng((seed, 3, actor, label)).normal(size=3)
            _write_acted(root, clip, actor, take, label, style, random)
            lines.append(f"{clip},{emotion}")
    train, test = carve(torch.arange(6).repeat_interleave(clips_per_class), 0.25, seed)
    lists = root / "data" / "CREMAD"
    for split, rows in (("train", train), ("test", test)):
        write_lines(lists / f"{split}.csv", [lines[i] for i in rows.tolist()])
    write_lines(lists / "stat.csv", ["\ufeff" + "NEU", *list(EMOTIONS)[1:]])
    return root


def write_ave(
    root: str | Path,
    clips_per_class: int = 20,
    classes: int = 4,
    pickled: bool = False,
    seed: int = 0,
) -> Path:
    """A sample tree of `AVE`: ten-second clips with an event in a part of them; returns `root`.

    Frames are of that part, ten a clip, 128 x 96; sound is of the whole clip, or with `pickled` the
    part's stored spectrogram. One training clip stands in the list twice, with two labels.
    """
    whole_number("clips_per_class", clips_per_class, at_least=5)
    one_of("classes", classes, range(2, len(EVENTS) + 1))
    root = start_sample(root, "AVE")
    lines = {"train": [], "val": [], "test": []}
    for label, event in enumerate(EVENTS[:classes]):
        for number in range(clips_per_class):
            clip = f"mmlib-{label:02d}{number:03d}"  # eleven characters, as a video's id
            random = np.random.default_rng((seed, 1, label, number))
            start = int(random.integers(0, 5))
            end = int(random.integers(start + 2, 11))
            sound = _event_sound(label, random, start, end)
            _write_frames(root / "Image-01-FPS-SE" / clip, "{:05d}.jpg", 0, label, random)
            if pickled:
                part = torch.from_numpy(sound[start * RATE : end * RATE]).float()
                stored = pickle.dumps(spectrogram(part, RATE, "pmr-10s").numpy())
                placed(root / "Audio-1004-SE" / f"{clip}.pkl").write_bytes(stored)
            else:
                _write_sound(root / "AudioWAV" / f"{clip}.wav", sound)
            split = ("train", "train", "train", "val", "test")[number % 5]
            lines[split].append(f"{event}&{clip}&good&{start}&{end}")
    category, rest = lines["train"][0].split("&", 1)
    lines["train"].append(f"{EVENTS[1]}&{rest}")
    for split, texts in lines.items():
        write_lines(root / f"{split}Set.txt", texts)
    header = "Category&VideoID&Quality&StartTime&EndTime"
    write_lines(root / "Annotations.txt", [header, *lines["train"], *lines["val"], *lines["test"]])
    return root


def write_kinetics_sounds(
    root: str | Path,
    clips_per_class: int = 20,
    classes: int = 4,
    layout: str = "ogm",
    seed: int = 0,
) -> Path:
    """A sample tree of `KineticsSounds`: ten frames of 128 x 96 a clip; returns `root`.

    `layout="ogm"`: lists `clip,10,label` and wav files. `"smv"`: lists with paths, a validation
    split, and stored filter banks.
    """
    whole_number("clips_per_class", clips_per_class, at_least=5)
    one_of("classes", classes, range(2, 32))
    one_of("layout", layout, ("ogm", "smv"))
    root = start_sample(root, "Kinetics-Sounds")
    splits = ("train",) * 3 + (("val", "test") if layout == "smv" else ("train", "test"))
    lines: dict[str, list[str]] = {split: [] for split in splits}
    for label in range(classes):
        for number in range(clips_per_class):
            split = splits[number % 5]
            clip = f"mmlib-{label:02d}{number:03d}_{number:06d}"
            clip += "" if split == "test" else f"_{number + 10:06d}"
            random = np.random.default_rng((seed, 2, label, number))
            sound = root / "ks_audio" / split / f"{clip}.wav"
            _write_sound(sound, _event_sound(label, random, 0, 10))
            _write_frames(root / "ks_visual" / split / clip, "frame_{:05d}.jpg", 1, label, random)
            if layout == "smv":  # in place of the wav file its filter bank
                bank = spectrogram(*read_first_channel(sound), "fbank")
                written(sound.with_suffix(".npy"), partial(np.save, arr=bank.numpy()))
                sound.unlink()
            path = f"ks_visual/{split}/{clip} 10"
            lines[split].append(f"{path} {label}" if layout == "smv" else f"{clip},10,{label}")
    for split, texts in lines.items():
        name = f"my_{split}.txt" if layout == "ogm" else f"ks_audio/{split}_1fps_path.txt"
        write_lines(root / name, texts)
    return root


def _write_acted(
    root: Path, clip: str, actor: int, sentence: int, label: int, style: np.ndarray, random
) -> None:
    """Sound and frames of one acted sentence."""
    speed, loudness, pause, *face = tuple(EMOTIONS.values())[label]
    speed *= math.exp(0.12 * style[0] + 0.03 * random.normal())
    loudness *= math.exp(0.35 * style[1] + 0.1 * random.normal())
    words = np.random.default_rng((4, sentence)).integers(0, 10, 4)
    parts = [np.zeros(int(0.2 * RATE))]
    for digit in words:
        parts += [_word(actor, int(digit), speed), np.zeros(int(pause * RATE))]
    sound = loudness * np.concatenate(parts)
    _write_sound(root / "AudioWAV" / f"{clip}.wav", sound + 0.01 * random.normal(size=len(sound)))
    frames = min(max(math.ceil(len(sound) / RATE), 2), 4)
    hue = label / 6 + 0.12 * style[2]
    for number in range(frames):
        strength = 0.1 if number == 0 else 1.0
        picture = _face(actor, hue, strength, [strength * x for x in face], random)
        save(picture, root / "Image-01-FPS" / clip / f"{number:05d}.jpg", quality=85)


def _word(voice: int, digit: int, speed: float) -> np.ndarray:
    """A spoken digit at `RATE`; a faster one is higher, too."""
    spoken = spoken_digits()
    (clip,) = np.flatnonzero((spoken.voice == voice % 101) & (spoken.digit == digit))
    word = spoken.clips[clip]
    place = np.arange(0, len(word) - 1, speed * CLIP_RATE / RATE)
    return np.interp(place, np.arange(len(word)), word)


def _face(actor: int, hue: float, strength: float, face: list[float], random) -> Image.Image:
    """A face on a wall whose light goes, weakly, with the emotion, 480 x 360."""
    bend, opening, slant = (x + 0.1 * random.normal() for x in face)
    look = np.random.default_rng((5, actor)).random(3)
    light = np.array(_colour(hue, 1.0, 1.0)) - 128  # red, green, blue
    wall = 90 + 80 * look[0] + 0.25 * strength * light + 16 * random.normal(size=3)
    wall = tuple(wall.clip(0, 255).astype(int).tolist())
    skin = _colour(0.07 + 0.04 * look[1], 0.5, 0.5 + 0.4 * look[2])
    picture = Image.new("RGB", (480, 360), wall)
    draw = ImageDraw.Draw(picture)
    x, y = 240 + 15 * random.normal(), 180 + 8 * random.normal()
    draw.ellipse((x - 110, y - 150, x + 110, y + 150), skin)
    for side in (-1, 1):
        draw.ellipse((x + side * 45 - 18, y - 50, x + side * 45 + 18, y - 25), "white")
        draw.ellipse((x + side * 45 - 8, y - 46, x + side * 45 + 8, y - 29), "black")
        inner, outer = y - 68 - 18 * slant, y - 68 + 18 * slant
        draw.line((x + side * 25, inner, x + side * 70, outer), "black", width=8)
    across = np.linspace(-1, 1, 21)
    low = y + 70 + 30 * bend * (1 - across**2) + 30 * max(opening, 0) * (1 - across**2)
    high = y + 70 + 30 * bend * (1 - across**2)
    lips = [(x + 55 * a, b) for a, b in zip(across, high)]
    lips += [(x + 55 * a, b + 6) for a, b in zip(across[::-1], low[::-1])]
    draw.polygon(lips, (120, 20, 30))
    return picture


def _event_sound(label: int, random, start: float, end: float) -> np.ndarray:
    """Ten seconds of noise; from `start` to `end` the class's tone, and its word at its pace."""
    sound = 0.02 * random.normal(size=10 * RATE)
    first, last = int(start * RATE), int(end * RATE)
    tone = 300 * 2 ** (label / 3 + 0.05 * random.normal())
    sound[first:last] += 0.05 * np.sin(2 * np.pi * tone * np.arange(last - first) / RATE)
    word = _word(int(random.integers(101)), label % 10, 0.7 + 0.15 * (label % 5))
    step = int((0.6 + 0.2 * (label % 4)) * RATE)
    for place in range(first, last - len(word), step):
        sound[place : place + len(word)] += word * math.exp(0.3 * random.normal())
    return sound


def _write_frames(folder: Path, name: str, first: int, label: int, random) -> None:
    """Ten frames of a thing that crosses the picture: its colour and corners are the class's."""
    ground = tuple((random.integers(60, 180) + random.integers(-20, 20, 3)).tolist())
    x, y, speed = random.uniform(30, 60), random.uniform(35, 60), random.uniform(2, 5)
    colour = _colour(label / 7 + 0.03 * random.normal(), 0.8, 0.9)
    for number in range(10):
        picture = Image.new("RGB", (128, 96), ground)
        draw = ImageDraw.Draw(picture)
        circle = (x + speed * number, y, 30)
        draw.regular_polygon(circle, 3 + label % 5, rotation=10 * number, fill=colour)
        save(picture, folder / name.format(first + number), quality=85)


def _colour(hue: float, saturation: float, brightness: float) -> tuple[int, ...]:
    channels = colorsys.hsv_to_rgb(hue % 1, saturation, min(max(brightness, 0), 1))
    return tuple(round(255 * x) for x in channels)


def _write_sound(path: Path, sound: np.ndarray) -> None:
    form = {"format": "WAV", "subtype": "PCM_16"}
    written(path, lambda file: soundfile.write(file, np.clip(sound, -1, 1), RATE, **form))
