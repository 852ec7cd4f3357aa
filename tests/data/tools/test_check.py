"""What a data set's folder lacks, and what is broken in it, is found and said."""

import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmlib.data.reading.lists import SPLITS
from mmlib.data.tools import check as checks
from mmlib.data.tools.check import KNOWN, check_data
from mmlib.data.tools.report import SHOWN
from mmlib.data.tools.samples import write_sample

pytestmark = pytest.mark.slow  # files are made and read in each


def check(name, root, **options):
    return check_data(name, root, **{"expected": False, "progress": False} | options)


@pytest.fixture(scope="module")
def trees(tree):
    """A sample tree of each data set, not to be changed."""
    few = {"cremad": {"clips_per_class": 4, "actors": 2}}
    return {name: tree(name, **few.get(name, {})) for name in KNOWN}


@pytest.fixture
def own(trees, tmp_path):
    """A copy of one of the trees, without a cache, to be changed."""
    leave = shutil.ignore_patterns(".mmlib-cache")
    return lambda name: shutil.copytree(trees[name], tmp_path / name, ignore=leave)


def rows_of(report, label="all"):
    return {row.splits: row for row in report.rows if row.label == label}


def opened(name, root, split):
    return KNOWN[name].kind(root, split, cache=False, **KNOWN[name].options)


@pytest.mark.parametrize("name", KNOWN)
def test_a_sample_tree_is_whole_and_its_counts_are_its_own(name, trees):
    files = sorted(path for path in trees[name].rglob("*"))
    report = check(name, trees[name], thorough=True)
    assert report.ok, str(report)
    assert not (report.problems or report.missing or report.broken or report.advice)
    splits = {split: opened(name, trees[name], split) for split in SPLITS}
    assert report.samples == report.opened == sum(map(len, splits.values()))
    assert {split for names in rows_of(report) for split in names} == set(SPLITS)
    for row in report.rows:
        mine = [splits[split] for split in row.splits]
        labels = [data.classes[t] for data in mine for t in data.target.tolist()]
        expected = len(labels) if row.label == "all" else labels.count(row.label)
        assert row.listed == row.whole == expected
    strict = check(name, trees[name], expected=True)
    assert not strict.ok and not (strict.missing or strict.broken or strict.problems)
    part = len({row.label for row in strict.rows if row.listed}) - 1
    subset = f"The lists hold a subset of the published classes, {part} of {KNOWN[name].classes}"
    assert (f"{subset} classes." in str(strict)) == (name not in ("cremad", "mvsa-single"))
    if name not in ("ave", "ucf101", "modelnet40"):  # of which classes have no published counts
        assert "Counts differ from the published ones (*)." in str(strict)
    assert sorted(path for path in trees[name].rglob("*")) == files  # nothing cached or changed


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_printed_is_an_aligned_table(name, trees):
    lines = str(check(name, trees[name])).splitlines()
    assert lines[0].startswith(f"{name} in ") and lines[-1] == "All is well."
    header = next(i for i, line in enumerate(lines) if line.startswith("class"))
    ends = [
        i for i, c in enumerate(lines[header]) if c != " " and lines[header][i + 1 :][:1] in " "
    ]
    numbers = lines[header + 1 : header + 2 + check(name, trees[name]).classes[0]]
    for line in [lines[header - 1], *numbers]:
        assert len(line) < 100
    for line in numbers:
        assert all(
            line[end] != " " for end in ends[1:] if len(line) > end and line[end - 7 :].strip()
        )
    assert "Samples opened: " in "\n".join(lines)


@pytest.mark.parametrize("name", sorted({*KNOWN} - {"nyud2"}))
def test_a_missing_and_a_broken_file_are_named(name, own):
    root = own(name)
    data = opened(name, root, "test")
    first, last = data.sources(0), data.sources(len(data) - 1)
    gone = next(path for path in first if path.is_file())
    bad = next(path for path in last if path.is_file() and path.suffix != ".txt")
    if name == "ucf101":  # whose frames no list counts
        gone = gone.parent
        shutil.rmtree(gone)
    else:
        gone.unlink()
    bad.write_bytes(bad.read_bytes()[:60])
    report = check(name, root, thorough=True)
    assert not report.ok
    assert len(report.missing) == 1 and len(report.broken) == 1
    missing, broken = report.missing[0], report.broken[0]
    assert str(gone) in missing.reason and str(bad) in broken.reason
    assert missing.reason in str(report) and broken.reason in str(report)
    assert (missing.id, missing.split) == (data.ids[0], "test") and broken.id == data.ids[-1]
    for names, row in rows_of(report).items():
        assert row.listed - row.whole == ("test" in names)
    assert len(report.advice) >= 3 and "anew" in report.advice[-1]
    assert not any("lists" in text for text in report.advice)
    kept = ", ".join(f"{s} {n - (s == 'test')} of {n}" for s, (_, n) in report.kept.items())
    assert f"by --data-options missing=drop: {kept}" in " ".join(report.advice)


def test_what_no_list_names_is_missed_by_the_count_alone(own):
    root = own("nyud2")
    before = rows_of(check("nyud2", root))
    opened("nyud2", root, "test").sources(0)[0].unlink()
    after = rows_of(check("nyud2", root))
    assert {names: row.listed - after[names].listed for names, row in before.items()} == {
        ("train", "val"): 0,
        ("test",): 1,
        SPLITS: 1,
    }


def test_numbers_of_the_table_agree_with_themselves():
    for name, known in KNOWN.items():
        if name == "kinetics-sounds":
            continue
        for splits, labels in known.by_class.items():
            total = known.counts.get(splits, sum(known.counts.values()))
            assert sum(labels.values()) == total and len(labels) == known.classes, name
    spread = KNOWN["kinetics-sounds"]
    for splits, labels in spread.by_class.items():
        low, high = labels[""]
        assert 31 * low < spread.counts[splits] < 31 * high


def test_published_lists_without_any_media(tmp_path):
    for folder in ("AudioWAV", "Image-01-FPS"):
        (tmp_path / folder).mkdir()
    for part, splits in (("train", ("train", "val")), ("test", ("test",))):
        labels = KNOWN["cremad"].by_class[splits]
        lines = [
            f"{1001 + i}_{part}_{e}_XX,{e}\n" for e, count in labels.items() for i in range(count)
        ]
        (tmp_path / f"{part}.csv").write_text("".join(lines))
    report = check_data("cremad", tmp_path, progress=False)
    assert report.as_published and not report.ok
    assert len(report.missing) == 6698 + 744 and report.opened == 0
    assert rows_of(report)[("train", "val")][2:] == (6698, 6698, 0)
    assert "6,698   6,698       0" in str(report) and "lack a file: 7,442;" in str(report)
    (tmp_path / "test.csv").write_text("".join(lines[1:]))
    report = check_data("cremad", tmp_path, progress=False)
    assert not report.as_published and "743*" in str(report)
    assert rows_of(report, "ANG")[("test",)].as_published is False
    assert rows_of(report, "SAD")[("test",)].as_published


def test_a_sample_of_the_files_is_opened_unless_all_are(own, monkeypatch):
    root = own("nyud2")
    monkeypatch.setattr(checks, "OPENED", 2)
    data = opened("nyud2", root, "test")
    assert len(data) == 8  # of which the first and the fifth are opened
    data.sources(7)[0].write_bytes(b"no picture")
    assert check("nyud2", root).ok
    report = check("nyud2", root, thorough=True)
    assert not report.ok and report.opened == report.samples
    data.sources(4)[0].write_bytes(b"no picture")
    assert len(check("nyud2", root).broken) == 1 and check("nyud2", root).opened == 2 * 3


def test_empty_files_and_pointers_are_found_without_opening(own, monkeypatch):
    root = own("cremad")
    data = opened("cremad", root, "test")
    monkeypatch.setattr(checks, "OPENED", 1)
    sounds = [data.files(i)["audio"] for i in range(3)]
    sounds[0].write_bytes(b"")
    sounds[1].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    frame = data.sources(2)[-1]
    frame.write_bytes(b"")
    report = check("cremad", root)
    assert [fault.reason for fault in report.missing] == [
        f"{sounds[0]} is empty",
        f"{sounds[1]} is a pointer of git-lfs, not the file itself",
        f"{frame} is empty",
    ]


@pytest.mark.parametrize("name", ["cremad", "ave"])
def test_silent_sounds_are_noted_and_no_fault(name, own):
    root = own(name)
    data = opened(name, root, "test")
    path = data.files(0)["audio"]
    soundfile.write(path, np.zeros(16_000 * 10), 16_000)
    report = check(name, root, thorough=True)
    assert report.ok and report.silent == (f"{data.ids[0]} ({path})",)
    said = str(report)
    assert "Note: silent sounds (zeros alone): 1; keep them, or take them out of the lists" in said
    assert f"  silent: {data.ids[0]} ({path})" in said and "All is well." in said
    for i in range(len(data)):
        soundfile.write(data.files(i)["audio"], np.zeros(16_000 * 10), 16_000)
    report = check(name, root, thorough=True)
    assert len(report.silent) == len(data)
    assert str(report).count("  silent: ") == min(len(data), SHOWN)


def test_a_stored_spectrogram_does_not_tell_of_silence(tmp_path):
    write_sample("ave", tmp_path, clips_per_class=5, classes=2, pickled=True)
    assert check("ave", tmp_path, thorough=True).silent == ()


def test_only_the_first_are_named(own):
    root = own("cremad")
    for path in (root / "AudioWAV").iterdir():
        path.unlink()
    report = check("cremad", root)
    assert len(report.missing) == 24
    assert str(report).count(".wav is missing") == SHOWN


def test_advice_starts_from_what_is_there(own):
    root = own("cremad")
    shutil.rmtree(root / "Image-01-FPS")
    report = check("cremad", root)
    assert not report.ok and report.samples == 0
    [problem] = report.problems
    assert problem.startswith("train, val, test: ") and "Image-01-FPS is missing" in problem
    assert f"Error: {problem}" in str(report)
    assert "get the videos: github.com/CheyneyComputerScience/CREMA-D" in str(report)
    (root / "VideoFlash").mkdir()
    assert "get the videos" in str(check("cremad", root))
    (root / "VideoFlash" / "1001_IEO_ANG_HI.flv").write_bytes(b"video")
    report = check("cremad", root)
    [advice] = report.advice
    assert (
        advice
        == f"python -m mmlib prepare cremad {root}, which makes frames and sound from "
        + ("VideoFlash")
    )


def test_a_bad_line_keeps_its_split_from_being_read_and_no_other(own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "test.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "1001_IEO_ANG_HI;ANG"]))
    report = check("cremad", root)
    assert list(rows_of(report)) == [("train", "val")]
    [problem] = report.problems
    assert problem.startswith(f"test: {path}:2 is '1001_IEO_ANG_HI;ANG'") and not report.ok


def test_lists_whose_numbers_are_not_published(tmp_path):
    write_sample("mvsa-single", tmp_path / "raw", clips_per_class=5, layout="raw")
    write_sample("kinetics-sounds", tmp_path / "smv", clips_per_class=5, classes=2, layout="smv")
    for name, root in (("mvsa-single", tmp_path / "raw"), ("kinetics-sounds", tmp_path / "smv")):
        report = check(name, root)
        assert report.ok and all(row.published is None for row in report.rows)
        assert [row.splits for row in report.rows if row.label == "all"] == [(s,) for s in SPLITS]
    assert check_data("mvsa-single", tmp_path / "raw", progress=False).ok


def test_ave_in_its_official_folder(own, tmp_path):
    root = own("ave")
    (tmp_path / "outer").mkdir()
    root.rename(tmp_path / "outer" / "AVE_Dataset")
    assert check("ave", tmp_path / "outer").ok


def test_a_broken_pair_is_found(own):
    root = own("nyud2")
    path = opened("nyud2", root, "train").sources(0)[0]
    Image.fromarray(np.zeros((60, 61, 3), dtype=np.uint8)).save(path)
    [fault] = check("nyud2", root).broken
    assert fault.reason.startswith(f"{path} is 61 x 60 pixels; expected a picture and its depth")


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="name is 'imagenet'; choose one of cremad, ave"):
        check_data("imagenet", tmp_path)
    with pytest.raises(FileNotFoundError, match="gone is missing or no folder"):
        check_data("cremad", tmp_path / "gone")
    empty = {name: check(name, tmp_path) for name in KNOWN}
    for name, report in empty.items():
        assert not report.ok and report.problems and report.samples == 0, name
        assert f"{KNOWN[name].classes} published" in str(report) and "To do: " in str(report)
