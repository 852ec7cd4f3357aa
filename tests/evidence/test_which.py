"""The page that says which method to try: its words follow its intervals."""

import re
from pathlib import Path

import pandas as pd
import pytest

from mmlib.evidence.arms import ARMS
from mmlib.evidence.situations import SITUATIONS, WORTH
from mmlib.evidence.studies import HUMAN, KNOWN, STUDIES, SYNTHETIC
from mmlib.evidence.verdicts import ROWS, Asked, filled, verdict
from mmlib.evidence.which import picks, which_page
from mmlib.evidence.worlds import World

PAGES = Path(__file__).parents[2] / "assets/evidence"
CLEAN, CORRUPTED, NOISY, FEW = SITUATIONS
SPREAD = [0.0, 0.01, -0.01, 0.02, -0.02]  # of five seeds; a deviation of 0.0158
COSTS = {"joint": 1.0, "joint-unimodal": 1.1, "ensemble": 0.9, "valuation": 1.6}


def world(name, fused, **columns):
    """A world with tables of these means: `fused` is (scenario, row) -> mean."""
    rows = {}
    for at, key in enumerate(sorted(fused)):
        turned = SPREAD[at % 5 :] + SPREAD[: at % 5]
        rows[key] = pd.DataFrame({"fused": [fused[key] + x for x in turned]}, range(5))
        for column, means in columns.items():
            if key in means:
                rows[key][column] = [means[key] + x for x in turned]
    return World(name, PAGES, rows, pd.DataFrame(), {})


def means_of(scenario, **changed):
    """Every row that a reader may choose, at 0.8 but for `changed`."""
    names = {row.replace("-", "_"): row for row in ROWS}
    return {(scenario, row): changed.get(name, 0.8) for name, row in names.items()}


def section(page, title):
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


def test_numbers_by_hand():
    """Differences 1, 2, 3, 4 and 5 points: mean 3, half width 2.776 * 1.5811 / sqrt(5)."""
    rows = {
        ("imbalanced", row): pd.DataFrame({"fused": values}, range(5))
        for row, values in {
            "joint": [0.7] * 5,
            "joint-unimodal": [0.71, 0.72, 0.73, 0.74, 0.75],
            "ensemble": [0.75, 0.74, 0.73, 0.72, 0.71],
        }.items()
    }
    text = section(
        which_page([World(SYNTHETIC, PAGES, rows, pd.DataFrame(), {})], COSTS), "Clean data"
    )
    assert "| [joint + unimodal losses](baselines.md) | 73.0 | | 1.1x |" in text
    assert "| [joint concat](baselines.md) | 70.0 | **-3.0 (-5.0 to -1.0)** | 1.0x |" in text
    said = "*Joint + unimodal losses* against *joint concat*: clearly above, +3.0 (1.0 to 5.0)"
    assert (
        f"{said} with synthetic voices ([row `joint-unimodal`, *imbalanced*](baselines.md))" in text
    )
    # 4, 2, 0, -2 and -4 points: 2.776 * 3.1623 / sqrt(5)
    assert "no clear difference, +0.0 (-3.9 to 3.9) with synthetic voices" in text


@pytest.mark.parametrize(
    "interval, words",
    [((2.0, 0.1, 3.9), "clearly above"), ((2.0, -0.1, 4.1), "no clear difference")]
    + [((-2.0, -3.9, -0.1), "clearly below")],
)
def test_words_follow_the_interval(interval, words):
    mean, low, high = interval
    assert (
        verdict({"here": interval}) == f"{words}, {mean:+.1f} ({low:.1f} to {high:.1f}) with here"
    )


def test_worlds_of_one_verdict_are_told_together():
    above, below, none = (5.0, 4.0, 6.0), (-5.0, -6.0, -4.0), (0.0, -1.0, 1.0)
    assert verdict({"a": above, "b": above}).count("clearly above") == 1
    assert verdict({"a": above, "b": below}) == (
        "clearly above, +5.0 (4.0 to 6.0) with a; clearly below, -5.0 (-6.0 to -4.0) with b"
    )
    assert "; no clear difference, +0.0 (-1.0 to 1.0) with b" in verdict({"a": above, "b": none})


@pytest.mark.parametrize(
    "both, wanted",
    [
        ((0.9, 0.9), ["joint-unimodal", "ensemble"]),
        ((0.9, 0.95), ["ensemble"]),
        ((0.95, 0.9), ["joint-unimodal"]),
        ((0.8, 0.9), ["ensemble"]),  # the other one is not above joint concat
        ((0.8, 0.8), ["joint"]),
        ((0.7, 0.7), ["joint"]),
    ],
)
def test_what_to_try_first_follows_the_intervals(both, wanted):
    losses, networks = both
    tables = means_of("imbalanced", joint_unimodal=losses, ensemble=networks)
    worlds = [world(SYNTHETIC, tables)]
    assert picks(CLEAN, Asked(worlds)) == wanted
    names = " or ".join(ARMS[row].name for row in wanted)
    assert f"**Try first: {names}.**" in section(which_page(worlds, COSTS), "Clean data")


def test_worlds_that_disagree_leave_both():
    one = world(SYNTHETIC, means_of("imbalanced", joint_unimodal=0.95, ensemble=0.9))
    other = world(HUMAN, means_of("imbalanced", joint_unimodal=0.9, ensemble=0.95))
    assert picks(CLEAN, Asked([one, other])) == ["joint-unimodal", "ensemble"]
    harm = world(HUMAN, means_of("imbalanced", joint_unimodal=0.7, ensemble=0.9))
    assert picks(CLEAN, Asked([one, harm])) == ["joint-unimodal", "ensemble"]


def test_what_more_brings_is_what_the_table_has_in_bold():
    tables = means_of("corrupted", joint_unimodal=0.85, boosting=0.7, cal=0.95, joint=0.6)
    text = section(which_page([world(SYNTHETIC, tables)], COSTS), "Corrupted data")
    (above,) = re.findall(r"- Clearly above .*", text)
    (below,) = re.findall(r"- Clearly below .*", text)
    assert "*CAL with AIB (our reading)* (synthetic voices)" in above and "boosting" not in above
    bold = set(re.findall(r"^\| \[(.+?)\]\S* \| \S+ \| \*\*-", text, re.MULTILINE))
    named = set(re.findall(r"\*([^*]+?)\*", below.split(": ", 1)[1]))
    assert named == bold - {"joint concat"} and "sustained boosting" in named
    rows = re.findall(r"^\| \[(.+?)\]", text, re.MULTILINE)
    assert rows[0] == "CAL with AIB (our reading)" and rows[-1] == "joint concat"  # best first
    assert "the most is 1.6x for [sample valuation](valuation.md)" in text


def test_few_voices_stand_beside_known_speakers():
    tables = means_of("imbalanced", joint=0.6, joint_unimodal=0.7)
    tables |= {(KNOWN, "joint"): 0.8, (KNOWN, "joint-unimodal"): 0.9, (KNOWN, "ensemble"): 0.9}
    page = which_page([world(SYNTHETIC, means_of("imbalanced")), world(HUMAN, tables)], COSTS)
    text = section(page, "Few voices")
    assert len(re.findall(r"^\| \[", text, re.MULTILINE)) == 3
    (line,) = re.findall(r"- Can you record .*", text)
    assert ": clearly above, +10.0 (" in line and "[row `joint`, *known speakers*]" in line
    assert SYNTHETIC not in text


def test_without_a_second_world_the_page_still_reads():
    page = which_page([world(SYNTHETIC, means_of("imbalanced"))], COSTS)
    assert "Clean data" in page and HUMAN not in page
    assert "## Few voices" not in page and "## Corrupted" not in page  # no such rows
    assert not set("{}") & set(page) and "nan" not in re.findall(r"\w+", page)


def test_time_that_was_not_measured_has_no_column():
    worlds = [world(SYNTHETIC, means_of("imbalanced"))]
    assert "| time |" in which_page(worlds, COSTS)
    page = which_page(worlds, {})
    assert "| time |" not in page and "Time, over joint" not in page


def test_a_sentence_without_its_number_is_left_out():
    asked = Asked([world(SYNTHETIC, means_of("imbalanced"))])
    assert filled("*A*: {imbalanced|fused|joint} and {corrupted|fused|joint}.", asked) == ""
    assert filled("*A*: {imbalanced|fused|cal}.", asked) == (
        "*A*: [80.0 %](cal.md) with synthetic voices."
    )


def test_chance_is_told_of_every_interval_once():
    page = which_page([world(SYNTHETIC, means_of("imbalanced", joint=0.6))], COSTS)
    shown = set(re.findall(r"[+-]\d+\.\d \(-?\d+\.\d to -?\d+\.\d\)", page))
    (count,) = re.findall(r"rests on (\d+) different intervals", page)
    assert int(count) == 11 >= len(shown)  # ten rows over the reference, one over joint concat


def fields():
    texts = [sentence for s in SITUATIONS for sentence in (*s.cost, *s.never)]
    texts += [sentence for sentences in WORTH.values() for sentence in sentences]
    return [found.split("|") for text in texts for found in re.findall(r"\{(.+?)\}", text)]


def test_every_field_names_a_row_that_a_world_trains():
    trained = {
        (scenario, row)
        for study in STUDIES.values()
        for table in study.tables.values()
        for scenario, rows in table.items()
        for row in rows
    }
    assert fields()
    for scenario, _, what in fields():
        row, _, against = what.partition(" over ")
        beside, _, other = against.rpartition(":")
        wanted = [(scenario, row)] + [(beside or scenario, other)] * bool(other)
        assert what == "worst" or set(wanted) <= trained, (scenario, what)


def test_no_number_is_typed():
    texts = [sentence for s in SITUATIONS for sentence in (*s.cost, *s.never)]
    texts += [sentence for sentences in WORTH.values() for sentence in sentences]
    words = " ".join(re.sub(r"\{.+?\}", "", text) for text in texts)
    assert set(re.findall(r"\d+", words)) == {"50", "64"}  # chance; the features of an encoder


def test_links_lead_to_files():
    tables = means_of("imbalanced") | means_of("corrupted")
    noisy = {"noisy": means_of("imbalanced"), "auc_audio": means_of("corrupted")}
    page = which_page([world(SYNTHETIC, tables, **noisy)], COSTS)
    links = set(re.findall(r"\]\((.+?)\)", page))
    assert {"noise.md", "valuation.md", "../../notebooks/02_sample_valuation.ipynb"} <= links
    assert all((PAGES / target).resolve().is_file() for target in links)
