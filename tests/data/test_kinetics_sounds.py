"""Kinetics-Sounds: every layout is read as meant, every wrong line is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close
from torchaudio.compliance import kaldi

from mmlib.data import KineticsSounds
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.media import read_image
from voices import voice

SMALL = {"size": 28}  # cached with 32 x 32


@pytest.fixture
def ks(tree):
    return lambda split="train", **options: KineticsSounds(
        tree("kinetics-sounds"), split, **SMALL | options
    )


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def lines_of(path):
    return path.read_text().splitlines()


def test_the_splits_of_kinetics_sounds(ks, tree):
    parts = {split: ks(split) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 6, "val": 2, "test": 2}
    both = sorted(parts["train"].ids + parts["val"].ids)
    assert both == sorted(
        line.split(",")[0] for line in lines_of(tree("kinetics-sounds") / "my_train.txt")
    )
    assert parts["val"].files(0)["audio"].parent.name == "train"
    assert parts["train"].classes == tuple(map(str, range(31)))
    assert ks(classes=["singing", "bowling"]).classes == ("singing", "bowling")


def test_stored_filter_banks_and_paths_in_the_list(tree):
    root = tree("kinetics-sounds", layout="smv")
    parts = {split: KineticsSounds(root, split, **SMALL) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 6, "val": 2, "test": 2}
    dataset = parts["val"]
    path = dataset.files(0)["audio"]
    assert path.parent.name == "val" and path.suffix == ".npy"
    raw = dataset.take(torch.arange(2))
    assert raw["audio"][0, 0].equal(torch.from_numpy(np.load(path)).half())
    names = [path.name for path in dataset.sources(0)[2:]]
    assert names == [f"frame_{i:05d}.jpg" for i in range(1, 11)]
    for t, frame in enumerate((0, 3, 6)):
        assert raw["visual"][0, :, t].equal(read_image(dataset.sources(0)[2 + frame], 32))


def test_paths_of_any_kind_name_the_clip_by_their_last_part(own):
    root = own("kinetics-sounds")
    ids = KineticsSounds(root, "test").ids
    (root / "my_test.txt").unlink()
    lines = [f"/data/x/ks_visual/test/{ids[0]}/ 10 1", f"../there/{ids[1]}.mp4 0"]
    (root / "test_1fps_path.txt").write_text("\n".join(lines))
    dataset = KineticsSounds(root, "test")
    assert dataset.ids == ids and dataset.target.tolist() == [1, 0]


def test_labels_by_name_with_their_list(own):
    root = own("kinetics-sounds")
    ids = KineticsSounds(root, "test").ids
    (root / "my_test.txt").unlink()
    (root / "test.txt").write_text(f"singing,{ids[0]}\nbowling,{ids[1]}\n")
    with pytest.raises(FileNotFoundError, match=r"stat\.txt is missing"):
        KineticsSounds(root, "test")
    (root / "stat.txt").write_bytes("\ufeffbowling\r\nsinging\r\n".encode())
    dataset = KineticsSounds(root, "test")
    assert dataset.ids == ids and dataset.target.tolist() == [1, 0]
    assert dataset.classes == ("bowling", "singing")
    (root / "test.txt").write_text("whistling,a\n")
    with pytest.raises(ValueError, match=r"test\.txt:1 is 'whistling'; expected one of the cla"):
        KineticsSounds(root, "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,10", "expected 'clip,10,label'"),
        ("a 10 3", "expected 'clip,10,label'"),
        ("a,10,3,4", "expected 'clip,10,label'"),
        ("a,,3", "expected 'clip,10,label'"),
        ("a,10,31", r"'31'; expected a label in 0\.\.30"),
        ("a,10,-1", r"'-1'; expected a label in 0\.\.30"),
        ("a,10,sing", r"'sing'; expected a label in 0\.\.30"),
        ("a/../../b,10,3", "a plain file name"),
    ],
)
def test_wrong_lines_of_kinetics_sounds(line, message, own):
    root = own("kinetics-sounds")
    rewrite(root / "my_test.txt", lambda text: text + line.encode())
    with pytest.raises(ValueError, match=rf"my_test\.txt:3 is .*{message}"):
        KineticsSounds(root, "test")


def test_lists_of_kinetics_sounds_of_no_known_form(own):
    root = own("kinetics-sounds")
    for text, message in (("a,b,c,d", "'clip,10,label'"), ("alone", "'path ... label'")):
        (root / "my_test.txt").write_text(text)
        with pytest.raises(ValueError, match=rf"my_test\.txt:1 is .*{message}"):
            KineticsSounds(root, "test")
    (root / "my_test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no list my_test\.txt or test_1fps_path\.txt or"):
        KineticsSounds(root, "test")


def bank_of(samples, rate):
    """As the released scripts call it: all channels, their common mean taken off, own rate."""
    x = torch.from_numpy(samples.T.copy()).float()
    options = {"window_type": "hanning", "num_mel_bins": 128, "dither": 0.0, "htk_compat": True}
    return kaldi.fbank(x - x.mean(), sample_frequency=rate, **options)


@pytest.mark.parametrize("audio", ["fbank", "mla-fbank"])
def test_filter_banks_take_the_first_channel_at_the_recordings_own_rate(audio, own):
    root = own("kinetics-sounds")
    data = KineticsSounds(root, "train", audio=audio, cache=False, **SMALL)
    for i, rate in enumerate((44_100, 48_000, 22_050)):
        both = np.round(voice(rate, 3.2, channels=2) * 32767) / 32768
        soundfile.write(data.files(i)["audio"], both, rate)
        wanted = bank_of(both, rate)
        found = data.take(torch.tensor([i]))["audio"][0, 0].float()
        frames = len(wanted)
        assert frames == 1 + (len(both) - rate // 40) // (rate // 100) < 320
        wanted = (wanted + 4.503877) / (2 * 5.141276) if audio == "fbank" else wanted
        assert_close(found[:frames], wanted, atol=0.01, rtol=0)
        assert_close(data.waveform(i), torch.from_numpy(both[:, 0]).float(), atol=1e-6, rtol=0)
        assert data.sample_rate_of(i) == rate
        again = data.audio_input(data.waveform(i), data.sample_rate_of(i))[0]
        assert_close(again, found, atol=0.01, rtol=0)
        averaged = bank_of(both.mean(axis=1, keepdims=True), rate)
        assert (bank_of(both, rate) - averaged).abs().mean() > 0.3  # it makes a difference
    assert data.sample_rate == 44_100  # that of the first clip


def test_a_stored_filter_bank_of_another_shape(own):
    root = own("kinetics-sounds")
    dataset = KineticsSounds(root, "test")
    for i in range(2):
        path = Path(dataset.files(i)["audio"])
        np.save(path.with_suffix(".npy"), np.ones((128, 1024), np.float32))
        path.unlink()
    with pytest.raises(ValueError, match=r"npy has shape \(128, 1024\); expected \(1024, 128\)"):
        KineticsSounds(root, "test", **SMALL).take(torch.tensor([0]))
