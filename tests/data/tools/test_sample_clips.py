"""Sample trees: the same every time, named as samples, and something can be learned from them."""

import errno
import hashlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmlib.data import AVE, CremaD, KineticsSounds
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.media import read_image
from mmlib.data.tools.samples import write_sample
from mmlib.files import taken

pytestmark = pytest.mark.slow  # files are made and read in each

SMALL = {
    "cremad": {"clips_per_class": 24, "actors": 4},
    "ave": {"clips_per_class": 15, "classes": 3},
    "kinetics-sounds": {"clips_per_class": 15, "classes": 3},
}
LOADERS = {"cremad": CremaD, "ave": AVE, "kinetics-sounds": KineticsSounds}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return {name: write_sample(name, folder / name, **SMALL[name]) for name in SMALL}


def content(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if ".mmlib-cache" not in path.parts
    }


@pytest.mark.parametrize("name", SMALL)
def test_a_tree_says_that_it_is_a_sample(name, trees):
    text = (trees[name] / "README.txt").read_text()
    assert "generated sample of mmlib" in text and "no file of the real data set" in text


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_writes_the_same_tree_again_and_another_one_does_not(name, tmp_path):
    small = {"cremad": {"clips_per_class": 2}}.get(name, {"clips_per_class": 5, "classes": 2})
    first, again, other = (
        content(write_sample(name, tmp_path / folder, seed=seed, **small))
        for folder, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again and len(first) > 10
    media = [path for path in first if path.endswith((".wav", ".jpg"))]
    assert not any(first[path] == other.get(path) for path in media)


@pytest.mark.parametrize("name", SMALL)
def test_every_clip_of_every_list_is_there_and_every_class_in_every_split(name, trees):
    for split in SPLITS:
        dataset = LOADERS[name](trees[name], split)
        for i in range(len(dataset)):
            assert all(path.exists() for path in dataset.sources(i))
        assert len(dataset.target.unique()) == (6 if name == "cremad" else 3)
    assert len(list(trees[name].rglob("*.wav"))) == sum(
        len(LOADERS[name](trees[name], split)) for split in SPLITS
    )


def test_clips_are_of_the_form_of_the_real_ones(trees):
    for path in (trees["cremad"] / "AudioWAV").iterdir():
        how = soundfile.info(path)
        assert (how.samplerate, how.channels, how.subtype) == (16_000, 1, "PCM_16")
        assert 0.8 < how.duration < 5 and np.abs(soundfile.read(path)[0]).max() > 0.05
    for folder in (trees["cremad"] / "Image-01-FPS").iterdir():
        frames = sorted(path.name for path in folder.iterdir())
        assert frames == [f"{i:05d}.jpg" for i in range(len(frames))] and 2 <= len(frames) <= 4
    assert Image.open(folder / "00000.jpg").size == (480, 360)
    assert {soundfile.info(path).duration for path in trees["ave"].rglob("*.wav")} == {10}
    assert {len(list(f.iterdir())) for f in (trees["ave"] / "Image-01-FPS-SE").iterdir()} == {10}


def bands(waveform):
    """Mean logarithm of the power in 16 bands, and how long the sound is."""
    power = torch.stft(waveform, 512, window=torch.hann_window(512), return_complex=True).abs() ** 2
    levels = (power[1:].unflatten(0, (16, 16)).mean(1) + 1e-6).log()
    return torch.cat([levels.mean(1), levels.std(1), torch.tensor([len(waveform) / 16_000])])


def thumbnail(path):
    return read_image(path, (9, 12)).flatten() / 64


def features(dataset, of):
    rows = {
        "audio": lambda i: bands(dataset.waveform(i)),
        "visual": lambda i: thumbnail(dataset.sources(i)[2:][len(dataset.sources(i)[2:]) // 2]),
        "first frame": lambda i: thumbnail(dataset.sources(i)[2]),
    }[of]
    return torch.stack([rows(i) for i in range(len(dataset))])


def accuracy(train, test, of):
    """Of ridge regression on the classes: closed form, no luck."""
    x, z = features(train, of), features(test, of)
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    x, z = (torch.cat([(a - mean) / deviation, torch.ones(len(a), 1)], 1) for a in (x, z))
    wanted = torch.nn.functional.one_hot(train.target).float()
    weights = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ wanted)
    return ((z @ weights).argmax(1) == test.target).float().mean().item()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("of", ["audio", "visual"])
def test_each_modality_tells_the_class_above_chance(name, of, trees):
    options = {"audio": "pmr"} if name != "ave" else {}
    train, test = (LOADERS[name](trees[name], s, **options) for s in ("train", "test"))
    chance = 1 / len(test.target.unique())
    assert accuracy(train, test, of) > chance + 0.2


def test_first_frames_tell_little(trees):
    """The trap of the released loader has to cost something here too."""
    train, test = (CremaD(trees["cremad"], split) for split in ("train", "test"))
    assert accuracy(train, test, "first frame") < accuracy(train, test, "visual") - 0.25


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {}, "name is 'imagenet'; choose one of cremad, ave"),
        ("cremad", {"clips_per_class": 1}, "clips_per_class is 1"),
        ("cremad", {"actors": 0}, "actors is 0"),
        ("ave", {"classes": 1}, "classes is 1"),
        ("ave", {"clips_per_class": 4}, "clips_per_class is 4"),
        ("kinetics-sounds", {"classes": 32}, "classes is 32"),
        ("kinetics-sounds", {"layout": "ave"}, "layout is 'ave'; choose one of ogm, smv"),
    ],
)
def test_wrong_requests(name, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_sample(name, tmp_path / "tree", **options)
    assert not (tmp_path / "tree").exists()


def test_two_at_a_time_in_one_folder(tmp_path):
    with taken(tmp_path, "sample"):
        with pytest.raises(FileExistsError, match=f"another sample is at work in {tmp_path}"):
            write_sample("nyud2", tmp_path, clips_per_class=3)
    assert write_sample("nyud2", tmp_path, clips_per_class=3) == tmp_path


@pytest.mark.parametrize(
    ("name", "ending", "options"),
    [
        ("cremad", ".wav", {}),
        ("cremad", ".jpg", {}),
        ("kinetics-sounds", ".npy", {"layout": "smv"}),
        ("nyud2", ".png", {}),
    ],
)
def test_a_full_disk(name, ending, options, tmp_path, monkeypatch):
    """Encoders are not asked to write: PIL, numpy and soundfile do not say why they could not."""
    write = Path.write_bytes

    def full(path, content):
        if path.suffix == ending:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left; free some and run sample again"):
        write_sample(name, tmp_path, clips_per_class=5, **options)


def test_videos_are_left_to_the_module_that_writes_them(tmp_path, monkeypatch):
    asked = []
    stand_in = ModuleType("mmlib.data.tools.sample_videos")
    stand_in.write_videos = lambda *arguments: asked.append(arguments)
    monkeypatch.setitem(sys.modules, "mmlib.data.tools.sample_videos", stand_in)
    write_sample("cremad", tmp_path, clips_per_class=2)
    assert not asked
    root = write_sample("cremad", tmp_path, clips_per_class=2, videos=True)
    assert asked == [("cremad", root)]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    lists = tmp_path / "data/CREMAD/train.csv"
    lists.parent.mkdir(parents=True)
    lists.write_text("mine")
    for name in ("cremad", "nyud2"):
        with pytest.raises(FileExistsError, match="not empty and no sample of mmlib; give another"):
            write_sample(name, tmp_path)
    assert lists.read_text() == "mine" and not (tmp_path / "README.txt").exists()


def test_a_sample_of_another_data_set_is_left_alone(tmp_path):
    root = write_sample("cremad", tmp_path, clips_per_class=2)
    before = content(root)
    with pytest.raises(FileExistsError, match="not empty and no sample of AVE; give another"):
        write_sample("ave", root, clips_per_class=5)
    assert content(root) == before
    assert write_sample("cremad", root, clips_per_class=2) == root and content(root) == before
