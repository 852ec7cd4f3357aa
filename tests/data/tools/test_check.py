"""What a data set's folder lacks, and what is broken in it, is found and said."""

import json
import re
import shutil
import stat
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmlib.__main__ import main
from mmlib.data.reading.lists import SPLITS
from mmlib.data.tools import check as checks
from mmlib.data.tools.check import KNOWN, check_data
from mmlib.data.tools.published import numbers_of
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
    assert not any(text.startswith("lists") for text in report.advice)
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


OFFICIAL = Path(__file__).parents[4] / "shared" / "lists"


def official(tmp_path, name, *folders):
    """The published lists of a data set, without its media."""
    if not (OFFICIAL / name).is_dir():
        pytest.skip(f"the published lists of {name} are not in ../shared/lists")
    shutil.copytree(OFFICIAL / name, tmp_path / "root")
    for copied in (tmp_path / "root", *(tmp_path / "root").rglob("*")):
        copied.chmod(copied.stat().st_mode | stat.S_IWUSR)  # what it was copied from may be fixed
    for folder in folders:
        (tmp_path / "root" / folder).mkdir(parents=True)
    return tmp_path / "root"


def told(report):
    """What is printed, in one line."""
    return " ".join(str(report).split())


@pytest.mark.parametrize(
    ("name", "lists", "folders", "options"),
    [
        ("ave", "AVE", ("AudioWAV", "Image-01-FPS-SE"), {}),
        ("cremad", "CREMAD", ("AudioWAV", "Image-01-FPS"), {}),
        ("cremad", "CREMAD", ("AudioWAV", "Image-01-FPS"), {"split_by": "actor"}),
        ("ucf101", "UCF", (), {"fold": 2}),
        ("modelnet40", "ModelNet", ("modelnet40_images_new_12x",), {}),
    ],
)
def test_what_the_published_lists_share_is_a_note(name, lists, folders, options, tmp_path):
    root = official(tmp_path, lists, *folders)
    report = check_data(name, root, progress=False, options=options)
    assert report.as_published and not any(leak.fault for leak in report.leaks)
    notes = {
        "ave": "videos in two splits, as published: train + val 10, train + test 8 (18 with two "
        "labels); such as 00N83yxKYUI in train (Male speech, man speaking), val (Female speech,",
        "cremad": "actors in two splits, as published: train + val 91, train + test 91, val + test "
        "91; such as 1088_IOM_NEU_XX in train, 1088_TAI_SAD_XX in val, 1088_DFA_FEA_XX in test",
    }
    if name in notes and not options:
        assert f"Note: {notes[name]}" in told(report)
    else:
        assert not report.leaks
    root_free = (line for line in str(report).splitlines() if str(root) not in line)
    assert max(map(len, root_free)) <= 100
    assert not any(text.startswith("lists") for text in report.advice)


def test_what_the_published_lists_do_not_share_is_a_leak(tmp_path):
    root = official(tmp_path, "AVE", "AudioWAV", "Image-01-FPS-SE")
    first, *rest = (root / "valSet.txt").read_text().splitlines()
    (root / "testSet.txt").write_text((root / "testSet.txt").read_text() + first + "\n")
    report = check_data("ave", root, progress=False)
    assert [leak.fault for leak in report.leaks] == [False, True] and not report.ok
    assert (
        f"Leak: videos in two splits: val + test 1; such as {first.split('&')[1]} in val, test"
        in (told(report))
    )
    assert "take what is in two splits out of one of them" in report.advice


def in_two_splits(name, root):
    """Put a training sample of a tree into the test split, too; where that is no fault."""
    data = opened(name, root, "train")
    id, source = data.ids[0], data.sources(0)[0]
    if name == "kinetics-sounds":  # at another time of the same video
        (root / "my_test.txt").open("a").write(f"{id[:11]}_77,10,0\n")
    elif name == "mvsa-single":
        row = json.loads((root / "train.jsonl").read_text().splitlines()[0])
        shutil.copy(source, root / "data" / "999.jpg")
        row |= {"id": "999", "img": "data/999.jpg"}
        (root / "test.jsonl").open("a").write(json.dumps(row) + "\n")
    elif name == "nyud2":  # under another name
        shutil.copy(source, root / "nyud2_trainvaltest" / "test" / data.classes[0] / "999.png")
    elif name == "modelnet40":
        line = (root / "train.txt").read_text().splitlines()[0]
        (root / "test.txt").open("a").write(line.replace("/train/", "/test/") + "\n")
    elif name == "ucf101":  # another clip of the recording
        line = (root / "trainlist01.txt").read_text().splitlines()[0].replace("_c01", "_c09")
        (root / "testlist01.txt").open("a").write(line + "\n")
    else:
        path = root / {"ave": "testSet.txt", "cremad": "data/CREMAD/test.csv"}[name]
        path.open("a").write(f"Church bell&{id}&good&0&9" if name == "ave" else f"{id},NEU\n")


@pytest.mark.parametrize("name", KNOWN)
def test_what_two_splits_share_is_told(name, own):
    root = own(name)
    before = check(name, root).leaks
    assert [leak.text.split(",")[0] for leak in before] == ["actors in two splits"] * (
        name == "cremad"
    )
    in_two_splits(name, root)
    leaks = [leak for leak in check(name, root).leaks if leak not in before]
    whats = {
        "cremad": ["clips"],
        "ave": ["videos"],
        "kinetics-sounds": ["videos"],
        "mvsa-single": ["pictures", "texts"],
        "nyud2": ["pictures"],
        "ucf101": ["recordings"],
        "modelnet40": ["objects"],
    }[name]
    assert [leak.text.split(" in two")[0] for leak in leaks if "actors" not in leak.text] == whats
    assert any(leak.fault for leak in leaks) == (name != "mvsa-single")


def test_the_options_are_those_of_the_loader(own, tmp_path):
    root = own("kinetics-sounds")
    (tmp_path / "lists").mkdir()
    for name in ("my_train.txt", "my_test.txt"):
        (root / name).rename(tmp_path / "lists" / name)
    assert not check("kinetics-sounds", root).ok
    options = {"classes": 34, "lists": str(tmp_path / "lists")}
    report = check("kinetics-sounds", root, options=options)
    assert report.ok and report.classes == (34, 31)
    assert all(row.published is None for row in report.rows)
    for options, sentence in (
        (
            {"clases": 34},
            "--data-options has 'clases'; kinetics-sounds takes lists, audio, frames, ",
        ),
        ({"classes": 0}, "classes is 0; give a whole number of at least 1"),
        ({"frames": "many"}, "frames is 'many'; give a whole number"),
        ({"missing": False}, "missing is False; give a text"),
        ({"frames_from": "all"}, "frames_from is 'all'; choose one of segments, smv, first"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            check("kinetics-sounds", root, options={"lists": str(tmp_path / "lists")} | options)
    with pytest.raises(
        FileNotFoundError, match="nowhere is missing or no folder; expected the dat"
    ):
        check("kinetics-sounds", root, options={"lists": "nowhere"})


def test_numbers_of_the_other_folds():
    data = types.SimpleNamespace(classes=KNOWN["ucf101"].names)
    for fold, numbers in ((1, (9537, 3783)), (2, (9586, 3734)), (3, (9624, 3696))):
        found = numbers_of(KNOWN["ucf101"], {"train": data}, {"fold": fold}, Path())
        assert tuple(found.counts.values()) == numbers and sum(numbers) == 13_320


def test_advice_fits_what_is_wrong(own):
    root = own("cremad")
    data = opened("cremad", root, "test")
    sounds = [data.files(i)["audio"] for i in range(4)]
    sounds[0].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    report = check("cremad", root)
    assert [text.split(":")[0].split(",")[0] for text in report.advice] == [
        "for the pointers",
        "or train on the rest",
    ]
    assert "let prepare make it of the video" in report.advice[0]
    (root / "VideoFlash").mkdir()
    (root / "VideoFlash" / f"{data.ids[1]}.flv").write_bytes(b"video")
    sounds[1].unlink()
    command = f"python -m mmlib prepare cremad {root}"
    assert (
        f"{command}, which makes frames and sound from VideoFlash" in check("cremad", root).advice
    )
    (root / "prepare-failed.txt").write_text(f"{data.ids[1]}\tno video\n")
    advice = check("cremad", root).advice
    assert f"replace the videos that prepare-failed.txt names, then {command}" in advice
    sounds[2].unlink()
    advice = check("cremad", root).advice
    assert any(text.startswith("get the videos of the other clips (1): ") for text in advice)
    shutil.copy(sounds[3], sounds[2])
    sounds[3].rename(sounds[3].with_suffix(".flac"))
    report = check("cremad", root)
    assert "did you mean" in str(report) and not any("get the videos" in x for x in report.advice)


@pytest.mark.parametrize(
    ("name", "path", "change", "label"),
    [
        ("cremad", "data/CREMAD/stat.csv", lambda text: text.replace("FEA\n", ""), "FEA"),
        ("ave", "testSet.txt", lambda text: text.split("Male")[0], "Male speech, man speaking"),
        ("ucf101", "classInd.txt", lambda text: text.split("3")[0], "Diving"),
    ],
)
def test_a_class_list_that_is_a_subset_is_called_that(name, path, change, label, own):
    root = own(name)
    (root / path).write_text(change((root / path).read_text()))
    report = check(name, root)
    assert report.problems and not report.ok
    assert report.advice[0].startswith(
        f"the class list is a subset of the published one, without {label}: restore it, or take"
    )
    assert not any(text.startswith("lists") for text in report.advice)


def test_lists_that_are_not_the_published_ones_are_called_that(trees):
    [advice] = check("cremad", trees["cremad"], expected=True).advice
    assert advice.startswith("lists, for these are not the published ones: train.csv and test.csv")
    assert check("ave", trees["ave"], expected=True).advice == (
        "get the other classes, or add --sample where a subset is meant",
    )


def test_missing_ids_are_written_and_dropped_where_asked(own, tmp_path, capsys):
    root = own("cremad")
    data = {split: opened("cremad", root, split) for split in ("train", "test")}
    gone = [(data[split], i) for split, i in (("train", 0), ("train", 3), ("test", 0))]
    for part, i in gone:
        part.files(i)["audio"].unlink()
    bad = data["test"].files(1)["audio"]
    bad.write_bytes(bad.read_bytes()[:100])
    words = ["check-data", "cremad", str(root), "--sample", "--write-missing", f"{tmp_path}/a/ids"]
    assert main(words) == 1
    lines = [line.split("\t") for line in (tmp_path / "a/ids").read_text().splitlines()]
    assert [line[:3] for line in lines] == [
        *([part.ids[i], part.split, "missing"] for part, i in gone),
        [data["test"].ids[1], "test", "broken"],
    ]
    assert lines[0][3] == f"{data['train'].files(0)['audio']} is missing"
    assert f"Missing and broken ids in {tmp_path}/a/ids: 4" in capsys.readouterr().out
    shutil.copy(data["test"].files(2)["audio"], bad)
    assert main([*words, "--data-options", "missing=drop"]) == 0
    said = capsys.readouterr().out
    kept = f"train {len(data['train']) - 2} of {len(data['train'])}, val 6 of 6, test 5 of 6"
    assert "Samples that lack a file: 3; the first of them:" in said
    assert f"They are left out by missing=drop: {kept}" in " ".join(said.split())
    for part, i in gone:
        shutil.copy(bad, part.files(i)["audio"])
    assert main(words) == 0 and (tmp_path / "a/ids").read_text() == ""
    (tmp_path / "a/ids").write_text("mine\n")
    assert main(words) == 2 and (tmp_path / "a/ids").read_text() == "mine\n"
    assert "a/ids holds something else than such lines; give another" in capsys.readouterr().err
