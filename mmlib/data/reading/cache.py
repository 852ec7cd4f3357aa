"""A cache beside the data: one safetensors file an entry, written whole and read whole."""

import errno
import hashlib
import json
import os
import stat
import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.utils.data import get_worker_info

from mmlib.data.reading.buffers import Buffers
from mmlib.data.reading.lists import LONGEST_NAME
from mmlib.data.reading.near import beside
from mmlib.files import replacing
from mmlib.parallel import rank

FORMAT = 3  # part of every recipe: raise it when what is stored under a recipe changes
ABANDONED = 600  # seconds after which an unfinished file is from a process that was killed
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Cache:
    """What was computed from source files, kept in `folder/<key of the recipe>/<id>.safetensors`.

    `recipe` holds all that the content depends on besides the sources: names, numbers and lists of
    them. An entry knows the size and the time of change (nanoseconds) of its sources, and the
    checksum of its content; one that is stale, cut short or damaged is made again. Both are looked
    at once in the life of this object, a run, for that takes as long as reading the entry. Entries
    are written under another name and renamed, so several processes may fill one cache and may be
    killed. A folder that cannot be written to gives one warning; what it holds is still read.
    """

    def __init__(self, folder: str | Path | None, recipe: Mapping):
        self._recipe = json.dumps({"format": FORMAT, **recipe}, sort_keys=True)
        key = hashlib.sha256(self._recipe.encode()).hexdigest()[:16]
        self.folder = None if folder is None else Path(folder) / key
        self._prepared = self._gave_up = False
        self._held: dict[str, _Held] = {}  # what this object has got

    def get(
        self, id: str, sources: Sequence[str | Path], make: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors of entry `id`, out of the cache if it holds them, else from `make()`.

        `sources` are the files (and folders) that `make` reads; what it makes is of types that
        numpy has. Raises `FileNotFoundError` for a source that is missing, `OSError` when the disk
        is full, and what `make` raises.
        """
        if self.folder is None:
            return make()
        if id in self._held and (entry := self._held[id].read()) is not None:
            return entry
        # taken before the sources are read: one that changes meanwhile makes the entry stale
        stamp, path = _stamp(id, sources), self.path(id)
        content, entry = _read(path, stamp)
        if entry is None:
            entry = {name: x.contiguous() for name, x in make().items()}
            if self._gave_up:
                return entry
            content = save(entry, metadata=_metadata(stamp, entry))
            self._keep(path, content)
        self._held[id] = _Held(str(path), content, entry)
        return entry

    def path(self, id: str) -> Path:
        """The file of an entry."""
        name = quote(id, safe=" ()")
        if len(name) > LONGEST_NAME:  # the stamp holds the id, so nothing can be mixed up
            name = hashlib.sha256(id.encode()).hexdigest()
        return self.folder / f"{name}.safetensors"

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            if not self._prepared:
                self._prepare()
            self._write(path, content)
        except OSError as error:
            if error.errno in NO_SPACE:
                message = "no space left to cache in; free some, or give cache= another folder"
                raise OSError(error.errno, message, str(path)) from error
            self._give_up(error)

    def _prepare(self) -> None:
        """Make the folder, and remove what killed processes left: a file takes milliseconds."""
        self._unfinished.mkdir(parents=True, exist_ok=True)
        for path in self._unfinished.iterdir():
            try:
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()
            except FileNotFoundError:
                pass  # finished, or another process was faster
        self._write(self.folder / "recipe.json", self._recipe.encode())
        self._prepared = True

    def _write(self, path: Path, content: bytes) -> None:
        with replacing(path, self._unfinished / uuid.uuid4().hex) as beside:
            beside.write_bytes(content)

    @property
    def _unfinished(self) -> Path:
        return self.folder / "unfinished"

    def _give_up(self, error: OSError) -> None:
        self._gave_up = True  # what is there already is still read
        reader = get_worker_info()
        if reader is not None and reader.id or rank():
            return  # the first of the processes that read ahead, or that train, tells it
        warnings.warn(
            f"{self.folder} cannot be written to ({error.strerror}), so every epoch reads the "
            "original files; give cache= another folder",
            stacklevel=4,
        )


def _stamp(id: str, sources: Sequence[str | Path]) -> str:
    parts = [id]
    for source in sources:
        try:
            found = os.stat(source)
        except OSError as error:
            raise FileNotFoundError(
                f"{source} is missing; restore or extract it{beside(source)}"
            ) from error
        size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
        parts.append(f"{os.path.basename(source)} {size} {found.st_mtime_ns}")
    return "\n".join(parts)


_buffers = Buffers()


class _Held:
    """An entry that was read or written once: read again, it only has to begin alike."""

    def __init__(self, path: str, content: bytes, entry: dict[str, Tensor]):
        self.path, self.size = path, len(content)
        self.header = _header(content)
        described, start = json.loads(self.header[8:]), len(self.header)
        self.form = []
        for name, x in entry.items():
            first, last = described[name]["data_offsets"]
            self.form.append((name, x.numpy().dtype, x.shape, start + first, start + last))

    def read(self) -> dict[str, Tensor] | None:
        content = _buffers.bytes(self.size + 1)
        try:
            with open(self.path, "rb", buffering=0) as file:
                size = file.readinto(content)
        except OSError:
            return None
        if size != self.size or content[: len(self.header)].tobytes() != self.header:
            return None
        # in numpy, for PyTorch hands the interpreter to another thread at each of its operations
        return {
            name: torch.from_numpy(content[start:end].view(dtype).reshape(shape))
            for name, dtype, shape, start, end in self.form
        }


def _header(content: bytes) -> bytes:
    """What a safetensors file says of its tensors, and before it how long that is, in 8 bytes."""
    return content[: 8 + int.from_bytes(content[:8], "little")]


def _read(path: Path, stamp: str) -> tuple[bytes, dict[str, Tensor]] | tuple[None, None]:
    """An entry's file and its tensors, if it is there, whole and of these sources.

    Not mapped: with several threads, mapping a file for every clip takes longer than copying it.
    """
    try:
        content = path.read_bytes()
        entry = load(content)
        expected = _metadata(stamp, entry)
    except (OSError, SafetensorError, TypeError):  # TypeError: of numbers that numpy has not
        return None, None
    metadata = json.loads(_header(content)[8:]).get("__metadata__")
    return (content, entry) if metadata == expected else (None, None)


def _metadata(stamp: str, entry: dict[str, Tensor]) -> dict[str, str]:
    """What is written beside the tensors: of which sources they are, their form and checksums.

    In one value, for several would come in any order, and the same entry is the same bytes.
    """
    form = [
        f"{name} {x.dtype} {tuple(x.shape)} {_checksum(x):08x}" for name, x in sorted(entry.items())
    ]
    return {"stamp": "\n".join([stamp, *form])}


def _checksum(x: Tensor) -> int:
    """Of a tensor's bytes: CRC-32 of the sums of sectors, in a quarter of the time of all bytes."""
    content = x.numpy().reshape(-1).view(np.uint8)
    sectors = content[: content.size // 512 * 512]
    return crc32(content[sectors.size :], crc32(sectors.view(np.uint64).reshape(-1, 64).sum(1)))


def cache_folder(root: Path, cache: str | Path | bool | None) -> Path | None:
    """Where a data set's cache is: `None` means beside the data, `False` nowhere, else a folder."""
    if cache is False:
        return None
    return root / ".mmlib-cache" if cache is None or cache is True else Path(cache)
