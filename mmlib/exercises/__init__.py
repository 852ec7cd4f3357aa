"""The checks behind the exercises, one file a lesson; `checking` holds what they share.

A check calls the reader's function on small cases. It prints "not started" while the function
returns `...`, raises `AssertionError` with a hint at a wrong answer, and prints "passed" otherwise.
Every check of these files is here, too: `exercises.check_...`.
"""

from mmlib.exercises import (  # noqa: F401 - each adds its checks to CHECKS
    boosting,
    cal_with_aib,
    detached_learning,
    gmm_gap_loss,
    imbalance_phenomenon,
    noise_robustness,
    own_data,
    real_data,
    sample_valuation,
)
from mmlib.exercises.checking import CHECKS

globals().update(CHECKS)
__all__ = list(CHECKS)
