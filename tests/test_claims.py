"""What the lessons and the README say of the stored tables, sentence by sentence.

Each line of `CLAIMS` is a verdict as a lesson or the README draws it, and the words that test it. A
verdict that the tables no longer bear fails here, under its own name. The words mean the same
everywhere. Points are hundredths of a score; an interval is the 95 % interval of a mean difference
over paired seeds (five on test, three on validation). Where nothing else is said the scenario is
`imbalanced`, the score is fused accuracy on test, and the voices are synthetic (`world=` asks the
other tables).

- `above`, `below`: clearly so, the whole interval lies on that side of 0 (or of `by` points).
- `no_clear_difference`: the interval holds 0. It does not prove that two rows are equal.
- `not_above`, `not_below`: not clearly so; the interval holds 0 or lies on the other side.
- `within`: the whole interval lies within so many points of 0, so that a difference of more is
  not to be expected; `between`: it lies between so many points.
- `about`: the mean difference rounds to so many points (a ten to the nearest ten);
  `mean_between`, `ahead`, `behind`: where the mean difference lies; `further_ahead`: one mean
  difference is the larger. None of these looks at the scatter of the seeds.
- `worth`: a row's mean rounds to this number. `times`: it rounds to so many times another's.
- `highest`, `lowest`: of these rows this one has that mean; `best_of_all`: these have the highest
  means of all rows of a scenario.
- `every_seed`: a row lies over, or under, a number at each seed. `seeds_lost`: at so many seeds the
  sound alone stays under one half. `where_lost`: what holds at those. `right_order`: in so many
  runs W is over one half for the modality that is ahead. `trainings_scatter_more`: the deviation
  over training seeds is above that over noise seeds, in the mean of some rows.
- `best_on_validation`, `at_every_rate`, `order_on_validation`: of the runs that chose the options;
  `on_validation` names one of them as a row.
- `each`: the word holds for each row against each other row. `both`: all parts hold.
"""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from mmlib.evidence.studies import BENCH, HUMAN, KNOWN, SYNTHETIC
from mmlib.evidence.worlds import read_worlds
from verdicts import (
    about,
    above,
    ahead,
    at_every_rate,
    behind,
    below,
    best_of_all,
    best_on_validation,
    between,
    both,
    drop,
    each,
    every_seed,
    further_ahead,
    highest,
    lowest,
    mean_between,
    missing,
    no_clear_difference,
    not_above,
    not_below,
    on_validation,
    order_on_validation,
    right_order,
    seeds_lost,
    seen,
    times,
    trainings_scatter_more,
    where_hit,
    where_lost,
    within,
    worth,
)

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))

# scenarios, and the scores that are not fused accuracy
CORRUPTED = {"scenario": "corrupted"}
SAMPLEWISE = {"scenario": "samplewise"}
SOUND, PICTURE = "audio", "visual"  # accuracy of its own logits
SOUND_PROBE, PICTURE_PROBE = "probe_audio", "probe_visual"

# rows
METHODS = [
    "joint-unimodal",
    "ensemble",
    "ogm-ge",
    "valuation",
    "boosting",
    "detached",
    "gap",
    "cal",
]
CONTROL_OF = {
    "ogm-ge": "ogm-ge-noise",
    "valuation": "valuation-random-samples",
    "boosting": "boosting-base",
    "detached": "no contrast",
    "gap": "gap, permuted posterior",
    "cal": "both uniform",
}
RANDOM_COPIES = ["valuation-random-samples", "valuation-random"]
UNIMODAL = ["joint-unimodal", "joint-unimodal, same steps"]
GAP_READINGS = ["gap", "gap, permuted posterior", "gap, hard posterior", "gap, v1 weights"]
GAP_READINGS += ["gap, no warm-up"]
GAP_PARTS = ["penalty only", "shift only", "weights only"]
PURIFIED = ["purified", "purified at random"]
GAP_ARMS = [*GAP_READINGS, "gap, one-sided", *GAP_PARTS, *PURIFIED]
BASE = "bottlenecks, no more"  # CAL without acceleration and compression
CAL_ARMS = ["cal", "acceleration only", "uniform acceleration", "inverse acceleration"]
CAL_ARMS += ["compression only", "uniform compression", "both uniform", "cal, no information"]
CAL_ARMS += ["cal, no confidence", "cal, swapped", "cal, beta x 10", "cal, beta / 10"]
CAL_ARMS += ["cal, even acceleration", "cal, even compression"]
CLIPPED = ["joint-unimodal, clipped", "bottlenecks, clipped", "uniform compression, clipped"]
CLIPPED += ["both uniform, clipped", "cal, clipped"]
# CAL as validation of lesson 6 tried it; at T = 1/4 it is the chosen one
CAL_OPTIONS = {"lr": 0.1, "beta": 0.1, "kappa": 1.0, "unimodal_weight": 3.0}
MILD = on_validation("cal", temperature=0.25, **CAL_OPTIONS)
HARD = {"batch": on_validation("cal", temperature=0.05, **CAL_OPTIONS)}  # T = 1/20
for reading in ("epoch", "sample", "loss", "channels"):
    HARD[reading] = on_validation("cal", temperature=0.05, reading=reading, **CAL_OPTIONS)

# lesson 7: noise at test time, severity 10
CLEAN_TRAINED = ["joint", *METHODS, "both uniform", "modality-dropout"]
NETWORKS = [*CLEAN_TRAINED, "trained with noise"]
GAUSSIAN, SALT = "visual gaussian, 10", "visual salt-and-pepper, 10"
NO_PICTURE, NO_SOUND = "visual dropped, 10", "audio dropped, 10"
NOISY_SOUND, NOISY = "audio white-noise, 10", "both noisy, 10"
SIX = (GAUSSIAN, SALT, NO_PICTURE, NOISY_SOUND, NO_SOUND, NOISY)
PLACES = ("clean", NOISY, SALT, NO_PICTURE, NO_SOUND, "both pgd, 10")
RESCUED = ["ensemble", "detached", "gap", "modality-dropout", "trained with noise"]


def fused(noise):
    return f"fused {noise}"


def certain(noise):
    """Logits weighted by certainty, in place of the fused ones."""
    return f"certain {noise}"


LESSON_1 = {
    "at joint concat's own rate two networks are as far above it, and their picture's probe": both(
        above("ensemble, joint's rate", "joint", by=5),
        above("ensemble, joint's rate", "joint", PICTURE_PROBE, by=15),
    ),
    "at OGM-GE's rate joint concat is clearly above OGM-GE": above(
        "joint, OGM-GE's rate", "ogm-ge"
    ),
    "alone, the picture's encoder is 15 points or more above itself in the joint network": above(
        "ensemble", "joint", PICTURE_PROBE, by=15
    ),
    "two networks, logits added, are clearly above joint concat, by five points or more": above(
        "ensemble", "joint", by=5
    ),
    "joint + unimodal losses are clearly above joint concat, by five points or more": above(
        "joint-unimodal", "joint", by=5
    ),
    "validation chose unimodal losses' rate and weight, 0.2 and 1": best_on_validation(
        "joint-unimodal", lr=0.2, unimodal_weight=1.0
    ),
    "unimodal losses give the picture's encoder back nearly all it had lost": both(
        above("joint-unimodal", "joint", PICTURE_PROBE, by=15),
        within("joint-unimodal", "ensemble", PICTURE_PROBE, points=2),
    ),
    "unimodal losses and the ensemble end close together": within(
        "ensemble", "joint-unimodal", points=3
    ),
    "OGM-GE does not improve on joint concat, nor does its noise alone": each(
        not_above, ["ogm-ge", "ogm-ge-noise"], "joint"
    ),
    "OGM-GE is not clearly above joint concat or its own noise, in both worlds": both(
        each(no_clear_difference, "ogm-ge", ["joint", "ogm-ge-noise"]),
        each(no_clear_difference, "ogm-ge", ["joint", "ogm-ge-noise"], world=HUMAN),
    ),
    "what helps does so in both worlds, and the picture is starved in both": both(
        each(above, ["joint-unimodal", "ensemble"], "joint", by=5, world=HUMAN),
        above("ensemble", "joint", PICTURE_PROBE, by=15, world=HUMAN),
    ),
    "one loss on the sum of two networks gains nothing clear, in both worlds": both(
        no_clear_difference("joint-late", "joint"),
        no_clear_difference("joint-late", "joint", world=HUMAN),
    ),
    "two networks are clearly above one loss on their sum, in both worlds": both(
        above("ensemble", "joint-late", by=5),
        above("ensemble", "joint-late", by=5, world=HUMAN),
    ),
    "corrupted: OGM-GE is clearly below its own noise in both worlds": both(
        below("ogm-ge", "ogm-ge-noise", **CORRUPTED),
        below("ogm-ge", "ogm-ge-noise", world=HUMAN, **CORRUPTED),
    ),
    "corrupted, synthetic: two networks are clearly above joint concat at its rate only": both(
        no_clear_difference("ensemble", "joint", **CORRUPTED),
        above("ensemble, joint's rate", "joint", **CORRUPTED),
        above("ensemble", "joint", world=HUMAN, **CORRUPTED),
    ),
    "at joint concat's rate two networks still gain over eight points": mean_between(
        "ensemble, joint's rate", "joint", low=8, high=9
    ),
    "at OGM-GE's rate joint concat is a point better than at its own": about(
        "joint, OGM-GE's rate", "joint", points=1
    ),
    "OGM-GE's picture probe: above noise alone with human voices, not joint concat": both(
        above("ogm-ge", "ogm-ge-noise", PICTURE_PROBE, world=HUMAN),
        no_clear_difference("ogm-ge", "joint", PICTURE_PROBE, world=HUMAN),
    ),
    "with synthetic voices it is clearly below joint concat's, but not at one rate": both(
        below("ogm-ge", "joint", PICTURE_PROBE),
        no_clear_difference("ogm-ge", "joint, OGM-GE's rate", PICTURE_PROBE),
    ),
    "the strongest brake lowers fused accuracy with synthetic voices (validation)": behind(
        on_validation("ogm-ge", lr=0.1, alpha=0.8), on_validation("ogm-ge", lr=0.1, alpha=0.1)
    ),
    "balanced, human voices: the picture loses clearly more than the sound": both(
        above("ensemble", "joint", "probe_lead", scenario="balanced"),
        above("ensemble", "joint", "probe_lead", world=HUMAN),
    ),
    "corrupted: OGM-GE is clearly below joint concat in both worlds": both(
        below("ogm-ge", "joint", **CORRUPTED), below("ogm-ge", "joint", world=HUMAN, **CORRUPTED)
    ),
    "a stronger brake feeds the picture's encoder in both worlds (validation)": both(
        ahead(
            on_validation("ogm-ge", lr=0.1, alpha=0.8),
            on_validation("ogm-ge", lr=0.1, alpha=0.1),
            PICTURE_PROBE,
        ),
        above("ogm-ge", "ogm-ge-noise", PICTURE_PROBE, world=HUMAN),
    ),
    "the best single modality is never clearly ahead; flipped, human: no clear difference": both(
        above("joint", "ensemble", "fused", "audio"),
        above("joint", "ensemble", "fused", "visual", scenario="balanced"),
        no_clear_difference("joint", "ensemble", "fused", "visual", scenario="flipped"),
        no_clear_difference("joint", "ensemble", "fused", "visual", world=HUMAN),
        above("joint", "ensemble", "fused", "audio", **CORRUPTED),
    ),
    "the picture alone is clearly better in balanced, with human voices on average": both(
        above("ensemble", "ensemble", PICTURE, SOUND, scenario="balanced"),
        ahead("ensemble", "ensemble", PICTURE, SOUND, world=HUMAN),
    ),
    "with human voices the picture loses more than the sound": both(
        above("ensemble", "joint", PICTURE_PROBE, by=15, world=HUMAN),
        no_clear_difference("ensemble", "joint", SOUND_PROBE, world=HUMAN),
    ),
    "validation chose the weakest brake, joint concat's rate and the losses' weight": both(
        best_on_validation("ogm-ge", alpha=0.1), best_on_validation("joint", lr=0.2)
    ),
    "it is not the heads: with two heads and one loss on their sum the picture starves": both(
        no_clear_difference("joint-late", "joint"),
        no_clear_difference("joint-late", "joint", PICTURE_PROBE),
        below("joint-late", "ensemble", PICTURE_PROBE, by=15),
    ),
    "twice the epochs cost twice the samples and bring about a point": both(
        times("joint, 30 epochs", "joint", 2),
        above("joint, 30 epochs", "joint"),
        about("joint, 30 epochs", "joint", points=1),
    ),
    "it is not the training time: after twice the epochs the picture is as starved": both(
        no_clear_difference("joint, 30 epochs", "joint", PICTURE_PROBE),
        below("joint, 30 epochs", "ensemble", PICTURE_PROBE, by=15),
    ),
    "it is not the rate: at every one the ensemble has the higher mean (validation)": (
        at_every_rate("ensemble", "joint")
    ),
    "at every rate the picture's probe is over ten points higher alone (validation)": (
        at_every_rate("ensemble", "joint", "probe_visual", by=10)
    ),
    "imbalanced: the picture loses more than the sound": further_ahead(
        ("ensemble", "joint", PICTURE_PROBE, "imbalanced"),
        ("ensemble", "joint", SOUND_PROBE, "imbalanced"),
    ),
    "balanced: both lose clearly, the picture more": both(
        above("ensemble", "joint", PICTURE_PROBE, scenario="balanced"),
        above("ensemble", "joint", SOUND_PROBE, scenario="balanced"),
        further_ahead(
            ("ensemble", "joint", PICTURE_PROBE, "balanced"),
            ("ensemble", "joint", SOUND_PROBE, "balanced"),
        ),
    ),
    "flipped: the sound loses clearly, and more than the picture": both(
        above("ensemble", "joint", SOUND_PROBE, scenario="flipped"),
        further_ahead(
            ("ensemble", "joint", SOUND_PROBE, "flipped"),
            ("ensemble", "joint", PICTURE_PROBE, "flipped"),
        ),
    ),
}

LESSON_2 = {
    "valuation is clearly above joint concat at its own rate and steps": above(
        "valuation", "joint, same steps and rate", by=4
    ),
    "a low contribution points at the ruined modality: every AUC is clearly over 0.5": both(
        *(
            each(above, ["joint", "valuation"], 0.5, f"auc_{m}", scenario=scenario)
            for m in ("audio", "visual")
            for scenario in ("corrupted", "samplewise")
        )
    ),
    "corrupted: 'wrong alone' finds the ruined about as well as the contribution": both(
        *(
            within(row, row, f"auc_wrong_{m}", against=f"auc_{m}", points=3, **CORRUPTED)
            for row in ("joint", "valuation")
            for m in ("audio", "visual")
        )
    ),
    "samplewise: 'wrong alone' finds the ruined clearly better than the contribution": both(
        *(
            above(row, row, f"auc_wrong_{m}", against=f"auc_{m}", **SAMPLEWISE)
            for row in ("joint", "valuation")
            for m in ("audio", "visual")
        )
    ),
    "corrupted: the best rule on three bits is not far ahead of the contribution": both(
        *(
            within(row, row, f"auc_bits_{m}", against=f"auc_{m}", points=9, **CORRUPTED)
            for row in ("joint", "valuation")
            for m in ("audio", "visual")
        )
    ),
    "samplewise: the best rule on three bits is ten points of AUC ahead or more": both(
        *(
            above(row, row, f"auc_bits_{m}", against=f"auc_{m}", by=10, **SAMPLEWISE)
            for row in ("joint", "valuation")
            for m in ("audio", "visual")
        )
    ),
    "both levels are clearly above joint training, in both worlds": both(
        each(above, ["valuation", "valuation-modality"], "joint"),
        each(above, ["valuation", "valuation-modality"], "joint", world=HUMAN),
    ),
    "corrupted: valuation is above joint training clearly with human voices only": both(
        no_clear_difference("valuation", "joint", **CORRUPTED),
        above("valuation", "joint", world=HUMAN, **CORRUPTED),
    ),
    "samplewise: visits, 2.5 and 1.1 times those of joint training": both(
        times("valuation", "joint", 2.5, **SAMPLEWISE),
        times("valuation-modality", "joint", 1.1, **SAMPLEWISE),
    ),
    "random samples, a random modality, too: clearly worse than random samples alone": both(
        above("valuation-random-samples", "valuation-random"),
        above("valuation-random-samples", "valuation-random", world=HUMAN),
        about("valuation-random-samples", "valuation-random", points=1),
        about("valuation-random-samples", "valuation-random", points=2, world=HUMAN),
    ),
    "samplewise: joint training with as many updates has a higher mean": ahead(
        "joint, same steps", "valuation", **SAMPLEWISE
    ),
    "with both levels the picture's probe comes back by about 20 points": each(
        about, ["valuation", "valuation-modality"], "joint", PICTURE_PROBE, points=20
    ),
    "validation chose 0.4 as the rate of both levels": both(
        *(best_on_validation(row, lr=0.4) for row in ("valuation", "valuation-modality"))
    ),
    "it is hardly the updates: joint with as many steps gains clearly, about a point": both(
        above("joint, same steps", "joint"),
        about("joint, same steps", "joint", points=1),
        times("joint, same steps", "joint", 1.6),
        above("valuation", "joint, same steps", by=4),
    ),
    "copies of random samples: no difference; hardly any room for a gain": both(
        no_clear_difference("valuation", "valuation-random-samples"),
        no_clear_difference("valuation", "valuation-random-samples", world=HUMAN),
        between("valuation", "valuation-random-samples", low=-1.1, high=0.3),
        within("valuation", "valuation-random-samples", points=1.1),
    ),
    "a random modality, and a loss for each: no difference shows, in both worlds": both(
        each(no_clear_difference, "valuation", ["valuation-random", *UNIMODAL]),
        each(no_clear_difference, "valuation", ["valuation-random", UNIMODAL[0]], world=HUMAN),
        each(within, "valuation", ["valuation-random", *UNIMODAL], points=3),
    ),
    "two networks: no clear difference; with synthetic voices their mean is higher": both(
        no_clear_difference("valuation", "ensemble", world=HUMAN),
        behind("valuation", "ensemble"),
        no_clear_difference("valuation", "ensemble"),
        between("valuation", "ensemble", low=-3, high=0.1),
    ),
    "unimodal losses do as well with 1.6 times fewer visits": times(
        "valuation", "joint-unimodal", 1.6
    ),
    "samplewise: the sample level's mean is higher, but no gain is certain": both(
        each(ahead, "valuation", ["valuation-modality", "joint"], **SAMPLEWISE),
        each(no_clear_difference, "valuation", ["valuation-modality", "joint"], **SAMPLEWISE),
    ),
    "samplewise: more updates alone make joint concat clearly better": above(
        "joint, same steps", "joint", **SAMPLEWISE
    ),
    "samplewise: over joint with as many steps valuation gains nothing clear": not_above(
        "valuation", "joint, same steps", **SAMPLEWISE
    ),
    "samplewise: copies of random samples end clearly above those that valuation picks": above(
        "valuation-random-samples", "valuation", **SAMPLEWISE
    ),
    "samplewise: unimodal losses do as well as valuation only with as many steps": both(
        above("valuation", "joint-unimodal", **SAMPLEWISE),
        no_clear_difference("valuation", "joint-unimodal, same steps", **SAMPLEWISE),
    ),
    "samplewise: a loss for each and two networks end clearly below valuation": each(
        above, "valuation", ["joint-unimodal", "ensemble"], **SAMPLEWISE
    ),
    "beside imbalanced a level is above joint training clearly in one of six": both(
        above("valuation", "joint", world=HUMAN, **CORRUPTED),
        no_clear_difference("valuation-modality", "joint", world=HUMAN, **CORRUPTED),
        *(
            each(no_clear_difference, ["valuation", "valuation-modality"], "joint", **where)
            for where in (CORRUPTED, SAMPLEWISE)
        ),
    ),
    "samplewise: the modality level's mean is below joint training's, both below longer": both(
        behind("valuation-modality", "joint", **SAMPLEWISE),
        each(behind, ["valuation", "valuation-modality"], "joint, same steps", **SAMPLEWISE),
    ),
    "corrupted: ruined pictures are found clearly better with unimodal losses": both(
        *(
            above("joint-unimodal", "joint", "auc_visual", world=world, **CORRUPTED)
            for world in (SYNTHETIC, HUMAN)
        )
    ),
    "samplewise: a loss for each modality does not help to find ruined sounds": not_above(
        "joint-unimodal", "joint", "auc_audio", **SAMPLEWISE
    ),
    "corrupted: copies of random samples make no clear difference, in both worlds": both(
        no_clear_difference("valuation", "valuation-random-samples", **CORRUPTED),
        no_clear_difference("valuation", "valuation-random-samples", world=HUMAN, **CORRUPTED),
    ),
    "pay-off 0/1 visits nearly twice as many samples, and is a point better": both(
        about("valuation, 0/1 pay-off", "valuation", points=1),
        times("valuation, 0/1 pay-off", "valuation", 1.8),
        above("valuation, 0/1 pay-off", "valuation"),
    ),
}

LESSON_3 = {
    "the picture alone ends clearly below a loss for each modality, by two points, here": both(
        below("boosting", "joint-unimodal", PICTURE),
        about("joint-unimodal", "boosting", PICTURE, points=2),
    ),
    "and with human voices, by two or three": both(
        below("boosting", "joint-unimodal", PICTURE, world=HUMAN),
        mean_between("joint-unimodal", "boosting", PICTURE, low=1.5, high=3, world=HUMAN),
    ),
    "the ensemble is clearly ahead of boosting, by two points": both(
        below("boosting", "ensemble"), about("ensemble", "boosting", points=2)
    ),
    "with human voices by two or three, and the interval just reaches 0": both(
        mean_between("ensemble", "boosting", low=2, high=3, world=HUMAN),
        no_clear_difference("boosting", "ensemble", world=HUMAN),
        not_above("boosting", "ensemble", world=HUMAN),
    ),
    "over joint concat boosting gains 7 points clearly, 11 with human voices": both(
        above("boosting", "joint", by=5),
        about("boosting", "joint", points=7),
        above("boosting", "joint", by=5, world=HUMAN),
        about("boosting", "joint", points=11, world=HUMAN),
    ),
    "but so do the simple remedies": both(
        *(
            above(row, "joint", by=2, world=world)
            for row in ("ensemble", "joint-unimodal")
            for world in (SYNTHETIC, HUMAN)
        ),
    ),
    "between boosting and unimodal losses no difference, fused; four points are possible": both(
        *(
            word("boosting", "joint-unimodal", world=world, **options)
            for word, options in ((no_clear_difference, {}), (within, {"points": 4}))
            for world in (SYNTHETIC, HUMAN)
        ),
    ),
    "fused, boosting's mean is a point over its base, by an interval that holds 0": both(
        about("boosting", "boosting-base", points=1),
        no_clear_difference("boosting", "boosting-base"),
    ),
    "with human voices two or three points, clearly": both(
        above("boosting", "boosting-base", world=HUMAN),
        mean_between("boosting", "boosting-base", low=2, high=3, world=HUMAN),
    ),
    "with a fusion weight from validation that lead is not clear": both(
        no_clear_difference("boosting", "boosting-base", "fused_weighted", world=HUMAN),
        no_clear_difference("boosting", "boosting-base", "fused_normalised", world=HUMAN),
    ),
    "the base is clearly above joint concat": both(
        above("boosting-base", "joint"), above("boosting-base", "joint", world=HUMAN)
    ),
    "but the ensemble is clearly above the base, by three to five points": both(
        above("ensemble", "boosting-base"),
        about("ensemble", "boosting-base", points=3),
        above("ensemble", "boosting-base", world=HUMAN),
        about("ensemble", "boosting-base", points=5, world=HUMAN),
    ),
    "over its base boosting raises the picture alone clearly, while the sound stays": both(
        above("boosting", "boosting-base", PICTURE),
        about("boosting", "boosting-base", PICTURE, points=4),
        above("boosting", "boosting-base", PICTURE_PROBE),
        no_clear_difference("boosting", "boosting-base", SOUND),
        within("boosting", "boosting-base", SOUND, points=3),
    ),
    "so it does with human voices": both(
        above("boosting", "boosting-base", PICTURE, world=HUMAN),
        about("boosting", "boosting-base", PICTURE, points=4, world=HUMAN),
        above("boosting", "boosting-base", PICTURE_PROBE, world=HUMAN),
        no_clear_difference("boosting", "boosting-base", SOUND, world=HUMAN),
        within("boosting", "boosting-base", SOUND, points=3, world=HUMAN),
    ),
    "the heavier loss shows no gain over the base, fused or on the picture, in either world": both(
        *(
            not_above("base, weak loss x 3", "boosting-base", score, world=world)
            for score in ("fused", PICTURE)
            for world in (SYNTHETIC, HUMAN)
        ),
        *(
            not_above("base, weak loss x 3", "boosting-base, weak loss's rate", score)
            for score in ("fused", PICTURE)
        ),
    ),
    "on the picture alone boosting is clearly ahead of the heavier loss": both(
        above("boosting", "base, weak loss x 3", PICTURE),
        above("boosting", "base, weak loss x 3", PICTURE, world=HUMAN),
    ),
    "and at the heavier loss's rate": above(
        "boosting, weak loss's rate", "base, weak loss x 3", PICTURE
    ),
    "fused, boosting is clearly ahead only with synthetic voices, and not at that rate": both(
        above("boosting", "base, weak loss x 3"),
        no_clear_difference("boosting", "base, weak loss x 3", world=HUMAN),
        ahead("boosting, weak loss's rate", "base, weak loss x 3"),
        no_clear_difference("boosting, weak loss's rate", "base, weak loss x 3"),
    ),
    "the loss of all in place of three shows no difference; three points are possible": both(
        *(no_clear_difference("boosting", "all only", score) for score in ("fused", PICTURE)),
        *(within("boosting", "all only", score, points=3) for score in ("fused", PICTURE)),
    ),
    "nine from the start: no gain for the picture, fused clearly below the base": both(
        below("fixed number", "boosting-base"),
        no_clear_difference("fixed number", "boosting-base", PICTURE),
    ),
    "with the loss of all alone boosting is clearly above the base, fused and on the picture": both(
        *(above("all only", "boosting-base", score) for score in ("fused", PICTURE))
    ),
    "classifiers that never learn show no difference, fused or by the probe": both(
        no_clear_difference("boosting", "boosting-frozen"),
        no_clear_difference("boosting", "boosting-frozen", PICTURE_PROBE),
        within("boosting", "boosting-frozen", points=1.5),
    ),
    "on the picture alone boosting is clearly above them, by about a point": both(
        above("boosting", "boosting-frozen", PICTURE),
        about("boosting", "boosting-frozen", PICTURE, points=1),
    ),
    "untrained newcomers are already clearly above the base on the picture, by two points": both(
        above("boosting-frozen", "boosting-base", PICTURE),
        about("boosting-frozen", "boosting-base", PICTURE, points=2),
    ),
    "corrupted: untrained newcomers are clearly ahead on the picture, by three points": both(
        above("boosting-frozen", "boosting", PICTURE, **CORRUPTED),
        about("boosting-frozen", "boosting", PICTURE, points=3, **CORRUPTED),
    ),
    "a fixed number is clearly lower at best rates, the picture clearly higher at its own": both(
        above("boosting", "fixed number"),
        above("boosting", "fixed number", PICTURE),
        no_clear_difference("boosting, fixed number's rate", "fixed number"),
        below("boosting, fixed number's rate", "fixed number", PICTURE),
    ),
    "smoothing 0, one half and 1 show no difference: within two points": both(
        each(no_clear_difference, "boosting", ["smoothing 0", "smoothing 1"]),
        each(within, "boosting", ["smoothing 0", "smoothing 1"], points=2),
        each(no_clear_difference, "boosting", ["smoothing 0", "smoothing 1"], PICTURE),
        each(within, "boosting", ["smoothing 0", "smoothing 1"], PICTURE, points=2),
    ),
    "corrupted: with synthetic voices boosting is clearly below joint concat": below(
        "boosting", "joint", **CORRUPTED
    ),
    "corrupted: boosting is clearly above its base in both worlds": both(
        above("boosting", "boosting-base", **CORRUPTED),
        above("boosting", "boosting-base", world=HUMAN, **CORRUPTED),
    ),
    "corrupted: boosting is clearly below a loss for each in both worlds": both(
        below("boosting", "joint-unimodal", **CORRUPTED),
        below("boosting", "joint-unimodal", world=HUMAN, **CORRUPTED),
    ),
    "nowhere does boosting show a lead over the simple remedies, fused or on the picture": both(
        *(
            not_above("boosting", row, score, world=world, **where)
            for row in ("ensemble", "joint-unimodal")
            for score in ("fused", PICTURE)
            for world in (SYNTHETIC, HUMAN)
            for where in ({}, CORRUPTED)
        )
    ),
    "its picture stays clearly behind both remedies, in both scenarios and both worlds": both(
        *(
            below("boosting", row, PICTURE, world=world, **where)
            for row in ("ensemble", "joint-unimodal")
            for world in (SYNTHETIC, HUMAN)
            for where in ({}, CORRUPTED)
        )
    ),
    "all eight new classifiers are the picture's, in every seed": both(
        every_seed("boosting", "classifiers_visual", over=8.5, under=9.5),
        every_seed("boosting", "classifiers_audio", over=0.5, under=1.5),
        every_seed("boosting", "classifiers_visual", over=8.5, under=9.5, world=HUMAN),
    ),
    "corrupted: so it is in nine of ten seeds": both(
        every_seed("boosting", "classifiers_visual", over=8.5, world=HUMAN, **CORRUPTED),
        worth("boosting", 8.2, "classifiers_visual", **CORRUPTED),  # four times 9 and once 5
    ),
    "validation chose 0.1 as boosting's and its base's rate, a smaller one for a control": both(
        best_on_validation("boosting", lr=0.1),
        best_on_validation("boosting-base", lr=0.1),
        best_on_validation("base, weak loss x 3", lr=0.05),
    ),
    "a modality missing: boosting is clearly above joint concat, clearly below the ensemble": both(
        *(above("boosting", "joint", missing(rate), by=5) for rate in (0.2, 0.5)),
        *(below("boosting", "ensemble", missing(rate)) for rate in (0.2, 0.5)),
    ),
    "below the ensemble by about as much as with nothing missing, two points": both(
        *(about("ensemble", "boosting", missing(rate), points=2) for rate in (0.0, 0.2, 0.5))
    ),
    "so it is with human voices, below the ensemble not clearly": both(
        above("boosting", "joint", missing(0.5), by=5, world=HUMAN),
        no_clear_difference("boosting", "ensemble", missing(0.5), world=HUMAN),
        ahead("ensemble", "boosting", missing(0.5), world=HUMAN),
    ),
    "a modality missing: joint concat is lowest, and loses most": both(
        *(
            lowest(
                "joint", ["joint-unimodal", "ensemble", "boosting-base", "boosting"], missing(rate)
            )
            for rate in (0.0, 0.2, 0.5)
        ),
        highest(
            "joint",
            ["joint-unimodal", "ensemble", "boosting-base", "boosting"],
            lambda column: missing(0.0)(column) - missing(0.5)(column),
        ),
    ),
}

DETACHED, RUNG_2, OWN_HEADS = "detached", "no contrast", "isolated"  # the whole; rungs 1-2; rung 1
WORLDS = (SYNTHETIC, HUMAN)
LESSON_4 = {
    "two networks, the whole, joint training: this order in both worlds": both(
        *(
            ahead(better, worse, world=world)
            for better, worse in pairwise(("ensemble", DETACHED, "joint"))
            for world in WORLDS
        )
    ),
    "the whole is clearly above joint training, in both worlds, by five points": both(
        *(above(DETACHED, "joint", by=5, world=world) for world in WORLDS)
    ),
    "rung 1, two networks, is far above joint training, in both worlds": both(
        *(above("ensemble", "joint", by=5, world=world) for world in WORLDS)
    ),
    "own heads only raise the picture's probe over fifteen points above joint training's": both(
        *(above(OWN_HEADS, "joint", PICTURE_PROBE, by=15, world=world) for world in WORLDS),
    ),
    "validation chose its rate, the smallest or largest of those tried, and temperature 2": both(
        best_on_validation(DETACHED, lr=0.1, temperature=2.0),
        best_on_validation(DETACHED, lr=0.2, temperature=2.0, world=HUMAN),
        best_on_validation("ensemble", lr=0.4),
        best_on_validation("ensemble", lr=0.4, world=HUMAN),
    ),
    "two networks are clearly better with synthetic voices": below(DETACHED, "ensemble"),
    "with human voices no difference shows, and the mean of two networks is higher": both(
        no_clear_difference(DETACHED, "ensemble", world=HUMAN),
        behind(DETACHED, "ensemble", world=HUMAN),
    ),
    "in the picture's probe two networks show no difference; about three points are possible": both(
        *(
            claim(DETACHED, "ensemble", PICTURE_PROBE, world=world, **points)
            for world in WORLDS
            for claim, points in ((no_clear_difference, {}), (within, {"points": 3.2}))
        )
    ),
    "the shared head raises the picture's probe clearly, in both worlds": both(
        *(above(RUNG_2, OWN_HEADS, PICTURE_PROBE, world=world) for world in WORLDS)
    ),
    "the one-way loss adds a point there with synthetic voices, not clearly with human ones": both(
        above(DETACHED, RUNG_2, PICTURE_PROBE),
        about(DETACHED, RUNG_2, PICTURE_PROBE, points=1),
        no_clear_difference(DETACHED, RUNG_2, PICTURE_PROBE, world=HUMAN),
    ),
    "over own heads the whole gains in the picture's probe, in both worlds": both(
        *(above(DETACHED, OWN_HEADS, PICTURE_PROBE, world=world) for world in WORLDS)
    ),
    "for the shared head no difference shows; about three points with human voices": both(
        no_clear_difference(RUNG_2, OWN_HEADS),
        within(RUNG_2, OWN_HEADS, points=1.5),
        no_clear_difference(RUNG_2, OWN_HEADS, world=HUMAN),
        within(RUNG_2, OWN_HEADS, points=3.5, world=HUMAN),
    ),
    "for the one-way loss no difference shows, nor is more than about a point to be expected": both(
        no_clear_difference(DETACHED, RUNG_2),
        within(DETACHED, RUNG_2, points=1),
        no_clear_difference(DETACHED, RUNG_2, world=HUMAN),
        within(DETACHED, RUNG_2, points=1.4, world=HUMAN),
    ),
    "own heads added are clearly above the fusion head alone, in both worlds": both(
        *(
            above(DETACHED, DETACHED, "fused_heads", against="concat", world=world)
            for world in WORLDS
        )
    ),
    "and clearly above rung 5 with human voices, not with synthetic ones": both(
        above(DETACHED, DETACHED, "fused_heads", against="fused", world=HUMAN),
        no_clear_difference(DETACHED, DETACHED, "fused_heads", against="fused"),
    ),
    "certainty is clearly below equal weights with synthetic voices, by under half a point": both(
        below(DETACHED, DETACHED, against="fused_uniform"),
        mean_between(DETACHED, DETACHED, against="fused_uniform", low=-0.5, high=0),
        no_clear_difference(DETACHED, DETACHED, against="fused_uniform", world=HUMAN),
    ),
    "and clearly above on corrupted's ruined samples, by half a point, synthetic voices only": both(
        above(DETACHED, DETACHED, "fused_ruined", against="fused_uniform_ruined", **CORRUPTED),
        mean_between(
            DETACHED,
            DETACHED,
            "fused_ruined",
            against="fused_uniform_ruined",
            low=0.45,
            high=0.55,
            **CORRUPTED,
        ),
        no_clear_difference(
            DETACHED,
            DETACHED,
            "fused_ruined",
            against="fused_uniform_ruined",
            world=HUMAN,
            **CORRUPTED,
        ),
    ),
    "over all samples of corrupted certainty and equal weights show no difference": both(
        *(
            no_clear_difference(
                DETACHED, DETACHED, against="fused_uniform", world=world, **CORRUPTED
            )
            for world in WORLDS
        )
    ),
    "with own heads added the mean is a point or more behind two networks, not clearly": both(
        *(
            claim(DETACHED, "ensemble", "fused_heads", against="fused", world=world, **points)
            for world in WORLDS
            for claim, points in (
                (mean_between, {"low": -2, "high": -1}),
                (no_clear_difference, {}),
            )
        )
    ),
    "at one rate the whole's probe is clearly higher, by three points, fused clearly lower": both(
        above(DETACHED, "ensemble, that rate", PICTURE_PROBE),
        about(DETACHED, "ensemble, that rate", PICTURE_PROBE, points=3),
        below(DETACHED, "ensemble, that rate"),
        about(DETACHED, "ensemble, that rate", points=-1),
    ),
    "at twice its rate the whole's probe is clearly above two networks' best, and there": each(
        above,
        "detached, normalised's rate",
        ["ensemble", "ensemble, joint's rate"],
        PICTURE_PROBE,
    ),
    "by two points at that rate, where its mean is behind in fused accuracy": both(
        about("detached, normalised's rate", "ensemble, joint's rate", PICTURE_PROBE, points=2),
        behind("detached, normalised's rate", "ensemble, joint's rate"),
        below("detached, normalised's rate", "ensemble"),
    ),
    "at one rate, own heads added are not clearly behind two networks": no_clear_difference(
        DETACHED, "ensemble, that rate", "fused_heads", against="fused"
    ),
    "two networks at twice the rate are not clearly below rungs 1-2 or the whole": each(
        no_clear_difference,
        "ensemble, joint's rate",
        [RUNG_2, DETACHED],
        PICTURE_PROBE,
    ),
    "rung 2 clearly lowers the sound's own head, rung 3 clearly raises it, synthetic voices": both(
        below(RUNG_2, OWN_HEADS, SOUND), above(DETACHED, RUNG_2, SOUND)
    ),
    "and the sound's separability, which rung 3 wins back": both(
        above(DETACHED, RUNG_2, f"separability_{SOUND}"),
        not_below(DETACHED, OWN_HEADS, f"separability_{SOUND}"),
    ),
    "rung 2 alone lowers the sound's separability in every seed": every_seed(
        RUNG_2, f"separability_{SOUND}", under=0, less=OWN_HEADS
    ),
    "at the method's rate two networks' probe falls by three points, to that of own heads": both(
        above("ensemble", "ensemble, that rate", PICTURE_PROBE),
        about("ensemble", "ensemble, that rate", PICTURE_PROBE, points=3),
        no_clear_difference(OWN_HEADS, "ensemble, that rate", PICTURE_PROBE),
    ),
    "doubling that rate gains two networks' probe two points, nearly what rung 2 adds": both(
        above("ensemble, joint's rate", "ensemble, that rate", PICTURE_PROBE),
        about("ensemble, joint's rate", "ensemble, that rate", PICTURE_PROBE, points=2),
        mean_between(RUNG_2, OWN_HEADS, PICTURE_PROBE, low=2.3, high=3),
    ),
    "the weights find what is ruined, of sounds and of pictures": both(
        *(
            every_seed(DETACHED, f"auc_weight_{m}", over=over, world=world, **CORRUPTED)
            for m, over in ((SOUND, 0.9), (PICTURE, 0.75))
            for world in WORLDS
        )
    ),
    "chosen minus random dimensions: both intervals contain 0": both(
        *(
            no_clear_difference(DETACHED, "random dimensions", f"separability_{m}")
            for m in (SOUND, PICTURE)
        )
    ),
    "over permuted labels the sound gains clearly, the picture does not": both(
        above(DETACHED, "permuted labels", f"separability_{SOUND}"),
        no_clear_difference(DETACHED, "permuted labels", f"separability_{PICTURE}"),
    ),
    "for the sound random dimensions are clearly above permuted labels, too": above(
        "random dimensions", "permuted labels", f"separability_{SOUND}"
    ),
    "by the picture's probe chosen dimensions are not clearly above either control": each(
        no_clear_difference, DETACHED, ["random dimensions", "permuted labels"], PICTURE_PROBE
    ),
    "nor above permuted ones by mean": within(DETACHED, "permuted labels", PICTURE_PROBE, points=1),
    "with own heads added more than half of the gap to two networks stays": both(
        mean_between(DETACHED, "ensemble", low=-2, high=-1.5),
        mean_between(DETACHED, "ensemble", "fused_heads", against="fused", low=-1.5, high=-1),
        mean_between(DETACHED, "ensemble", low=-2.8, high=-2.6, world=HUMAN),
        mean_between(
            DETACHED,
            "ensemble",
            "fused_heads",
            against="fused",
            low=-2,
            high=-1.4,
            world=HUMAN,
        ),
    ),
    "rung 2 raises the picture's probe, and its separability has no higher mean": both(
        *(above(RUNG_2, OWN_HEADS, PICTURE_PROBE, world=world) for world in WORLDS),
        *(behind(RUNG_2, OWN_HEADS, f"separability_{PICTURE}", world=world) for world in WORLDS),
    ),
    "it is clearly above OGM-GE; to sample valuation no difference shows, in both worlds": both(
        *(above(DETACHED, "ogm-ge", by=5, world=world) for world in WORLDS),
        *(no_clear_difference(DETACHED, "valuation", world=world) for world in WORLDS),
    ),
}

LESSON_5 = {
    "the gain over joint concat is the base's": above("joint-unimodal", "joint", by=5),
    "far over joint concat": above("gap", "joint", by=5),
    "validation chose the rates 0.05 and, one-sided, 0.1; the gap's weight 1; the base's 1": both(
        best_on_validation("gap", lr=0.05, gap_weight=1.0),
        best_on_validation("gap, one-sided", lr=0.1, gap_weight=1.0),
        best_on_validation("joint-unimodal", unimodal_weight=1.0),
    ),
    "over the base no arm gains clearly in fused accuracy": each(
        no_clear_difference, GAP_ARMS, "joint-unimodal"
    ),
    "every arm's mean is within about a point of the base's": each(
        mean_between, GAP_ARMS, "joint-unimodal", low=-1.1, high=1.1
    ),
    "the full loss has not even the higher mean": behind("gap", "joint-unimodal"),
    "with the posteriors dealt out at random the loss does clearly better, a little": both(
        below("gap", "gap, permuted posterior"),
        within("gap", "gap, permuted posterior", points=1.5),
    ),
    "one-sided is clearly above the two-sided loss": above("gap, one-sided", "gap"),
    "one-sided is preferred on validation, too": order_on_validation("gap, one-sided", "gap"),
    "one-sided has the highest mean of all arms, a point over the base, not clearly": both(
        highest("gap, one-sided", GAP_ARMS),
        about("gap, one-sided", "joint-unimodal", points=1),
        no_clear_difference("gap, one-sided", "joint-unimodal"),
    ),
    "a trap: at one-sided's rate between it and the full loss no difference shows": both(
        no_clear_difference("gap, one-sided", "gap, one-sided's rate"),
        within("gap, one-sided", "gap, one-sided's rate", points=1),
    ),
    "over the base at that rate both are clearly above, by less than a point": both(
        each(above, ["gap, one-sided", "gap, one-sided's rate"], "gap's base, one-sided's rate"),
        each(
            mean_between,
            ["gap, one-sided", "gap, one-sided's rate"],
            "gap's base, one-sided's rate",
            low=0.4,
            high=1,
        ),
    ),
    "over its own base the full loss gains nothing, not even by its mean": both(
        no_clear_difference("gap", "gap's base"), behind("gap", "gap's base")
    ),
    "with permuted posteriors it ends just clearly above that base": both(
        above("gap, permuted posterior", "gap's base"),
        about("gap, permuted posterior", "gap's base", points=1),
    ),
    "against its own base the gap shrinks, the sound's score falls, the picture's rises": both(
        below("gap", "gap's base", "gap_mean"),
        below("gap", "gap's base", "score_audio"),
        above("gap", "gap's base", "score_visual"),
    ),
    "at the full loss's rate the ensemble is clearly behind it": above(
        "gap", "ensemble, gap's rate"
    ),
    "penalty only and shift only stand at the base": both(
        each(no_clear_difference, ["penalty only", "shift only"], "joint-unimodal"),
        each(within, ["penalty only", "shift only"], "joint-unimodal", points=2),
    ),
    "penalty only and shift only hold the sound's score down, clearly, too": each(
        below, ["penalty only", "shift only"], "joint-unimodal", "score_audio"
    ),
    "two networks apart, at their own best rate, are clearly ahead of it": below("gap", "ensemble"),
    "corrupted: the full loss ends clearly below its base, with a warm-up or without": each(
        below, ["gap", "gap, no warm-up"], "joint-unimodal", **CORRUPTED
    ),
    "corrupted: at the same rate and weight the full loss is clearly below its base": below(
        "gap", "gap's base", **CORRUPTED
    ),
    "corrupted: of its parts only the shift is, alone": both(
        below("shift only", "gap's base", **CORRUPTED),
        each(
            no_clear_difference,
            ["penalty only, gap's weight", "weights only"],
            "gap's base",
            **CORRUPTED,
        ),
    ),
    "corrupted: every arm's mean is below the base's, of the others none clearly": both(
        each(behind, GAP_ARMS, "joint-unimodal", **CORRUPTED),
        each(
            no_clear_difference,
            [arm for arm in GAP_ARMS if arm not in ("gap", "gap, no warm-up")],
            "joint-unimodal",
            **CORRUPTED,
        ),
    ),
    "corrupted: between the full loss and its permuted posteriors no difference shows": (
        no_clear_difference("gap", "gap, permuted posterior", **CORRUPTED)
    ),
    "corrupted: one-sided is a point below the base, the interval too wide to judge": both(
        about("gap, one-sided", "joint-unimodal", points=-1, **CORRUPTED),
        no_clear_difference("gap, one-sided", "joint-unimodal", **CORRUPTED),
    ),
    "corrupted: with the full loss the picture alone is clearly below the base's": each(
        below, "gap", ["joint-unimodal", "gap's base"], PICTURE, **CORRUPTED
    ),
    "imbalanced: on the picture alone no difference shows": each(
        no_clear_difference, "gap", ["joint-unimodal", "gap's base"], PICTURE
    ),
    "purified ends where purified at random does": both(
        no_clear_difference("purified", "purified at random"),
        within("purified", "purified at random", points=0.5),
        no_clear_difference("purified", "purified at random", **CORRUPTED),
    ),
    "corrupted: purified and purified at random each lose a seed": both(
        *(seeds_lost(row, 1, **CORRUPTED) for row in PURIFIED),
        *(seeds_lost(row, 1, "fused", **CORRUPTED) for row in PURIFIED),
    ),
    "corrupted: no other arm loses one": both(
        *(seeds_lost(row, 0, "fused", **CORRUPTED) for row in GAP_ARMS if row not in PURIFIED)
    ),
    "purified keeps half of the samples, and of one class a quarter": both(
        worth("purified", 0.5, "kept"), every_seed("purified", "kept_least", over=0.15, under=0.35)
    ),
    "corrupted: after training the posterior finds the ruined clearly, a little, over 0.5": both(
        each(above, ["joint-unimodal", "gap"], 0.5, "auc_posterior", **CORRUPTED),
        each(below, ["joint-unimodal", "gap"], 0.65, "auc_posterior", **CORRUPTED),
    ),
    "corrupted: no better than the size of the gap": both(
        not_above("joint-unimodal", "joint-unimodal", "auc_posterior", "auc_gap", **CORRUPTED),
        not_above("gap", "gap", "auc_posterior", "auc_gap", **CORRUPTED),
    ),
    "corrupted: in the full loss even clearly worse than the size of the gap": below(
        "gap", "gap", "auc_posterior", "auc_gap", **CORRUPTED
    ),
    "corrupted: after the warm-up the posterior is clearly on the wrong side of 0.5": below(
        "gap", 0.5, "auc_first", **CORRUPTED
    ),
    "corrupted: the signed gap does far better for each modality": both(
        *(
            above(row, row, f"auc_gap_{m}", "auc_gap", by=10, **CORRUPTED)
            for row in ("joint-unimodal", "gap")
            for m in ("audio", "visual")
        )
    ),
}

LESSON_6 = {
    "in joint concat the picture is starved, not poor: 0.22 alone, where 0.65 can be had": both(
        worth("joint", 0.22, PICTURE),
        worth("ensemble", 0.65, PICTURE),
        above("ensemble", "joint", PICTURE, by=20),
    ),
    "a loss of its own mends that": no_clear_difference("ensemble", "joint-unimodal", PICTURE),
    "validation: the best of all readings that were tried is 'batch' at T = 1/4": (
        highest(MILD, list(HARD.values()))
    ),
    "validation chose the rate 0.1, the charge 0.1, the unimodal losses' weight 3": (
        best_on_validation("cal", lr=0.1, beta=0.1, unimodal_weight=3.0)
    ),
    "validation: between batch and epoch, sample or loss three seeds show no difference": each(
        no_clear_difference, HARD["batch"], [HARD[name] for name in ("epoch", "sample", "loss")]
    ),
    "validation: 'channels' fails in every seed, and W of the sound ends at 1": both(
        every_seed(HARD["channels"], under=0.8),
        every_seed(HARD["batch"], over=0.85),
        every_seed(HARD["channels"], "contribution_audio", over=0.99),
    ),
    "validation: at T = 1/20 W is far from even, and the mean is lower by about a point": both(
        worth(MILD, 0.57, "contribution_audio"),
        worth(HARD["batch"], 0.84, "contribution_audio"),
        about(MILD, HARD["batch"], points=1),
        no_clear_difference(MILD, HARD["batch"]),
    ),
    "the full method is clearly above joint concat, by about eight points": both(
        above("cal", "joint"), about("cal", "joint", points=8)
    ),
    "so is all that has unimodal losses": each(above, ["joint-unimodal", BASE, *CAL_ARMS], "joint"),
    "over unimodal losses alone, without any bottleneck, it gains nothing that we see": both(
        no_clear_difference("cal", "joint-unimodal"), behind("cal", "joint-unimodal")
    ),
    "over bare bottlenecks it gains nothing clear": no_clear_difference("cal", BASE),
    "it is clearly above compression only": above("cal", "compression only"),
    "it is not clearly above acceleration only": no_clear_difference("cal", "acceleration only"),
    "acceleration does as well uniform and inverse": each(
        no_clear_difference, "acceleration only", ["uniform acceleration", "inverse acceleration"]
    ),
    "uniform acceleration gains nothing over none": not_above("uniform acceleration", BASE),
    "compression does as well uniform": no_clear_difference(
        "compression only", "uniform compression"
    ),
    "what the bottleneck threw away bought nothing clear over bottlenecks without charge": each(
        not_above, ["compression only", "uniform compression"], BASE
    ),
    "swapped has the higher mean; if the direction matters, by less than a point": both(
        behind("cal", "cal, swapped"),
        no_clear_difference("cal", "cal, swapped"),
        within("cal", "cal, swapped", points=1),
    ),
    "both uniform has the higher mean, by an interval that holds 0": both(
        behind("cal", "both uniform"), no_clear_difference("cal", "both uniform")
    ),
    "even acceleration, even compression, one score in place of two: no clear difference": each(
        no_clear_difference,
        "cal",
        ["cal, even acceleration", "cal, even compression"]
        + ["cal, no information", "cal, no confidence"],
    ),
    "the ensemble is clearly ahead": below("cal", "ensemble"),
    "corrupted: four arms with bottlenecks lose the sound's encoder in one or two seeds": both(
        seeds_lost(BASE, 1, **CORRUPTED),
        seeds_lost("uniform compression", 2, **CORRUPTED),
        seeds_lost("both uniform", 2, **CORRUPTED),
        seeds_lost("cal", 2, **CORRUPTED),
    ),
    "corrupted: joint + unimodal losses never does": seeds_lost("joint-unimodal", 0, **CORRUPTED),
    "corrupted: in some of these seeds the sound is near chance": seeds_lost(
        "both uniform", 2, under=0.15, **CORRUPTED
    ),
    "corrupted: in CAL's lost seeds W of the sound ends below one half": where_lost(
        "cal", "contribution_audio", under=0.5, **CORRUPTED
    ),
    "corrupted: the clip shortens 0.44 of CAL's steps, hardly any of the unimodal losses'": both(
        worth("cal, clipped", 0.44, "clipped", **CORRUPTED),
        every_seed("joint-unimodal, clipped", "clipped", under=0.02, **CORRUPTED),
    ),
    "corrupted: half the learning rate keeps all seeds, too, with a lower mean": both(
        *(
            seeds_lost(f"{row}, half the rate", 0, **CORRUPTED)
            for row in ("cal", "both uniform", "bottlenecks")
        ),
        behind("cal, half the rate", "cal, clipped", **CORRUPTED),
        no_clear_difference("cal, half the rate", "cal, clipped", **CORRUPTED),
    ),
    "corrupted: clipped, at its rate and weight, unimodal losses do as well as CAL": (
        no_clear_difference("cal, clipped", "joint-unimodal, CAL's options, clipped", **CORRUPTED)
    ),
    "over unimodal losses at its own rate and weight it gains nothing that we see": both(
        no_clear_difference("cal", "joint-unimodal, CAL's options"),
        behind("cal", "joint-unimodal, CAL's options"),
    ),
    "at T = 1/20 W ends at 0.81; swapped and inverse have the higher means, not clearly": both(
        worth("cal, uneven", 0.81, "contribution_audio"),
        behind("cal, uneven", "cal, swapped, uneven"),
        no_clear_difference("cal, uneven", "cal, swapped, uneven"),
        behind("acceleration only, uneven", "inverse acceleration, uneven"),
        no_clear_difference("acceleration only, uneven", "inverse acceleration, uneven"),
    ),
    "corrupted: clipped, all arms keep all five seeds": both(
        *(seeds_lost(row, 0, under=0.6, **CORRUPTED) for row in CLIPPED)
    ),
    "the clip was chosen on validation of corrupted": best_on_validation(
        "cal, clipped", clip=5, **CORRUPTED
    ),
    "corrupted: clipped, CAL is clearly above joint concat, which is not clipped": above(
        "cal, clipped", "joint", **CORRUPTED
    ),
    "corrupted: clipped, it differs from no uniform twin, nor from clipped unimodal losses": each(
        no_clear_difference,
        "cal, clipped",
        [row for row in CLIPPED if row != "cal, clipped"],
        **CORRUPTED,
    ),
    "the picture alone is far above joint concat's, level with the unimodal losses'": both(
        above("cal", "joint", PICTURE, by=20), no_clear_difference("cal", "joint-unimodal", PICTURE)
    ),
    "that compression raises the picture's W is not clear: from 0.42 to 0.43": both(
        worth(BASE, 0.58, "contribution_audio"),
        worth("compression only", 0.57, "contribution_audio"),
        no_clear_difference(BASE, "compression only", "contribution_audio"),
    ),
    "nor does compression raise the picture alone clearly": not_above(
        "compression only", BASE, PICTURE
    ),
    "at ten times the charge the picture's mean W is lower": ahead(
        "cal, beta x 10", BASE, "contribution_audio"
    ),
    "a tenth of the charge does as well": no_clear_difference("cal", "cal, beta / 10"),
    "ten times the charge costs a point, by an interval that holds 0": both(
        about("cal", "cal, beta x 10", points=1), no_clear_difference("cal", "cal, beta x 10")
    ),
    "flipped: W of the sound is below one half in every seed, on train and on test": both(
        every_seed("cal", "contribution_audio", under=0.5, scenario="flipped"),
        every_seed("cal", "contribution_test", under=0.5, scenario="flipped"),
    ),
    "on test samples W has the right order in all 20 runs, on train in 15": both(
        *(
            right_order(
                "cal",
                score,
                number,
                {"imbalanced": "cal", "balanced": "cal", "flipped": "cal"}
                | {"corrupted": "cal, clipped"},
            )
            for score, number in (("contribution_test", 20), ("contribution_audio", 15))
        )
    ),
    "balanced: the picture is ahead by far, and on train W is near one half": both(
        above("cal", "cal", PICTURE, against=SOUND, by=5, scenario="balanced"),
        worth("cal", 0.5, "contribution_audio", scenario="balanced"),
    ),
    "corrupted: low confidence finds practically every ruined sound, 0.9 of the pictures": both(
        every_seed("cal, clipped", "auc_confidence_audio", over=0.99, **CORRUPTED),
        every_seed("cal, clipped", "auc_confidence_visual", over=0.9, **CORRUPTED),
    ),
    "corrupted: information finds ruined ones less often; W lies between": both(
        *(
            above("cal, clipped", "cal, clipped", better + m, worse + m, **CORRUPTED)
            for m in ("_audio", "_visual")
            for better, worse in (
                ("auc_confidence", "auc_contribution"),
                ("auc_contribution", "auc_information"),
            )
        )
    ),
}

LESSON_7 = {
    "a noisy picture costs little: of no network more than a tenth": both(
        *(every_seed(row, drop(GAUSSIAN), under=0.1) for row in NETWORKS)
    ),
    "noise in the sound costs little at 0 dB: of no network more than a sixth": both(
        *(every_seed(row, drop("audio white-noise, 5"), under=0.167) for row in NETWORKS)
    ),
    "at -10 dB every network trained on clean data falls to about one half": both(
        *(every_seed(row, fused(NOISY_SOUND), over=0.4, under=0.6) for row in CLEAN_TRAINED)
    ),
    "on a noisy sound unimodal losses are right in one of six, hardly above chance": worth(
        "joint-unimodal", 0.16, where_hit(NOISY_SOUND)
    ),
    "the picture's own logits are right in two of three": worth("joint-unimodal", 0.65, PICTURE),
    "noise is worse than a blank input: with the sound dropped ten points more are left": both(
        above("joint-unimodal", "joint-unimodal", fused(NO_SOUND), fused(NOISY_SOUND)),
        about("joint-unimodal", "joint-unimodal", fused(NO_SOUND), fused(NOISY_SOUND), points=10),
    ),
    "mean of six: no method's drop is clearly smaller than that of unimodal losses or joint": both(
        each(not_below, CLEAN_TRAINED[2:], ["joint", "joint-unimodal"], drop(*SIX)),
        no_clear_difference("joint", "joint-unimodal", drop(*SIX)),
    ),
    "mean of six: only that of training with noise is, far": each(
        below, "trained with noise", ["joint", "joint-unimodal"], drop(*SIX), by=5
    ),
    "mean of six: the gap loss loses clearly more than both": each(
        above, "gap", ["joint", "joint-unimodal"], drop(*SIX)
    ),
    "mean of six: three others lose clearly more than joint, none more than unimodal": both(
        each(above, ["valuation", "boosting", "both uniform"], "joint", drop(*SIX)),
        each(not_above, ["valuation", "boosting", "both uniform"], "joint-unimodal", drop(*SIX)),
        each(
            not_above,
            ["joint-unimodal", "ensemble", "ogm-ge", "detached", "cal", "modality-dropout"],
            "joint",
            drop(*SIX),
        ),
    ),
    "picture noise: joint's drop is clearly smaller, and seven points less are left": both(
        below("joint", "joint-unimodal", drop(GAUSSIAN)),
        below("joint", "joint-unimodal", fused(GAUSSIAN)),
        about("joint", "joint-unimodal", fused(GAUSSIAN), points=-7),
    ),
    "without a sound joint and OGM-GE fall deepest, joint eight points deeper": both(
        highest("joint", [x for x in NETWORKS if x != "ogm-ge"], drop(NO_SOUND)),
        highest("ogm-ge", [x for x in NETWORKS if x != "joint"], drop(NO_SOUND)),
        above("joint", "joint-unimodal", drop(NO_SOUND)),
        about("joint", "joint-unimodal", drop(NO_SOUND), points=8),
    ),
    "picture attacked: valuation keeps clearly more than the base, nine points": both(
        above("valuation", "joint-unimodal", fused("visual pgd, 10")),
        about("valuation", "joint-unimodal", fused("visual pgd, 10"), points=9),
    ),
    "picture attacked: detached keeps clearly more, six points": both(
        above("detached", "joint-unimodal", fused("visual pgd, 10")),
        about("detached", "joint-unimodal", fused("visual pgd, 10"), points=6),
    ),
    "picture attacked: boosting and gap keep clearly less, 15 and 18 points": both(
        each(below, ["boosting", "gap"], "joint-unimodal", fused("visual pgd, 10"), by=5),
        about("boosting", "joint-unimodal", fused("visual pgd, 10"), points=-15),
        about("gap", "joint-unimodal", fused("visual pgd, 10"), points=-18),
    ),
    "trained with noise, most of the error of calibration under that noise is gone": both(
        below("trained with noise", "joint-unimodal", "error both noisy, 10", by=25),
        times("trained with noise", "joint-unimodal", 0.3, "error both noisy, 10"),
    ),
    "detached takes off a few points of that error, clearly, clean and noisy": both(
        below("detached", "joint-unimodal", "error clean"),
        below("detached", "joint-unimodal", "error both noisy, 10"),
    ),
    "CAL takes off none that we see": both(
        not_below("cal", "joint-unimodal", "error clean"),
        not_below("cal", "joint-unimodal", "error both noisy, 10"),
    ),
    "training with noise buys 26 points under its own noise, for five on clean data": both(
        above("trained with noise", "joint-unimodal", fused(NOISY), by=20),
        about("trained with noise", "joint-unimodal", fused(NOISY), points=26),
        below("trained with noise", "joint-unimodal", fused("clean")),
        about("trained with noise", "joint-unimodal", fused("clean"), points=-5),
    ),
    "it does not carry over: no clear gain with a modality dropped or under attack": both(
        *(
            not_above("trained with noise", "joint-unimodal", fused(x))
            for x in (NO_PICTURE, NO_SOUND, "both pgd, 10")
        )
    ),
    "under salt and pepper it ends clearly below its base": below(
        "trained with noise", "joint-unimodal", fused(SALT)
    ),
    "by certainty, the base pays a point and a half clean and half a point noisy": both(
        *(below("joint-unimodal", "joint-unimodal", certain(x), fused(x)) for x in PLACES[:2]),
        about("joint-unimodal", "joint-unimodal", certain("clean"), fused("clean"), points=-1.5),
        about("joint-unimodal", "joint-unimodal", certain(NOISY), fused(NOISY), points=-0.6),
    ),
    "by certainty, with the sound dropped it gains five, and the interval holds 0": both(
        about("joint-unimodal", "joint-unimodal", certain(NO_SOUND), fused(NO_SOUND), points=5),
        no_clear_difference("joint-unimodal", "joint-unimodal", certain(NO_SOUND), fused(NO_SOUND)),
    ),
    "the bottleneck changes nothing that we see, asymmetric or not, but for attacks": both(
        *(
            each(no_clear_difference, ["cal", "both uniform"], "joint-unimodal", fused(x))
            for x in PLACES[:5]
        )
    ),
    "of PGD on both it leaves clearly more, 0.21 in place of 0.12; its twin does as well": both(
        each(above, ["cal", "both uniform"], "joint-unimodal", fused("both pgd, 10")),
        worth("cal", 0.21, fused("both pgd, 10")),
        worth("joint-unimodal", 0.12, fused("both pgd, 10")),
        no_clear_difference("cal", "both uniform", fused("both pgd, 10")),
    ),
    "modality dropout gains nothing clear anywhere": both(
        *(not_above("modality-dropout", "joint-unimodal", fused(x)) for x in PLACES)
    ),
    "certainty costs all twelve on clean data, OGM-GE and joint most": both(
        *(below(row, row, certain("clean"), fused("clean")) for row in NETWORKS),
        *(
            lowest(
                row, NETWORKS[1:3] + NETWORKS[4:], lambda x: x("certain clean") - x("fused clean")
            )
            for row in ("joint", "ogm-ge")
        ),
    ),
    "under noise certainty helps none": both(
        *(not_above(row, row, certain(NOISY), fused(NOISY)) for row in NETWORKS)
    ),
    "with the sound missing certainty helps five clearly, by about six points": both(
        *(above(row, row, certain(NO_SOUND), fused(NO_SOUND)) for row in RESCUED),
        *(
            mean_between(row, row, certain(NO_SOUND), fused(NO_SOUND), low=5.5, high=7)
            for row in RESCUED
        ),
    ),
    "with the sound missing it helps none of the others clearly": both(
        *(
            not_above(row, row, certain(NO_SOUND), fused(NO_SOUND))
            for row in NETWORKS
            if row not in RESCUED
        )
    ),
    "CAL's promise: under none of three noises a clearly smaller drop than joint's": both(
        *(not_below("cal", "joint", drop(x)) for x in (GAUSSIAN, NOISY_SOUND, NOISY))
    ),
    "CAL's promise: nor one that is clearly other than its symmetric twin's": both(
        *(
            no_clear_difference("cal", "both uniform", drop(x))
            for x in (GAUSSIAN, NOISY_SOUND, NOISY)
        )
    ),
    "CAL's promise: under picture noise it is clearly larger than joint's": above(
        "cal", "joint", drop(GAUSSIAN)
    ),
    "at severity 10 another training changes more than another noise": both(
        *(trainings_scatter_more(NETWORKS, noise) for noise in SIX)
    ),
    "unimodal losses, one line, bring eight points over joint": about(
        "joint-unimodal", "joint", points=8
    ),
    "no method ends clearly above unimodal losses": each(not_above, METHODS[1:], "joint-unimodal"),
    "of the methods only OGM-GE ends clearly below them": both(
        below("ogm-ge", "joint-unimodal"),
        each(not_below, [m for m in METHODS[1:] if m != "ogm-ge"], "joint-unimodal"),
    ),
    "two networks trained apart have the highest mean of all rows": best_of_all(["ensemble"]),
    "of six methods none is clearly above its own control": both(
        *(not_above(*pair) for pair in CONTROL_OF.items())
    ),
    "the gap loss is clearly below its own, none of the others is": both(
        below("gap", CONTROL_OF["gap"]),
        *(not_below(*pair) for pair in CONTROL_OF.items() if pair[0] != "gap"),
    ),
    "more updates of unimodal losses gain nothing clear": each(
        not_above, ["joint-unimodal, same steps", "joint-unimodal, 45 epochs"], "joint-unimodal"
    ),
    "corrupted: no method is clearly better than unimodal losses": each(
        not_above, METHODS[1:], "joint-unimodal", **CORRUPTED
    ),
    "corrupted: OGM-GE, boosting and the gap loss are clearly worse, the others not": both(
        each(below, ["ogm-ge", "boosting", "gap"], "joint-unimodal", **CORRUPTED),
        each(
            not_below, ["ensemble", "valuation", "detached", "cal"], "joint-unimodal", **CORRUPTED
        ),
    ),
    "corrupted: only boosting beats its own control, and it ends lowest of the nine": both(
        above("boosting", CONTROL_OF["boosting"], **CORRUPTED),
        *(not_above(*pair, **CORRUPTED) for pair in CONTROL_OF.items() if pair[0] != "boosting"),
        lowest("boosting", ["joint", *METHODS], **CORRUPTED),
    ),
    "corrupted: CAL, its control and modality dropout fall far back in two seeds": both(
        *(
            seeds_lost(row, 2, "fused", under=0.66, **CORRUPTED)
            for row in ("cal", "both uniform", "modality-dropout")
        )
    ),
    "corrupted: training with noise ends lowest of the twelve, clearly below joint": both(
        lowest("trained with noise", NETWORKS, **CORRUPTED),
        below("trained with noise", "joint", **CORRUPTED),
    ),
    "corrupted: a clipped gradient mends CAL and its control": both(
        *(every_seed(f"{x}, clipped", over=0.75, **CORRUPTED) for x in ("cal", "both uniform"))
    ),
    "corrupted: of the five best rows four have a clipped gradient": best_of_all(
        ["valuation, mean filler", "bottlenecks, clipped", "joint-unimodal, clipped"]
        + ["joint-unimodal, CAL's options, clipped", "both uniform, clipped"],
        **CORRUPTED,
    ),
    "corrupted: more updates do not help unimodal losses; three times the epochs harm": both(
        not_above("joint-unimodal, same steps", "joint-unimodal", **CORRUPTED),
        below("joint-unimodal, 45 epochs", "joint-unimodal", **CORRUPTED),
    ),
    "gap loss and valuation pass two to three times as many samples through the network": both(
        times("gap", "joint", 2, seen), times("valuation", "joint", 3, seen)
    ),
    "the candidate is the best combination, a thousandth behind one single method": both(
        order_on_validation(
            "gap, one-sided", "valuation + unimodal losses", "two networks + gap loss", closer=0.3
        ),
        order_on_validation("valuation + unimodal losses", "two networks + unimodal losses"),
        order_on_validation("valuation + unimodal losses", "dropout + unimodal losses"),
        order_on_validation("gap, one-sided", "joint-unimodal", "detached"),
    ),
    "the candidate is clearly above five methods, unimodal losses by under a point": both(
        each(
            above,
            "valuation + unimodal losses",
            ["joint", "joint-unimodal", "ogm-ge", "boosting", "gap"],
        ),
        about("valuation + unimodal losses", "joint-unimodal", points=0.8),
    ),
    "the candidate is not clearly above the other methods": each(
        not_above,
        "valuation + unimodal losses",
        ["ensemble", "valuation", "detached", "cal", "gap, one-sided"],
    ),
    "unimodal losses with more updates, and random copies, do as well as the candidate": each(
        no_clear_difference,
        "valuation + unimodal losses",
        ["joint-unimodal, same steps", "random copies + unimodal losses"],
    ),
    "no other combination is clearly above the base, none above its control": both(
        each(
            not_above,
            ["two networks + unimodal losses", "two networks + gap loss"]
            + ["dropout + unimodal losses"],
            "joint-unimodal",
        ),
        not_above("two networks + unimodal losses", "ensemble"),
        not_above("two networks + gap loss", "two networks, permuted posterior"),
    ),
    "corrupted: no combination is clearly above the base, two networks clearly below": both(
        each(
            not_above,
            ["valuation + unimodal losses", "dropout + unimodal losses"],
            "joint-unimodal",
            **CORRUPTED,
        ),
        each(
            below,
            ["two networks + unimodal losses", "two networks + gap loss"],
            "joint-unimodal",
            **CORRUPTED,
        ),
    ),
}

README = {
    "figure: beside a sound the picture's encoder learns far less than alone": above(
        "ensemble", "joint", PICTURE_PROBE, by=15
    ),
    "figure: two networks that never met beat the one trained on both": above("ensemble", "joint"),
    "all methods but OGM-GE are clearly above joint concat, by about seven to ten points": both(
        each(above, [m for m in METHODS if m != "ogm-ge"], "joint", by=4),
        each(mean_between, [m for m in METHODS if m != "ogm-ge"], "joint", low=6.5, high=10.5),
    ),
    "so are most of their controls": each(
        above,
        ["valuation-random-samples", "boosting-base", "no contrast"]
        + ["gap, permuted posterior", "both uniform"],
        "joint",
        by=4,
    ),
    "OGM-GE is not above joint concat": not_above("ogm-ge", "joint"),
    "corrupted: CAL and its control lose two seeds each, which a clipped gradient mends": both(
        *(seeds_lost(row, 2, **CORRUPTED) for row in ("cal", "both uniform")),
        *(seeds_lost(f"{row}, clipped", 0, **CORRUPTED) for row in ("cal", "both uniform")),
    ),
    "the last pair is the combination that did best on validation": both(
        *(
            order_on_validation("valuation + unimodal losses", other)
            for other in ("two networks + gap loss", "two networks + unimodal losses")
        ),
        order_on_validation("valuation + unimodal losses", "dropout + unimodal losses"),
    ),
    "a cheap control does as well as each method: none is clearly above its own": both(
        *(not_above(*pair) for pair in CONTROL_OF.items())
    ),
}

VOICES = {"world": HUMAN}
STRANGERS_KNOWN = VOICES | {"scenario": KNOWN}
BOTH_WORLDS = ({}, VOICES, CORRUPTED, CORRUPTED | VOICES)
BENCH_LAST = "valuation + unimodal losses"
FIVE = ["valuation", "boosting", "detached", "gap", "cal"]
TWO_WORLDS = {
    "the picture's probe is about 22 points lower beside a sound, with human voices 21": both(
        about("joint", "ensemble", PICTURE_PROBE, points=-22),
        about("joint", "ensemble", PICTURE_PROBE, points=-21, **VOICES),
        *(below("joint", "ensemble", PICTURE_PROBE, by=15, **where) for where in ({}, VOICES)),
    ),
    "unimodal losses, two networks: clearly above joint concat, by eight to fourteen points": both(
        *(
            each(word, ["joint-unimodal", "ensemble"], "joint", **numbers, **where)
            for where in ({}, VOICES)
            for word, numbers in ((above, {"by": 5}), (mean_between, {"low": 8, "high": 14.5}))
        )
    ),
    "between these two no difference shows": both(
        *(no_clear_difference("ensemble", "joint-unimodal", **where) for where in BOTH_WORLDS)
    ),
    "none of the five methods is clearly above unimodal losses, clean or corrupted": both(
        *(each(not_above, FIVE, "joint-unimodal", **where) for where in BOTH_WORLDS)
    ),
    "OGM-GE is not above joint concat; corrupted: clearly below it, and below its own noise": both(
        *(not_above("ogm-ge", "joint", **where) for where in ({}, VOICES)),
        *(
            each(below, "ogm-ge", ["joint", "ogm-ge-noise"], **where)
            for where in (CORRUPTED, CORRUPTED | VOICES)
        ),
    ),
    "corrupted: the gap loss is clearly below unimodal losses with synthetic voices alone": both(
        below("gap", "joint-unimodal", **CORRUPTED),
        no_clear_difference("gap", "joint-unimodal", **(CORRUPTED | VOICES)),
    ),
    "under noise none of the five is clearly above unimodal losses": both(
        *(each(not_above, FIVE, "joint-unimodal", "noisy", **where) for where in ({}, VOICES))
    ),
    "corrupted: a clipped gradient helps unimodal losses, just clearly": above(
        "joint-unimodal, clipped", "joint-unimodal", **CORRUPTED
    ),
    "training with noise helps under noise and costs accuracy on clean data": both(
        *(above("trained with noise", "joint-unimodal", "noisy", by=5, **w) for w in ({}, VOICES)),
        *(below("trained with noise", "joint-unimodal", **w) for w in ({}, VOICES)),
    ),
    "corrupted: boosting is clearly below unimodal losses": both(
        *(below("boosting", "joint-unimodal", **w) for w in (CORRUPTED, CORRUPTED | VOICES))
    ),
    "only boosting is clearly above its control, and with synthetic voices alone": both(
        above("boosting", "base, weak loss x 3"),
        *(
            not_above(method, control, **where)
            for method, control in BENCH.items()
            if control
            for where in BOTH_WORLDS
            if (method, where) != ("boosting", {})
        ),
    ),
    "with human voices boosting is clearly above its own base, with synthetic ones not": both(
        above("boosting", "boosting-base", **VOICES), not_above("boosting", "boosting-base")
    ),
    "posteriors at random do clearly better than the mixture's, with synthetic voices only": both(
        above("gap, permuted posterior", "gap"),
        no_clear_difference("gap, permuted posterior", "gap", **VOICES),
    ),
    "OGM-GE's brake lifts the picture's probe with human voices only, where alpha is 0.8": both(
        above("ogm-ge", "ogm-ge-noise", PICTURE_PROBE, by=5, **VOICES),
        no_clear_difference("ogm-ge", "ogm-ge-noise", PICTURE_PROBE),
    ),
    "with copies at random unimodal losses are clearly above those alone, human voices only": both(
        above("random copies + unimodal losses", "joint-unimodal", **VOICES),
        no_clear_difference("random copies + unimodal losses", "joint-unimodal"),
        *(
            no_clear_difference(
                "valuation + unimodal losses", "random copies + unimodal losses", **w
            )
            for w in ({}, VOICES)
        ),
    ),
    "figure, human voices: 11 to 15 points above joint concat, the controls 8 to 15": both(
        each(mean_between, [*FIVE, BENCH_LAST], "joint", low=11, high=15.5, **VOICES),
        *(
            mean_between(control, "joint", low=7.9, high=15.5, **VOICES)
            for method, control in BENCH.items()
            if control and method != "ogm-ge"
        ),
    ),
    "joint concat has 68 % among strangers, 95 % among speakers that it knows": both(
        worth("joint", 0.68, **VOICES), worth("joint", 0.95, **STRANGERS_KNOWN)
    ),
    "unimodal losses bring 12 points among strangers, 2 among known speakers": both(
        about("joint-unimodal", "joint", points=12, **VOICES),
        about("joint-unimodal", "joint", points=2, **STRANGERS_KNOWN),
        above("joint-unimodal", "joint", **STRANGERS_KNOWN),
    ),
}

CLAIMS = {
    f"{place}: {statement}": claim
    for place, claims in (
        ("lesson 1", LESSON_1),
        ("lesson 2", LESSON_2),
        ("lesson 3", LESSON_3),
        ("lesson 4", LESSON_4),
        ("lesson 5", LESSON_5),
        ("lesson 6", LESSON_6),
        ("lesson 7", LESSON_7),
        ("README", README),
        ("README, both worlds", TWO_WORLDS),
    )
    for statement, claim in claims.items()
}


@pytest.fixture(scope="module")
def worlds():
    try:
        return {world.name: world for world in read_worlds(ROOT / "assets" / "results")}
    except (FileNotFoundError, ValueError) as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("statement", CLAIMS)
def test_the_tables_bear_it(worlds, statement):
    so, numbers = CLAIMS[statement](worlds)
    assert so, f"{statement}. But: {numbers}"


def test_what_a_table_does_not_hold_is_no_verdict(worlds):
    for claim in (above("no such row", "joint"), worth("joint", 0.8, "no such column")):
        with pytest.raises(AssertionError, match="no such"):
            claim(worlds)


def test_every_lesson_that_reads_a_table_has_claims():
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        code = "".join(cell.source for cell in cells if cell.cell_type == "code")
        place = f"lesson {int(path.name[:2])}: "
        reads = bool(re.search(r"read_csv\(RESULTS|evidence\.lessons", code))
        assert reads == any(statement.startswith(place) for statement in CLAIMS), path.name
