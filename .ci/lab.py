"""Open JupyterLab on lesson 1, as `make lab` does; a notebook and JupyterLab's options may follow.

It opens in a container too, where the user is root, has no display, or cannot write at home.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

LESSON = "notebooks/01_imbalance_phenomenon.ipynb"
ELSEWHERE = ("default_url", "default-url", "root_dir", "root-dir", "notebook_dir", "notebook-dir")
BROWSERS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # on Linux one is set where a browser opens
AT_HOME = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
    "MPLCONFIGDIR",
)


def say(sentence: str) -> None:
    """Print where JupyterLab's own words go, in their order."""
    print(sentence, file=sys.stderr, flush=True)


def options(words: list[str]) -> list[str]:
    """The user's own words, and what JupyterLab needs here besides, each said in one sentence."""
    notebooks = [word for word in words if word.endswith(".ipynb")]
    found = [word for word in words if word not in notebooks]
    if not any(option in word for word in words for option in ELSEWHERE):
        found.append(f"--LabApp.default_url=/lab/tree/{(notebooks or [LESSON])[0]}")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in words:
        say("You are root: JupyterLab is started with --allow-root.")
        found.append("--allow-root")
    no_display = sys.platform.startswith("linux") and not any(map(os.environ.get, BROWSERS))
    if no_display and "--no-browser" not in words:
        say("There is no display: open the last address that is printed below.")
        found.append("--no-browser")
    return found


def writable(folder: str) -> bool:
    """Whether the folder is there, or can be made, and takes a file."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def main(words: list[str]) -> None:
    """Run JupyterLab until Ctrl-C. Raises `OSError` where it cannot start."""
    from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir
    from jupyterlab.labapp import LabApp

    folders = jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()
    with TemporaryDirectory() as scratch:
        if not all(map(writable, folders)):
            say("Your home folder cannot be written: JupyterLab forgets its settings at the end.")
            os.environ |= {name: str(Path(scratch, name.lower())) for name in AT_HOME}
        LabApp.launch_instance(options(words))


def outcome(words: list[str]) -> int:
    """The exit status, after a sentence where JupyterLab could not start."""
    try:
        main(words)
    except KeyboardInterrupt:  # pressed before JupyterLab takes care of it
        pass
    except OSError as error:
        say(f"JupyterLab cannot start: {error}.")
        return 1
    except SystemExit as end:
        if isinstance(end.code, str):
            say(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    status = outcome(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # at once: a thread of JupyterLab's may wait for work that never comes
