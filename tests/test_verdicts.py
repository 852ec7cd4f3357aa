"""Every word of `test_claims.py` can hold, and can fail, on numbers that are planted."""

import json
from pathlib import Path

import pandas as pd
import pytest

import verdicts
from mmlib.evidence.studies import HUMAN, SEEDS, STUDIES, SYNTHETIC
from mmlib.evidence.worlds import World
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
    each,
    every_seed,
    further_ahead,
    highest,
    lowest,
    mean_between,
    no_clear_difference,
    not_above,
    not_below,
    on_validation,
    order_on_validation,
    right_order,
    seeds_lost,
    times,
    trainings_scatter_more,
    where_lost,
    within,
    worth,
)


def planted(**rows: list[float]) -> dict[str, World]:
    """Worlds with these rows, `fused` a seed; the sound alone is the same, the picture one half.

    `hiss` takes nothing, a tenth or two tenths away, by the noise's seed.
    """
    index = pd.Index(SEEDS, name="seed")
    tables = {
        ("imbalanced", name): pd.DataFrame({"fused": x, "audio": x, "visual": 0.5}, index=index)
        for name, x in rows.items()
    }
    for table in tables.values():
        for k in range(3):
            table[f"fused hiss, seed {k}"] = table["fused"] - 0.1 * k
    tuning = [
        {"scenario": "imbalanced", "method": name, "options": json.dumps({"lr": lr}), "seed": seed}
        | {"fused": lr + share}
        for name, share in (("high", 0.5), ("low", 0.3))
        for lr in (0.1, 0.2)
        for seed in STUDIES[SYNTHETIC].tuning_seeds
    ]
    return {SYNTHETIC: World(SYNTHETIC, Path(), tables, pd.DataFrame(tuning), {})}


PLANTED = planted(
    low=[0.6, 0.61, 0.59, 0.6, 0.6],
    high=[0.7, 0.7, 0.7, 0.71, 0.7],
    wide=[0.3, 0.9, 0.4, 0.8, 0.62],
)
# word -> a claim that PLANTED bears, and claims that it does not
WORDS = {
    "above": [above("high", "low", by=8), above("high", "low", by=11), above("wide", "low")],
    "below": [below("low", "high", by=8), below("low", "high", by=11), below("high", "low")],
    "no_clear_difference": [no_clear_difference("wide", "low"), no_clear_difference("high", "low")],
    "not_above": [not_above("low", "high"), not_above("high", "low")],
    "not_below": [not_below("wide", "high"), not_below("low", "high")],
    "between": [
        between("high", "low", low=8, high=13),
        between("high", "low", low=10.1, high=13),
        between("high", "low", low=8, high=10.3),
    ],
    "within": [within("high", "low", points=12), within("wide", "low", points=12)],
    "about": [
        about("high", "low", points=10),
        about("high", "low", points=9),
        about("high", "low", points=10.1),
    ],
    "mean_between": [
        mean_between("wide", "low", low=0, high=1),
        mean_between("wide", "low", low=1, high=9),
    ],
    "ahead": [ahead("wide", "low"), ahead("low", "high")],
    "behind": [behind("low", "high"), behind("wide", "low")],
    "further_ahead": [
        further_ahead(*(("high", row, "fused", "imbalanced") for row in ("low", "wide"))),
        further_ahead(*(("high", row, "fused", "imbalanced") for row in ("wide", "low"))),
    ],
    "worth": [worth("high", 0.7), worth("high", 0.71)],
    "times": [times("high", "low", 1.17, "fused"), times("high", "low", 1.2001, "fused")],
    "highest": [highest("high", ["low", "wide"]), highest("wide", ["low", "high"])],
    "lowest": [lowest("low", ["high", "wide"]), lowest("wide", ["low", "high"])],
    "best_of_all": [best_of_all(["high", "wide"]), best_of_all(["low", "high"])],
    "trainings_scatter_more": [
        trainings_scatter_more(["wide"], "hiss"),
        trainings_scatter_more(["low"], "hiss"),
    ],
    "every_seed": [
        every_seed("high", over=0.65, under=0.72),
        every_seed("high", over=0.7),
        every_seed("wide", under=0.9),
    ],
    "seeds_lost": [seeds_lost("wide", 2), seeds_lost("wide", 1), seeds_lost("high", 1)],
    "where_lost": [
        where_lost("wide", "fused", under=0.45),
        where_lost("wide", "fused", under=0.35),
        where_lost("high", "fused", under=1),  # no seed is lost
    ],
    "right_order": [
        right_order("wide", "fused", 5, {"imbalanced": "wide"}),
        right_order("wide", "visual", 5, {"imbalanced": "wide"}),
    ],
    "best_on_validation": [
        best_on_validation("high", lr=0.2),
        best_on_validation("high", lr=0.1),
    ],
    "at_every_rate": [
        at_every_rate("high", "low", by=19),
        at_every_rate("high", "low", by=21),
        at_every_rate("low", "high"),
    ],
    "order_on_validation": [
        order_on_validation("high", "low"),
        order_on_validation("low", "high"),
        order_on_validation("high", "low", closer=10),
    ],
    "on_validation": [
        above(on_validation("high", lr=0.2), 0.6),
        above(on_validation("high", lr=0.1), 0.6),
    ],
    "each": [each(above, "high", ["low", 0.6]), each(above, "high", ["low", "wide"])],
    "both": [
        both(ahead("high", "low"), ahead("wide", "low")),
        both(ahead("high", "low"), ahead("low", "wide")),
    ],
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_can_hold_and_can_fail(word):
    holds, *others = (claim(PLANTED) for claim in WORDS[word])
    assert holds[0], holds[1]
    assert others
    assert not [text for so, text in others if so]


def test_no_word_is_left_out():
    named = {
        name
        for name, word in vars(verdicts).items()
        if getattr(word, "__annotations__", {}).get("return") is verdicts.Claim
    }
    assert len(named) > 20
    assert named <= WORDS.keys()


def test_another_world_is_asked_by_its_name():
    worlds = PLANTED | {HUMAN: planted(high=[0.5] * 5, low=[0.6] * 5)[SYNTHETIC]}
    assert above("high", "low")(worlds)[0]
    assert below("high", "low", world=HUMAN)(worlds)[0]
    with pytest.raises(AssertionError, match="wide"):
        above("high", "wide", world=HUMAN)(worlds)


def test_scores_that_are_made_of_columns():
    table = {"fused clean": 0.8, "fused hiss, 10": 0.6, "fused hum, 10": 0.5, "fused": 0.8}
    table |= {"audio": 0.7, "visual": 0.5, "samples": 100, "looked_at": 30}
    assert verdicts.drop("hiss, 10")(table.get) == pytest.approx(1 / 4)
    assert verdicts.drop("hiss, 10", "hum, 10")(table.get) == pytest.approx(5 / 16)
    assert verdicts.where_hit("hiss, 10")(table.get) == pytest.approx(0.4)
    assert verdicts.missing(0.5)(table.get) == pytest.approx(0.7)
    assert verdicts.seen(table.get) == 130
