"""Thousands of damaged files: each is read, or refused by name with a documented exception.

A case is a kind of file and a seed: `fault_of(subject, seed)` repeats it. Nothing may hang, and
what a header promises may not be allocated.
"""

import io
import json
import pickle
import random
import re
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from mmlib.checkpoints import load_checkpoint, save_checkpoint
from mmlib.data import AVE, UCF101, CremaD, KineticsSounds, ModelNet40, MVSASingle, NYUDepthV2
from mmlib.data.reading.media import read_array, read_image, read_sound
from mmlib.data.text import WordTokenizer
from mmlib.data.tools.samples import write_sample
from mmlib.methods import make_method
from toys import Flat

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers"),
    # numpy and torch warn of some damage before they refuse it
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Detected pickle:UserWarning"),
]

SECONDS = 5  # a case that takes longer fails
MOST = 600  # MB that a case may take; a picture of 50 million pixels takes 450 on its way
DOCUMENTED = (ValueError, FileNotFoundError)
NUMBERS = (0, 1, -1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
WRITTEN = (b"-1", b"0", b"1e9", b"99999999999999999999", b"4294967296", b"0.5", b"nan", b"")
WORDS = (b"\0", b"\xff", b"\xe2\x82", b"../", b"/", b"\\", b",", b"&", b"\t", b" ", b'"', b"{")
WORDS += (b"\xd9\xa3", b"\xe2\x80\xa8", b"\\ud800", b"..", b"/etc/passwd", b"C:", b"\x1b[2J", b"\r")


class Subject(NamedTuple):
    """A file to be damaged: `read()` reads it, `text` says what damage suits it.

    `folder` is what an error has to name; `others` are whole contents that it may be replaced by.
    """

    path: Path
    folder: Path
    read: Callable[[], object]
    text: bool = False
    others: tuple[bytes, ...] = ()


# damage


def flipped(content, luck):
    """Some bytes are others."""
    found = bytearray(content)
    for _ in range(luck.choice((1, 1, 3, 20))):
        found[_place(found, luck)] ^= luck.randint(1, 255)
    return bytes(found)


def shortened(content, luck):
    return content[: luck.randrange(len(content))]


def inserted(content, luck):
    place = _place(content, luck)
    return content[:place] + luck.randbytes(luck.choice((1, 4, 1000))) + content[place:]


def removed(content, luck):
    place = _place(content, luck)
    return content[:place] + content[place + luck.choice((1, 4, 100)) :]


def doubled(content, luck):
    first, last = sorted((_place(content, luck), _place(content, luck)))
    return content[:last] + content[first:]


def renumbered(content, luck):
    """A number of 1 to 8 bytes, such as a size in a header, becomes an unlikely one."""
    size, order = luck.choice((1, 2, 4, 8)), luck.choice(("little", "big"))
    number = luck.choice(NUMBERS) % 256**size
    place = _place(content, luck)
    return content[:place] + number.to_bytes(size, order) + content[place + size :]


def rewritten(content, luck):
    """A number that is written in digits becomes an unlikely one."""
    found = list(re.finditer(rb"\d+", content))
    if not found:
        return content
    first, last = luck.choice(found).span()
    return content[:first] + luck.choice(WRITTEN) + content[last:]


def reordered(content, luck):
    """Lines are shuffled, doubled, left out, emptied or joined."""
    lines = content.split(b"\n")
    i, j = luck.randrange(len(lines)), luck.randrange(len(lines))
    match luck.choice(("shuffle", "double", "leave out", "empty", "join")):
        case "shuffle":
            luck.shuffle(lines)
        case "double":
            lines.insert(i, lines[j])
        case "leave out":
            del lines[i]
        case "empty":
            lines[i:i] = [b"", b" \t"] * luck.randint(1, 3)
        case "join":
            lines[i : i + 2] = [luck.choice((b"", b" ", b",")).join(lines[i : i + 2])]
    return b"\n".join(lines)


def reworded(content, luck):
    """Something that has no place in a list, or has one elsewhere."""
    place = luck.randint(0, len(content))
    return content[:place] + luck.choice(WORDS) + content[place:]


def lengthened(content, luck):
    """A piece of a line comes thousands of times."""
    first = luck.randint(0, len(content))
    piece = content[first : first + luck.randint(1, 12)]
    return content[:first] + piece.replace(b"\n", b"") * luck.choice((30, 3000)) + content[first:]


def encoded(content, luck):
    """As other systems and editors save a text."""
    match luck.choice(("mark", "windows", "macintosh", "utf-16", "latin-1")):
        case "mark":
            return b"\xef\xbb\xbf" * luck.randint(1, 2) + content
        case "windows":
            return content.replace(b"\n", b"\r\n")
        case "macintosh":
            return content.replace(b"\n", b"\r")
        case "utf-16":
            return content.decode("latin-1").encode("utf-16")
    return content.replace(b"a", b"\xe4")


def _place(content, luck):
    """Half of the time within the header."""
    return luck.randrange(min(len(content), luck.choice((64, len(content))))) if content else 0


BYTES = (flipped, shortened, inserted, removed, doubled, renumbered, rewritten)
TEXT = (reordered, reworded, lengthened, encoded, rewritten, flipped, shortened, removed, doubled)


def damaged(content, subject, luck):
    """One to three kinds of damage, or now and then another content, damaged or not."""
    if subject.others and luck.random() < 0.2:
        content = luck.choice(subject.others)
        if luck.random() < 0.5:
            return content
    for change in luck.choices(TEXT if subject.text else BYTES, k=luck.choice((1, 1, 2, 3))):
        content = change(content, luck) if content else content
    if subject.path.suffix == ".png" and luck.random() < 0.5:
        return checksummed(content)
    return content


def checksummed(content):
    """A PNG whose checksums are right again, so that its reader goes on to what they cover."""
    place = 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        end = place + 8 + size
        checksum = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        content, place = content[:end] + checksum + content[end + 4 :], end + 4
    return content


# the harness


class TooLong(BaseException):
    """Not an `Exception`: a reader that turns all of these into its own would hide it."""


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak(reset=False):
    """MB that this process held at most, on Linux since the last reset."""
    if sys.platform != "linux":
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def fault(read, folder, seconds=SECONDS):
    """What is wrong with how `read()` ends; empty where it ends well."""
    held, started = peak(), time.perf_counter()
    try:
        with time_limit(seconds):
            read()
    except TooLong:
        return "hangs"
    except DOCUMENTED as error:
        if str(folder) not in str(error):
            return f"names no file: {error!r}"
    except BaseException:  # pytest.fail and the panics of extensions are no `Exception`
        return traceback.format_exc(limit=-2)
    if time.perf_counter() - started > seconds:  # in code that no signal interrupts
        return "hangs"
    taken = peak() - held
    return f"takes {taken:.0f} MB" if taken > MOST else ""


def fault_of(subject, seed):
    """The fault of one case; the file is as before afterwards."""
    whole = subject.path.read_bytes()
    luck = random.Random(f"{subject.path.name} {seed}")
    subject.path.write_bytes(damaged(whole, subject, luck))
    try:
        return fault(subject.read, subject.folder)
    finally:
        subject.path.write_bytes(whole)


def faults_of(subject, cases):
    """By seed, what is wrong with the cases that end badly."""
    peak(reset=True)
    found = {seed: fault_of(subject, seed) for seed in range(cases)}
    return {seed: text for seed, text in found.items() if text}


def check(subject, cases):
    """The file is read while it is whole, and no case ends badly."""
    assert not fault(subject.read, subject.folder)
    found = faults_of(subject, cases)
    assert not found, "\n".join(f"seed {seed}: {text}" for seed, text in found.items())


# what is damaged


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A small tree in every layout that the data sets read."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_sample("cremad", folder / "cremad", clips_per_class=4, actors=4)
    write_sample("ave", folder / "ave", clips_per_class=5, classes=2)
    for layout in ("ogm", "smv"):
        root = folder / f"kinetics-{layout}"
        write_sample("kinetics-sounds", root, clips_per_class=5, classes=2, layout=layout)
    for layout in ("qmf", "mla", "raw"):
        write_sample("mvsa-single", folder / f"mvsa-{layout}", clips_per_class=5, layout=layout)
    for name in ("ucf101", "modelnet40", "nyud2"):
        write_sample(name, folder / name, clips_per_class=4)
    _other_spellings(folder)
    return folder


def _other_spellings(folder):
    """MLA's list of CREMA-D, and a list of Kinetics-Sounds with names in place of numbers."""
    (folder / "mla").mkdir()
    names = dict(NEU="Neutral", HAP="Happy", SAD="Sad", FEA="Fear", DIS="Disgust", ANG="Anger")
    for part in ("train", "test"):
        clips = (folder / f"cremad/data/CREMAD/{part}.csv").read_text().split()
        rows = (clip.split(",") for clip in clips)
        text = "".join(f"{clip}.flv {names[label]}\n" for clip, label in rows)
        (folder / f"mla/{part}.txt").write_text(text)
    (folder / "named").mkdir()
    rows = (row.split(",") for row in (folder / "kinetics-ogm/my_train.txt").read_text().split())
    lines = [f"class {label},{clip}\n" for clip, _, label in rows]
    (folder / "named/train.txt").write_text("".join(lines))
    (folder / "named/stat.txt").write_text("class 0,30\nclass 1,30\n")


SMALL = {"size": 28}
LISTS = {  # file, data set, split, options; `lists` is a folder of the trees
    "cremad/data/CREMAD/train.csv": (CremaD, "train", SMALL),
    "cremad/data/CREMAD/test.csv": (CremaD, "test", SMALL),
    "cremad/data/CREMAD/stat.csv": (CremaD, "val", SMALL),
    "mla/train.txt": (CremaD, "val", SMALL | {"root": "cremad", "lists": "mla"}),
    "mla/test.txt": (
        CremaD,
        "test",
        SMALL | {"root": "cremad", "lists": "mla", "split_by": "actor", "repeats": "last"},
    ),
    "ave/trainSet.txt": (AVE, "train", SMALL),
    "ave/testSet.txt": (AVE, "test", SMALL),
    "kinetics-ogm/my_train.txt": (KineticsSounds, "val", SMALL),
    "kinetics-ogm/my_test.txt": (KineticsSounds, "test", SMALL),
    "kinetics-smv/ks_audio/val_1fps_path.txt": (KineticsSounds, "val", SMALL),
    "named/train.txt": (KineticsSounds, "train", SMALL | {"root": "kinetics-ogm"}),
    "named/stat.txt": (KineticsSounds, "train", SMALL | {"root": "kinetics-ogm"}),
    "mvsa-qmf/train.jsonl": (MVSASingle, "train", {}),
    "mvsa-qmf/dev.jsonl": (MVSASingle, "val", {}),
    "mvsa-mla/my_train_mvsa.txt": (MVSASingle, "train", {}),
    "mvsa-mla/stat_mvsa.txt": (MVSASingle, "test", {}),
    "mvsa-raw/labelResultAll.txt": (MVSASingle, "val", {}),
    "ucf101/classInd.txt": (UCF101, "test", {"recipe": "balance"}),
    "ucf101/trainlist01.txt": (UCF101, "train", {"recipe": "balance"}),
    "ucf101/testlist01.txt": (UCF101, "test", {"recipe": "balance"}),
    "modelnet40/train.txt": (ModelNet40, "val", {}),
    "modelnet40/test.txt": (ModelNet40, "test", {}),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name, trees):
    data, split, options = LISTS[name]
    options = dict(options)
    root = trees / options.pop("root", name.split("/")[0])
    if "/" in name and root.name != name.split("/")[0]:
        options["lists"] = trees / name.split("/")[0]

    def read():
        dataset = data(root, split, **options)
        ends = torch.tensor([0, len(dataset) - 1])
        for i in ends.tolist():
            for path in dataset.sources(i):
                assert root.resolve() in path.resolve().parents, path
        raw = dataset.take(ends)
        dataset.finish(raw)

    check(Subject(trees / name, trees, read, text=True), 70)


PICTURES = {
    "photo.jpg": ("RGB", {"quality": 80}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "colour.png": ("RGB", {}),
    "palette.png": ("P", {}),
    "see-through.png": ("LA", {}),
    "deep.png": ("I;16", {}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name, tmp_path):
    mode, options = PICTURES[name]
    pixels = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40)
    deep = Image.fromarray(50 * pixels)
    image = deep if mode == "I;16" else Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    image = image if mode in (image.mode, "I;16") else image.convert(mode)
    image.save(tmp_path / name, **options)

    def read():
        x = read_image(tmp_path / name, 16)
        assert x.shape == (3, 16, 16) and x.dtype == torch.uint8

    check(Subject(tmp_path / name, tmp_path, read), 60)


def test_pairs_of_pictures(trees):
    dataset = NYUDepthV2(trees / "nyud2", "test", cache=False)
    subject = Subject(*dataset.sources(0), trees, lambda: dataset.take(torch.tensor([0])))
    check(subject, 60)


SOUNDS = {
    "mono.wav": {"subtype": "PCM_16"},
    "float.wav": {"subtype": "FLOAT"},
    "stereo.wav": {"subtype": "PCM_24", "format": "WAVEX"},
    "packed.wav": {"subtype": "MS_ADPCM"},
}


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds(name, tmp_path):
    tone = 0.5 * np.sin(np.arange(2000) / 5)
    tone = np.stack([tone, -tone], axis=1) if name == "stereo.wav" else tone
    soundfile.write(tmp_path / name, tone, 16_000, **SOUNDS[name])

    def read():
        x = read_sound(tmp_path / name, 22_050)
        assert x.ndim == 1 and len(x) and x.isfinite().all()

    check(Subject(tmp_path / name, tmp_path, read), 120)


class Shell:
    """What a hostile pickle does when it is opened."""

    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


OBJECTS = (None, 3, "text", [1.0], {"a": 1}, {1}, b"x", Shell(), np.float32(2), Path("x"))
OBJECTS += tuple(np.array(x) for x in ([1 + 2j], ["a"], [], [None], [True], [2**63], [1e308]))


def _pickled(value, protocol=4):
    return pickle.dumps(value, protocol)


def _saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ARRAYS = {
    "half.npy": (_npy, np.float16),
    "double.npy": (_npy, np.float64),
    "new.pkl": (lambda x: _pickled(x, 5), np.float32),
    "old.pkl": (lambda x: _pickled(x, 2), np.float32),
    "single.pt": (lambda x: _saved(torch.from_numpy(x)), np.float32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, tmp_path):
    write, dtype = ARRAYS[name]
    path = tmp_path / name
    path.write_bytes(write(np.asfortranarray(np.arange(12, dtype=dtype).reshape(3, 4))))
    others = [_pickled(x) for x in OBJECTS] + [_saved(x) for x in OBJECTS]
    others += [_npy(x) for x in OBJECTS[-7:]]

    def read():
        x = read_array(path, (3, 4))
        assert x.shape == (3, 4) and x.dtype == torch.float32 and x.isfinite().all()

    check(Subject(path, tmp_path, read, others=tuple(others)), 100)


def test_cache_entries(trees):
    """Whatever an entry holds, `take` gives what it always gives, and never raises."""
    dataset = CremaD(trees / "cremad", "train", **SMALL)
    index = torch.tensor([0])
    wanted = dataset.take(index)
    again = CremaD(trees / "cremad", "train", **SMALL)

    def read():  # by a run that has seen the entry, and by one that has not
        for data in (dataset, again):
            again._cache._held.clear()
            found = data.take(index)
            for m, x in wanted.items():  # who has seen the entry does not see a flipped byte
                assert found[m].shape == x.shape and found[m].dtype == x.dtype
                assert data is dataset or found[m].equal(x)

    paths = sorted((trees / "cremad/.mmlib-cache").rglob(f"{dataset.ids[0]}*.safetensors"))
    assert len(paths) == 2  # a sound and a frame
    for path in paths:
        subject = Subject(path, trees / "no error at all", read, others=_other_entries(path))
        check(subject, 100)


def _other_entries(path):
    """Entries that are whole and of these sources, but not of what the data set keeps."""
    with safe_open(path, "pt") as file:
        stamp, entry = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    (x,) = entry.values()
    changed = (x[:5], x[None], x.double(), x.int(), x > 0, x[:0], x[0], x[:, 1:])
    others = [{}, {"other": x}, {"x": x, "y": x.clone()}, *({"x": y} for y in changed)]
    contents = [({m: y.contiguous() for m, y in other.items()}, stamp) for other in others]
    contents += [(entry, None), (entry, {"stamp": ""}), (entry, {"stamp": "x" * 10_000})]
    return tuple(save(tensors, metadata=metadata) for tensors, metadata in contents)


def test_checkpoints(tmp_path):
    def method():
        return make_method("joint", {m: Flat() for m in ("audio", "visual")}, 5, 4)

    path = tmp_path / "last.pt"
    own = method()
    save_checkpoint(path, own, [{"epoch": 1, "loss": 0.5}])
    whole = torch.load(path, weights_only=True)
    changed = [{**whole, key: x} for key in whole for x in OBJECTS[:7]]
    changed += [{**whole, "state": {**whole["state"], key: 3}} for key in whole["state"]]
    others = tuple(map(_saved, [*OBJECTS, *changed, {}, nn.Linear(2, 2)]))
    subject = Subject(path, tmp_path, lambda: load_checkpoint(path, own), others=others)
    check(subject, 300)


def test_vocabularies(tmp_path):
    path = tmp_path / "vocabulary.json"
    WordTokenizer.from_texts(["a lovely day", "a lovely day"], 8).save(path)
    others = tuple(json.dumps(x).encode() for x in (None, [], {"words": 3}, {"words": [1]}))
    subject = Subject(path, tmp_path, lambda: WordTokenizer.load(path), True, others)
    check(subject, 150)


# the harness can fail


def broken(error):
    raise error


@pytest.mark.parametrize("error", [KeyError("x"), IndexError(), RuntimeError(), SystemExit()])
def test_undocumented_exceptions_are_found(error, tmp_path):
    assert type(error).__name__ in fault(lambda: broken(error), tmp_path)


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_documented_exceptions_have_to_name_the_file(kind, tmp_path):
    assert "names no file" in fault(lambda: broken(kind("something is wrong")), tmp_path)
    assert not fault(lambda: broken(kind(f"{tmp_path}/a.csv is wrong")), tmp_path)


def test_hangs_are_found_even_by_readers_that_catch_all(tmp_path):
    def patient(pause):
        try:
            time.sleep(pause)
        except Exception as error:
            raise ValueError(f"{tmp_path} is broken") from error

    assert fault(lambda: patient(10), tmp_path, seconds=0.1) == "hangs"
    assert not fault(lambda: patient(0.001), tmp_path, seconds=1)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_allocations_are_found(tmp_path):
    peak(reset=True)
    assert not fault(lambda: bytearray(50 << 20), tmp_path, 60)
    assert "MB" in fault(lambda: bytearray(MOST + 100 << 20), tmp_path, 60)


def test_a_reader_that_breaks_on_some_lines_is_found(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("a,1\nb,2\n")
    subject = Subject(path, tmp_path, lambda: dict(x.split(b",") for x in path.open("rb")), True)
    found = faults_of(subject, 40)
    assert 5 < len(found) < 40 and path.read_text() == "a,1\nb,2\n"
    seed = next(iter(found))
    assert fault_of(subject, seed) == found[seed]
