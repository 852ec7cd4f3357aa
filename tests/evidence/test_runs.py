"""The tables: complete, reproducible within seed noise, resumable; the command line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from mmlib.__main__ import main
from mmlib.data.reading.digits import deal_out
from mmlib.data.reading.voices import SHARES
from mmlib.evidence import arms, scoring, studies, wanted
from mmlib.evidence import tables as results
from mmlib.files import LOCK
from mmlib.methods import METHODS, controls

TABLES = Path(__file__).parents[2] / "assets/results"


@pytest.fixture(scope="module")
def tables():
    return {name: pd.read_csv(TABLES / f"{name}.csv") for name in studies.TABLES}


@pytest.mark.parametrize(
    ("world", "name"), [(w, name) for w, study in studies.STUDIES.items() for name in study.tables]
)
def test_every_row_has_five_paired_seeds(world, name):
    study = studies.STUDIES[world]
    table = pd.read_csv(TABLES / study.place / f"{name}.csv")
    seeds = table.groupby(["scenario", "method"])["seed"].apply(sorted)
    asked = {(s, m) for s, methods in study.tables[name].items() for m in methods}
    assert set(seeds.index) == asked
    assert all(found == [0, 1, 2, 3, 4] for found in seeds)


@pytest.mark.parametrize("world", studies.STUDIES)
def test_options_are_those_that_validation_chose(world):
    study = studies.STUDIES[world]
    place = TABLES / study.place
    tuning = pd.read_csv(place / "tuning.csv")
    assert set(tuning["method"]) == set(study.grid)
    assert set(tuning["seed"]) == set(study.tuning_seeds)
    chosen = wanted.choose(tuning)
    used = pd.concat([pd.read_csv(place / f"{name}.csv") for name in study.tables])
    for method, options in used.groupby("method")["options"].unique().items():
        own = arms.ARMS[method].options(chosen)
        assert [json.loads(text) for text in options] == [own], method


def test_human_validation_is_each_speaker_once():
    seeds = studies.STUDIES[studies.HUMAN].tuning_seeds
    dealt = [deal_out(SHARES, "val", (seed, 200)).tolist() for seed in seeds]
    assert sorted(speaker for (speaker,) in dealt) == list(range(6))


# a control at its own best rate, where the method's is known to be worse for it
OWN_RATE = {"joint-unimodal, same steps", "joint, same steps"}


def test_a_row_and_its_reference_share_the_rate_or_a_matched_row_does():
    chosen = wanted.choose(pd.read_csv(TABLES / "tuning.csv"))
    rate = {row: arm.options(chosen)["lr"] for row, arm in arms.ARMS.items()}
    matched = [row for row, arm in arms.ARMS.items() if "lr" in arm.copied]
    assert all(rate[row] == rate[arms.ARMS[row].against] for row in matched)
    for row, arm in arms.ARMS.items():
        pair = {row, arm.against} - {""}
        if len({rate[name] for name in pair}) == 2 and row not in OWN_RATE:
            built = {arms.ARMS[name].method for name in pair}
            beside = [m for m in matched if arms.ARMS[m].method in built]
            assert any(rate[m] in {rate[name] for name in pair} for m in beside), row


def test_every_row_has_an_arm_in_words_and_every_arm_a_row(tables):
    rows = {m for table in studies.TABLES.values() for methods in table.values() for m in methods}
    assert rows == set(arms.ARMS) == set(pd.concat(tables.values())["method"])
    assert {arm.options_of for arm in arms.ARMS.values()} == set(studies.GRID)
    for row, arm in arms.ARMS.items():
        sentences = arm.definition.count(". ") + 1
        assert arm.name and arm.definition.endswith(".") and sentences <= 2, row
        assert (arm.against in rows - {row}) == (row != "joint"), row
    names = {arm.name: row for row, arm in arms.ARMS.items()}
    assert len(names) == len(arms.ARMS)
    assert all(names[row] == row for row in names.keys() & rows)  # `--arm` takes either


def test_every_method_and_control_has_an_arm():
    """Or is a reading that the tuning tried."""
    readings = studies.GRID["cal"][-1]["reading"]
    built = {arm.method for arm in arms.ARMS.values()} | {f"cal-{word}" for word in readings}
    assert built == set(METHODS | controls.CONTROLS)
    options = {"reading": "epoch", "lr": 0.1}
    assert arms.ARMS["cal"].built_by(options) == ("cal-epoch", {"lr": 0.1})


@pytest.mark.parametrize("scenario", studies.TABLES["valuation"])
def test_sample_level_valuation_takes_the_steps_that_its_controls_get(scenario, tables):
    table = tables["valuation"][tables["valuation"]["scenario"] == scenario]
    samples = table.groupby("method")["samples"].mean()
    for name in ("valuation-random", "valuation-random-samples", "joint, same steps"):
        assert samples[name] == pytest.approx(samples["valuation"], rel=0.1), name


def test_a_fixed_number_is_the_number_that_boosting_ends_with(tables):
    table = tables["boosting"][tables["boosting"]["scenario"] == "imbalanced"]
    numbers = table.groupby("method")[["classifiers_audio", "classifiers_visual"]].mean().round()
    assert tuple(numbers.loc["boosting"]) == tuple(numbers.loc["fixed number"])


def test_clipped_arms_are_the_others_with_the_clip_that_was_chosen():
    chosen = wanted.choose(pd.read_csv(TABLES / "tuning.csv"))
    clip = {"clip": chosen["cal, clipped"]["clip"]}
    assert chosen["cal, clipped"] == chosen["cal"] | clip
    assert arms.ARMS["joint-unimodal, clipped"].change == clip


def test_tables_say_what_made_them():
    for name, split in (
        ("tuning", "val"),
        *((name, "noise" if name == "noise" else "test") for name in studies.TABLES),
    ):
        made_with = json.loads((TABLES / f"{name}.json").read_text())
        assert made_with["split"] == split
        assert made_with["versions"]["torch"].startswith("2.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scenario", "method", "seed"),
    [(name, "imbalanced", name, 1) for name in ("boosting", "cal")]  # on the same data
    + [("baselines", "imbalanced", "joint", 1), ("gap", "corrupted", "gap", 0)],
)
def test_one_row_again(name, scenario, method, seed, tables):
    row = tables[name].query("scenario == @scenario and method == @method")
    row = row.set_index("seed").loc[seed]
    again = results.run(method, scenario, seed, json.loads(row["options"]), int(row["epochs"]))
    assert again["samples"] == pytest.approx(row["samples"], rel=0.1)
    # another processor rounds otherwise, and training amplifies it up to the noise of a seed
    columns = ["fused", "audio", "visual", "probe_audio", "probe_visual"]
    columns += [c for c in again if c.startswith("auc") and c in row]
    for column in columns:
        noise = 0.2 if column == "auc_first" else 0.07  # after two epochs all is still in motion
        assert again[column] == pytest.approx(row[column], abs=noise), column


def test_the_best_that_three_bits_can_reach():
    """Planted: where the ruin shows in the bits, they find it; where not, no score does."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (2000,), generator=generator)
    truth = 5 * torch.nn.functional.one_hot(target, 4).float()
    ruined = torch.randint(0, 3, (2000,), generator=generator)
    z = {"audio": truth, "fused": truth}
    z["visual"] = torch.where((ruined == 2)[:, None], truth.roll(1, 1), truth)
    data = SimpleNamespace(target=target, truth={"ruined": ruined})
    scores = scoring.with_validation(z, data, z, data)
    for score in ("auc", "auc_wrong", "auc_bits"):
        assert scores[f"{score}_visual"] == 1, score
    assert scores["auc_wrong_audio"] == 0.5  # the sound is always right
    assert scores["auc_audio"] == scores["auc_bits_audio"] > 0.7  # no two ruins in one sample
    assert scores["weight_visual"] <= 0.5 and scores["fused_weighted"] == 1


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    calls = []

    def run(method, scenario, seed, options, epochs, split, weights, voices):
        calls.append((method, seed, split))
        if len(calls) in (4, 9):
            raise KeyboardInterrupt
        fused = round(0.5 + 0.1 * options.get("lr", 0) + seed / 1000, 4)
        return {"fused": fused, "probe_visual": 0.4}

    monkeypatch.setattr(results, "run", run)
    grid = {"joint": {"lr": [0.1, 0.2]}, "ensemble": {"lr": [0.1]}}
    monkeypatch.setitem(arms.ARMS, "joint-late", arms.Arm("joint", "joint"))
    methods = ("joint", "ensemble", "joint-late")
    tables = {
        "baselines": {"imbalanced": methods, "flipped": methods},
        "more": {"corrupted": methods},
    }
    study = studies.Study(".", grid, tables, range(100, 103))
    monkeypatch.setitem(studies.STUDIES, studies.SYNTHETIC, study)
    whole, stopped = tmp_path / "whole/results", tmp_path / "stopped/results"

    def write(folder):
        results.write_tuning(folder)
        results.write_tables(folder, seeds=range(2))

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            write(stopped)
    write(stopped)
    finished = len(calls)
    write(stopped)
    assert len(calls) == finished  # nothing is run twice
    calls[:] = [None] * 20
    write(whole)
    assert {path.stem for path in whole.glob("*.csv")} == {"tuning", "baselines", "more"}
    for name in ("tuning.csv", "baselines.csv", "more.csv"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()
    assert json.loads(pd.read_csv(whole / "baselines.csv")["options"][0]) == {"lr": 0.2}
    assert not list(stopped.glob("*.part*"))
    assert (tmp_path / "stopped/figures/phenomenon.png").is_file()


def test_tables_need_the_tuning_first(tmp_path, capsys):
    assert main(["results", "--out", str(tmp_path)]) == 2
    assert "tuning.csv is missing; run `make tuning` first" in capsys.readouterr().err
    tuning = pd.read_csv(TABLES / "tuning.csv")
    tuning[tuning["method"] != "gap"].to_csv(tmp_path / "tuning.csv", index=False)
    with pytest.raises(ValueError, match="tuning.csv lacks gap; run `make tuning`"):
        results.write_tables(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"tuning.csv", LOCK}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Few tables of a stand-in for training, and what was trained: `(folder, rows)`."""
    trained = []

    def run(method, scenario, seed, options, epochs, split, weights, voices):
        trained.append((scenario, method, seed))
        return {"fused": round(0.5 + len(trained) / 1000, 4)}

    both = ("joint", "ensemble")
    tables = {
        "baselines": {"imbalanced": both, "corrupted": both},
        "more": {"corrupted": ("ensemble", "joint-late")},
    }
    study = studies.Study(".", {m: {"lr": [0.1]} for m in both}, tables, range(100, 103))
    monkeypatch.setitem(studies.STUDIES, studies.SYNTHETIC, study)
    monkeypatch.setattr(results, "run", run)
    monkeypatch.setattr(results, "draw_phenomenon", lambda folder: None)
    results.write_tuning(tmp_path)
    trained.clear()
    return tmp_path, trained


def test_some_tables_alone(small, capsys):
    folder, trained = small
    results.write_tables(folder, seeds=range(2), only=["more"])
    rows = {(m, seed) for m in ("ensemble", "joint-late") for seed in range(2)}
    assert set(trained) == {("corrupted", *row) for row in rows}
    assert "figures, README and pages wait for baselines" in capsys.readouterr().out
    results.write_tables(folder, seeds=range(2))
    assert len(trained) == len(set(trained)) == 10  # nothing is run twice
    with pytest.raises(ValueError, match="table is 'less'; choose one of baselines, more"):
        results.write_tables(folder, only=["less"])


def test_a_table_anew_changes_shared_rows_everywhere_and_no_others(small):
    folder, trained = small
    results.write_tables(folder, seeds=range(2))
    key = results.KEY
    before = pd.read_csv(folder / "baselines.csv").set_index(key)["fused"]
    trained.clear()
    results.write_tables(folder, seeds=range(2), only=["more"], anew=True)
    assert len(trained) == 4
    after, more = (
        pd.read_csv(folder / f"{name}.csv").set_index(key)["fused"]
        for name in ("baselines", "more")
    )
    changed = after.index[after != before]
    assert set(changed.get_level_values("method")) == {"ensemble"}
    assert set(changed.get_level_values("scenario")) == {"corrupted"}
    assert after[changed].equals(more[changed])


def test_a_killed_making_anew_leaves_no_old_row_of_the_table(small, monkeypatch):
    folder, trained = small
    results.write_tables(folder, seeds=range(2))

    def killed(*job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(results, "run", killed)
        results.write_tables(folder, seeds=range(2), only=["more"], anew=True)
    trained.clear()
    results.write_tables(folder, seeds=range(2))
    assert set(trained) == {
        ("corrupted", m, s) for m in ("ensemble", "joint-late") for s in range(2)
    }


@pytest.mark.parametrize("how", ["--voices", "MMLIB_VOICES"])
def test_a_folder_of_voices_makes_both_worlds(how, small, tmp_path, monkeypatch):
    folder, trained = small
    grid, tables = {"joint": {"lr": [0.2]}}, {"baselines": {"imbalanced": ("joint",)}}
    study = studies.Study("human-voices", grid, tables, [7])
    monkeypatch.setitem(studies.STUDIES, studies.HUMAN, study)
    monkeypatch.setattr("mmlib.data.reading.voices.human_digits", lambda root: None)
    monkeypatch.setattr("mmlib.__main__.usable_cores", lambda: 1)
    words = ["--out", str(folder)]
    if how == "--voices":
        words += [how, str(tmp_path)]
    else:
        monkeypatch.setenv(how, str(tmp_path))
    assert main(["tuning", *words]) == 0
    assert trained == [("imbalanced", "joint", 7)]  # the other world's are there
    assert main(["results", *words]) == 0
    assert len(pd.read_csv(folder / "human-voices/baselines.csv")) == 5
    assert (folder / "baselines.csv").exists()
    assert {path.name for path in folder.glob("human-voices/*.csv")} == {
        "tuning.csv",
        "baselines.csv",
    }


def test_a_killed_making_of_the_second_world_goes_on(small, monkeypatch):
    """Though the first world is complete, nothing is drawn before the second one is, too."""
    folder, trained = small
    grid, tables = {"joint": {"lr": [0.2]}}, {"baselines": {"imbalanced": ("joint",)}}
    study = studies.Study("human-voices", grid, tables, [7])
    monkeypatch.setitem(studies.STUDIES, studies.HUMAN, study)
    results.write_tuning(folder, voices=folder)
    drawn, run = [], results.run
    monkeypatch.setattr(results, "draw_phenomenon", drawn.append)

    def killed(*job):
        if job[-1] and len(trained) > 14:
            raise KeyboardInterrupt
        return run(*job)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(results, "run", killed)
        results.write_tables(folder, seeds=range(5), voices=folder)
    assert not drawn
    results.write_tables(folder, seeds=range(5), voices=folder)
    assert drawn == [folder] and len(pd.read_csv(folder / "human-voices/baselines.csv")) == 5


def test_a_folder_without_voices_is_one_sentence(small, capsys):
    folder, trained = small
    assert main(["results", "--out", str(folder), "--voices", str(folder)]) == 2
    assert "expected what `git clone" in capsys.readouterr().err and not trained
