"""Frames and sound out of one video, by PyAV: whole or not at all."""

import math
import os
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from mmlib.data.reading.cache import NO_SPACE
from mmlib.data.reading.damage import refusal_of
from mmlib.data.reading.folders import PICTURES

SLACK = 1e-3  # seconds: times in a container are rounded
QUALITY = 95  # of the jpegs, as in the released scripts


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


def make_lacking(clip: Clip) -> str:
    """Make what a clip lacks; returns why it failed, or nothing."""
    steps = [(clip.sound, _write_sound), (clip.frames, _write_frames)]
    steps = [(target, write) for target, write in steps if not is_there(target)]
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
    refusal = refusal_of(video, "a video")
    if refusal:
        return refusal
    said = error.strerror if isinstance(error, import_av().FFmpegError) else error
    return f"{video} cannot be used: {said}"


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def is_there(target: Path) -> bool:
    """Whether a wav file is there, or a folder with a picture in it."""
    if not target.is_dir():
        return target.is_file()
    return any(name.lower().endswith(PICTURES) for name in os.listdir(target))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
    with import_av().open(str(path)) as video:
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
    invalid = import_av().error.InvalidDataError
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
    av = import_av()
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


def import_av():
    """PyAV; raises `ModuleNotFoundError` with one sentence where it is not installed."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading videos needs {error.name}; install it with pip install 'mmlib[video]'"
        ) from error
    return av
