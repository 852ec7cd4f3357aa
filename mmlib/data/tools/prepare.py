"""Frames and sound out of the original videos, by PyAV: in parallel, resumable, clip by clip."""

import math
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm.auto import tqdm

from mmlib.arguments import one_of, whole_number
from mmlib.data.cremad import (
    ave_entry,
    ave_lines,
    kinetics_entries,
    kinetics_folder,
    kinetics_names,
    list_folder,
)
from mmlib.data.reading.cache import NO_SPACE
from mmlib.data.reading.folders import inner_folder
from mmlib.data.reading.lists import folder_of, without_repeats
from mmlib.data.reading.media import PICTURES
from mmlib.devices import usable_cores
from mmlib.files import write_text

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".flv")
FAILURES = "prepare-failed.txt"
SLACK = 1e-3  # seconds: times in a container are rounded
QUALITY = 95  # of the jpegs, as in the released scripts


class Failure(NamedTuple):
    """A clip that could not be prepared, and why."""

    id: str
    reason: str


class PrepareReport(NamedTuple):
    """What `prepare` did: clips `done` and `skipped` (there already), `failed`, and `missing`.

    `missing` are clips of the lists whose videos are not there.
    """

    name: str
    done: int
    skipped: int
    failed: tuple[Failure, ...]
    missing: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; missing videos are a matter of `check_data`."""
        return not self.failed

    def __str__(self) -> str:
        lines = [
            f"{self.name}: clips prepared {self.done:,}, there already {self.skipped:,}, "
            f"failed {len(self.failed):,}"
        ]
        lines += [f"  {failure.id}: {failure.reason}" for failure in self.failed[:5]]
        if self.failed:
            lines.append(f"All of them stand in {FAILURES}; replace these videos and run it again.")
        if self.missing:
            count = f"{len(self.missing):,}, such as {self.missing[0]}"
            lines.append(f"Clips of the lists without a video: {count}")
        return "\n".join(lines)


class Clip(NamedTuple):
    """A video, and what is made of it.

    `frames` is a folder and `sound` a wav file. Of the part from `start` to `end`, in seconds,
    `fps` frames a second are saved, and `least` if that is more; `pattern` names their files, by
    `{frame}`, the frame's number in the video from 0, or by `{place}`, from 1.
    """

    id: str
    video: Path
    frames: Path
    sound: Path
    fps: float
    least: int
    pattern: str = "{frame:05d}.jpg"
    start: float = 0.0
    end: float = math.inf


def prepare(
    name: str,
    root: str | Path,
    processes: int | None = None,
    fps: float = 1.0,
    progress: bool = True,
) -> PrepareReport:
    """Extract frames (jpeg, `fps` a second) and sound (wav, mono, the video's own rate) of clips.

    - `"cremad"`: `VideoFlash/<clip>.flv` to `Image-01-FPS/<clip>/00000.jpg`, `00030.jpg` (frame
      numbers) and so on, at least 3 of a clip; `AudioWAV/<clip>.wav` where it is missing.
    - `"ave"`: `AVE/<clip>.mp4` to `Image-01-FPS-SE/<clip>/`, of the event alone, at least 10,
      and `AudioWAV/<clip>.wav`, of the whole clip; the lists say when the event is.
    - `"kinetics-sounds"`: `ks_video/<split>/<clip>.mp4` to
      `ks_visual/<split>/<clip>/frame_00001.jpg` and so on, at least 3, and
      `ks_audio/<split>/<clip>.wav`; of the clips of the lists, or of all where there is none.

    The frame of second k is the first one that is shown at k or later. (The released scripts count
    frames and round the rate down: of 29.97 a second they take every 29th.) Fewer than the least
    number become that many, evenly spread. With another `fps` the folder is `Image-02-FPS`, and
    `ks_visual`, whose name does not say it, has to be removed first.

    Works in `processes` processes, by default one a core that it may use. What is there already is
    left alone, so that a run which was stopped or killed is resumed by starting it again; a clip is
    written beside its place, as `<clip>.part`, and renamed when it is whole. A video that cannot be
    read does not stop the others: it stands in the report and in `root/prepare-failed.txt`.

    Raises `ModuleNotFoundError` without PyAV; `ValueError` for an unknown name or a bad number;
    `FileNotFoundError` for a root, folder or list that is missing; `OSError` when the disk is full.
    """
    clips_of = _CLIPS[one_of("name", name, tuple(_CLIPS))]
    if not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}; give frames a second, a number above 0")
    if processes is not None:
        whole_number("processes", processes, at_least=1)
    _import_av()
    root = folder_of(root, f"the root of {name}")
    clips, missing = clips_of(root, fps)
    left = [clip for clip in clips if not all(map(_is_there, (clip.frames, clip.sound)))]
    skipped = len(clips) - len(left)
    reasons = _run(name, left, skipped, processes or usable_cores(), progress)
    failed = [Failure(clip.id, reasons[clip.id]) for clip in left if reasons[clip.id]]
    _write_failures(root / FAILURES, failed)
    return PrepareReport(name, len(left) - len(failed), skipped, tuple(failed), tuple(missing))


# which clips there are


def _cremad(root: Path, fps: float) -> tuple[list[Clip], list[str]]:
    videos = _videos(root / "VideoFlash", "the .flv videos of CREMA-D")
    frames, sounds = root / _folder(fps), root / "AudioWAV"
    clips = [
        Clip(id, video, frames / id, sounds / f"{id}.wav", fps, least=3)
        for id, video in videos.items()
    ]
    return clips, []


def _ave(root: Path, fps: float) -> tuple[list[Clip], list[str]]:
    root = inner_folder(root, "AVE_Dataset")
    videos = _videos(root / "AVE", "the .mp4 videos of AVE")
    frames, sounds = root / f"{_folder(fps)}-SE", root / "AudioWAV"
    clips, missing = {}, []
    for path in _ave_lists(root):
        lines = ave_lines(path)
        classes = tuple(dict.fromkeys(fields[0] for _, fields in lines))
        entries = [ave_entry(path, number, fields, classes) for number, fields in lines]
        for entry in without_repeats(path, entries, "first"):
            id = entry.id
            if id not in videos:
                missing.append(id)
                continue
            clip = Clip(id, videos[id], frames / id, sounds / f"{id}.wav", fps, least=10)
            clips.setdefault(id, clip._replace(start=entry.start, end=entry.end))
    return list(clips.values()), missing


def _ave_lists(root: Path) -> list[Path]:
    folder = list_folder(root, None, "data/AVE")
    paths = [folder / f"{part}Set.txt" for part in ("train", "val", "test")]
    return [path for path in paths if path.is_file()] or [folder / "Annotations.txt"]


def _kinetics(root: Path, fps: float) -> tuple[list[Clip], list[str]]:
    top = folder_of(root / "ks_video", "folders train and test with the videos of Kinetics-Sounds")
    splits = [split for split in ("train", "val", "test") if (top / split).is_dir()]
    if not splits:
        raise FileNotFoundError(f"{top} holds no folder train or test; put the videos in them")
    clips, missing = [], []
    for split in splits:
        videos = _videos(top / split, "the .mp4 videos of that split")
        for id in _kinetics_ids(root, split) or videos:
            video = videos.get(id) or videos.get(_kinetics_name(id))
            if video is None:
                missing.append(f"{split}/{id}")
                continue
            frames, sound = (root / kind / split / id for kind in ("ks_visual", "ks_audio"))
            sound = sound.with_name(f"{id}.wav")
            pattern = "frame_{place:05d}.jpg"
            clips.append(Clip(f"{split}/{id}", video, frames, sound, fps, 3, pattern))
    return clips, missing


def _kinetics_ids(root: Path, split: str) -> list[str]:
    folder = kinetics_folder(root, None)
    for name in kinetics_names(split):
        if (folder / name).is_file():
            classes = tuple(map(str, range(400)))  # as many as there could be
            entries, _ = kinetics_entries(folder / name, classes)
            return [entry.id for entry in without_repeats(folder / name, entries, "first")]
    return []


def _kinetics_name(id: str) -> str:
    """What Kinetics calls the clip that OGM-GE's test list calls `<video>_<start>`."""
    parts = re.fullmatch(r"(.+)_([0-9]{1,6})", id)
    if parts is None:
        return id
    return f"{parts[1]}_{int(parts[2]):06d}_{int(parts[2]) + 10:06d}"


_CLIPS: dict[str, Callable[[Path, float], tuple[list[Clip], list[str]]]] = {
    "cremad": _cremad,
    "ave": _ave,
    "kinetics-sounds": _kinetics,
}


def _folder(fps: float) -> str:
    return f"Image-{fps:02g}-FPS"


def _videos(folder: Path, what: str) -> dict[str, Path]:
    """The videos of a folder by the names of their clips, sorted."""
    names = sorted(os.listdir(folder_of(folder, what)))
    videos = [folder / n for n in names if n.lower().endswith(VIDEOS) and n[0] != "."]
    if not videos:
        raise FileNotFoundError(f"{folder} holds no video; put {what} there")
    return {path.stem: path for path in videos}


# running them


def _run(
    name: str, clips: list[Clip], skipped: int, processes: int, progress: bool
) -> dict[str, str]:
    """Prepare the clips; why each one failed, or nothing, by id."""
    reasons = {}
    with tqdm(
        total=len(clips) + skipped,
        initial=skipped,
        desc=f"prepare {name}",
        unit="clip",
        disable=not progress,
    ) as bar:
        for id, reason in _outcomes(clips, processes):
            reasons[id] = reason
            bar.update()
    return reasons


def _outcomes(clips: list[Clip], processes: int) -> Iterator[tuple[str, str]]:
    """Id of every clip, as they end, and why it failed or nothing.

    A decoder can crash, on a video or for want of memory, and takes the whole pool along. The clips
    that were being decoded, the first of those left, are then done by one worker, which tells which
    of them it was, and all others by a new pool.
    """
    if processes == 1:
        yield from ((clip.id, _prepare(clip)) for clip in clips)
        return
    left = {clip.id: clip for clip in clips}
    while left:
        for id, reason in _in_pool(left.values(), min(processes, len(left))):
            del left[id]
            yield id, reason
        for id, reason in _one_by_one(list(left.values())[:processes]):
            del left[id]
            yield id, reason


def _one_by_one(clips: list[Clip]) -> Iterator[tuple[str, str]]:
    """By one worker, in order: where it crashes, that names the clip, and another goes on."""
    left = {clip.id: clip for clip in clips}
    while left:
        for id, reason in _in_pool(left.values(), 1):
            del left[id]
            yield id, reason
        if left:
            yield left.pop(next(iter(left))).id, "the process that decoded it crashed"


def _in_pool(clips: Iterable[Clip], workers: int) -> Iterator[tuple[str, str]]:
    """Those that end before a worker crashes, as they end; they are begun in the order given."""
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent) as pool:
        futures = {}
        try:
            with suppress(BrokenProcessPool):  # a worker may crash before all are handed over
                for clip in clips:
                    futures[pool.submit(_prepare, clip)] = clip.id
            for future in as_completed(futures):
                if not isinstance(future.exception(), BrokenProcessPool):
                    yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow_parent() -> None:
    """End when the main process does, however it ended; leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process().sentinel
    threading.Thread(target=lambda: (connection.wait([parent]), os._exit(1)), daemon=True).start()


def _prepare(clip: Clip) -> str:
    """Make what a clip lacks; returns why it failed, or nothing."""
    steps = [(clip.sound, _write_sound), (clip.frames, _write_frames)]
    steps = [(target, write) for target, write in steps if not _is_there(target)]
    try:
        for target, write in steps:
            _remove(_part(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            write(clip, _part(target))
        for target, _ in steps:
            if target.is_dir():
                target.rmdir()  # empty, or it would count as there
            _part(target).rename(target)
    except Exception as error:  # of a damaged file, what is not said to be there can be None or 0
        for target, _ in steps:
            _remove(_part(target))
        if getattr(error, "errno", None) in NO_SPACE:
            message = "no space left; free some and run prepare again, what is done is kept"
            raise OSError(error.errno, message, str(clip.frames)) from error
        return _reason(clip.video, error)
    return ""


def _reason(video: Path, error: Exception) -> str:
    try:
        with video.open("rb") as file:
            begin = file.read(40)
    except OSError as missing:
        return f"{video} cannot be opened: {missing.strerror}"
    if not begin:
        return f"{video} is empty"
    if begin.startswith(b"version https://git-lfs"):
        return f"{video} is a pointer of git-lfs, no video; run git lfs pull"
    said = error.strerror if isinstance(error, _import_av().FFmpegError) else error
    return f"{video} cannot be used: {said}"


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _is_there(target: Path) -> bool:
    """Whether a wav file is there, or a folder with a picture in it."""
    if not target.is_dir():
        return target.is_file()
    return any(name.lower().endswith(PICTURES) for name in os.listdir(target))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# one video


def _write_frames(clip: Clip, folder: Path) -> None:
    """Save the frames of the clip's part, `fps` a second and `least` or all in any case."""
    numbers = _save_frames(clip, folder)
    wanted = min(clip.least, len(numbers))
    if len(os.listdir(folder)) < wanted:
        shutil.rmtree(folder)
        _save_frames(clip, folder, {numbers[k * len(numbers) // wanted] for k in range(wanted)})


def _save_frames(clip: Clip, folder: Path, wanted: set[int] | None = None) -> list[int]:
    """Save the frames with these numbers, or `fps` a second; returns the numbers of the part."""
    folder.mkdir()
    numbers, place, due = [], 0, clip.start
    for number, time, frame in _decoded(clip.video):
        if time >= clip.end - SLACK:
            break
        if time < clip.start - SLACK:
            continue
        numbers.append(number)
        if number in wanted if wanted is not None else time >= due - SLACK:
            place += 1
            path = folder / clip.pattern.format(frame=number, place=place)
            frame.to_image().save(path, quality=QUALITY)
            due = clip.start + (math.floor((time - clip.start + SLACK) * clip.fps) + 1) / clip.fps
    if not numbers:
        raise ValueError(f"it shows nothing from {clip.start:g} to {clip.end:g} s")
    return numbers


def _decoded(path: Path) -> Iterator[tuple]:
    """Number, time (seconds from the start) and frame of all that a video shows, in order."""
    with _import_av().open(str(path)) as video:
        if not video.streams.video:
            raise ValueError("it has no picture")
        stream = _known(video.streams.video[0])
        stream.codec_context.thread_count = 1  # the processes share the cores
        begin = float((stream.start_time or 0) * stream.time_base)
        time, rate = None, float(stream.average_rate or 25)
        for number, frame in enumerate(_frames(video, stream)):
            time = number / rate if frame.time is None else frame.time - begin
            yield number, time, frame
        if time is None:
            raise ValueError("not one frame of it can be decoded")
        seconds = _declared_seconds(video, stream)
        if time + 1 / rate < seconds - max(0.5, 0.1 * seconds):
            raise ValueError(f"it breaks off after {time + 1 / rate:.1f} of {seconds:.1f} s")


def _frames(video, stream) -> Iterator:
    """What can be decoded; damaged packets are passed over, as players do."""
    invalid = _import_av().error.InvalidDataError
    packets = video.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except invalid:
            continue
        yield from frames


def _known(stream):
    if stream.codec_context is None:
        raise ValueError(f"its {stream.type} is in a format that PyAV does not know")
    return stream


def _declared_seconds(video, stream) -> float:
    """How long a video says it is: by its stream or its container, whichever is less; or 0."""
    said = []
    if stream.duration:
        said.append(float(stream.duration * stream.time_base))
    if video.duration:
        said.append(video.duration / 1e6)  # microseconds
    return min(said, default=0.0)


def _write_sound(clip: Clip, path: Path) -> None:
    """Save the sound of the whole video: 16 bits, its channels and its rate as they are."""
    av = _import_av()
    with av.open(str(clip.video)) as video:
        if not video.streams.audio:
            raise ValueError("it has no sound")
        stream = _known(video.streams.audio[0])
        planes = av.AudioResampler(format="fltp")
        parts = [
            plane.to_ndarray()  # (channels, samples)
            for frame in chain(_frames(video, stream), [None])
            for plane in planes.resample(frame)
        ]
        if not sum(part.shape[1] for part in parts):
            raise ValueError("its sound is empty")
        sound = np.concatenate(parts, axis=1).T.clip(-1, 1)
        soundfile.write(path, sound, stream.rate, format="WAV", subtype="PCM_16")


def _import_av():
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading videos needs {error.name}; install it with pip install 'mmlib[video]'"
        ) from error
    return av


def _write_failures(path: Path, failed: list[Failure]) -> None:
    if not failed:
        path.unlink(missing_ok=True)
        return
    lines = [f"{failure.id}\t{' '.join(failure.reason.split())}\n" for failure in failed]
    write_text(path, "".join(lines))
