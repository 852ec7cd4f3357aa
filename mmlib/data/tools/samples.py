"""Write a made-up sample of a data set, in its official layout."""

from pathlib import Path

from mmlib.arguments import one_of
from mmlib.data.reading.cache import NO_SPACE
from mmlib.data.tools.drawing import free_for_sample
from mmlib.data.tools.sample_clips import write_ave, write_cremad, write_kinetics_sounds
from mmlib.data.tools.sample_pictures import write_modelnet40, write_mvsa, write_nyud2, write_ucf101
from mmlib.files import LOCK, taken

WRITERS = {
    "cremad": write_cremad,
    "ave": write_ave,
    "kinetics-sounds": write_kinetics_sounds,
    "mvsa-single": write_mvsa,
    "nyud2": write_nyud2,
    "ucf101": write_ucf101,
    "modelnet40": write_modelnet40,
}


def write_sample(name: str, root: str | Path, seed: int = 0, **options) -> Path:
    """Write the sample tree of data set `name` (as on the command line) below `root`.

    `options` are those of the writer, `write_cremad` and so on, such as `clips_per_class`; with
    `videos=True` the clips of CREMA-D, AVE and Kinetics-Sounds come as videos too. The same
    arguments write the same files. Returns `root`. Raises `ValueError` for an unknown name,
    `FileExistsError` for a folder that holds something else or that another process writes a sample
    to, and `OSError` when the disk is full.
    """
    one_of("name", name, tuple(WRITERS))
    root, fresh = free_for_sample(root), not Path(root).exists()
    try:
        with taken(root, "sample"):
            _write(name, root, seed, **options)
    except ValueError:  # a wrong option, seen before anything is written
        if fresh:
            (root / LOCK).unlink(missing_ok=True)
            root.rmdir()
        raise
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        message = "no space left; free some and run sample again"
        raise OSError(error.errno, message, str(root)) from error
    return root


def _write(name: str, root: Path, seed: int, videos: bool = False, **options) -> None:
    WRITERS[name](root, seed=seed, **options)
    if videos:  # which needs PyAV
        from mmlib.data.tools.sample_videos import write_videos

        write_videos(name, root)
