"""All methods side by side: what the README says is what the tables hold."""

from pathlib import Path

import pandas as pd
import pytest

from mmlib.data import AVDigits
from mmlib.evaluation import accuracy, collect, paired_interval
from mmlib.evidence import bench, studies
from mmlib.evidence import runs as results

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "assets/results"


def test_the_readme_holds_the_bench_as_the_tables_have_it():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = readme.split(bench.START)[1].split(bench.END)[0].strip()
    assert written == bench.markdown(bench.bench(TABLES)), "make results renews the README's table"


def test_a_row_of_the_bench_by_hand():
    table = bench.bench(TABLES)
    rows = pd.read_csv(TABLES / "cal.csv").query("scenario == 'imbalanced' and method == 'cal'")
    joint = pd.read_csv(TABLES / "baselines.csv")
    joint = joint.query("scenario == 'imbalanced' and method == 'joint'")
    assert table.loc["cal", "fused"] == pytest.approx(100 * rows["fused"].mean())
    interval = paired_interval(
        rows.sort_values("seed")["fused"], joint.sort_values("seed")["fused"]
    )
    wanted = [100 * x for x in interval]
    assert table.loc["cal", ["over", "low", "high"]].tolist() == pytest.approx(wanted)
    assert table.loc["joint", "over"] == 0 and table.loc["joint", "visits"] == 1


def test_the_last_method_is_the_combination_that_did_best_on_validation():
    tuning = pd.read_csv(TABLES / "tuning.csv")
    means = tuning.groupby(["method", "options"])["fused"].mean().groupby("method").max()
    combined = set(studies.TABLES["combinations"]["imbalanced"]) & set(studies.GRID)
    assert list(studies.BENCH)[-1] == means[list(combined)].idxmax()


def test_relative_drop_by_hand():
    noise = {"method": ["joint"], "seed": [0], "fused clean": [0.8]}
    for name in bench.NOISES:
        for seed, value in enumerate((0.5, 0.7)):
            noise[f"fused {name}, 10, seed {seed}"] = [value]
        noise[f"fused {name}, 5, seed 0"] = [0.1]  # another severity
    assert bench.drops(pd.DataFrame(noise))["joint", 0] == pytest.approx(0.25)


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
