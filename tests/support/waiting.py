"""Waits for what is to come: a busy machine takes longer, and must not fail a test by that."""

import time

LIMIT = 900  # seconds; only ends a test that would hang for ever


def wait_for(found, alive=lambda: True, pause=time.sleep, seconds=LIMIT):
    """The first true value of `found()`, else its last one: asked until then, as long as `alive()`.

    `found` is asked once more after the end, since its last words may have come in between.
    """
    deadline = time.monotonic() + seconds
    while not (value := found()) and alive() and time.monotonic() < deadline:
        pause(0.1)
    return value or found()
