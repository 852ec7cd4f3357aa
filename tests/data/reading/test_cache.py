"""The cache: entries are whole and of their sources, whoever writes, is killed, fills the disk."""

import errno
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from warnings import catch_warnings

import pytest
import torch
from safetensors.torch import load_file

from mmlib.data.reading import cache as module
from mmlib.data.reading.cache import Cache
from waiting import LIMIT

RECIPE = {"audio": ["ogm", 22050], "size": 256}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(b"12345678")
    return path


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", RECIPE)


def anew(cache):
    """Another run on the same cache."""
    return Cache(cache.folder.parent, RECIPE)


class Maker:
    """Makes an entry out of a file, and counts how often."""

    def __init__(self, path):
        self.path, self.calls = path, 0

    def __call__(self):
        self.calls += 1
        content = torch.tensor(list(self.path.read_bytes()), dtype=torch.uint8)
        return {"x": content, "half": content.half().view(2, -1)}


def files(cache):
    return sorted(path.name for path in cache.folder.rglob("*") if path.is_file())


def test_an_entry_stays_what_it_is_while_others_are_read(cache, source):
    cache.get("clip", [source], Maker(source))
    held = [cache.get("clip", [source], None) for _ in range(40)]
    assert len({entry["x"].data_ptr() for entry in held}) == len(held)
    held[0]["x"].zero_()
    del held[1:20]
    others = [cache.get("clip", [source], None) for _ in range(40)]
    assert not held[0]["x"].any()
    for entry in others + held[1:]:
        assert entry["x"].tolist() == list(source.read_bytes())


def test_made_once_then_read(cache, source):
    make = Maker(source)
    first, second = (cache.get("clip", [source], make) for _ in range(2))
    assert make.calls == 1
    assert first.keys() == second.keys() == {"x", "half"}
    for name, x in make().items():
        assert second[name].equal(x) and second[name].dtype == x.dtype
    again = Cache(cache.folder.parent, dict(reversed(RECIPE.items())))
    assert again.get("clip", [source], make)["x"].equal(first["x"]) and make.calls == 2
    assert files(cache) == ["clip.safetensors", "recipe.json"]


def test_no_folder_no_cache(source):
    make, cache = Maker(source), Cache(None, RECIPE)
    for _ in range(2):
        cache.get("clip", [source], make)
    assert make.calls == 2


def test_nothing_is_written_before_it_is_needed(cache):
    assert not cache.folder.parent.exists()


@pytest.mark.parametrize("other", [{"size": 128}, {"audio": ["ogm", 16000]}, {"new": 1}])
def test_another_recipe_has_entries_of_its_own(other, cache, source):
    make = Maker(source)
    cache.get("clip", [source], make)
    Cache(cache.folder.parent, RECIPE | other).get("clip", [source], make)
    cache.get("clip", [source], make)
    assert make.calls == 2


@pytest.mark.parametrize("id", ["a b", "a/b", "..", "-x", "\u00e9", "a%2Fb", "A", "a.b", "?*:|<>"])
def test_any_id_stays_in_the_folder(id, cache, source):
    make = Maker(source)
    cache.get(id, [source], make)
    cache.get(id, [source], make)
    assert make.calls == 1 and cache.path(id).is_file()
    assert cache.path(id).parent == cache.folder


def change_content(path):
    stamp = path.stat()
    path.write_bytes(b"123456789012")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def touch(path):
    stamp = path.stat()
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))


@pytest.mark.parametrize("change", [change_content, touch])
def test_a_changed_source_is_read_again(change, cache, source):
    make = Maker(source)
    cache.get("clip", [source], make)
    change(source)
    assert cache.get("clip", [source], make)["x"].tolist() == list(b"12345678")  # until it ends
    for _ in range(2):
        found = anew(cache).get("clip", [source], make)["x"]
        assert found.tolist() == list(source.read_bytes())
    assert make.calls == 2


def test_a_frame_more_in_a_folder_is_noticed(cache, source, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    os.utime(folder, ns=(1, 1))
    make = Maker(source)
    cache.get("clip", [folder], make)
    (folder / "00001.jpg").touch()
    anew(cache).get("clip", [folder], make)
    assert make.calls == 2


def test_a_source_that_changes_while_it_is_read_is_read_again(cache, source):
    make = Maker(source)

    def late():
        made = make()
        source.write_bytes(b"new content!")
        return made

    cache.get("clip", [source], late)
    assert anew(cache).get("clip", [source], make)["x"].tolist() == list(b"new content!")


def test_a_missing_source(cache, source):
    make = Maker(source)
    cache.get("clip", [source], make)
    source.unlink()
    with pytest.raises(FileNotFoundError, match=r"clip\.wav is missing"):
        anew(cache).get("clip", [source], make)


def test_damaged_entries_are_made_again(cache, source):
    make = Maker(source)
    wanted = cache.get("clip", [source], make)["x"].clone()
    path = cache.path("clip")
    whole, luck = path.read_bytes(), random.Random(0)
    damaged = [b"", b"\0" * len(whole), luck.randbytes(len(whole)), whole + b"more"]
    damaged += [whole[:length] for length in range(0, len(whole), 7)]
    damaged += [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in range(len(whole))]
    damaged += [b"\xff" * 8 + whole[8:], whole[:8] + b"}" + whole[9:]]
    for count, content in enumerate(damaged, start=2):
        path.unlink()
        path.write_bytes(content)
        assert anew(cache).get("clip", [source], make)["x"].equal(wanted)
        assert make.calls == count
        assert path.read_bytes() == whole


def test_an_entry_in_use_survives_being_made_again(cache, source):
    """It is mapped from the file: were that written over in place, readers would see the change."""
    make = Maker(source)
    cache.get("clip", [source], make)
    held = cache.get("clip", [source], make)["x"]
    source.write_bytes(b"87654321")
    cache.get("clip", [source], make)
    assert held.tolist() == list(b"12345678")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_leaves_nothing_half(number, cache, source, monkeypatch):
    make = Maker(source)
    cache.get("before", [source], make)

    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"no space left to cache in.*clip\.safetensors") as error:
            cache.get("clip", [source], make)
    assert error.value.errno == number
    assert files(cache) == ["before.safetensors", "recipe.json"]
    cache.get("clip", [source], make)  # after some was freed
    assert files(cache) == ["before.safetensors", "clip.safetensors", "recipe.json"]


def test_a_write_that_fails_in_the_middle(cache):
    """A real failure: the process may for a moment write no more than 4 kB a file."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="no space left to cache in") as error:
            cache.get("clip", [], lambda: {"x": torch.zeros(9999)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG and files(cache) == ["recipe.json"]


def test_a_folder_that_cannot_be_written_to_gives_one_warning(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache, make = Cache(tmp_path / "cache", RECIPE), Maker(source)
    with pytest.warns(UserWarning, match=r"cannot be written to .*give cache=") as warned:
        for _ in range(3):
            assert cache.get("clip", [source], make)["x"].tolist() == list(b"12345678")
    assert len(warned) == 1 and make.calls == 3


class Reader:
    """What PyTorch tells a process that reads ahead of itself."""

    def __init__(self, id):
        self.id = id


@pytest.mark.parametrize(("reader", "process", "warnings"), [(0, 0, 1), (3, 0, 0), (0, 1, 0)])
def test_of_many_processes_one_warns(reader, process, warnings, source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "get_worker_info", lambda: Reader(reader))
    monkeypatch.setattr(module, "rank", lambda: process)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with catch_warnings(record=True) as warned:
        Cache(tmp_path / "cache", RECIPE).get("clip", [source], Maker(source))
    assert len(warned) == warnings


def test_a_cache_that_others_filled_is_read_where_nothing_can_be_written(
    cache, source, monkeypatch, recwarn
):
    make = Maker(source)
    cache.get("clip", [source], make)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    reader = Cache(cache.folder.parent, RECIPE)
    reader.get("clip", [source], make)
    assert make.calls == 1 and not recwarn
    with pytest.warns(UserWarning, match="Permission denied"):
        reader.get("new", [source], make)
    reader.get("clip", [source], make)
    assert make.calls == 2


def test_what_killed_processes_left_is_removed_and_the_rest_is_not(cache, source):
    cache.get("clip", [source], Maker(source))
    old, new = (cache.folder / "unfinished" / name for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"of another process")
    os.utime(old, (time.time() - 3600,) * 2)
    Cache(cache.folder.parent, RECIPE).get("another", [source], Maker(source))
    assert not old.exists() and new.exists()


def test_threads_share_a_cache(cache, source):
    make, start = Maker(source), threading.Barrier(8)

    def fill(_):
        start.wait()
        return [cache.get(f"{i}", [source], make)["x"].tolist() for i in range(20)]

    with ThreadPoolExecutor(8) as pool:
        assert all(row == [list(b"12345678")] * 20 for row in pool.map(fill, range(8)))
    assert len(files(cache)) == 21


# no thread is copied from a test into a process that a server starts, and PyTorch is there
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["mmlib.data"])


def fill(folder, rounds):
    for _ in range(rounds):
        cache = Cache(folder / "cache", {})
        for i in range(40):
            x = cache.get(str(i), [folder / "source"], lambda i=i: {"x": torch.full((200_000,), i)})
            assert x["x"].shape == (200_000,) and (x["x"] == i).all(), i
        (folder / "source").write_text("changed")  # all entries are stale now


def filling(folder, rounds):
    """A process that fills."""
    process = SERVER.Process(target=fill, args=(folder, rounds))
    process.start()
    return process


def whole_entries(folder):
    entries = list((folder / "cache").glob("*/*.safetensors"))
    for path in entries:
        x = load_file(path)["x"]
        assert x.shape == (200_000,) and (x == int(path.stem)).all(), path
    return len(entries)


@pytest.mark.slow
def test_several_processes_fill_one_cache(tmp_path):
    (tmp_path / "source").write_text("")
    processes = [filling(tmp_path, 3) for _ in range(4)]
    for process in processes:
        process.join(LIMIT)
    assert [process.exitcode for process in processes] == [0] * 4
    assert whole_entries(tmp_path) == 40
    assert not list((tmp_path / "cache").glob("*/unfinished/*"))


@pytest.mark.slow
def test_killed_at_random_ten_times(tmp_path):
    (tmp_path / "source").write_text("")
    luck, kills, left = random.Random(0), 0, []
    while kills < 10 or not left and kills < 100:  # until one came in the middle of a write
        process = filling(tmp_path, 10**6)
        time.sleep(luck.uniform(0.02, 0.2))
        process.kill()
        process.join(LIMIT)
        assert process.exitcode == -signal.SIGKILL
        whole_entries(tmp_path)
        kills, left = kills + 1, list((tmp_path / "cache").glob("*/unfinished/*"))
    assert left, "no kill came in the middle of a write; make the entries larger"
    fill(tmp_path, 1)
    assert whole_entries(tmp_path) == 40


READS = """
import os, sys, torch
from pathlib import Path
from mmlib.data.reading.cache import Cache

torch.set_num_threads(1)
for count in (20, 20, 400, 400):  # 8 and 160 MB: written, then read
    pid = os.fork()
    if pid == 0:
        cache = Cache(Path(sys.argv[1]) / str(count), {})
        for i in range(count):
            cache.get(str(i), [], lambda: {"x": torch.ones(100_000)})["x"].sum()
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    print(usage.ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_entries(tmp_path):
    said = subprocess.check_output([sys.executable, "-c", READS, tmp_path], text=True)
    peaks = list(map(int, said.split()))
    assert max(peaks) - min(peaks) < 30, peaks


def test_an_id_too_long_for_a_file_name_is_cached_like_others(tmp_path):
    source = tmp_path / "source"
    source.write_text("x")
    cache = Cache(tmp_path / "cache", {"recipe": 1})
    made = []

    def ask(id):
        cache.get(id, [source], lambda: made.append(id) or {"x": torch.ones(1)})

    for _ in range(2):
        ask("ü" * 90)
        ask("after")
    assert made == ["ü" * 90, "after"]
