"""AV-Digits with human voices: deals, levels, lengths, bad folders; some need the recordings."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmlib.__main__ import main
from mmlib.data import AVDigits, av_digits
from mmlib.data.reading import voices
from mmlib.data.reading.digits import WORD_LEVEL, spoken_digits
from mmlib.data.reading.lists import SPLITS
from mmlib.data.reading.voices import DEALS, GET, SPEAKERS, TAKES, human_clips_of, human_digits
from mmlib.data.tools.check import check_data
from mmlib.data.tools.report import Fault

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("MMLIB_VOICES", ROOT.parent / "shared/free-spoken-digit-dataset"))
needs_recordings = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"run `{GET}` and give its folder as MMLIB_VOICES"
)


def tone(number, seconds=0.3, rate=8000):
    return 0.4 * np.sin(2 * np.pi * (200 + 20 * number) * np.arange(int(seconds * rate)) / rate)


def link_all(folder, words):
    """3,000 names for 60 files, one a speaker and digit."""
    for voice, speaker in enumerate(SPEAKERS):
        for digit in range(10):
            for take in range(TAKES):
                os.link(words / f"{voice}{digit}.wav", folder / f"{digit}_{speaker}_{take}.wav")
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    for number in range(60):
        soundfile.write(folder / f"{number:02}.wav", tone(number), 8000)
    return folder


@pytest.fixture(scope="module")
def made(words, tmp_path_factory):
    """A made-up clone; not to be changed."""
    folder = tmp_path_factory.mktemp("clone") / "recordings"
    folder.mkdir()
    link_all(folder, words)
    return folder.parent.resolve()


@pytest.fixture
def own(words, tmp_path):
    """A made-up folder of recordings, to be changed; its first to be read is `0_george_0.wav`."""
    return link_all(tmp_path, words)


def replaced(path, samples, rate=8000):
    path.unlink()
    soundfile.write(path, samples, rate)
    return path


@pytest.mark.slow
def test_synthetic_words_are_drawn_as_before():
    truth = hashlib.sha256()
    for split in SPLITS:
        for seed in (0, 1):
            data = AVDigits(split, "corrupted", size=100, seed=seed)
            for numbers in (data.target, data.truth["voice"], data.truth["scan"]):
                truth.update(" ".join(map(str, numbers.tolist())).encode())
    assert truth.hexdigest()[:16] == "e550f0d32646bff7"
    assert repr(data) == "AVDigits('test', 'corrupted', size=100, seed=1)"


def test_contract(made):
    data = AVDigits("val", "corrupted", size=60, voices=made)
    assert data.inputs["audio"].shape == (60, 1, 40, 51) and data.target.shape == (60,)
    again = data.audio_input(torch.stack([data.waveform(i) for i in range(60)]))
    torch.testing.assert_close(again, data.inputs["audio"])
    assert repr(data).endswith(f"seed=0, voices={str(made)!r}, deal='speakers')")
    spoken = human_digits(made)
    clips = torch.tensor([draw.clip for draw in data._draws])
    assert torch.equal(torch.from_numpy(spoken.digit)[clips], data.target)
    assert torch.equal(torch.from_numpy(spoken.voice)[clips], data.truth["voice"])


def test_pictures_are_those_of_the_synthetic_world(made):
    """Same draws, other words: the worlds differ in sound alone."""
    human, synthetic = (AVDigits("test", size=40, seed=2, voices=v) for v in (made, None))
    assert torch.equal(human.inputs["visual"], synthetic.inputs["visual"])
    assert torch.equal(human.truth["audio_snr_db"], synthetic.truth["audio_snr_db"])
    assert not torch.equal(human.inputs["audio"], synthetic.inputs["audio"])


def test_a_pair_depends_on_what_the_folder_holds_alone(made):
    whole = AVDigits("train", size=30, seed=1, voices=made)
    for folder in (str(made), made / "recordings"):
        part = AVDigits("train", size=12, seed=1, voices=folder)
        assert torch.equal(part.inputs["audio"], whole.inputs["audio"][:12])
        assert torch.equal(part.truth["voice"], whole.truth["voice"][:12])


@pytest.mark.parametrize("seed", range(6))
def test_speakers_of_the_splits_are_disjoint(seed):
    clips = {split: np.concatenate(human_clips_of(split, "speakers", seed)) for split in SPLITS}
    speakers = [{*(mine // (10 * TAKES)).tolist()} for mine in clips.values()]
    assert [len(mine) for mine in speakers] == [3, 1, 2] and len(set.union(*speakers)) == 6
    assert sorted(np.concatenate([*clips.values()])) == list(range(3000))


def test_speakers_are_dealt_anew_for_each_seed():
    tested = [human_clips_of("test", "speakers", seed)[0] // 500 for seed in range(5)]
    assert len({frozenset(mine.tolist()) for mine in tested}) == 5
    assert {*np.concatenate(tested).tolist()} == {*range(6)}  # each speaker in some test split


@pytest.mark.parametrize("seed", range(2))
def test_every_speaker_in_every_split_but_no_recording_twice(seed):
    clips = {split: human_clips_of(split, "recordings", seed) for split in SPLITS}
    for split, count in zip(SPLITS, (25, 8, 17), strict=True):
        for digit in range(10):
            voice, own = np.divmod(clips[split][digit], 10 * TAKES)
            assert (np.bincount(voice) == count).all() and (own // TAKES == digit).all()
    everything = np.concatenate([part for mine in clips.values() for part in mine])
    assert sorted(everything) == list(range(3000))
    other = human_clips_of("train", "recordings", seed + 1)
    assert not np.array_equal(clips["train"][0], other[0])


def test_sound_is_standardised_by_the_training_speakers_of_the_seed(made, monkeypatch):
    """Nothing of another speaker's recordings moves a training input."""
    folders = made, made.parent / "other"  # the statistics of a folder are kept
    spoken = human_digits(made.resolve())
    trained = {*np.concatenate(human_clips_of("train", "speakers", 3)).tolist()}
    clips = [clip if i in trained else 9 * clip for i, clip in enumerate(spoken.clips)]
    known = dict(zip(folders, (spoken, spoken._replace(clips=clips)), strict=True))
    monkeypatch.setattr(av_digits, "human_digits", lambda root: known[root])
    for split, same in (("train", True), ("val", False)):
        mine, other = (AVDigits(split, size=20, seed=3, voices=folder) for folder in folders)
        assert torch.equal(mine.inputs["audio"], other.inputs["audio"]) == same


def test_silence_goes_and_the_level_is_that_of_synthetic_words(own):
    word = tone(3, 0.25)
    path = replaced(own / "0_george_0.wav", np.pad(word, (1600, 4000)))
    found = voices.read_word(path)
    assert abs(len(found) - len(word)) < 20
    assert np.sqrt(np.mean(found**2)) == pytest.approx(WORD_LEVEL, rel=1e-5)
    assert found.dtype == spoken_digits().clips[0].dtype


def test_of_a_long_recording_the_loudest_part_is_taken(own):
    """2.3 s, with a word after 1.2 s, and a click at each end, so that no silence goes."""
    long = np.zeros(int(2.3 * 8000))
    long[[0, -1]] = 0.1
    long[9600:13600] = tone(3, 0.5)
    found = voices.read_word(replaced(own / "0_george_0.wav", long))
    assert len(found) == 6400
    assert np.square(found[:6400]).sum() > 0.999 * 6400 * WORD_LEVEL**2
    assert np.count_nonzero(found) > 3900  # the whole word is in it
    data = AVDigits("train", size=4, voices=own)
    assert data.waveform(0).shape == (6400,)


BROKEN = {
    "stereo": (
        lambda p: replaced(p, np.stack([tone(1)] * 2, 1)),
        "is of 2 channels at 8000 Hz; expe",
    ),
    "rate": (lambda p: replaced(p, tone(1), 16000), "is mono at 16000 Hz; expected the publis"),
    "silent": (lambda p: replaced(p, np.zeros(800)), "is silent; get the recording again by"),
    "pointer": (
        lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        "is a pointer of",
    ),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "page": (lambda p: p.write_bytes(b"<!DOCTYPE html><html>"), "is a web page"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:800]), "is cut short"),
}


def unlinked(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_recording_is_named(case, own):
    damage, sentence = BROKEN[case]
    path = unlinked(own / "0_george_0.wav")
    damage(path)
    with pytest.raises(ValueError) as caught:
        AVDigits("val", size=2, voices=own)
    said = str(caught.value)
    assert said.startswith(f"{path} ") and sentence in said and "\n" not in said


def test_a_folder_that_lacks_recordings(own, tmp_path):
    for name in ("3_theo_7.wav", "9_lucas_49.wav"):
        (own / name).unlink()
    lacks = r"lacks 2 of 3,000 recordings \(9_lucas_49.wav, 3_theo_7.wav\); get them by `git clone"
    with pytest.raises(FileNotFoundError, match=lacks):
        AVDigits("val", size=2, voices=own)


def test_another_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"holds no recording such as 0_george.*`{GET}`"):
        AVDigits("val", size=2, voices=tmp_path)
    with pytest.raises(FileNotFoundError, match=f"gone is missing or no folder.*`{GET}`"):
        AVDigits("val", size=2, voices=tmp_path / "gone")


def test_a_deal_that_is_none(made):
    with pytest.raises(ValueError, match="deal is 'clips'; choose one of speakers, recordings"):
        AVDigits("val", size=2, voices=made, deal="clips")
    with pytest.raises(ValueError, match="deal is 'recordings', which is for human voices; give"):
        AVDigits("val", size=2, deal="recordings")


def test_check_data_counts_speakers_and_digits(made, own):
    report = check_data("av-digits", made, progress=False)
    counts = {row.label: (row.published, row.listed, row.whole) for row in report.rows}
    assert report.ok and report.opened == 3000 and counts["all"] == (3000, 3000, 3000)
    assert counts["theo"] == (500, 500, 500) and counts["digit 4"] == (300, 300, 300)
    assert len(counts) == 1 + 6 + 10
    (own / "4_theo_0.wav").unlink()
    unlinked(own / "4_theo_1.wav").write_bytes(b"")
    report = check_data("av-digits", own, progress=False)
    counts = {row.label: (row.published, row.listed, row.whole) for row in report.rows}
    assert not report.ok and counts["theo"] == (500, 499, 498)
    assert counts["digit 4"] == (300, 299, 298) and counts["george"] == (500, 500, 500)
    assert report.missing == (
        Fault("4_theo_0", "recordings", f"{own / '4_theo_0.wav'} is missing"),
    )
    (broken,) = report.broken
    assert broken.id == "4_theo_1" and broken.reason.startswith(f"{own / '4_theo_1.wav'} is empty")
    assert f"To do: get the recordings: {GET}" in str(report)


@pytest.mark.slow
def test_the_command_line_knows_the_two_worlds(made, tmp_path, capsys):
    run = ["train", "--epochs", "1", "--quiet", "--device", "cpu", "--out", str(tmp_path / "run")]
    few, human = ["--data-options", "size=32"], ["--root", str(made)]
    assert main([*run, *human, *few, "deal=recordings"]) == 0
    assert '"voices": "human"' in (tmp_path / "run/settings.json").read_text()
    assert '"deal": "recordings"' in (tmp_path / "run/settings.json").read_text()
    capsys.readouterr()
    assert main([*run, *few, "--resume"]) == 2
    assert "is of a run with voices 'human', not None; give another path" in capsys.readouterr().err
    assert main([*run, *few, "deal=recordings"]) == 2
    assert "which is for human voices; give their folder, too" in capsys.readouterr().err
    assert main(["check-data", "av-digits", str(tmp_path)]) == 2
    assert "holds no recording such as" in capsys.readouterr().err


@needs_recordings
def test_the_recordings_fit_into_the_sound():
    spoken = human_digits(REAL.resolve())
    length = np.array([len(clip) for clip in spoken.clips])
    assert len(length) == 3000 and length.min() > 800
    assert (length == 6400).sum() == 8  # still longer without their silence, then cut
    assert (np.bincount(spoken.voice) == 500).all() and (np.bincount(spoken.digit) == 300).all()
    level = [np.sqrt(np.mean(clip**2)) for clip in spoken.clips]
    np.testing.assert_allclose(level, WORD_LEVEL, rtol=1e-4)


@needs_recordings
@pytest.mark.slow
@pytest.mark.parametrize("deal", DEALS)
def test_the_recordings_make_a_data_set(deal):
    sizes = zip(SPLITS, (1000, 100, 100), strict=True)
    data = {s: AVDigits(s, size=size, seed=1, voices=REAL, deal=deal) for s, size in sizes}
    audio = data["train"].inputs["audio"]
    assert abs(audio.mean()) < 0.01 and abs(audio.std() - 1) < 0.01
    speakers = [{*data[split].truth["voice"].tolist()} for split in SPLITS]
    counts = [3, 1, 2] if deal == "speakers" else [6, 6, 6]
    assert [len(mine) for mine in speakers] == counts
