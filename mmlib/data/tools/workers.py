"""A function of many clips in several processes, of which a clip may crash some."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from typing import Any

Function = Callable[[Any], str]  # of a clip, which has an `id`: why it failed, or nothing


def of_all(function: Function, clips: Iterable, processes: int) -> Iterator[tuple[str, str]]:
    """Id of every clip, as they end, and why it failed or nothing.

    A decoder can crash, on a video or for want of memory, and takes the whole pool along. The clips
    that were being decoded, the first of those left, are then done by one worker, which tells which
    of them it was, and all others by a new pool.
    """
    if processes == 1:
        yield from ((clip.id, function(clip)) for clip in clips)
        return
    left = {clip.id: clip for clip in clips}
    while left:
        for id, reason in _in_pool(function, left.values(), min(processes, len(left))):
            del left[id]
            yield id, reason
        for id, reason in _one_by_one(function, list(left.values())[:processes]):
            del left[id]
            yield id, reason


def _one_by_one(function: Function, clips: list) -> Iterator[tuple[str, str]]:
    """By one worker, in order: where it crashes, that names the clip, and another goes on."""
    while clips:
        done = 0
        for outcome in _in_pool(function, clips, 1):
            done += 1
            yield outcome
        if done < len(clips):
            yield clips[done].id, "the process that decoded it crashed"
        clips = clips[done + 1 :]


def _in_pool(function: Function, clips: Iterable, workers: int) -> Iterator[tuple[str, str]]:
    """Those that end before a worker crashes, as they end; they are begun in the order given."""
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent) as pool:
        futures = {}
        try:
            with suppress(BrokenProcessPool):  # a worker may crash before all are handed over
                for clip in clips:
                    futures[pool.submit(function, clip)] = clip.id
            for future in as_completed(futures):
                if not isinstance(future.exception(), BrokenProcessPool):
                    yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow_parent() -> None:
    """End when the main process does, however it ended; leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process().sentinel
    threading.Thread(target=lambda: (connection.wait([parent]), os._exit(1)), daemon=True).start()
