"""Videos for the sample trees: the drawn frames and synthetic sounds of a tree, encoded by PyAV."""

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from mmlib.arguments import one_of
from mmlib.data.reading.folders import frame_names

FPS = 10  # frames a second of the videos; the trees hold one a second

# where frames and sounds are (a folder for each split, or all in one), and where videos belong
_PLACES = {
    "cremad": ("Image-01-FPS", "AudioWAV", "VideoFlash", ".flv"),
    "ave": ("Image-01-FPS-SE", "AudioWAV", "AVE", ".mp4"),
    "kinetics-sounds": ("ks_visual", "ks_audio", "ks_video", ".mp4"),
}


def write_videos(name: str, root: str | Path) -> Path:
    """Write a video for every clip of a sample tree that has frames and a wav file; returns `root`.

    Each frame is shown for a second, the last one to the end of the sound. (AVE's frames are of the
    event; its videos show them from the start.) Raises `ValueError` for a name without videos and
    `ModuleNotFoundError` without PyAV (`pip install 'mmlib[video]'`).
    """
    frames, sounds, videos, ending = _PLACES[one_of("name", name, tuple(_PLACES))]
    root = Path(root)
    for sound in sorted((root / sounds).rglob("*.wav")):
        clip = sound.relative_to(root / sounds).with_suffix("")
        folder = root / frames / clip
        pictures = [np.asarray(Image.open(folder / n).convert("RGB")) for n in frame_names(folder)]
        samples, rate = soundfile.read(sound, dtype="int16")
        path = root / videos / clip.with_name(clip.name + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = max(round(len(samples) / rate * FPS), 1)
        order = [min(k // FPS, len(pictures) - 1) for k in range(shown)]
        write_video(path, [pictures[k] for k in order], FPS, samples, rate)
    return root


def write_video(
    path: str | Path,
    pictures: list[np.ndarray],
    fps: int,
    samples: np.ndarray | None = None,
    sample_rate: int = 16_000,
) -> None:
    """Write pictures, `(H, W, 3)` bytes, and sound, `(samples,)` of 16 bits or none, as a video.

    `.flv` is in Sorenson's H.263 and MP3, as CREMA-D's, another ending in H.264 and AAC.
    """
    import av

    flash = Path(path).suffix == ".flv"
    with av.open(str(path), "w") as video:
        stream = video.add_stream("flv" if flash else "libx264", rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if samples is not None:
            rate = 44_100 if flash else sample_rate  # MP3 in .flv has 11, 22 or 44 kHz
            sound = video.add_stream("libmp3lame" if flash else "aac", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = sample_rate
            own = av.AudioResampler(sound.format, "mono", rate, sound.codec_context.frame_size)
        for picture in pictures:
            frame_of_video = av.VideoFrame.from_ndarray(picture, format="rgb24")
            video.mux(stream.encode(frame_of_video))
        video.mux(stream.encode(None))
        if samples is not None:
            for part in [*own.resample(frame), *own.resample(None), None]:
                video.mux(sound.encode(part))
