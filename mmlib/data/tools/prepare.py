"""Frames and sound out of the original videos, by PyAV: in parallel, resumable, clip by clip."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from mmlib.arguments import one_of, whole_number
from mmlib.data import ave, kinetics_sounds
from mmlib.data.reading.clips import event_name
from mmlib.data.reading.folders import folder_of, inner_folder, list_folder
from mmlib.data.reading.lists import SPLITS, Entry
from mmlib.data.reading.near import matched, near_names
from mmlib.data.tools.videos import Clip, import_av, lacking, made_as, make_lacking, note_of, remove
from mmlib.data.tools.workers import of_all
from mmlib.devices import usable_cores
from mmlib.files import taken, write_text

PATTERN = "frame_{place:05d}.jpg"  # of Kinetics-Sounds
VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".flv")
FAILURES = "prepare-failed.txt"


class Failure(NamedTuple):
    """A clip that could not be prepared, and why."""

    id: str
    reason: str


class PrepareReport(NamedTuple):
    """What `prepare` did: clips `done` and `skipped` (there already), `failed`, and `missing`.

    `missing` are clips of the lists whose videos are not there; `replaced` says what was in the
    place of sounds and frames of clips that are done now: pointers, empty or cut files.
    """

    name: str
    done: int
    skipped: int
    failed: tuple[Failure, ...]
    missing: tuple[str, ...]
    replaced: tuple[str, ...] = ()

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
        if self.replaced:
            what = f"{len(self.replaced):,}, such as {self.replaced[0]}"
            lines.append(f"Files and folders replaced that were no good: {what}")
        if self.missing:
            count = f"{len(self.missing):,}, such as {self.missing[0]}"
            lines.append(f"Clips of the lists without a video: {count}")
        return "\n".join(lines)


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
      and `AudioWAV/<clip>.wav`, of the whole clip; the lists say when the event is. Another event
      of the same clip goes to `<clip>@<start>-<end>`, where `AVE` finds it.
    - `"kinetics-sounds"`: `ks_video/<split>/<clip>.mp4` to
      `ks_visual/<split>/<clip>/frame_00001.jpg` and so on, at least 3, and
      `ks_audio/<split>/<clip>.wav`; of the clips of the lists, or of all where there is none.

    The frame of second k is the first one that is shown at k or later. (The released scripts count
    frames and round the rate down: of 29.97 a second they take every 29th.) Fewer than the least
    number become that many, evenly spread. With another `fps` the folder is `Image-02-FPS`, and
    `ks_visual`, whose name does not say it, has to be removed first. What frames were made for
    stands beside them in `.prepared/<clip>`; where the lists have other times now, they are made
    again. Frames that have no such note are taken for those of the event, at 1 a second.

    Works in `processes` processes, by default one a core that it may use. What is there already is
    left alone, so that a run which was stopped or killed is resumed by starting it again; a clip is
    written beside its place, as `<clip>.<8 digits>.part`, and renamed when it is whole. What is a
    pointer of git-lfs, empty, a web page or cut short is not there: it is replaced, frames with
    their folder. A video that cannot be read does not stop the others: it stands in the report and
    in `root/prepare-failed.txt`.

    Raises `ModuleNotFoundError` without PyAV; `ValueError` for an unknown name, a bad number, or
    another `fps` than that of the frames in `ks_visual`; `FileNotFoundError` for a root, folder or
    list that is missing; `FileExistsError` where another process prepares the same folder;
    `OSError` when the disk is full.
    """
    clips_of = CLIPS[one_of("name", name, tuple(CLIPS))]
    if not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}; give frames a second, a number above 0")
    if processes is not None:
        whole_number("processes", processes, at_least=1)
    import_av()
    root = folder_of(root, f"the root of {name}")
    place = inner_folder(root, "AVE_Dataset") if name == "ave" else root
    clips, missing = clips_of(place, fps)
    with taken(place, "prepare"):
        _remove_parts(clips)
        lacks = {clip.id: lacking(clip) for clip in clips}
        if name == "kinetics-sounds":  # whose folder does not say it
            _check_rate(clip for clip in clips if clip.frames not in lacks[clip.id])
        left = [clip for clip in clips if lacks[clip.id]]
        outcomes = of_all(make_lacking, left, processes or usable_cores())
        bar = {"desc": f"prepare {name}", "unit": "clip", "disable": not progress}
        reasons = dict(tqdm(outcomes, total=len(clips), initial=len(clips) - len(left), **bar))
        failed = [Failure(clip.id, reasons[clip.id]) for clip in left if reasons[clip.id]]
        _remove_parts(clips)  # of processes that crashed
        _write_failures(root / FAILURES, failed)
    done, replaced = len(left) - len(failed), _replaced(lacks, reasons)
    skipped = len(clips) - len(left)
    return PrepareReport(name, done, skipped, tuple(failed), tuple(missing), tuple(replaced))


def _replaced(lacks: Mapping[str, Mapping], reasons: Mapping[str, str]) -> Iterator[str]:
    """What was in the place of sounds and frames that are made now."""
    for id, found in lacks.items():
        for target, damage in found.items():
            if not reasons[id] and damage != "is missing":
                yield f"{target} ({damage.removeprefix('is ')})"


def _check_rate(clips: Iterable[Clip]) -> None:
    """Raises `ValueError` for frames of another rate; 1 a second where it is not known."""
    for clip in clips:
        made = made_as(clip)
        rate, known = (made[0], "") if made else (1.0, ", as far as is known")
        if rate != clip.fps:
            raise ValueError(
                f"fps is {clip.fps:g} and {clip.frames} holds frames of {rate:g} a second{known}; "
                f"remove {clip.frames.parent.parent} first, or give --fps {rate:g}"
            )


def _remove_parts(clips: list[Clip]) -> None:
    """What killed processes left, by its name; nobody else is at work here."""
    for folder in {x.parent for clip in clips for x in (clip.frames, clip.sound, note_of(clip))}:
        for path in folder.glob(f"*.{'[0-9a-f]' * 8}.part"):
            remove(path)


# which clips there are, and which of the lists lack a video

Clips = tuple[list[Clip], list[str]]


def _cremad(root: Path, fps: float) -> Clips:
    videos = _videos(root / "VideoFlash", "the .flv videos of CREMA-D")
    places = _places(root / _folder(fps), root / "AudioWAV", videos)
    return [Clip(id, videos[id], *places[id], fps, least=3) for id in videos], []


def _ave(root: Path, fps: float) -> Clips:
    videos = _videos(root / "AVE", "the .mp4 videos of AVE")
    entries, clips, frames = _events(root), {}, root / f"{_folder(fps)}-SE"
    ids = list(dict.fromkeys(entry.id for entry in entries))
    videos = _with_near(videos, ids)
    places = _places(frames, root / "AudioWAV", ids)
    for entry in entries:
        if entry.id not in videos:
            continue
        (folder, sound), event = places[entry.id], (entry.start, entry.end)
        name, first = entry.id, clips.get(entry.id)
        if first and event != (first.start, first.end):
            name = event_name(entry)
            folder = frames / name
        clip = Clip(name, videos[entry.id], folder, sound, fps, 10, start=event[0], end=event[1])
        clips.setdefault(name, clip)
    return list(clips.values()), [id for id in ids if id not in videos]


def _events(root: Path) -> list[Entry]:
    """All that the lists of AVE say of their clips, whichever repeats a loader keeps."""
    folder = list_folder(root, None, "data/AVE")
    paths = [path for split in SPLITS if (path := folder / f"{split}Set.txt").is_file()]
    return [
        entry
        for repeats in ("first", "last")
        for path in paths or [folder / "Annotations.txt"]
        for entry in ave.read_list(path, ave.classes_of(path), repeats)
    ]


def _kinetics(root: Path, fps: float) -> Clips:
    top = folder_of(root / "ks_video", "folders train and test with the videos of Kinetics-Sounds")
    splits = [split for split in SPLITS if (top / split).is_dir()]
    if not splits:
        raise FileNotFoundError(f"{top} holds no folder train or test; put the videos in them")
    clips, missing = [], []
    for split in splits:
        videos = _videos(top / split, "the .mp4 videos of that split")
        ids = _listed(root, split) or list(videos)
        videos = _with_near(videos, ids)
        places = _places(root / "ks_visual" / split, root / "ks_audio" / split, ids)
        for id in ids:
            video = videos.get(id) or videos.get(_kinetics_name(id))
            if video is None:
                missing.append(f"{split}/{id}")
                continue
            clip = Clip(f"{split}/{id}", video, *places[id], fps, least=3, pattern=PATTERN)
            clips.append(clip)
    return clips, missing


def _listed(root: Path, split: str) -> list[str]:
    """The clips of the list of Kinetics-Sounds, if there is one."""
    folder = kinetics_sounds.folder_of_lists(root)
    if not kinetics_sounds.has_list(folder, split):
        return []
    classes = tuple(map(str, range(400)))  # as many as there could be
    entries, _ = kinetics_sounds.read_list(folder, split, classes, "first")
    return [entry.id for entry in entries]


def _kinetics_name(id: str) -> str:
    """What Kinetics calls the clip that OGM-GE's test list calls `<video>_<start>`."""
    parts = re.fullmatch(r"(.+)_([0-9]{1,6})", id)
    if parts is None:
        return id
    return f"{parts[1]}_{int(parts[2]):06d}_{int(parts[2]) + 10:06d}"


CLIPS = {"cremad": _cremad, "ave": _ave, "kinetics-sounds": _kinetics}


def _folder(fps: float) -> str:
    return f"Image-{fps:02g}-FPS"


def _videos(folder: Path, what: str) -> dict[str, Path]:
    """The videos of a folder by the names of their clips, sorted.

    If there are none, those of folders in it: of classes, or unpacked into one of its own name.
    """
    folder_of(folder, what)
    for pattern in ("*", "*/*"):
        paths = [p for p in sorted(folder.glob(pattern)) if p.name.lower().endswith(VIDEOS)]
        hidden = {p for p in paths if any(x[0] == "." for x in p.relative_to(folder).parts)}
        if len(hidden) < len(paths):
            return {path.stem: path for path in paths if path not in hidden}
    raise FileNotFoundError(f"{folder} holds no video; put {what} there")


def _with_near(videos: dict[str, Path], ids: list[str]) -> dict[str, Path]:
    """`videos`, and by the ids of a list also those whose names are only spelled otherwise."""
    return videos | {id: videos[name] for id, name in matched(ids, videos).items()}


def _places(frames: Path, sounds: Path, ids: Iterable[str]) -> dict[str, tuple[Path, Path]]:
    """Where the frames and the sound of each clip are or belong."""
    seen = near_names(frames, ids)
    heard = near_names(sounds, (f"{id}.wav" for id in ids))
    names = ((id, f"{id}.wav") for id in ids)
    return {id: (frames / seen.get(id, id), sounds / heard.get(wav, wav)) for id, wav in names}


def _write_failures(path: Path, failed: list[Failure]) -> None:
    if not failed:
        path.unlink(missing_ok=True)
        return
    lines = [f"{failure.id}\t{' '.join(failure.reason.split())}\n" for failure in failed]
    write_text(path, "".join(lines))
