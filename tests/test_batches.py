"""Batches: every sample once, read ahead in order, no thread left behind."""

import multiprocessing
import sys
import threading
import time

import pytest
import torch

import toys
from mmlib.batches import (
    DRAWS,
    _Processes,
    ahead,
    batches,
    digest,
    fingerprint,
    loaded,
    parts_of,
    reading,
)
from toys import reading_threads, rows


def test_batches_visit_every_sample_once():
    data = rows(10)
    seen = [index for _, _, index in batches(data, 4)]
    assert [len(index) for index in seen] == [4, 4, 2]
    assert torch.equal(torch.cat(seen), torch.arange(10))
    shuffled = list(batches(data, 4, shuffle=True, generator=torch.Generator().manual_seed(1)))
    index = torch.cat([i for _, _, i in shuffled])
    assert not torch.equal(index, torch.arange(10))
    assert torch.equal(index.sort().values, torch.arange(10))
    for inputs, target, i in shuffled:
        assert torch.equal(inputs["rear"], data.inputs["rear"][i])
        assert torch.equal(target, data.target[i])


@pytest.mark.parametrize("size", [0, -1, 2.0, "8", None, True])
def test_bad_batch_size(size):
    with pytest.raises(ValueError, match="batch_size is .* whole number of at least 1"):
        batches(rows(), size)


def test_shuffle_needs_a_generator():
    with pytest.raises(ValueError, match="needs a generator"):
        batches(rows(), 4, shuffle=True)


def test_a_fingerprint_tells_data_sets_apart():
    data, own = rows(), fingerprint(rows())
    assert own == fingerprint(data) and own != fingerprint(rows(20))
    data.target = data.target.flip(0)
    assert fingerprint(data) == own | {"targets": fingerprint(data)["targets"]} != own
    for other in (2 * data.inputs["audio"], data.inputs["audio"].flip(0), torch.zeros(40)):
        changed = rows()
        changed.inputs["audio"] = other
        assert fingerprint(changed)["inputs"]["audio"] != own["inputs"]["audio"]
    rounded = rows()
    rounded.inputs = {m: x * (1 + 1e-6) for m, x in rounded.inputs.items()}
    assert fingerprint(rounded) == own  # as another processor would
    lazy = [fingerprint(toys.Lazy(".", split)) for split in ("train", "val")]
    assert lazy[0]["ids"] != lazy[1]["ids"] and "(1, 16, 16)" in lazy[0]["inputs"]["visual"]
    assert fingerprint(rows(0))["samples"] == 0


def test_leaving_a_loop_over_batches_leaves_no_thread():
    data = toys.Lazy(".", "train")
    for _ in batches(data, 4):
        assert reading_threads()
        break
    assert not reading_threads()


def test_ahead_keeps_the_order_and_does_not_run_away():
    done = []
    results = ahead(lambda x: done.append(x) or 2 * x, range(6), threads=1)
    assert not done  # before it is asked
    assert next(results) == 0
    assert list(results) == [2, 4, 6, 8, 10] and done == list(range(6))

    started = threading.Event()
    waiting = ahead(lambda x: (started.set(), done.append(x)), range(100), threads=1)
    done.clear()
    next(waiting)
    waiting.close()
    assert len(done) <= 3 and not reading_threads()


def test_the_next_batch_is_read_while_this_one_is_worked_on():
    data = toys.Lazy(".", "train")
    seen = []
    for batch, _ in enumerate(batches(data, 10)):
        wanted = min(batch + 2, 4)
        for _ in range(6000):  # half a minute on a busy machine
            if data.reads >= wanted:
                break
            time.sleep(0.005)
        seen.append(data.reads >= wanted)
    assert seen == [True] * 4


def test_parts_cover_every_row_once():
    for count in (1, 2, 7, 8):
        for parts in (1, 2, 3, 10):
            slices = parts_of(count, parts)
            assert [i for part in slices for i in range(count)[part]] == list(range(count))
            assert len(slices) <= parts


def test_without_a_gpu_or_with_data_in_memory_threads_read():
    with reading(toys.Lazy(".", "train"), "cpu") as read:
        assert read is None
    with reading(rows(), "cuda") as read:
        assert read is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="starts processes by fork")
def test_processes_read_what_threads_read(monkeypatch):
    """Epoch after epoch, after one that was left, and without a number of the global generator."""
    monkeypatch.setattr("mmlib.batches.usable_cores", lambda: 3)
    data, before = toys.Lazy(".", "train"), torch.get_rng_state()
    draws = torch.rand(len(data), DRAWS, generator=torch.Generator().manual_seed(0))
    with reading(data, "cuda") as read:
        for size in (7, 40, 3):
            parts = torch.arange(len(data)).flip(0).split(size)
            next(loaded(data, parts, "cpu", draws, read))
            found = loaded(data, parts, "cpu", draws, read)
            for one, other in zip(found, loaded(data, parts, "cpu", draws), strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=0)
        assert len(multiprocessing.active_children()) == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform != "linux", reason="starts processes by fork")
def test_an_error_in_a_process_comes_as_it_is():
    data = toys.Lazy(".", "train", fail_at=0)
    processes = _Processes(data, 1)
    with pytest.raises(ValueError, match=r"^clip7.wav holds no samples; delete it$"):
        list(loaded(data, [torch.arange(4)], "cpu", None, processes.read))


def test_a_fingerprint_is_that_of_the_content():
    one = fingerprint(rows())
    assert one == fingerprint(rows()) and one != fingerprint(rows(39))
    for change in (
        lambda data: data.target.__setitem__(3, 4),
        lambda data: data.inputs["rear"].__setitem__((7, 2), 9.0),
        lambda data: data.inputs.pop("rear"),
        lambda data: data.inputs.update(rear=data.inputs["rear"].double()),
    ):
        data = rows()
        data.target[3], data.inputs["rear"][7, 2] = 0, 1.0
        before = fingerprint(data)
        change(data)
        assert fingerprint(data) != before
    data, other = toys.Lazy(".", "train"), toys.Lazy(".", "train")
    other.ids = ("another", *other.ids[1:])
    assert fingerprint(data) == fingerprint(toys.Lazy(".", "train")) != fingerprint(other)
    bare = torch.utils.data.TensorDataset(torch.zeros(3))
    bare.target = torch.arange(3)
    assert fingerprint(bare)


def test_a_digest_goes_by_values():
    state = {"b": [1, 2.5, None], "a": {"x": torch.arange(6).view(2, 3), 0: ("s", True)}}
    same = {"a": {0: ["s", True], "x": torch.arange(6).view(2, 3)}, "b": (1, 2.5, None)}
    assert digest(state) == digest(same)
    transposed = {"x": torch.arange(6).view(3, 2).T}, {"x": torch.arange(6).view(3, 2).T.clone()}
    assert digest(transposed[0]) == digest(transposed[1])
    assert len({digest(x) for x in (1, 1.0, "1", [1], [[1]], {"1": 1}, torch.tensor(1))}) == 7
    assert digest(torch.empty(0, 3)) != digest(torch.empty(3, 0))
    assert digest(torch.tensor([1.5], dtype=torch.bfloat16)) != digest(torch.tensor([1.5]))
