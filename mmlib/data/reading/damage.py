"""What a bad file is, told by a cheap look: a pointer, empty, a web page, cut short, no file."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from PIL import Image

STREAMED = 0x7FFFF000  # a wav written to a pipe declares about this size, or twice as much, or 0
STUBS = (  # how that begins which stands in a file's place, in small letters
    (b"version https://git-lfs", "a pointer of git-lfs"),
    (b"/annex/objects/", "a pointer of git-annex"),
    (b"<!doctype html", "a web page, as a failed download leaves it"),
    (b"<html", "a web page, as a failed download leaves it"),
    (b"<?xml", "a web page, as a failed download leaves it"),
)
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"styp", b"sidx")
# the end of a picture, by its beginning
END = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND"}
MOST_PIXELS = 50_000_000  # of a picture that is decoded
TAIL = 4096  # bytes at the end of a picture in which its end is looked for


def damage_of(path: str | Path, what: str = "the file itself") -> str:
    """What is wrong with a file, as the end of a sentence that begins with its path, or nothing.

    `what` is what it should be, "a sound". Told are files that are missing or not regular (folders,
    pipes, devices: they are not opened), empty, pointers, web pages, only zeros at the start, and
    shorter than they declare (wav, mp4, jpeg, png, webp). It takes a few short reads: a file that
    passes can still be broken inside. Raises nothing.
    """
    try:
        wrong = no_file(path, what)
        if wrong:
            return wrong
        with open(path, "rb") as file:
            begin = file.read(64)
            if not begin:
                return "is empty"
            stub = stub_of(begin)
            if stub:
                return f"is {stub}, not {what}"
            return _cut_short(file, begin)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"


def refusal_of(path: str | Path, what: str) -> str:
    """The sentence for a file with `damage_of`, and what to do; nothing for another."""
    damage = damage_of(path, what)
    return f"{path} {damage}; {remedy_for(damage, what)}" if damage else ""


def remedy_for(damage: str, what: str) -> str:
    """What to do about a file with that damage."""
    if "a pointer of" not in damage:
        return "download or extract it again"
    ways = "download the file itself, by git lfs pull or by the repository's link to it"
    if "git-annex" in damage:
        ways = "download the file itself, by git annex get"
    return f"{ways}, or let prepare make it of the video" if what == "a sound" else ways


def no_file(path: str | Path, what: str = "a file") -> str:
    """Why a path is no regular file, as the end of a sentence, or nothing; links are followed."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a zero byte within the name
        if os.path.islink(path):
            return f"is a link to {os.readlink(path)}, which is missing"
        return "is missing"
    for is_kind, kind in KINDS:
        if is_kind(mode):
            return f"is {kind}, not {what}"
    return ""


def stub_of(content: bytes) -> str:
    """What stands in the place of the file whose (first 64) bytes are given, or nothing."""
    begin = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for head, kind in STUBS:
        if begin.startswith(head):
            return kind
    zeros = len(content) > 15 and not any(content[:64])
    return "full of zeros at its start, as an unfinished download leaves it" if zeros else ""


def _cut_short(file: BinaryIO, begin: bytes) -> str:
    """Whether less is there than the file declares."""
    size = os.fstat(file.fileno()).st_size
    for head, end in END.items():
        if begin.startswith(head):
            file.seek(max(size - TAIL, 0))
            cut = end not in file.read() and not _can_be_shown(file)
            return "is cut short: its end is missing" if cut else ""
    if begin.startswith(b"RIFF") and begin[8:12] == b"WAVE":
        missing = _declared_by_wav(file) - size
    elif begin.startswith(b"RIFF") and begin[8:12] == b"WEBP":
        missing = 8 + int.from_bytes(begin[4:8], "little") - size
    elif begin[4:8] == b"ftyp":
        missing = _declared_by_boxes(file, size) - size
    else:
        return ""
    return f"is cut short by {missing:,} bytes" if missing > 0 else ""


def _can_be_shown(file: BinaryIO) -> bool:
    """Whether a picture whose end is not at its end is whole: something may stand behind it."""
    try:
        with Image.open(file) as image:
            if image.width * image.height <= MOST_PIXELS:
                image.load()
    except Exception:  # PIL does not say what a broken file raises
        return False
    return True


def _declared_by_wav(file: BinaryIO) -> int:
    """Where the samples of a wav file end, or 0 where it does not say."""
    place = 12
    for _ in range(100):
        file.seek(place)
        begin = file.read(8)
        if len(begin) < 8:
            return 0
        length = int.from_bytes(begin[4:], "little")
        if begin[:4] == b"data":
            return place + 8 + length if length < STREAMED else 0
        place += 8 + length + length % 2
    return 0


def _declared_by_boxes(file: BinaryIO, size: int) -> int:
    """Where the last part of an mp4 file ends that it begins."""
    place = 0
    while place < size:
        file.seek(place)
        begin = file.read(16)
        length = int.from_bytes(begin[:4], "big")
        if length == 1:
            length = int.from_bytes(begin[8:], "big")
        if begin[4:8] not in BOXES or length < 8:  # 0: up to the end of the file
            return 0
        place += length
    return place
