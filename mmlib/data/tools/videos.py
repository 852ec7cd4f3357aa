"""Frames and sound out of one video, by PyAV: whole or not at all."""

import io
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from PIL import Image

from mmlib.data.reading.cache import NO_SPACE
from mmlib.data.reading.damage import MOST_PIXELS, damage_of, no_file, refusal_of
from mmlib.data.reading.folders import frame_names
from mmlib.data.reading.media import MOST_VALUES
from mmlib.files import write_text

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


def lacking(clip: Clip) -> dict[Path, str]:
    """What a clip lacks of its sound and its frames, and why: it "is missing", or what is there is
    no good: a pointer, empty, cut short, frames made of another event. Found by a few short reads a
    file; nothing is decoded."""
    frames = _damage_of(clip.frames) or _of_another_event(clip)
    found = {clip.sound: damage_of(clip.sound, "a sound"), clip.frames: frames}
    return {target: damage for target, damage in found.items() if damage}


def _damage_of(folder: Path) -> str:
    try:
        names = frame_names(folder)
    except (FileNotFoundError, ValueError):  # or empty, or with names that nothing can open
        return "is missing"
    damages = ((name, damage_of(folder / name, "a picture")) for name in names)
    return next((f"holds {name}, which {damage}" for name, damage in damages if damage), "")


def made_as(clip: Clip) -> tuple[float, float, float] | None:
    """How many frames a second, from when to when, `make_lacking` made; `None`: not known."""
    try:
        fps, start, end = map(float, note_of(clip).read_text("utf-8").split())
    except (OSError, ValueError):
        return None
    return fps, start, end


def note_of(clip: Clip) -> Path:
    """Where it stands what a clip's frames were made for: not among them, for released loaders take
    all that is there for a picture."""
    return clip.frames.parent / ".prepared" / clip.frames.name


def _of_another_event(clip: Clip) -> str:
    made = made_as(clip)
    if made is None or made[1:] == (clip.start, clip.end):
        return ""
    return f"is of another event, from {made[1]:g} to {made[2]:g} s"


def make_lacking(clip: Clip) -> str:
    """Make what a clip lacks; returns why it failed, or nothing."""
    mark = secrets.token_hex(4)  # of this try alone: nobody else writes to these names
    parts = {target: target.with_name(f"{target.name}.{mark}.part") for target in lacking(clip)}
    try:
        wrong = no_file(clip.video, "a video")
        if wrong:  # to open a pipe would be to wait
            return f"{clip.video} {wrong}"
        for target, part in parts.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            (_write_sound if target == clip.sound else _write_frames)(clip, part)
        for target, part in parts.items():
            if target == clip.frames:
                remove(target)
                write_text(note_of(clip), f"{clip.fps} {clip.start} {clip.end}\n")
            part.replace(target)
    except Exception as error:  # of a damaged file, what is not said to be there can be None or 0
        return _reason(clip, error)
    finally:
        for part in parts.values():
            remove(part)
    return ""


def _reason(clip: Clip, error: Exception) -> str:
    """Why a clip failed; raises `OSError` where the disk is full, which is not the clip's fault."""
    if getattr(error, "errno", None) in NO_SPACE:
        message = "no space left; free some and run prepare again, what is done is kept"
        raise OSError(error.errno, message, str(clip.frames)) from error
    video, refusal = clip.video, refusal_of(clip.video, "a video")
    if refusal:
        return refusal
    if isinstance(error, OSError) and error.filename not in (None, str(video)):
        return f"{error.filename} cannot be written: {error.strerror}"
    said = error.strerror if isinstance(error, import_av().FFmpegError) else error
    return f"{video} cannot be used: {said}"


def remove(path: Path) -> None:
    """Remove a file or a folder, there or not; what another process still writes to may stay."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


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
            path.write_bytes(_jpeg(frame))
            due = clip.start + (math.floor((time - clip.start + SLACK) * clip.fps) + 1) / clip.fps
    if not numbers:
        raise ValueError(f"it shows nothing from {clip.start:g} to {clip.end:g} s")
    return numbers


def _jpeg(frame) -> bytes:
    """A frame as it is shown. In memory first: an encoder that writes does not say "disk full"."""
    if frame.width * frame.height > MOST_PIXELS:
        raise ValueError(f"its pictures have {frame.width} x {frame.height} pixels")
    image, content = frame.to_image(), io.BytesIO()
    turned = frame.side_data.get("DISPLAYMATRIX")
    if turned is not None:
        pixels = _upright(np.asarray(image), np.frombuffer(turned, np.int32))
        image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def _upright(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Pixels, `(H, W, 3)`, turned and mirrored as a display matrix says, by quarters of a turn.

    Its first numbers are a, b, u, c, d: what is at (x, y) is shown at (a x + c y, b x + d y).
    """
    a, b, _, c, d = matrix[:5].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:, ::-1] if a < 0 else pixels
    return pixels[::-1] if d < 0 else pixels


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
        parts, count = [], 0
        for frame in chain(_frames(video, stream), [None]):
            for plane in planes.resample(frame):
                parts.append(plane.to_ndarray())  # (channels, samples)
                count += parts[-1].size
            if count > MOST_VALUES:
                raise ValueError(f"its sound is longer than {MOST_VALUES:,} samples")
        if not count:
            raise ValueError("its sound is empty")
        sound, content = np.concatenate(parts, axis=1).T.clip(-1, 1), io.BytesIO()
        soundfile.write(content, sound, stream.rate, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())  # which says where the disk is full


def import_av():
    """PyAV; raises `ModuleNotFoundError` with one sentence where it is not installed."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading videos needs {error.name}; install it with pip install 'mmlib[video]'"
        ) from error
    return av
