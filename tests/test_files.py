"""Files that are replaced as a whole or not at all, and folders that one process holds."""

import os
import re
import signal
import subprocess
import sys

import pytest

from mmlib.files import replacing, taken, write_text

HOLD = """
import sys
from mmlib.files import replacing, taken
with taken(sys.argv[1], "training"), replacing(sys.argv[1] + "/a.txt") as beside:
    beside.write_text("half")
    print("there", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_written_beside_and_then_replaced(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as beside:
        beside.write_text("first")
        assert re.fullmatch(r"a\.txt\.[0-9a-f]{8}\.part", beside.name) and not path.exists()
        with replacing(path) as other:  # neither in the way of the other nor taken for stale
            other.write_text("second")
        assert path.read_text() == "second" and beside.read_text() == "first"
    assert path.read_text() == "first"
    write_text(str(path), "größer")
    assert path.read_text(encoding="utf-8") == "größer"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(error, tmp_path):
    path, own = tmp_path / "a.txt", tmp_path / "own"
    write_text(path, "old")
    for beside in (None, own):
        with pytest.raises(error), replacing(path, beside) as place:
            place.write_text("half")
            raise error
        with pytest.raises(error), replacing(path, beside):
            raise error  # before anything is written
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path` and writes a file in it."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, text=True, **pipes) as process:
        assert process.stdout.readline() == "there\n"
        yield process
        process.kill()


def test_a_folder_that_is_taken_is_refused_until_its_owner_ends(holder, tmp_path):
    with pytest.raises(FileExistsError, match="another prepare is at work in .*; wait until"):
        with taken(tmp_path, "prepare"):
            pass
    holder.communicate("end")
    for _ in range(2):
        with taken(tmp_path, "prepare"):
            pass
    assert (tmp_path / "a.txt").read_text() == "half" and not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(os.name != "posix", reason="only there a file is locked by its writer")
def test_what_a_killed_process_leaves_is_in_nobodys_way(holder, tmp_path):
    write_text(tmp_path / "a.txt", "whole")
    (half,) = tmp_path.glob("*.part")  # of one that lives
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with taken(tmp_path, "training"):
        assert half.exists()
    write_text(tmp_path / "a.txt", "again")
    assert not half.exists() and (tmp_path / "a.txt").read_text() == "again"


def test_a_folder_without_locks_warns(monkeypatch, tmp_path):
    def refuse(self):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.warns(UserWarning, match="cannot be locked .*: nothing keeps a second training"):
        with taken(tmp_path, "training"):
            write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_a_written_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="pipes and links")
def test_what_is_no_file_is_left_alone_and_links_are_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ValueError, match=f"{name} is a folder, device or pipe, not a file"):
            write_text(tmp_path / name, "text")
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "real.txt").read_text() == "new" and (tmp_path / "link.txt").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "folder",
        "link.txt",
        "pipe",
        "real.txt",
    ]
