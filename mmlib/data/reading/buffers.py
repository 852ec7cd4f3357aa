"""Memory that is used again: fresh memory takes longer, page by page, than the work on a batch."""

import math
import sys
from threading import Lock

import numpy as np
import torch
from torch import Tensor


class Buffers:
    """Memory for tensors on the CPU, used again once nobody holds what was in it.

    What is kept is not given back before the process ends. Several threads may ask at a time.
    """

    MOST = 16  # pieces kept; what a caller holds beyond them gets memory of its own

    def __init__(self):
        self._kept: list[np.ndarray] = []

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """An uninitialised tensor."""
        memory = self.bytes(math.prod(shape) * dtype.itemsize)
        return torch.from_numpy(memory).view(dtype).view(shape)

    def bytes(self, count: int) -> np.ndarray:
        """`(count,)` uninitialised bytes."""
        with _lock:
            free = [x for x in self._kept if sys.getrefcount(x) == _FREE]
            for x in free:
                if count <= x.size <= 2 * count:
                    return x[:count]
            made = np.empty(count, np.uint8)
            if len(self._kept) < self.MOST:
                self._kept.append(made)
            elif free:
                self._kept = [x for x in self._kept if x is not free[0]] + [made]
            return made[:count]


_lock = Lock()
# what is counted of an object in a list that nobody else holds; it depends on Python's version
_FREE = [sys.getrefcount(x) for x in [object()]][0]
