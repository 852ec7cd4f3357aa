"""What the command line prints is whole, whatever stands at the other end of it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmlib.__main__ import main, parser
from mmlib.data.tools.prepare import CLIPS
from mmlib.data.tools.samples import write_sample
from mmlib.files import write_text

ROOT = Path(__file__).parents[2]
ODD = "Ω größer"  # cp1252 lacks the first letter, ASCII all but four


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A made-up sample in a folder of that name, without one of its files."""
    folder = tmp_path_factory.mktemp("output") / ODD
    write_sample("mvsa-single", folder)
    (folder / "data" / "1.jpg").unlink()
    return folder


def streams(monkeypatch, encoding, errors="strict", stdout=None):
    """stdout and stderr as Python makes them for that encoding; stdout may be a given file."""
    for name, file in (("stdout", stdout or io.BytesIO()), ("stderr", io.BytesIO())):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(file, encoding, errors, newline="\n"))
    return sys.stdout, sys.stderr


def printed(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize(
    ("encoding", "errors"),
    [("cp1252", "strict"), ("ascii", "strict"), ("ascii", "surrogateescape"), ("utf-8", "strict")],
)
def test_a_report_is_whole_in_a_narrow_encoding(folder, encoding, errors, monkeypatch):
    out, err = streams(monkeypatch, encoding, errors)
    assert main(["check-data", "mvsa-single", str(folder)]) == 1
    assert "codec" not in printed(err)
    lines = printed(out).splitlines()
    name = ODD.encode(encoding, "backslashreplace").decode(encoding)
    assert lines[0].startswith(f"mvsa-single in {folder.parent}/{name}: ")
    assert lines[-1] == "Not as it should be."


@pytest.mark.slow
def test_a_report_is_whole_as_the_shell_redirects_it(folder, tmp_path):
    command = [sys.executable, "-m", "mmlib", "check-data", "mvsa-single", folder]
    with (tmp_path / "report").open("wb") as report:
        environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
        assert subprocess.run(command, stdout=report, cwd=ROOT, env=environment).returncode == 1
    lines = (tmp_path / "report").read_text(encoding="cp1252").splitlines()
    assert f"{folder.parent}/\\u03a9 größer: " in lines[0] and lines[-1] == "Not as it should be."


@pytest.mark.parametrize(
    "words", [["check-data", "mvsa-single", ODD], ["train", "--method", ODD, "--out", "x"]]
)
def test_an_error_is_whole_in_a_narrow_encoding(words, monkeypatch):
    _, err = streams(monkeypatch, "cp1252")
    try:
        status = main(words)
    except SystemExit as end:  # the parser's
        status = end.code
    assert status == 2 and r"\u03a9 größer" in printed(err)


@pytest.mark.skipif(sys.platform != "linux", reason="a file name is text elsewhere")
def test_a_name_that_is_no_text_is_escaped(tmp_path, monkeypatch):
    out, err = streams(monkeypatch, "utf-8")
    name = os.fsdecode(b"\xff")
    assert main(["sample", "mvsa-single", f"{tmp_path}/{name}"]) == 0
    assert printed(out).endswith("/\\udcff\n") and printed(err) == ""
    write_text(tmp_path / "file", f"{name} {ODD}")
    assert (tmp_path / "file").read_text(encoding="utf-8") == f"\\udcff {ODD}"


@pytest.mark.parametrize("words", [["check-data", "mvsa-single", "{}"], ["--help"]])
def test_a_reader_that_has_gone_is_no_error(folder, words, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    out, err = streams(monkeypatch, "utf-8", stdout=open(write, "wb"))
    words = [word.format(folder) for word in words]
    if words == ["--help"]:
        with pytest.raises(SystemExit, match="0"):
            main(words)
    else:
        assert main(words) == 141
    out.close()  # as Python does at its end
    assert "Broken pipe" not in printed(err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_sentence(folder, monkeypatch):
    out, err = streams(monkeypatch, "utf-8", stdout=open("/dev/full", "wb"))
    assert main(["check-data", "mvsa-single", str(folder)]) == 2
    out.close()
    assert printed(err).endswith("\rmmlib: [Errno 28] No space left on device\n")


def test_help_names_the_data_sets_that_can_be_prepared(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["prepare", "--help"])
    assert f"one of {' '.join(CLIPS)}\n" in capsys.readouterr().out
