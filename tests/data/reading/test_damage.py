"""What stands in the place of a file is told for what it is, by every reader."""

import os
import struct

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmlib.data.reading.damage import TAIL, damage_of
from mmlib.data.reading.lists import read_lines
from mmlib.data.reading.media import read_array, read_first_channel, read_image, read_sound

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>404</title></head></html>"
STUBS = {
    POINTER: "is a pointer of git-lfs, not {}; download the file itself, by git lfs pull or",
    b"/annex/objects/SHA256E-s9--a\n": "is a pointer of git-annex, not {}; download the file",
    PAGE: "is a web page, as a failed download leaves it, not {}; download or extract it again",
    b"\xef\xbb\xbf<HTML>": "is a web page",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': "is a web page",
    bytes(4000): "is full of zeros at its start, as an unfinished download leaves it, not {}",
}
READERS = {
    "a.wav": (lambda path: read_sound(path, 16_000), "a sound"),
    "b.wav": (read_first_channel, "a sound"),
    "a.jpg": (read_image, "a picture"),
    "a.npy": (read_array, "an array"),
    "a.pkl": (read_array, "an array"),
    "a.pt": (read_array, "an array"),
    "a.txt": (read_lines, "a list"),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_names_what_stands_in_the_place_of_a_file(name, tmp_path):
    read, what = READERS[name]
    path = tmp_path / name
    for content, words in STUBS.items():
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path} {words.format(what)}")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        read(path)


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_not_opened(name, tmp_path):
    read, _ = READERS[name]
    path = tmp_path / name
    os.mkfifo(path)  # opening it would wait for a writer
    with pytest.raises(FileNotFoundError, match="is a pipe, not a file"):
        read(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(FileNotFoundError, match="is a device, not a file"):
        read(path)
    path.unlink()
    path.symlink_to(tmp_path / "annexed")
    with pytest.raises(FileNotFoundError, match="is a link to .*annexed, which is missing"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        read(path)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def mp4(*boxes):
    return b"".join(struct.pack(">I", 8 + len(body)) + name + body for name, body in boxes)


def test_files_shorter_than_they_declare(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(9999) / 256 - 0.5, 16_000)
    for name in ("a.jpg", "a.png", "a.webp"):
        Image.fromarray(noise(90, 90, 3)).save(tmp_path / name)
    boxes = (b"ftyp", bytes(16)), (b"free", b""), (b"mdat", bytes(5000)), (b"moov", bytes(99))
    (tmp_path / "a.mp4").write_bytes(mp4(*boxes))
    for name in ("a.wav", "a.jpg", "a.png", "a.webp", "a.mp4"):
        path = tmp_path / name
        whole = path.read_bytes()
        assert damage_of(path) == ""
        path.write_bytes(whole + bytes(2 * TAIL))  # something behind it harms nobody
        assert damage_of(path) == ""
        path.write_bytes(whole[: len(whole) // 2])
        assert damage_of(path).startswith("is cut short"), name


def test_a_wav_that_was_written_to_a_pipe_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(999) / 256 - 0.5, 16_000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert damage_of(path) == ""


def test_a_file_that_is_missing(tmp_path):
    assert damage_of(tmp_path / "none.wav") == "is missing"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert damage_of(tmp_path / "a.wav") == ""  # for its reader to refuse
    monkeypatch.setattr("builtins.open", refuse)
    assert damage_of(tmp_path / "a.wav") == "cannot be opened: Permission denied"
