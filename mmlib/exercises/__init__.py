"""The checks behind the exercises, one file a lesson.

A check calls the reader's function on small cases. It prints "not started" while the function
returns `...`, raises `AssertionError` with a hint at a wrong answer, and prints "passed" otherwise.
"""

from mmlib.exercises.boosting import (
    check_additive_loss,
    check_assignment,
    check_grow,
    check_missing,
    check_residual_label,
)
from mmlib.exercises.cal_with_aib import (
    check_calibrated_confidence,
    check_draw_code,
    check_kl_between,
    check_potential,
    check_scaled,
    check_temperature_for,
)
from mmlib.exercises.detached_learning import (
    check_class_aware_loss,
    check_entropy_bound,
    check_entropy_weights,
    check_teaching_sets,
    check_who_learns,
)
from mmlib.exercises.gmm_gap_loss import (
    check_distribution_shift,
    check_informed_weights,
    check_maximise,
    check_responsibilities,
    check_turning_point,
)
from mmlib.exercises.imbalance_phenomenon import (
    check_feature_gradient,
    check_imbalance_ratio,
    check_optimizer,
    check_paired_interval,
    check_weighted_loss,
)
from mmlib.exercises.noise_robustness import (
    check_drop_interval,
    check_mix,
    check_noisy,
    check_project_euclidean,
    check_spoil_batch,
)
from mmlib.exercises.real_data import (
    check_choose,
    check_largest_disagreement,
    check_own_data,
    check_read_list,
    check_split_by_actor,
)
from mmlib.exercises.sample_valuation import (
    check_auc,
    check_phi_from_bits,
    check_plan_copies,
    check_shapley,
    check_soft_contributions,
)

__all__ = [
    "check_feature_gradient",
    "check_imbalance_ratio",
    "check_optimizer",
    "check_paired_interval",
    "check_weighted_loss",
    "check_auc",
    "check_phi_from_bits",
    "check_plan_copies",
    "check_shapley",
    "check_soft_contributions",
    "check_additive_loss",
    "check_assignment",
    "check_grow",
    "check_missing",
    "check_residual_label",
    "check_class_aware_loss",
    "check_entropy_bound",
    "check_entropy_weights",
    "check_teaching_sets",
    "check_who_learns",
    "check_distribution_shift",
    "check_informed_weights",
    "check_maximise",
    "check_responsibilities",
    "check_turning_point",
    "check_calibrated_confidence",
    "check_draw_code",
    "check_kl_between",
    "check_potential",
    "check_scaled",
    "check_temperature_for",
    "check_drop_interval",
    "check_mix",
    "check_noisy",
    "check_project_euclidean",
    "check_spoil_batch",
    "check_choose",
    "check_largest_disagreement",
    "check_own_data",
    "check_read_list",
    "check_split_by_actor",
]
