"""The checks behind the exercises, one file a lesson; `checking` holds what they share.

A check calls the reader's function on small cases. It prints "not started" while the function
returns `...`, raises `AssertionError` with a hint at a wrong answer, and prints "passed" otherwise.
Every `check_...` of a lesson's file is here, too: `from mmlib import exercises`.
"""

from mmlib.exercises import (
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

_LESSONS = (
    *(imbalance_phenomenon, sample_valuation, boosting, detached_learning),
    *(gmm_gap_loss, cal_with_aib, noise_robustness, real_data, own_data),
)
_CHECKS = {
    name: check
    for lesson in _LESSONS
    for name, check in vars(lesson).items()
    if name.startswith("check_")
}
globals().update(_CHECKS)
__all__ = list(_CHECKS)
