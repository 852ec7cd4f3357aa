"""AVE: every layout is read as meant, every wrong line is refused."""

import pickle

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from mmlib.data import AVE
from mmlib.data.reading.media import read_sound
from voices import voice

SMALL = {"size": 28}  # cached with 32 x 32


@pytest.fixture
def ave(tree):
    return lambda split="train", **options: AVE(tree("ave"), split, **SMALL | options)


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def lines_of(path):
    return path.read_text().splitlines()


def test_the_splits_of_ave_are_those_shipped(ave, tree):
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        dataset = ave(split)
        lines = [line.split("&") for line in lines_of(tree("ave") / f"{split}Set.txt")]
        assert len(dataset) == len({line[1] for line in lines}) == count
        assert dataset.ids == tuple(dict.fromkeys(line[1] for line in lines))
    assert dataset.classes == ("Church bell", "Male speech, man speaking")


def test_repeats_in_ave(ave):
    first, last = ave(), ave(repeats="last")
    assert first.ids == last.ids
    assert (first.target != last.target).nonzero().flatten().tolist() == [0]
    with pytest.raises(ValueError, match=r"trainSet\.txt:7 is 'mmlib-00000'.* line 1 already"):
        ave(repeats="error")


def test_classes_come_in_the_order_of_the_test_list(own):
    root = own("ave")
    wanted = AVE(root, "train", **SMALL)
    path = root / "testSet.txt"
    path.write_text("\n".join(reversed(lines_of(path))))
    found = AVE(root, "train", **SMALL)
    assert found.classes == wanted.classes[::-1] and found.target.equal(1 - wanted.target)


def test_the_event_is_cut_out_of_the_whole_sound(ave):
    dataset = ave("test")
    for i in range(len(dataset)):
        line = dataset._entries[i]
        whole = read_sound(dataset.files(i)["audio"], dataset.sample_rate)
        first, last = int(line.start * dataset.sample_rate), int(line.end * dataset.sample_rate)
        assert dataset.waveform(i).equal(whole[first:last]) and 0 < last - first < len(whole)


def test_folders_that_end_in_se_hold_the_event_alone(own):
    root = own("ave")
    whole = AVE(root, "test", **SMALL)
    times = [(int(entry.start), int(entry.end)) for entry in whole._entries]
    frames = [whole.sources(i)[2:] for i in range(2)]
    assert [len(names) for names in frames] == [10, 10]
    (root / "Image-01-FPS-SE").rename(root / "Image-01-FPS")
    cut = AVE(root, "test", **SMALL)
    for i, (start, end) in enumerate(times):
        assert [p.name for p in cut.sources(i)[2:]] == [p.name for p in frames[i][start:end]]
    (root / "AudioWAV").rename(root / "Sound-SE")
    assert len(AVE(root, "test", sounds="Sound-SE").waveform(0)) == 10 * whole.sample_rate


@pytest.mark.parametrize("step", [1, 30])
@pytest.mark.parametrize("gone", [range(4), range(1), range(3, 5)])
def test_whole_frames_with_a_gap_are_refused(gone, step, own):
    """By their places in the folder, frames of other seconds were taken for the event."""
    root = own("ave")
    (root / "Image-01-FPS-SE").rename(root / "Image-01-FPS")
    folder = AVE(root, "test", **SMALL).files(0)["visual"]
    for second in reversed(range(10)):
        path = folder / f"{second:05d}.jpg"
        path.unlink() if second in gone else path.rename(folder / f"{step * second:05d}.jpg")
    later = f"{step * (gone[-1] + 1):05d}.jpg"
    with pytest.raises(ValueError, match=f"lacks frames before {later}.*; extract"):
        AVE(root, "test", cache=False, **SMALL).sources(0)


def test_stored_spectrograms_of_ave(own):
    root = own("ave", pickled=True)
    dataset = AVE(root, "val", **SMALL)
    path = dataset.files(0)["audio"]
    assert path.suffix == ".pkl" and path.parent.name == "Audio-1004-SE"
    stored = torch.from_numpy(pickle.loads(path.read_bytes()))
    assert dataset.take(torch.tensor([0]))["audio"][0, 0].equal(stored.half())
    with pytest.raises(ValueError, match="for the waveform, give the wav files"):
        dataset.waveform(0)
    path.write_bytes(pickle.dumps(np.ones((257, 188))))
    with pytest.raises(ValueError, match=r"\.pkl has shape \(257, 188\); expected \(257, 1004\)"):
        AVE(root, "val", **SMALL).take(torch.tensor([0]))  # a run looks at sources once


def test_ave_in_its_official_folder_with_a_header(own, tmp_path):
    root = own("ave")
    wanted = AVE(root, "train").ids
    header = b"Category&VideoID&Quality&StartTime&EndTime\r\n"
    rewrite(root / "trainSet.txt", lambda text: header + text)
    outer = tmp_path / "outer"
    outer.mkdir()
    root.rename(outer / "AVE_Dataset")
    assert AVE(outer, "train").ids == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Church bell,id,good,0,10", "expected 'Category&VideoID"),
        ("Church bell&id&good&0", "expected 'Category&VideoID"),
        ("&id&good&0&10", "expected 'Category&VideoID"),
        ("Meow&id&good&0&10", "'Meow'; expected one of the classes Church bell, Male speech, man"),
        ("Church bell&id&good&x&10", "expected start and end in seconds"),
        ("Church bell&id&good&0&inf", "expected start and end in seconds"),
        ("Church bell&id&good&-1&3", "expected start and end in seconds"),
        ("Church bell&id&good&5&5", "ends after its start"),
        ("Church bell&../id&good&0&10", "a plain file name"),
        ("Church bell&&good&0&10", "a plain file name"),
    ],
)
def test_wrong_lines_of_ave(line, message, own):
    root = own("ave")
    rewrite(root / "valSet.txt", lambda text: text + line.encode())
    with pytest.raises(ValueError, match=rf"valSet\.txt:3 is .*{message}"):
        AVE(root, "val")


def test_an_event_after_the_end_of_the_sound(own):
    root = own("ave")
    rewrite(root / "valSet.txt", lambda text: b"Church bell&mmlib-00003&good&20&30\n")
    dataset = AVE(root, "val", **SMALL)
    with pytest.raises(ValueError, match=r"00003\.wav ends after 10\.00 s; .* 20 s \(line 1 of"):
        dataset.take(torch.tensor([0]))


def test_the_event_is_cut_out_at_the_recordings_own_rate(own):
    root = own("ave")
    data = AVE(root, "test", audio="fbank", cache=False, **SMALL)
    both = voice(44_100, 10, channels=2)
    soundfile.write(data.files(0)["audio"], both, 44_100)
    first, last = (int(44_100 * time) for time in (data._entries[0].start, data._entries[0].end))
    wanted = torch.from_numpy(both[first:last, 0]).float()
    assert_close(data.waveform(0), wanted, atol=1e-4, rtol=0)
