"""Frames and sound out of videos: the right ones, whatever is broken, killed or there already."""

import errno
import multiprocessing
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmlib.data import AVE
from mmlib.data.reading.folders import frame_names
from mmlib.data.reading.media import read_image
from mmlib.data.tools import prepare as module
from mmlib.data.tools import workers as workers_of
from mmlib.data.tools.prepare import FAILURES, prepare
from mmlib.data.tools.sample_clips import write_cremad
from mmlib.data.tools.sample_videos import write_video, write_videos
from mmlib.files import LOCK
from waiting import LIMIT, wait_for

pytestmark = pytest.mark.slow  # files are made and read in each

pytest.importorskip("av", reason="the extra mmlib[video] is not installed")

SIZE = (64, 48)
TONE = 440.0  # Hz
# no thread is copied from a test into a process that a server starts, and PyTorch is there
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["mmlib.data"])


def tone(seconds, rate=16_000):
    return (8000 * np.sin(2 * np.pi * TONE * np.arange(int(seconds * rate)) / rate)).astype("int16")


def film(path, seconds, fps=10, sound=True, shades=24):
    """A video whose brightness is 10 in the first second, 20 in the second, and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = max(round(seconds * fps), 1)
    shade = [10 * (1 + int(k / fps) % shades) for k in range(count)]
    pictures = [np.full((*SIZE[::-1], 3), value, dtype=np.uint8) for value in shade]
    write_video(path, pictures, fps, tone(seconds) if sound else None)
    return path


def shades(folder):
    """The brightness of each frame, in tens."""
    pictures = [read_image(folder / name).float().mean().item() for name in frame_names(folder)]
    return [round(value / 10) for value in pictures]


def run(name, root, **options):
    return prepare(name, root, **{"processes": 1, "progress": False} | options)


def content(root):
    """Everything that was made, by its path."""
    made = {}
    for path in sorted(root.rglob("*")):
        if path.suffix in (".jpg", ".wav", ".part", ".txt") and path.is_file():
            made[str(path.relative_to(root))] = path.read_bytes()
    return made


@pytest.fixture
def cremad(tmp_path):
    """Four clips of 1.4 to 2 seconds."""
    for number in range(4):
        film(tmp_path / "VideoFlash" / f"100{number}_IEO_ANG_HI.flv", 1.4 + 0.2 * number)
    return tmp_path


# the right frames and sound


def test_cremad(tmp_path):
    film(tmp_path / "VideoFlash" / "1001_IEO_ANG_HI.flv", 3.6)
    report = run("cremad", tmp_path)
    assert report.ok and (report.done, report.skipped) == (1, 0)
    frames = tmp_path / "Image-01-FPS" / "1001_IEO_ANG_HI"
    assert frame_names(frames) == ["00000.jpg", "00010.jpg", "00020.jpg", "00030.jpg"]
    assert shades(frames) == [1, 2, 3, 4]
    assert Image.open(frames / "00000.jpg").size == SIZE
    sound, rate = soundfile.read(tmp_path / "AudioWAV" / "1001_IEO_ANG_HI.wav")
    assert rate == 44_100 and sound.ndim == 1 and 3.5 < len(sound) / rate < 3.8
    peak = np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound)
    assert peak == pytest.approx(TONE, abs=1)
    assert np.sqrt(2 * np.mean(sound**2)) == pytest.approx(8000 / 32768, rel=0.1)


def test_frames_are_chosen_by_time_at_odd_rates_too(tmp_path):
    # counting 29 frames a second would find eleven frames in ten seconds
    film(tmp_path / "VideoFlash" / "odd.mp4", 10, fps=Fraction(30_000, 1001))
    film(tmp_path / "VideoFlash" / "slow.mp4", 8, fps=Fraction(1, 2))
    assert run("cremad", tmp_path).ok
    odd = tmp_path / "Image-01-FPS" / "odd"
    assert frame_names(odd) == [f"{int(np.ceil(30 / 1.001 * k)):05d}.jpg" for k in range(10)]
    assert shades(odd) == list(range(1, 11))
    assert shades(tmp_path / "Image-01-FPS" / "slow") == [1, 3, 5, 7]


def test_another_rate_of_frames(tmp_path):
    film(tmp_path / "VideoFlash" / "clip.flv", 2)
    assert run("cremad", tmp_path, fps=2).ok
    frames = tmp_path / "Image-02-FPS" / "clip"
    assert frame_names(frames) == ["00000.jpg", "00005.jpg", "00010.jpg", "00015.jpg"]
    assert not (tmp_path / "Image-01-FPS").exists()


@pytest.mark.parametrize(
    ("count", "names"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (8, [0, 2, 5])]
)
def test_a_clip_shorter_than_the_frames_period(tmp_path, count, names):
    film(tmp_path / "VideoFlash" / "clip.flv", count / 10)
    assert run("cremad", tmp_path).ok
    found = frame_names(tmp_path / "Image-01-FPS" / "clip")
    assert found == [f"{number:05d}.jpg" for number in names]


def test_ave_takes_the_event_and_the_whole_sound(tmp_path):
    root = tmp_path / "AVE_Dataset"
    for id in ("one", "two", "unlisted"):
        film(root / "AVE" / f"{id}.mp4", 10)
    (root / "trainSet.txt").write_text("Bark&one&good&3&6\nCat, cat&one&good&0&9\n")
    (root / "valSet.txt").write_text("Bark&two&good&0&10\r\n")
    (root / "testSet.txt").write_text("Bark&gone&good&0&10\n")
    report = run("ave", tmp_path)
    assert report.ok and report.done == 3 and report.missing == ("gone",)
    assert "without a video: 1, such as gone" in str(report)
    frames = root / "Image-01-FPS-SE"
    assert sorted(os.listdir(frames)) == [".prepared", "one", "one@0-9", "two"]
    assert frame_names(frames / "one") == [f"{30 + 3 * k:05d}.jpg" for k in range(10)]
    assert set(shades(frames / "one")) == {4, 5, 6}
    assert shades(frames / "two") == list(range(1, 11))
    sound = soundfile.info(root / "AudioWAV" / "one.wav")
    assert 9.9 < sound.duration < 10.2 and sound.samplerate == 16_000


def test_ave_of_a_clip_with_two_events(tmp_path):
    """As in the published lists, of which 18 clips stand in two."""
    film(tmp_path / "AVE" / "one.mp4", 10)
    (tmp_path / "trainSet.txt").write_text("Bark&one&good&0&5\nCat&one&good&2&4\n")
    (tmp_path / "valSet.txt").write_text("Bark&one&good&5&10\n")
    (tmp_path / "testSet.txt").write_text("Bark&one&good&0&5\nCat&two&good&0&5\n")
    report = run("ave", tmp_path)
    assert report.ok and report.done == 3 and report.missing == ("two",)
    for split, repeats, seconds in (
        ("train", "first", range(0, 5)),
        ("train", "last", range(2, 4)),
        ("val", "first", range(5, 10)),
    ):
        data = AVE(tmp_path, split, repeats=repeats, size=28, cache=False)
        assert {*shades(data.files(0)["visual"])} == {second + 1 for second in seconds}
    assert run("ave", tmp_path).skipped == 3


def test_ave_with_the_annotations_alone(tmp_path):
    film(tmp_path / "AVE" / "one.mp4", 3)
    header = "Category&VideoID&Quality&StartTime&EndTime\n"
    (tmp_path / "Annotations.txt").write_text(f"{header}Bark&one&good&0&3\n")
    assert run("ave", tmp_path).done == 1
    (tmp_path / "Annotations.txt").write_text("Bark&one&good&0\n")
    with pytest.raises(ValueError, match=r"Annotations.txt:1 is .*expected 'Category&VideoID"):
        run("ave", tmp_path)


def test_kinetics_sounds_finds_the_listed_clips_under_both_names(tmp_path):
    videos = tmp_path / "ks_video"
    film(videos / "train" / "-abc_d_000003_000013.mp4", 4)
    film(videos / "train" / "unlisted_000003_000013.mp4", 1)
    film(videos / "test" / "xy_z_000007_000017.mp4", 4)
    (tmp_path / "my_train.txt").write_text("-abc_d_000003_000013,10,5\n")
    (tmp_path / "my_test.txt").write_text("xy_z_7,10,5\ngone_12,10,30\n")
    report = run("kinetics-sounds", tmp_path)
    assert report.done == 2 and report.missing == ("test/gone_12",)
    for split, id in (("train", "-abc_d_000003_000013"), ("test", "xy_z_7")):
        folder = tmp_path / "ks_visual" / split / id
        assert frame_names(folder) == [f"frame_{k:05d}.jpg" for k in range(1, 5)]
        assert shades(folder) == [1, 2, 3, 4]
        assert (tmp_path / "ks_audio" / split / f"{id}.wav").is_file()
    for part in ("train", "test"):
        (tmp_path / f"my_{part}.txt").unlink()
    assert run("kinetics-sounds", tmp_path).done == 2  # without lists, all that are there


def test_sample_trees_come_back_as_they_were_drawn(tmp_path):
    write_videos("cremad", write_cremad(tmp_path, clips_per_class=2, actors=2))
    drawn = (tmp_path / "Image-01-FPS").rename(tmp_path / "drawn")
    said = {path.stem: path.read_bytes() for path in (tmp_path / "AudioWAV").iterdir()}
    assert run("cremad", tmp_path).done == len(said) == 12
    for id in said:
        assert (tmp_path / "AudioWAV" / f"{id}.wav").read_bytes() == said[id]  # was there
        first, *_ = frame_names(tmp_path / "Image-01-FPS" / id)
        found, expected = (read_image(f / id / first) for f in (tmp_path / "Image-01-FPS", drawn))
        assert (found.float() - expected.float()).abs().mean() < 8


MATRICES = {  # a, b, c, d of a display matrix: (x, y) is shown at (a x + c y, b x + d y)
    "as it is": (1, 0, 0, 1),
    "a quarter clockwise": (0, 1, -1, 0),
    "half a turn": (-1, 0, 0, -1),
    "a quarter anticlockwise": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "mirrored and turned": (0, 1, 1, 0),
}
TURN = {
    "as it is": lambda x: x,
    "a quarter clockwise": lambda x: np.rot90(x, -1),
    "half a turn": lambda x: np.rot90(x, 2),
    "a quarter anticlockwise": np.rot90,
    "mirrored": np.fliplr,
    "mirrored and turned": lambda x: x.swapaxes(0, 1),
}


@pytest.mark.parametrize("held", MATRICES)
def test_frames_come_out_upright_however_the_camera_was_held(held, tmp_path):
    path = tmp_path / "VideoFlash" / "clip.mp4"
    path.parent.mkdir()
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = 240, 120
    write_video(path, [picture] * 10, 10, tone(1))
    made = path.read_bytes()
    place = made.index(b"tkhd") + 44  # the matrix of the first track: the picture
    assert struct.unpack(">9i", made[place : place + 36])[::4] == (1 << 16, 1 << 16, 1 << 30)
    a, b, c, d = (number << 16 for number in MATRICES[held])
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(made[:place] + matrix + made[place + 36 :])
    assert run("cremad", tmp_path).ok
    frame = np.asarray(Image.open(tmp_path / "Image-01-FPS" / "clip" / "00000.jpg"))
    wanted = TURN[held](picture)
    assert frame.shape == wanted.shape
    assert np.abs(frame.astype(int) - wanted).mean() < 8


OTHER_CODES = os.fsdecode(b"caf\xe9")  # in Latin-1


@pytest.mark.parametrize("there", ["cafe\u0301", OTHER_CODES, "CAF\u00c9"])
def test_names_that_nearly_fit(there, tmp_path):
    """A video of another spelling, in a folder of its class, beside a sound in capitals."""
    try:
        film(tmp_path / "AVE" / "Bark" / f"{there}.mp4", 2)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    (tmp_path / "trainSet.txt").write_text("Bark&caf\u00e9&good&0&2\n", encoding="utf-8")
    (tmp_path / "AudioWAV").mkdir()
    soundfile.write(tmp_path / "AudioWAV" / "caf\u00e9.WAV", tone(2), 16_000, format="WAV")
    report = run("ave", tmp_path)
    assert report.ok and report.done == 1 and report.missing == ()
    assert os.listdir(tmp_path / "AudioWAV") == ["caf\u00e9.WAV"]
    assert shades(tmp_path / "Image-01-FPS-SE" / "caf\u00e9")[0] == 1


def test_channels_are_kept(tmp_path):
    """A filter bank takes the first of them, the other recipes their mean."""
    import av

    path = film(tmp_path / "VideoFlash" / "clip.mp4", 1, sound=False)
    left, right = tone(1), np.zeros(16_000, dtype=np.int16)
    with av.open(str(path), "w") as video:
        picture = video.add_stream("libx264", rate=10)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        sound = video.add_stream("aac", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.stack([left, right], 1).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = 16_000
        for _ in range(10):
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), format="rgb24")
            video.mux(picture.encode(grey))
        video.mux(picture.encode(None))
        video.mux(sound.encode(frame))
        video.mux(sound.encode(None))
    assert run("cremad", tmp_path).ok
    found, _ = soundfile.read(tmp_path / "AudioWAV" / "clip.wav")
    left, right = np.sqrt(2 * np.mean(found[4000:12_000] ** 2, axis=0))
    assert left == pytest.approx(8000 / 32768, rel=0.1) and right < 0.001


# resumed


def test_what_is_there_is_left_alone(cremad):
    sounds = cremad / "AudioWAV"
    sounds.mkdir()
    (sounds / "1000_IEO_ANG_HI.wav").write_bytes(b"the official one")
    assert run("cremad", cremad).done == 4
    assert (sounds / "1000_IEO_ANG_HI.wav").read_bytes() == b"the official one"
    stamps = {path: path.stat().st_mtime_ns for path in cremad.rglob("*.*") if path.name != LOCK}
    again = run("cremad", cremad)
    assert (again.done, again.skipped) == (0, 4)
    assert stamps == {
        path: path.stat().st_mtime_ns for path in cremad.rglob("*.*") if path.name != LOCK
    }
    before = content(cremad)
    for name in os.listdir(cremad / "Image-01-FPS" / "1002_IEO_ANG_HI"):
        (cremad / "Image-01-FPS" / "1002_IEO_ANG_HI" / name).unlink()  # leaves an empty folder
    (sounds / "1003_IEO_ANG_HI.wav").unlink()
    again = run("cremad", cremad)
    assert (again.done, again.skipped) == (2, 2)
    assert content(cremad) == before


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def test_pointers_beside_real_videos_become_sounds(cremad):
    """What `git clone` leaves of CREMA-D's sounds where git-lfs is not installed."""
    (cremad / "AudioWAV").mkdir()
    ids = [path.stem for path in sorted((cremad / "VideoFlash").iterdir())]
    stubs = (POINTER, b"", b"<!DOCTYPE html><p>404", None)
    for id, stub in zip(ids, stubs):
        if stub is not None:
            (cremad / "AudioWAV" / f"{id}.wav").write_bytes(stub)
    report = run("cremad", cremad)
    assert report.ok and (report.done, report.skipped) == (4, 0)
    assert [text.partition(" (")[2] for text in report.replaced] == [
        "a pointer of git-lfs, not a sound)",
        "empty)",
        "a web page, as a failed download leaves it, not a sound)",
    ]
    assert "Files and folders replaced that were no good: 3, such as" in str(report)
    assert all(soundfile.info(cremad / "AudioWAV" / f"{id}.wav").duration > 1 for id in ids)
    cut = cremad / "AudioWAV" / f"{ids[0]}.wav"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-999])
    report = run("cremad", cremad)
    assert (report.done, report.skipped) == (1, 3) and "(cut short by 999 bytes)" in str(report)
    assert cut.read_bytes() == whole


def test_a_pointer_for_which_no_video_will_do_is_a_failure(tmp_path):
    film(tmp_path / "VideoFlash" / "clip.flv", 2, sound=False)
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "AudioWAV" / "clip.wav").write_bytes(POINTER)
    report = run("cremad", tmp_path)
    assert not report.ok and (report.done, report.skipped, report.replaced) == (0, 0, ())
    assert report.failed[0].reason.endswith("it has no sound")


@pytest.mark.parametrize("damage", ["empty", "cut", "pointer"])
def test_frames_of_which_one_is_no_good_are_made_again(damage, cremad):
    assert run("cremad", cremad).done == 4
    before = content(cremad)
    folder = cremad / "Image-01-FPS" / "1002_IEO_ANG_HI"
    last = folder / frame_names(folder)[-1]
    whole = last.read_bytes()
    last.write_bytes({"empty": b"", "cut": whole[:-100], "pointer": POINTER}[damage])
    (folder / "notes.jpg.txt").touch()  # goes with the folder
    report = run("cremad", cremad)
    assert (report.done, report.skipped, len(report.replaced)) == (1, 3, 1)
    assert f"{folder} (holds {last.name}, which is " in str(report)
    assert content(cremad) == before


def files(folder):
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.slow
def test_killed_again_and_again_ends_as_an_undisturbed_run(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for root in (whole, killed):
        (root / "VideoFlash").mkdir(parents=True)
    for number in range(12):
        path = film(whole / "VideoFlash" / f"clip{number:02d}.flv", 2 + number % 3)
        os.link(path, killed / "VideoFlash" / path.name)
    assert run("cremad", whole).done == 12
    expected, luck, kills = content(whole), random.Random(0), 0
    for _ in range(10):
        process = SERVER.Process(target=run, args=("cremad", killed))
        wanted = files(killed) + luck.randint(1, 4)
        process.start()
        while process.is_alive() and files(killed) < wanted:
            time.sleep(luck.uniform(0, 0.004))
        kills += process.exitcode is None
        process.kill()
        process.join()
        made = content(killed)
        made = {name: made[name] for name in made if ".part" not in name}
        assert made.items() <= expected.items(), "something half-written is in place"
    assert kills >= 5
    report = run("cremad", killed)
    assert report.ok and report.done + report.skipped == 12
    assert content(killed) == expected
    assert not list(killed.rglob("*.part"))


make_lacking = module.make_lacking


def crash_or_make(clip):
    """The clip `crash` ends its worker."""
    if clip.id == "crash":
        os._exit(9)
    return make_lacking(clip)


@pytest.mark.slow
def test_a_crashing_decoder_stops_nothing_and_processes_change_no_file(cremad, monkeypatch):
    assert run("cremad", cremad).done == 4
    alone = content(cremad)
    for name in ("Image-01-FPS", "AudioWAV"):
        shutil.rmtree(cremad / name)
    film(cremad / "VideoFlash" / "crash.flv", 1)
    monkeypatch.setattr(module, "make_lacking", crash_or_make)
    monkeypatch.setattr(workers_of, "get_context", lambda _: SERVER)
    report = run("cremad", cremad, processes=2)
    assert "clips prepared 4, there already 0, failed 1" in str(report)
    assert "crash: the process that decoded it crashed" in str(report)
    found = content(cremad)
    assert found.pop(FAILURES).startswith(b"crash\t")
    assert found == alone and len(alone) == 4 * 4  # three frames and a sound each


def test_what_a_crash_leaves_half_done_is_removed(cremad, monkeypatch):
    """A worker that goes down takes the others along, in the middle of their clips."""

    def leave_half(clip):
        for target in (clip.frames, clip.sound, clip.frames.parent / ".prepared" / clip.id):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_name(f"{target.name}.0123abcd.part").touch()
        return make(clip)

    make = module.make_lacking
    monkeypatch.setattr(module, "make_lacking", leave_half)
    assert run("cremad", cremad, processes=1).done == 4
    assert not list(cremad.rglob("*.part"))


def test_after_a_crash_the_pool_has_all_its_workers_again(monkeypatch):
    """Only the clips that the crash caught are done by one worker, and only they are blamed."""
    pools = []

    def in_pool(function, clips, workers):  # done in order, up to the first that crashes
        pools.append((workers, [clip.id for clip in clips]))
        for id in pools[-1][1]:
            if id in ("c", "g"):
                return
            yield id, "broken" if id == "e" else ""

    monkeypatch.setattr(workers_of, "_in_pool", in_pool)
    clips = [module.Clip(id, *3 * ["x"], 1.0, 3) for id in "abcdefghijkl"]
    outcomes = dict(workers_of.of_all(None, clips, processes=3))
    crashed = "the process that decoded it crashed"
    failed = {"c": crashed, "e": "broken", "g": crashed}
    assert outcomes == dict.fromkeys("abcdefghijkl", "") | failed
    assert pools == [
        (3, [*"abcdefghijkl"]),
        (1, ["c", "d", "e"]),
        (1, ["d", "e"]),
        (3, [*"fghijkl"]),
        (1, ["g", "h", "i"]),
        (1, ["h", "i"]),
        (3, ["j", "k", "l"]),
    ]


DRIVER = """
import sys, time
from mmlib.data.tools import prepare as module

def wait(clip):
    time.sleep(3600)

wait.__module__ = __name__
module.make_lacking = wait
if __name__ == "__main__":
    module.prepare("cremad", sys.argv[1], processes=2, progress=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_main_process_that_is_killed(cremad):
    driver = cremad / "driver.py"
    driver.write_text(DRIVER)
    process = subprocess.Popen([sys.executable, driver, cremad], start_new_session=True)
    assert wait_for(lambda: len(_workers(process.pid)) == 2, lambda: process.poll() is None)
    workers = _workers(process.pid)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=LIMIT)
    assert wait_for(lambda: not any(map(_runs, workers)))


def _workers(pid):
    children = open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8").read().split()
    return [
        c for c in children if "spawn_main" in open(f"/proc/{c}/cmdline", encoding="utf-8").read()
    ]


def _runs(pid):
    try:
        status = open(f"/proc/{pid}/stat", encoding="utf-8").read()
        return status.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


PREPARE = "import sys; from mmlib.__main__ import main; sys.exit(main())"
HOLD = """
import sys, time
from mmlib.data.tools import prepare as module

make_lacking = module.make_lacking

def slow(clip):
    print("at work", flush=True)
    time.sleep(float(sys.argv[2]))
    return make_lacking(clip)

slow.__module__ = __name__
module.make_lacking = slow
if __name__ == "__main__":
    module.prepare("cremad", sys.argv[1], processes=2, progress=False)
"""


def started(root, driver, seconds):
    """A process that prepares slowly, once it is at work."""
    driver.write_text(HOLD)
    command = [sys.executable, driver, root, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "at work\n"
    return process


@pytest.mark.slow
def test_of_two_on_one_root_the_second_is_refused_and_all_is_right(cremad, tmp_path_factory):
    alone = tmp_path_factory.mktemp("alone")
    shutil.copytree(cremad / "VideoFlash", alone / "VideoFlash")
    assert run("cremad", alone).done == 4
    first = started(cremad, cremad / "driver.py", 1.0)
    command = [sys.executable, "-c", PREPARE, "prepare", "cremad", cremad]
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2, second.stderr
    assert f"another prepare is at work in {cremad}; wait until it has ended" in second.stderr
    assert first.wait(timeout=LIMIT) == 0
    assert content(cremad) == content(alone)
    report = run("cremad", cremad)
    assert report.ok and report.skipped == 4


@pytest.mark.slow
def test_after_a_killed_owner_the_next_one_works_at_once(cremad):
    owner = started(cremad, cremad / "driver.py", 3600)
    for old in ("Image-01-FPS/x.01234567.part", "AudioWAV/x.wav.89abcdef.part"):  # of killed ones
        (cremad / old).mkdir(parents=True)
        (cremad / old / "00000.jpg").touch()
    with pytest.raises(FileExistsError, match="another prepare is at work"):
        run("cremad", cremad)
    owner.send_signal(signal.SIGKILL)
    owner.wait(timeout=LIMIT)
    report = run("cremad", cremad)
    assert report.ok and report.done == 4
    assert not list(cremad.rglob("*.part"))


def test_parts_of_the_users_own_are_left_alone(cremad):
    own = [cremad / "AudioWAV" / "own.wav.part", cremad / "Image-01-FPS" / "mine.part"]
    for path in own:
        path.parent.mkdir()
        path.write_bytes(b"mine")
    assert run("cremad", cremad).done == 4
    assert [path.read_bytes() for path in own] == [b"mine", b"mine"]


def test_frames_of_an_event_whose_times_have_changed_are_made_again(tmp_path):
    film(tmp_path / "AVE" / "one.mp4", 10)
    frames, path = tmp_path / "Image-01-FPS-SE" / "one", tmp_path / "trainSet.txt"
    for start, end, skipped in ((0, 3, 0), (5, 8, 0), (5, 8, 1)):
        path.write_text(f"Bark&one&good&{start}&{end}\n")
        report = run("ave", tmp_path)
        assert report.ok and report.skipped == skipped
        assert {*shades(frames)} == {*range(start + 1, end + 1)}
        if (start, skipped) == (5, 0):
            assert report.replaced == (f"{frames} (of another event, from 0 to 3 s)",)
    shutil.rmtree(frames.parent / ".prepared")  # of frames from elsewhere nothing is known
    path.write_text("Bark&one&good&0&3\n")
    assert run("ave", tmp_path).skipped == 1


@pytest.mark.parametrize("noted", [True, False])
def test_frames_of_another_rate_are_not_mixed(noted, tmp_path):
    film(tmp_path / "ks_video" / "train" / "one.mp4", 4)
    assert run("kinetics-sounds", tmp_path).done == 1
    folder = tmp_path / "ks_visual" / "train"
    if not noted:
        shutil.rmtree(folder / ".prepared")
    film(tmp_path / "ks_video" / "train" / "two.mp4", 4)
    with pytest.raises(ValueError, match="fps is 5 and .*one holds frames of 1 a second"):
        run("kinetics-sounds", tmp_path, fps=5)
    assert not (folder / "two").exists()
    shutil.rmtree(tmp_path / "ks_visual")
    assert run("kinetics-sounds", tmp_path, fps=5).done == 2
    assert run("kinetics-sounds", tmp_path, fps=5).skipped == 2
    with pytest.raises(ValueError, match="fps is 1 and .* of 5 a second; remove .*ks_visual"):
        run("kinetics-sounds", tmp_path)


# what is broken


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_a_pipe_is_no_video(cremad):
    os.mkfifo(cremad / "VideoFlash" / "pipe.flv")  # opening it would wait for a writer
    report = run("cremad", cremad)
    assert report.done == 4 and report.failed[0].reason.endswith("pipe.flv is a pipe, not a video")


def test_a_folder_that_cannot_be_written_to_is_named(cremad):
    (cremad / "AudioWAV").touch()
    report = run("cremad", cremad)
    assert len(report.failed) == 4
    assert f"{cremad / 'AudioWAV'} cannot be written" in report.failed[0].reason


@pytest.mark.parametrize("name", ["MOST_VALUES", "MOST_PIXELS"])
def test_more_than_memory_should_hold(name, cremad, monkeypatch):
    monkeypatch.setattr(f"mmlib.data.tools.videos.{name}", 1000)
    [*failed] = run("cremad", cremad).failed
    words = {"MOST_VALUES": "its sound is longer than 1,000", "MOST_PIXELS": "have 64 x 48 pixels"}
    assert len(failed) == 4 and all(words[name] in failure.reason for failure in failed)


def test_broken_videos_stand_in_the_report_and_stop_nothing(cremad):
    videos = cremad / "VideoFlash"
    good = film(videos / "good.mp4", 6)
    flash = film(videos / "flash.flv", 6)
    size = good.stat().st_size
    broken = {
        "empty.flv": (b"", "is empty"),
        "noise.flv": (np.random.default_rng(0).bytes(5000), "Invalid data found"),
        "pointer.flv": (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "is a pointer of git-lfs, not a video",
        ),
        "cut.mp4": (good.read_bytes()[: size // 2], "is cut short by"),
        "cut.flv": (flash.read_bytes()[: flash.stat().st_size // 2], "breaks off after"),
    }
    for name, (made, _) in broken.items():
        (videos / f"bad-{name}").write_bytes(made)
    film(videos / "silent.mp4", 2, sound=False)
    broken["silent.mp4"] = (b"", "it has no sound")
    (videos / "bad-cut.mp4").rename(videos / "bad-half.mp4")  # ids have to differ
    report = run("cremad", cremad)
    assert not report.ok and report.done == 6 and len(report.failed) == 6
    reasons = {failure.id: failure.reason for failure in report.failed}
    assert list(reasons) == sorted(reasons)
    for name, (_, words) in broken.items():
        id = {"silent.mp4": "silent", "cut.mp4": "bad-half"}.get(name, f"bad-{name[:-4]}")
        assert words in reasons[id] and str(videos) in reasons[id]
    lines = (cremad / FAILURES).read_text().splitlines()
    assert [line.split("\t") for line in lines] == [list(failure) for failure in report.failed]
    assert "failed 6" in str(report) and FAILURES in str(report)
    assert not list(cremad.rglob("*.part"))
    assert not (cremad / "AudioWAV" / "bad-cut.wav").exists()  # nothing of half a video
    for id in reasons:
        [path] = videos.glob(f"{id}.*")
        path.unlink()
    assert run("cremad", cremad).ok and not (cremad / FAILURES).exists()


def test_a_video_without_sound_will_do_where_the_sound_is_there(tmp_path):
    film(tmp_path / "VideoFlash" / "clip.flv", 2, sound=False)
    (tmp_path / "AudioWAV").mkdir()
    soundfile.write(tmp_path / "AudioWAV" / "clip.wav", tone(2), 16_000)
    assert run("cremad", tmp_path).ok


def test_sound_without_a_picture(tmp_path):
    import av

    (tmp_path / "VideoFlash").mkdir()
    with av.open(str(tmp_path / "VideoFlash" / "clip.mp4"), "w") as video:
        sound = video.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1)[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        video.mux(sound.encode(frame))
        video.mux(sound.encode(None))
    [failure] = run("cremad", tmp_path).failed
    assert failure.reason.endswith("it has no picture")
    assert not (tmp_path / "AudioWAV" / "clip.wav").exists()


def test_damage_in_the_middle_is_passed_over(tmp_path):
    path = film(tmp_path / "VideoFlash" / "clip.flv", 10)
    made = bytearray(path.read_bytes())
    place = len(made) // 2
    made[place : place + 40] = bytes(40)
    path.write_bytes(made)
    report = run("cremad", tmp_path)
    if report.ok:
        found = shades(tmp_path / "Image-01-FPS" / "clip")
        assert found == sorted(found) and 5 <= len(found) <= 10
    else:
        assert "breaks off" in report.failed[0].reason


def test_an_event_beyond_the_end(tmp_path):
    film(tmp_path / "AVE" / "one.mp4", 2)
    (tmp_path / "trainSet.txt").write_text("Bark&one&good&5&9\n")
    [failure] = run("ave", tmp_path).failed
    assert failure.reason.endswith("it shows nothing from 5 to 9 s")


@pytest.mark.parametrize("ending", [".jpg", ".part"])  # of a frame, of a sound
def test_a_full_disk_stops_and_leaves_nothing_half_written(ending, cremad, monkeypatch):
    """Encoders are not asked to write: PIL and soundfile do not say why they could not."""
    write = Path.write_bytes

    def full(path, content):
        write(path, content[:100])
        if "1002" in str(path) and path.suffix == ending:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left; free some and run prepare again"):
        run("cremad", cremad)
    assert not list(cremad.rglob("*.part"))
    monkeypatch.undo()
    report = run("cremad", cremad)
    assert (report.done, report.skipped) == (2, 2)


def test_random_damage_raises_nothing(tmp_path):
    good = {e: film(tmp_path / f"good{e}", 1).read_bytes() for e in (".flv", ".mp4")}
    luck = np.random.default_rng(0)
    for number in range(60):
        ending = (".flv", ".mp4")[number % 2]
        made = bytearray(good[ending])
        for place in luck.integers(0, len(made), luck.integers(1, 40)):
            made[place] = luck.integers(256)
        if number % 3 == 0:
            del made[luck.integers(len(made)) :]
        path = tmp_path / "VideoFlash" / f"{number:02d}{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(made)
    report = run("cremad", tmp_path)
    assert report.done + len(report.failed) == 60
    for number in range(60):
        frames = tmp_path / "Image-01-FPS" / f"{number:02d}"
        sound = tmp_path / "AudioWAV" / f"{number:02d}.wav"
        assert frames.is_dir() == sound.is_file()
        if frames.is_dir():
            assert all(torch.is_tensor(read_image(frames / name)) for name in frame_names(frames))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda r: run("cremad", r / "gone"), FileNotFoundError, "gone is missing or no folder"),
        (lambda r: run("cremad", r), FileNotFoundError, "VideoFlash is missing or no folder"),
        (lambda r: run("ave", r), FileNotFoundError, "AVE is missing or no folder"),
        (lambda r: run("kinetics-sounds", r), FileNotFoundError, "ks_video is missing"),
        (lambda r: run("ucf101", r), ValueError, "name is 'ucf101'; choose one of cremad, ave"),
        (lambda r: run("cremad", r, fps=0), ValueError, "fps is 0; give frames a second"),
        (lambda r: run("cremad", r, fps=float("nan")), ValueError, "fps is nan"),
        (lambda r: run("cremad", r, processes=0), ValueError, "processes is 0; give a whole"),
    ],
)
def test_bad_input(change, error, words, tmp_path):
    with pytest.raises(error, match=words):
        change(tmp_path)


def test_empty_folders(tmp_path):
    (tmp_path / "VideoFlash").mkdir()
    (tmp_path / "ks_video").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no video; put the .flv videos of CREMA-D"):
        run("cremad", tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no folder train or test"):
        run("kinetics-sounds", tmp_path)
    film(tmp_path / "AVE" / "one.mp4", 1)
    with pytest.raises(FileNotFoundError, match="Annotations.txt is missing"):
        run("ave", tmp_path)


def test_without_pyav_one_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'mmlib[video]'")):
        run("cremad", tmp_path)
    assert module.FAILURES not in os.listdir(tmp_path)
