"""All methods side by side: what the README says is what the tables hold."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmlib.data import AVDigits
from mmlib.evaluation import accuracy, collect, paired_interval
from mmlib.evidence import bench, studies
from mmlib.evidence import runs as results
from mmlib.evidence.costs import over_joint
from mmlib.evidence.worlds import NOISES, with_noise_means

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "assets/results"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tables, with a second world made up of them: CAL is above joint by 1 to 5 points."""
    folder = tmp_path_factory.mktemp("course") / "assets/results"
    shutil.copytree(TABLES, folder, ignore=shutil.ignore_patterns("human-voices"))
    study = studies.STUDIES[studies.HUMAN]
    other = folder / study.place
    other.mkdir()
    tried = pd.read_csv(TABLES / "tuning.csv").query("method == 'cal' and seed == 100")
    tried = pd.concat(tried.assign(seed=seed) for seed in study.tuning_seeds)
    tried.to_csv(other / "tuning.csv", index=False)
    for name in ("baselines", "cal", "noise"):
        shutil.copy(TABLES / f"{name}.json", other)
        rows = pd.read_csv(TABLES / f"{name}.csv").query("method in ('joint', 'ensemble', 'cal')")
        rows["fused"] = 0.7
        rows.loc[rows["method"] == "cal", "fused"] = 0.71 + rows["seed"] / 100
        rows[[c for c in rows if c.startswith("fused ")]] = 0.35
        if "fused clean" in rows:
            rows["fused clean"] = rows["fused"]
        rows.query("scenario != 'flipped'").to_csv(other / f"{name}.csv", index=False)
    return folder


def test_the_readme_holds_the_bench_as_the_tables_have_it():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = readme.split(bench.START)[1].split(bench.END)[0].strip()
    wanted = bench.markdown(bench.bench(TABLES), over_joint(TABLES))
    assert written == wanted, "make results renews the README's table"


def test_a_row_of_the_bench_by_hand(folder):
    table = bench.bench(folder)[studies.SYNTHETIC]
    cal, joint = (
        pd.read_csv(TABLES / f"{name}.csv").query("method == @method").sort_values("seed")
        for name, method in (("cal", "cal"), ("baselines", "joint"))
    )
    clean = [rows[rows["scenario"] == "imbalanced"]["fused"] for rows in (cal, joint)]
    assert table.loc["cal", "fused"] == pytest.approx(100 * clean[0].mean())
    wanted = [100 * x for x in paired_interval(*clean)]
    assert table.loc["cal", ["over", "low", "high"]].tolist() == pytest.approx(wanted)
    corrupted = cal[cal["scenario"] == "corrupted"]["fused"]
    assert table.loc["cal", "corrupted"] == pytest.approx(100 * corrupted.mean())
    assert table.loc["joint", ["over", "low", "high"]].isna().all()


def test_a_row_of_the_second_world_by_hand(folder):
    table = bench.bench(folder)[studies.HUMAN]
    # differences of 1 to 5 points: mean 3, deviation 1.5811; t is 2.7764 at 4 degrees of freedom
    half = 2.7764 * 1.5811 / 5**0.5
    row = table.loc["cal"]
    assert row["fused"] == pytest.approx(73) and row["corrupted"] == pytest.approx(73)
    assert row[["over", "low", "high"]].tolist() == pytest.approx([3, 3 - half, 3 + half], abs=1e-3)
    lost = sum(1 - 35 / clean for clean in (71, 72, 73, 74, 75)) / 5
    assert row["lost"] == pytest.approx(100 * lost)
    assert table.loc["gap"].isna().all()  # of which it has no table


def test_two_worlds_are_two_groups_of_columns(folder):
    tables, time = bench.bench(folder), {"joint": 1.0, "cal": 2.25}
    head, line, *rows = bench.markdown(tables, time).splitlines()
    group = "fused | over joint concat | *corrupted* | lost to noise"
    assert head == f"| | synthetic voices: {group} | human voices: {group} | time |"
    assert {row.count("|") for row in (head, line, *rows)} == {11} and "nan" not in "".join(rows)
    (cal,) = (row for row in rows if row.startswith("| **CAL with AIB"))
    assert cal.endswith(" | 73.0 | +3.0 (1.0 to 5.0) | 73.0 | 52.0 | 2.2x |")
    (gap,) = (row for row in rows if row.startswith("| **GMM gap loss"))
    assert gap.endswith(" |  |  |  |  |  |")
    alone = bench.markdown({studies.SYNTHETIC: tables[studies.SYNTHETIC]}, {})
    assert alone.splitlines()[:2] == [f"| | {group} |", "|---|--:|--:|--:|--:|"]


def test_figures_and_readme_are_renewed(folder):
    readme = folder.parents[1] / "README.md"
    readme.write_text(f"before\n{bench.START}\nold\n{bench.END}\nafter\n", encoding="utf-8")
    bench.write_bench(folder)
    bench.draw_phenomenon(folder)
    table = bench.markdown(bench.bench(folder), over_joint(folder))
    wanted = f"before\n{bench.START}\n{table}\n{bench.END}\nafter\n"
    assert readme.read_text(encoding="utf-8") == wanted
    for name in ("bench", "phenomenon"):
        assert (folder.parent / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_method_is_the_combination_that_did_best_on_validation():
    tuning = pd.read_csv(TABLES / "tuning.csv")
    means = tuning.groupby(["method", "options"])["fused"].mean().groupby("method").max()
    combined = set(studies.TABLES["combinations"]["imbalanced"]) & set(studies.GRID)
    assert list(studies.BENCH)[-1] == means[list(combined)].idxmax()


def test_relative_drop_by_hand():
    noise = {"method": ["joint"], "seed": [0], "fused clean": [0.8]}
    for name in NOISES:
        for seed, value in enumerate((0.5, 0.7)):
            noise[f"fused {name}, 10, seed {seed}"] = [value]
        noise[f"fused {name}, 5, seed 0"] = [0.1]  # another severity
    assert with_noise_means(pd.DataFrame(noise))["lost"].tolist() == pytest.approx([0.25])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["boosting", "detached", "cal"])
def test_kept_networks_are_those_of_the_noise_table(method):
    test = AVDigits("test", seed=0)
    network = results.trained(method, TABLES, AVDigits("train", seed=0))
    row = pd.read_csv(TABLES / "noise.csv").query("method == @method and seed == 0")
    found = accuracy(collect(network.predict, test)["fused"], test.target)
    assert found == pytest.approx(row["fused clean"].item(), abs=0.003)


def test_no_network_of_a_method_that_is_not_in_the_table():
    with pytest.raises(ValueError, match="method is 'joint-late'; choose one of joint, "):
        results.trained("joint-late", TABLES, AVDigits("train", size=8))
