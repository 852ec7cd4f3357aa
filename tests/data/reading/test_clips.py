"""CREMA-D, AVE, Kinetics-Sounds: every layout is read as meant, every wrong line is refused."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch.testing import assert_close
from torchaudio.compliance import kaldi
from torchvision.transforms import functional as TF

from mmlib.commands.presets import PRESETS
from mmlib.data.cremad import CREMAD_LABELS, actor_of, actors_of
from mmlib.data.reading import clips
from mmlib.data.reading.cache import Cache
from mmlib.data.reading.clips import AVE, CremaD, KineticsSounds, choose_frames, smv_frames
from mmlib.data.reading.media import read_image, read_sound
from mmlib.data.reading.transforms import DRAWS, IMAGENET, fitting_box, own_luck
from mmlib.data.spectrograms import RECIPES, spectrogram
from mmlib.data.tools.samples import write_ave, write_cremad, write_kinetics_sounds
from voices import voice

SMALL = {"size": 28}  # cached with 32 x 32


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Sample trees, not to be changed; their caches are shared by the tests."""
    folder = tmp_path_factory.mktemp("samples")
    write_cremad(folder / "cremad", clips_per_class=12, actors=4)
    write_ave(folder / "ave", clips_per_class=5, classes=2)
    write_kinetics_sounds(folder / "ks", clips_per_class=5, classes=2)
    return folder


@pytest.fixture
def cremad(written):
    return lambda split="train", **options: CremaD(written / "cremad", split, **SMALL | options)


@pytest.fixture
def own(written, tmp_path):
    """A copy of one of the trees, to be changed."""
    return lambda name: shutil.copytree(written / name, tmp_path / name)


@pytest.fixture
def draws():
    return torch.rand(6, DRAWS, generator=torch.Generator().manual_seed(0))


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def lines_of(path):
    return path.read_text().splitlines()


# what a data set gives


@pytest.mark.parametrize(
    ("data", "frames"), [(CremaD, 1), (CremaD, 2), (AVE, 4), (KineticsSounds, 3)]
)
def test_the_interface(data, frames, written, draws):
    names = {CremaD: "cremad", AVE: "ave", KineticsSounds: "ks"}
    dataset = data(written / names[data], "train", frames=frames, **SMALL)
    shape = tuple(RECIPES[dataset.audio].shape)
    index = torch.tensor([3, 0, 1, 2, 3, 0])
    raw = dataset.take(index, draws)
    assert raw["audio"].dtype == torch.float16 and raw["audio"].shape == (6, 1, *shape)
    assert raw["visual"].dtype == torch.uint8 and raw["visual"].shape == (6, 3, frames, 32, 32)
    for given in (draws, None):
        inputs = dataset.finish(raw, given)
        assert {x.dtype for x in inputs.values()} == {torch.float32}
        assert inputs["visual"].shape == (6, 3, frames, 28, 28)
        assert inputs["audio"].equal(raw["audio"].float())
    inputs, target, i = dataset[-1]
    assert inputs["audio"].shape == (1, *shape) and i == len(dataset) - 1
    assert target == dataset.target[-1] and target.dtype == torch.int64
    assert dataset.modalities == tuple(raw) == tuple(inputs) and dataset.split == "train"
    assert len(dataset.ids) == len(dataset.target) == len(dataset) > 0
    assert int(dataset.target.max()) < len(dataset.classes)
    with pytest.raises(IndexError, match="the split holds"):
        dataset[len(dataset)]


def test_a_sample_depends_on_its_index_and_draws_alone(cremad, draws):
    dataset = cremad(frames=2)
    whole = dataset.finish(dataset.take(torch.arange(6), draws), draws)
    for i in range(6):
        one = dataset.take(torch.tensor([i]), draws[i : i + 1])
        one = dataset.finish(one, draws[i : i + 1])
        for m, x in whole.items():
            assert_close(x[i : i + 1], one[m], atol=1e-5, rtol=0)


@pytest.mark.parametrize("data", [CremaD, AVE, KineticsSounds])
def test_the_interface_with_released_crops(data, written, draws):
    names = {CremaD: "cremad", AVE: "ave", KineticsSounds: "ks"}
    dataset = data(written / names[data], "train", frames=3, crops="released", **SMALL)
    index = torch.tensor([3, 0, 1, 2, 3, 0])
    for given in (draws, None):
        raw = dataset.take(index, given)
        assert raw["visual"].dtype == torch.uint8 and raw["visual"].shape == (6, 3, 3, 28, 28)
        inputs = dataset.finish(raw, given)["visual"]
        assert inputs.dtype == torch.float32 and inputs.shape == (6, 3, 3, 28, 28)
        assert inputs.equal(dataset.finish(raw)["visual"])  # cropped once, in `take`
        for i in range(6):  # a sample depends on its index and draws alone
            row = given if given is None else given[i : i + 1]
            one = dataset.take(index[i : i + 1], row)["visual"]
            assert one.equal(raw["visual"][i : i + 1])
    assert dataset.whole(0)["visual"].shape[1:] == (3, 28, 28)
    assert dataset[0][0]["visual"].equal(inputs[1])


def test_draws_of_another_shape_are_refused(cremad, draws):
    with pytest.raises(ValueError, match=r"draws has shape \(6, 8\); expected \(2, 8\)"):
        cremad().take(torch.arange(2), draws)


def test_inputs_are_what_the_files_hold(cremad):
    dataset = cremad("test")
    raw = dataset.take(torch.tensor([5]))
    sound, folder, *frames = dataset.sources(5)
    assert sound == dataset.files(5)["audio"] and folder == dataset.files(5)["visual"]
    waveform = read_sound(sound, dataset.sample_rate)
    assert dataset.waveform(5).equal(waveform)
    wanted = spectrogram(waveform, dataset.sample_rate, "ogm").half()
    assert raw["audio"][0, 0].equal(wanted)
    middle = int(0.5 * len(frames))
    assert raw["visual"][0, :, 0].equal(read_image(frames[middle], 32))
    assert [path.name for path in frames] == [f"{i:05d}.jpg" for i in range(len(frames))]


def test_the_second_time_comes_from_the_cache(own, draws, monkeypatch):
    root = own("cremad")
    first = CremaD(root, "train", frames=2, **SMALL).take(torch.arange(6), draws)

    def refuse(*_):
        raise AssertionError("a file was decoded again")

    monkeypatch.setattr(clips, "read_sound", refuse)
    monkeypatch.setattr(clips, "read_image", refuse)
    again = CremaD(root, "train", frames=2, **SMALL)
    assert all(x.equal(first[m]) for m, x in again.take(torch.arange(6), draws).items())
    with pytest.raises(AssertionError, match="decoded again"):
        CremaD(root, "train", cache=False, **SMALL).take(torch.arange(1))


def test_what_another_resampler_made_is_not_read(cremad, tmp_path):
    """Up to commit ad325df the entries were made with torchaudio's filter, under this recipe."""
    data = cremad(cache=tmp_path)
    made = {"data": "CremaD", "audio": ["ogm", *RECIPES["ogm"]], "sounds": "AudioWAV.wav"}
    old = Cache(tmp_path, made | {"pictures": ["Image-01-FPS", 32]})
    wrong = {"x": torch.zeros(RECIPES["ogm"].shape).half()}
    old.get(data.ids[0], [data.files(0)["audio"]], lambda: wrong)
    assert data.take(torch.tensor([0]))["audio"].ne(0).any()


def test_where_the_cache_is(own, tmp_path):
    root = own("cremad")
    shutil.rmtree(root / ".mmlib-cache", ignore_errors=True)
    beside, elsewhere = root / ".mmlib-cache", tmp_path / "elsewhere"
    for cache, wanted in ((False, []), (elsewhere, [elsewhere]), (None, [elsewhere, beside])):
        CremaD(root, "train", cache=cache, **SMALL).take(torch.arange(2))
        assert [folder for folder in (elsewhere, beside) if folder.exists()] == wanted


# crops


def places(root, size, count=3):
    """Frames of which each pixel says where it is: red the column, green the row, as shares."""
    width, height = size
    column = np.linspace(0, 255, width)[None].repeat(height, 0)
    row = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    picture = Image.fromarray(np.stack([column, row, 0 * row], -1).round().astype(np.uint8))
    folder = next((root / "Image-01-FPS").iterdir())
    for path in folder.iterdir():
        path.unlink()
    for k in range(count):
        picture.save(folder / f"{k:05d}.png")
    return folder.name


def boxes_of(dataset, clip, rows):
    """Left, top, width and height, as shares, and whether flipped, of every frame: `(N, T, 5)`."""
    index = torch.full((len(rows),), dataset.ids.index(clip))
    x = dataset.finish(dataset.take(index, rows), rows)["visual"]
    mean, deviation = (torch.tensor(n).view(3, 1, 1, 1) for n in IMAGENET)
    x = (x * deviation + mean).transpose(1, 2)  # (N, T, 3, S, S)
    side = x.shape[-1]
    across, down = x[:, :, 0].mean(-2), x[:, :, 1].mean(-1)
    # the centres of the outer pixels lie (side - 1) / side of the box apart
    wide, tall = ((n[..., -1] - n[..., 0]) * side / (side - 1) for n in (across, down))
    left, top = across.mean(-1) - wide.abs() / 2, down.mean(-1) - tall / 2
    return torch.stack([left, top, wide.abs(), tall, (wide < 0).float()], -1)


def test_released_crops_are_each_frames_own_out_of_the_original_picture(own):
    """Shapes of 3:4 to 4:3 in the picture, which a box in a square squeezed from 4:3 has not."""
    root = own("cremad")
    rows = torch.rand(200, DRAWS, generator=torch.Generator().manual_seed(0))
    for size, low, high in (((480, 360), 0.99, 1.79), ((360, 480), 0.55, 1.01)):
        clip = places(root, size)
        split = "train" if clip in CremaD(root, "train").ids else "val"
        split = split if clip in CremaD(root, split).ids else "test"
        found = {}
        for crops in ("shared", "released"):
            dataset = CremaD(root, split, frames=3, crops=crops, size=84)
            found[crops] = boxes_of(dataset, clip, rows)
        ratio = {m: x[..., 2] * size[0] / (x[..., 3] * size[1]) for m, x in found.items()}
        area = {m: x[..., 2] * x[..., 3] for m, x in found.items()}
        assert 0.73 < ratio["released"].min() < 0.78 and 1.29 < ratio["released"].max() < 1.36
        assert 0.075 < area["released"].min() < 0.1 and 0.9 < area["released"].max() < 1.01
        assert area["released"].mean().item() == pytest.approx(0.433, abs=0.02)
        assert low - 0.02 < ratio["shared"].min() < low + 0.05
        assert high - 0.08 < ratio["shared"].max() < high + 0.02
        assert area["shared"].mean().item() == pytest.approx(0.53, abs=0.03)
        shared, released = found["shared"], found["released"]
        assert_close(shared[:, 1:], shared[:, :1].expand(-1, 2, -1))
        assert released[..., 4].mean().item() == pytest.approx(0.5, abs=0.05)
        for k in range(3):  # of different frames: areas, ratios and flips that are not linked
            other = (k + 1) % 3
            pairs = (area["released"], ratio["released"], released[..., 4])
            for x in pairs:
                linked = torch.corrcoef(torch.stack([x[:, k], x[:, other]]))[0, 1]
                assert abs(linked) < 0.25  # 3.5 standard deviations


def test_released_inputs_are_those_of_torchvision_on_pils_pictures(written):
    dataset = CremaD(written / "cremad", "train", frames=2, crops="released")
    shared = CremaD(written / "cremad", "train", frames=2)
    index, rows = torch.arange(3), torch.rand(3, DRAWS, generator=torch.Generator().manual_seed(1))
    limit = 2.1 / 255 / 0.224  # two levels
    for given in (rows, None):
        found = dataset.finish(dataset.take(index, given), given)["visual"]
        for i in range(3):
            luck = None if given is None else own_luck(given[i].tolist())
            draws = None if given is None else given[i, 5:].tolist()
            names = dataset.sources(i)[2:]
            for place, frame in enumerate(choose_frames(len(names), 2, draws, 0.5)):
                picture = Image.open(names[frame]).convert("RGB")
                if luck is None:
                    wanted = TF.resize(picture, [224, 224])
                else:
                    box = fitting_box(luck, picture.height, picture.width)
                    wanted = TF.resized_crop(picture, *box, [224, 224])
                    wanted = TF.hflip(wanted) if luck.random() < 0.5 else wanted
                wanted = TF.normalize(TF.to_tensor(wanted), *IMAGENET)
                assert_close(found[i, :, place], wanted, atol=limit, rtol=0)
    twice = shared.finish(shared.take(index))["visual"]  # by way of 256 x 256
    assert (twice - found).abs().max() > 5 * limit > (twice - found).abs().mean()


def test_the_two_kinds_of_crops_share_no_picture_in_the_cache(own, draws):
    root = own("cremad")
    shutil.rmtree(root / ".mmlib-cache", ignore_errors=True)
    kinds = ("shared", "released", "shared", "released")
    made = [CremaD(root, "train", crops=crops, **SMALL) for crops in kinds]
    taken = [dataset.take(torch.arange(6), draws)["visual"] for dataset in made]
    fresh = [CremaD(root, "train", crops=c, cache=False, **SMALL) for c in kinds[:2]]
    for k in range(4):
        assert taken[k].equal(fresh[k % 2].take(torch.arange(6), draws)["visual"])
    recipes = [dataset._recipe()["pictures"] for dataset in made[:2]]
    assert recipes == [["Image-01-FPS", 32], ["Image-01-FPS", "whole"]]
    id, path = made[1].ids[0], made[1].sources(0)[2]
    assert made[1]._picture(id, path.name).movedim(-1, 0).equal(read_image(path))
    other = CremaD(root, "train", crops="released", size=14)  # nothing is decoded for another size
    assert other._cache.folder == made[1]._cache.folder


def test_presets_of_clips_crop_as_the_released_loaders():
    for (data, _), found in PRESETS.items():
        if data in ("cremad", "ave", "kinetics-sounds"):
            assert found.data["crops"] == "released"
            smv = "7ed12b0" in found.source
            assert (found.data.get("frames_from") == "smv") == smv


# frames


@pytest.mark.parametrize("frames", range(1, 8))
def test_one_frame_of_each_part_in_order(frames):
    generator = torch.Generator().manual_seed(frames)
    seen = set()
    for count in (frames, frames + 1, 10, 37):
        for luck in torch.rand(200, 3, generator=generator).tolist():
            chosen = choose_frames(count, frames, luck, 0.5)
            if count >= frames:
                assert all(a < b for a, b in zip(chosen, chosen[1:]))
            assert 0 <= chosen[0] and chosen[-1] < count
            seen |= set(chosen) if count == 37 else set()
    assert seen == set(range(37))


def test_every_part_has_a_draw_of_its_own():
    assert choose_frames(30, 3, [0.0, 0.5, 0.999], 0.5) == [0, 15, 29]
    assert choose_frames(30, 3, [0.999, 0.0, 0.5], 0.5) == [9, 10, 25]


def test_evaluation_takes_the_same_frames_always():
    assert choose_frames(10, 3, None, 0.0) == [0, 3, 6]  # the 1st, 4th and 7th, as published
    assert choose_frames(10, 3, None, 0.5) == [1, 4, 8]
    assert [choose_frames(n, 1, None, 0.5) for n in (1, 2, 3, 4)] == [[0], [1], [1], [2]]


def frames_shown(choose, count):
    """The frames, from 1, that each of three parts may show in training, and in evaluation."""
    lucks = [[k / 60, (k * 7 % 60) / 60, 1 - 2**-24 - k / 60] for k in range(60)]
    trained = zip(*(choose(count, luck) for luck in lucks))
    return [sorted({frame + 1 for frame in part}) for part in trained], [
        frame + 1 for frame in choose(count, None)
    ]


@pytest.mark.parametrize(
    ("count", "training", "evaluation"),
    [
        (3, [[1], [1], [1]], [1, 1, 1]),
        (6, [[1], [1], [1]], [1, 1, 1]),
        (7, [[1, 2], [3, 4], [5, 6]], [1, 3, 5]),
        (9, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, 4, 7]),
        (10, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, 4, 7]),
        (11, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, 4, 7]),
        (12, [[1, 2, 3, 4], [5, 6, 7, 8], [9]], [2, 6, 9]),  # the released code asks for a 10th
    ],
)
def test_the_frames_that_smv_may_show(count, training, evaluation):
    """By its expressions, with every outcome of their draws."""
    found = frames_shown(lambda count, luck: smv_frames(count, 3, luck), count)
    assert found == (training, evaluation)


def test_the_tenth_frame_is_shown_by_one_rule_and_not_by_the_other(ks):
    shown = {}
    for rule in ("segments", "smv"):
        dataset = ks(frames_from=rule)
        assert len(dataset.sources(0)[2:]) == 10
        shown[rule] = frames_shown(dataset._chosen, 10)
    parts, evaluated = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, 4, 7]
    assert shown["smv"] == (parts, evaluated)
    assert shown["segments"] == ([*parts[:2], [*parts[2], 10]], evaluated)


def test_a_clip_with_too_few_frames_repeats_them():
    for luck in (None, [0.0] * 3, [1 - 2**-24] * 3):
        assert choose_frames(1, 4, luck, 0.5) == [0, 0, 0, 0]
        assert choose_frames(2, 3, luck, 0.5) == [0, 0, 1]


def test_the_draws_choose_the_frames(cremad, draws):
    dataset = cremad()
    same = dataset.take(torch.arange(6), draws)["visual"]
    assert same.equal(dataset.take(torch.arange(6), draws)["visual"])
    shown = {tuple(dataset.take(torch.zeros(6).long(), draws)["visual"].flatten(1).sum(1).tolist())}
    assert len(set(*shown)) > 1  # not always the first one: the bug of OGM-GE's issue 32


def test_the_draws_of_crop_and_flip_do_not_choose_frames(cremad, draws):
    others = torch.cat([1 - draws[:, :5], draws[:, 5:]], dim=1)
    dataset = cremad(frames=2)
    wanted = dataset.take(torch.arange(6), draws)["visual"]
    assert dataset.take(torch.arange(6), others)["visual"].equal(wanted)


def test_the_order_of_the_file_system_does_not_matter(cremad, draws, monkeypatch):
    wanted = cremad(cache=False, frames=2).take(torch.arange(6), draws)["visual"]
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path), reverse=True))
    assert cremad(cache=False, frames=2).take(torch.arange(6), draws)["visual"].equal(wanted)


def test_the_bug_on_request_takes_the_first_frames_whatever_is_drawn(cremad, draws):
    dataset = cremad(frames=2, frames_from="first")
    for given in (draws, None):
        visual = dataset.take(torch.arange(6), given)["visual"]
        for i in range(6):
            for t in range(2):
                assert visual[i, :, t].equal(read_image(dataset.sources(i)[2 + t], 32))


# CREMA-D


def test_the_usual_split_of_cremad(cremad, written):
    parts = {split: cremad(split) for split in ("train", "val", "test")}
    lists = written / "cremad" / "data" / "CREMAD"
    assert set(parts["test"].ids) == {line.split(",")[0] for line in lines_of(lists / "test.csv")}
    train, val = set(parts["train"].ids), set(parts["val"].ids)
    assert not train & val
    assert train | val == {line.split(",")[0] for line in lines_of(lists / "train.csv")}
    assert parts["val"].target.bincount().tolist() == [1] * 6
    for dataset in parts.values():
        for id, label in zip(dataset.ids, dataset.target.tolist()):
            assert dataset.classes[label] == id.split("_")[2]
    assert parts["train"].classes == ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
    assert cremad("val").ids == parts["val"].ids


def test_the_usual_split_leaks_speakers_and_the_other_does_not(cremad):
    for split_by, shared in (("list", 4), ("actor", 0)):
        actors = [set(map(actor_of, cremad(s, split_by=split_by).ids)) for s in ("train", "test")]
        assert len(actors[0] & actors[1]) == shared


def test_splitting_by_actor_deals_out_every_clip(cremad):
    parts = [cremad(split, split_by="actor").ids for split in ("train", "val", "test")]
    assert sorted(sum(parts, ())) == sorted(sum((cremad(s).ids for s in clips.SPLITS), ()))
    assert len(set(sum(parts, ()))) == 72


def test_the_draw_of_actors_is_fixed_for_good():
    actors = {str(number) for number in range(1001, 1092)}
    parts = {split: actors_of(split, actors) for split in clips.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 73,
        "val": 9,
        "test": 9,
    }
    assert set.union(*parts.values()) == actors
    assert sorted(parts["test"]) == TEST_ACTORS
    with pytest.raises(ValueError, match="2 actors; splitting by actor needs at least 3"):
        actors_of("val", {"1001", "1002"})


TEST_ACTORS = "1038 1039 1040 1047 1049 1055 1064 1085 1086".split()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b",", b" , ").replace(b"\n", b"\n\n"),
        lambda text: text.replace(b",", b".flv ").replace(b"NEU\n", b"Neutral\n"),
        lambda text: text.replace(b",", b".flv\t").replace(b" ANG\n", b" Anger\n"),
    ],
)
def test_lists_of_cremad_in_other_forms(change, own):
    root = own("cremad")
    wanted = CremaD(root, "train", **SMALL)
    rewrite(root / "data" / "CREMAD" / "train.csv", change)
    found = CremaD(root, "train", **SMALL)
    assert found.ids == wanted.ids and found.target.equal(wanted.target)


def test_every_spelling_of_an_emotion(own, tmp_path):
    root = own("cremad")
    spelled = [(i, name) for i, names in enumerate(CREMAD_LABELS.values()) for name in names]
    (tmp_path / "test.txt").write_text(
        "".join(f"c{n}.flv {name}\n" for n, (_, name) in enumerate(spelled))
    )
    dataset = CremaD(root, "test", lists=tmp_path, **SMALL)
    assert dataset.target.tolist() == [label for label, _ in spelled]
    assert dataset.ids[0] == "c0"


def test_lists_beside_the_media(own):
    root = own("cremad")
    wanted = CremaD(root, "test", **SMALL).ids
    (root / "data" / "CREMAD" / "test.csv").rename(root / "test.csv")
    shutil.rmtree(root / "data")
    assert CremaD(root, "test", **SMALL).ids == wanted
    with pytest.raises(FileNotFoundError, match=r"cremad holds no list train\.csv or train\.txt"):
        CremaD(root, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1001_IEO_ANG_HI", r"csv:4 is '1001_IEO_ANG_HI'; expected 'clip,LABEL'"),
        ("a,ANG,3", "csv:4 is 'a,ANG,3'; expected 'clip,LABEL'"),
        (",ANG", "csv:4 is ',ANG'; expected"),
        ("a,", "csv:4 is 'a,'; expected"),
        ("a,JOY", "csv:4 is 'JOY'; expected one of the classes NEU"),
        ("../../a,ANG", r"csv:4 is '\.\./\.\./a'; expected a plain file name"),
        ("/a,ANG", "csv:4 is '/a'; expected a plain file name"),
    ],
)
@pytest.mark.parametrize("split_by", ["list", "actor"])
def test_wrong_lines_of_cremad(line, message, split_by, own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    lines = lines_of(path)
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]))
    with pytest.raises(ValueError, match=message):
        CremaD(root, "train", split_by=split_by)


def test_a_clip_that_stands_twice_in_a_list_of_cremad(own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    first = lines_of(path)[0].split(",")[0]
    rewrite(path, lambda text: text + f"{first},ANG\n".encode())
    number = len(lines_of(path))
    with pytest.raises(ValueError, match=rf"train\.csv:{number} is '{first}'.* line 1 already"):
        CremaD(root, "train")
    for repeats, label in (("first", "NEU"), ("last", "ANG")):
        pooled = [CremaD(root, s, repeats=repeats) for s in ("train", "val")]
        found = {d.classes[y] for d in pooled for id, y in zip(d.ids, d.target) if id == first}
        assert found == {label}


def test_lists_that_actors_cannot_be_read_from(own):
    root = own("cremad")
    path = root / "data" / "CREMAD" / "test.csv"
    first = lines_of(root / "data" / "CREMAD" / "train.csv")[0]
    for line, message in ((first, "a clip that is not in train too"), ("abc,ANG", "<actor>_")):
        path.write_text(line + "\n")
        with pytest.raises(ValueError, match=rf"test\.csv:1 is .*{message}"):
            CremaD(root, "test", split_by="actor")


def test_labels_outside_the_class_list(own):
    root = own("cremad")
    stat = root / "data" / "CREMAD" / "stat.csv"
    rewrite(stat, lambda text: text.replace(b"ANG\n", b""))
    with pytest.raises(ValueError, match=r"train\.csv:\d+ is 'ANG'; expected one of the classes"):
        CremaD(root, "train")
    rewrite(stat, lambda text: text + b"JOY\r\n")
    with pytest.raises(ValueError, match=r"stat\.csv:6 is 'JOY'"):
        CremaD(root, "train")


def test_what_is_missing_is_named(own, tmp_path):
    for data in (CremaD, AVE, KineticsSounds):
        with pytest.raises(FileNotFoundError, match="nowhere is missing .*the root of"):
            data(tmp_path / "nowhere", "train")
    root = own("cremad")
    with pytest.raises(FileNotFoundError, match="nowhere is missing .*lists"):
        CremaD(root, "train", lists=tmp_path / "nowhere")
    for folder, what in (("AudioWAV", "sounds"), ("Image-01-FPS", "frames")):
        (root / folder).rename(root / "away")
        with pytest.raises(FileNotFoundError, match=f"{folder} is missing .*{what}"):
            CremaD(root, "train")
        (root / "away").rename(root / folder)


@pytest.mark.parametrize(
    ("option", "value"),
    [("audio", "mp3"), ("frames", 0), ("frames", 1.5), ("frames_from", "last")]
    + [("split_by", "age"), ("repeats", "all"), ("size", -1), ("crops", "own")],
)
def test_options_that_are_not_known(option, value, cremad):
    with pytest.raises(ValueError, match=f"{option} is {value!r}"):
        cremad(**{option: value})
    for split in ("dev", ""):
        with pytest.raises(ValueError, match="choose one of train, val, test"):
            cremad(split)


def test_broken_files_are_named(own):
    root = own("cremad")
    dataset = CremaD(root, "train", cache=False, **SMALL)
    sound, folder, *frames = dataset.sources(0)
    whole = sound.read_bytes()

    def take(error, message):
        with pytest.raises(error, match=f"{dataset.ids[0]}.*{message}"):
            dataset.take(torch.tensor([0]))

    for content, message in ((b"", "no sound"), (whole[:999], "cut short"), (whole[:44], "cut")):
        sound.write_bytes(content)
        take(ValueError, message)
    sound.unlink()
    take(FileNotFoundError, "is missing")
    sound.write_bytes(whole)
    frames[-1].write_bytes(b"")
    with pytest.raises(ValueError, match=f"{dataset.ids[0]}.*{frames[-1].name}.*no picture"):
        dataset.whole(0)
    frames[len(frames) // 2].write_bytes(b"")
    take(ValueError, "no picture")
    for frame in frames:
        frame.unlink()
    take(FileNotFoundError, "holds no frames")
    folder.rmdir()
    take(FileNotFoundError, "is missing")


def test_odd_but_whole_files_are_read(own):
    root = own("cremad")
    dataset = CremaD(root, "train", cache=False, frames=4, **SMALL)
    sound, folder, *frames = dataset.sources(0)
    tone = np.sin(np.arange(96_000) / 20)
    soundfile.write(sound, np.stack([tone, tone], axis=1), 48_000)
    for frame in frames[1:]:
        frame.unlink()
    pixel = (200, 100, 50)
    for mode in ("RGB", "L", "CMYK"):
        Image.new("RGB", (1, 1), pixel).convert(mode).save(frames[0], quality=100)
        raw = dataset.take(torch.tensor([0]))
        assert raw["visual"].shape == (1, 3, 4, 32, 32)
        colours = raw["visual"].flatten(3)[0].unique(dim=-1)
        assert colours.shape == (3, 4, 1)  # one frame, four times
        assert mode == "L" or abs(int(colours[0, 0, 0]) - 200) < 6
    assert len(dataset.waveform(0)) == 2 * dataset.sample_rate
    soundfile.write(sound, np.zeros(16_000), 16_000)  # CREMA-D has such a clip
    assert torch.isfinite(dataset[0][0]["audio"]).all()


# AVE


@pytest.fixture
def ave(written):
    return lambda split="train", **options: AVE(written / "ave", split, **SMALL | options)


def test_the_splits_of_ave_are_those_shipped(ave, written):
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        dataset = ave(split)
        lines = [line.split("&") for line in lines_of(written / "ave" / f"{split}Set.txt")]
        assert len(dataset) == len({line[1] for line in lines}) == count
        assert dataset.ids == tuple(dict.fromkeys(line[1] for line in lines))
    assert dataset.classes == ("Church bell", "Male speech, man speaking")


def test_repeats_in_ave(ave):
    first, last = ave(), ave(repeats="last")
    assert first.ids == last.ids
    assert (first.target != last.target).nonzero().flatten().tolist() == [0]
    with pytest.raises(ValueError, match=r"trainSet\.txt:7 is 'mmlib-00000'.* line 1 already"):
        ave(repeats="error")


def test_classes_come_in_the_order_of_the_test_list(own):
    root = own("ave")
    wanted = AVE(root, "train", **SMALL)
    path = root / "testSet.txt"
    path.write_text("\n".join(reversed(lines_of(path))))
    found = AVE(root, "train", **SMALL)
    assert found.classes == wanted.classes[::-1] and found.target.equal(1 - wanted.target)


def test_the_event_is_cut_out_of_the_whole_sound(ave):
    dataset = ave("test")
    for i in range(len(dataset)):
        line = dataset._entries[i]
        whole = read_sound(dataset.files(i)["audio"], dataset.sample_rate)
        first, last = int(line.start * dataset.sample_rate), int(line.end * dataset.sample_rate)
        assert dataset.waveform(i).equal(whole[first:last]) and 0 < last - first < len(whole)


def test_folders_that_end_in_se_hold_the_event_alone(own):
    root = own("ave")
    whole = AVE(root, "test", **SMALL)
    times = [(int(entry.start), int(entry.end)) for entry in whole._entries]
    frames = [whole.sources(i)[2:] for i in range(2)]
    assert [len(names) for names in frames] == [10, 10]
    (root / "Image-01-FPS-SE").rename(root / "Image-01-FPS")
    cut = AVE(root, "test", **SMALL)
    for i, (start, end) in enumerate(times):
        assert [p.name for p in cut.sources(i)[2:]] == [p.name for p in frames[i][start:end]]
    (root / "AudioWAV").rename(root / "Sound-SE")
    assert len(AVE(root, "test", sounds="Sound-SE").waveform(0)) == 10 * whole.sample_rate


def test_stored_spectrograms_of_ave(tmp_path):
    root = write_ave(tmp_path / "ave", clips_per_class=5, classes=2, pickled=True)
    dataset = AVE(root, "val", **SMALL)
    path = dataset.files(0)["audio"]
    assert path.suffix == ".pkl" and path.parent.name == "Audio-1004-SE"
    stored = torch.from_numpy(pickle.loads(path.read_bytes()))
    assert dataset.take(torch.tensor([0]))["audio"][0, 0].equal(stored.half())
    with pytest.raises(ValueError, match="for the waveform, give the wav files"):
        dataset.waveform(0)
    path.write_bytes(pickle.dumps(np.ones((257, 188))))
    with pytest.raises(ValueError, match=r"\.pkl has shape \(257, 188\); expected \(257, 1004\)"):
        AVE(root, "val", **SMALL).take(torch.tensor([0]))  # a run looks at sources once


def test_ave_in_its_official_folder_with_a_header(own, tmp_path):
    root = own("ave")
    wanted = AVE(root, "train").ids
    header = b"Category&VideoID&Quality&StartTime&EndTime\r\n"
    rewrite(root / "trainSet.txt", lambda text: header + text)
    outer = tmp_path / "outer"
    outer.mkdir()
    root.rename(outer / "AVE_Dataset")
    assert AVE(outer, "train").ids == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Church bell,id,good,0,10", "expected 'Category&VideoID"),
        ("Church bell&id&good&0", "expected 'Category&VideoID"),
        ("&id&good&0&10", "expected 'Category&VideoID"),
        ("Meow&id&good&0&10", "'Meow'; expected one of the classes Church bell, Male speech, man"),
        ("Church bell&id&good&x&10", "expected start and end in seconds"),
        ("Church bell&id&good&0&inf", "expected start and end in seconds"),
        ("Church bell&id&good&-1&3", "expected start and end in seconds"),
        ("Church bell&id&good&5&5", "ends after its start"),
        ("Church bell&../id&good&0&10", "a plain file name"),
        ("Church bell&&good&0&10", "a plain file name"),
    ],
)
def test_wrong_lines_of_ave(line, message, own):
    root = own("ave")
    rewrite(root / "valSet.txt", lambda text: text + line.encode())
    with pytest.raises(ValueError, match=rf"valSet\.txt:3 is .*{message}"):
        AVE(root, "val")


def test_an_event_after_the_end_of_the_sound(own):
    root = own("ave")
    rewrite(root / "valSet.txt", lambda text: b"Church bell&mmlib-00003&good&20&30\n")
    dataset = AVE(root, "val", **SMALL)
    with pytest.raises(ValueError, match=r"00003\.wav ends after 10\.00 s; .* 20 s \(line 1 of"):
        dataset.take(torch.tensor([0]))


# Kinetics-Sounds


@pytest.fixture
def ks(written):
    return lambda split="train", **options: KineticsSounds(written / "ks", split, **SMALL | options)


def test_the_splits_of_kinetics_sounds(ks, written):
    parts = {split: ks(split) for split in clips.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 6, "val": 2, "test": 2}
    both = sorted(parts["train"].ids + parts["val"].ids)
    assert both == sorted(line.split(",")[0] for line in lines_of(written / "ks" / "my_train.txt"))
    assert parts["val"].files(0)["audio"].parent.name == "train"
    assert parts["train"].classes == tuple(map(str, range(31)))
    assert ks(classes=["singing", "bowling"]).classes == ("singing", "bowling")


def test_stored_filter_banks_and_paths_in_the_list(tmp_path):
    root = write_kinetics_sounds(tmp_path / "ks", clips_per_class=5, classes=2, layout="smv")
    parts = {split: KineticsSounds(root, split, **SMALL) for split in clips.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 6, "val": 2, "test": 2}
    dataset = parts["val"]
    path = dataset.files(0)["audio"]
    assert path.parent.name == "val" and path.suffix == ".npy"
    raw = dataset.take(torch.arange(2))
    assert raw["audio"][0, 0].equal(torch.from_numpy(np.load(path)).half())
    names = [path.name for path in dataset.sources(0)[2:]]
    assert names == [f"frame_{i:05d}.jpg" for i in range(1, 11)]
    for t, frame in enumerate((0, 3, 6)):
        assert raw["visual"][0, :, t].equal(read_image(dataset.sources(0)[2 + frame], 32))


def test_paths_of_any_kind_name_the_clip_by_their_last_part(own):
    root = own("ks")
    ids = KineticsSounds(root, "test").ids
    (root / "my_test.txt").unlink()
    lines = [f"/data/x/ks_visual/test/{ids[0]}/ 10 1", f"../there/{ids[1]}.mp4 0"]
    (root / "test_1fps_path.txt").write_text("\n".join(lines))
    dataset = KineticsSounds(root, "test")
    assert dataset.ids == ids and dataset.target.tolist() == [1, 0]


def test_labels_by_name_with_their_list(own):
    root = own("ks")
    ids = KineticsSounds(root, "test").ids
    (root / "my_test.txt").unlink()
    (root / "test.txt").write_text(f"singing,{ids[0]}\nbowling,{ids[1]}\n")
    with pytest.raises(FileNotFoundError, match=r"stat\.txt is missing"):
        KineticsSounds(root, "test")
    (root / "stat.txt").write_bytes("\ufeffbowling\r\nsinging\r\n".encode())
    dataset = KineticsSounds(root, "test")
    assert dataset.ids == ids and dataset.target.tolist() == [1, 0]
    assert dataset.classes == ("bowling", "singing")
    (root / "test.txt").write_text("whistling,a\n")
    with pytest.raises(ValueError, match=r"test\.txt:1 is 'whistling'; expected one of the cla"):
        KineticsSounds(root, "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,10", "expected 'clip,10,label'"),
        ("a 10 3", "expected 'clip,10,label'"),
        ("a,10,3,4", "expected 'clip,10,label'"),
        ("a,,3", "expected 'clip,10,label'"),
        ("a,10,31", r"'31'; expected a label in 0\.\.30"),
        ("a,10,-1", r"'-1'; expected a label in 0\.\.30"),
        ("a,10,sing", r"'sing'; expected a label in 0\.\.30"),
        ("a/../../b,10,3", "a plain file name"),
    ],
)
def test_wrong_lines_of_kinetics_sounds(line, message, own):
    root = own("ks")
    rewrite(root / "my_test.txt", lambda text: text + line.encode())
    with pytest.raises(ValueError, match=rf"my_test\.txt:3 is .*{message}"):
        KineticsSounds(root, "test")


def test_lists_of_kinetics_sounds_of_no_known_form(own):
    root = own("ks")
    for text, message in (("a,b,c,d", "'clip,10,label'"), ("alone", "'path ... label'")):
        (root / "my_test.txt").write_text(text)
        with pytest.raises(ValueError, match=rf"my_test\.txt:1 is .*{message}"):
            KineticsSounds(root, "test")
    (root / "my_test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no list my_test\.txt or test_1fps_path\.txt or"):
        KineticsSounds(root, "test")


def bank_of(samples, rate):
    """As the released scripts call it: all channels, their common mean taken off, own rate."""
    x = torch.from_numpy(samples.T.copy()).float()
    options = {"window_type": "hanning", "num_mel_bins": 128, "dither": 0.0, "htk_compat": True}
    return kaldi.fbank(x - x.mean(), sample_frequency=rate, **options)


@pytest.mark.parametrize("audio", ["fbank", "mla-fbank"])
def test_filter_banks_take_the_first_channel_at_the_recordings_own_rate(audio, own):
    root = own("ks")
    data = KineticsSounds(root, "train", audio=audio, cache=False, **SMALL)
    for i, rate in enumerate((44_100, 48_000, 22_050)):
        both = np.round(voice(rate, 3.2, channels=2) * 32767) / 32768
        soundfile.write(data.files(i)["audio"], both, rate)
        wanted = bank_of(both, rate)
        found = data.take(torch.tensor([i]))["audio"][0, 0].float()
        frames = len(wanted)
        assert frames == 1 + (len(both) - rate // 40) // (rate // 100) < 320
        wanted = (wanted + 4.503877) / (2 * 5.141276) if audio == "fbank" else wanted
        assert_close(found[:frames], wanted, atol=0.01, rtol=0)
        assert_close(data.waveform(i), torch.from_numpy(both[:, 0]).float(), atol=1e-6, rtol=0)
        assert data.sample_rate_of(i) == rate
        again = data.audio_input(data.waveform(i), data.sample_rate_of(i))[0]
        assert_close(again, found, atol=0.01, rtol=0)
        averaged = bank_of(both.mean(axis=1, keepdims=True), rate)
        assert (bank_of(both, rate) - averaged).abs().mean() > 0.3  # it makes a difference
    assert data.sample_rate == 44_100  # that of the first clip


def test_other_recipes_average_the_channels_at_their_own_rate(own):
    root = own("cremad")
    data = CremaD(root, "train", cache=False, **SMALL)
    path = data.files(0)["audio"]
    soundfile.write(path, voice(48_000, 1.5, channels=2), 48_000)
    assert data.waveform(0).equal(read_sound(path, 22_050))
    assert data.sample_rate == data.sample_rate_of(0) == 22_050


def test_the_event_is_cut_out_at_the_recordings_own_rate(own):
    root = own("ave")
    data = AVE(root, "test", audio="fbank", cache=False, **SMALL)
    both = voice(44_100, 10, channels=2)
    soundfile.write(data.files(0)["audio"], both, 44_100)
    first, last = (int(44_100 * time) for time in (data._entries[0].start, data._entries[0].end))
    wanted = torch.from_numpy(both[first:last, 0]).float()
    assert_close(data.waveform(0), wanted, atol=1e-4, rtol=0)


def test_a_stored_filter_bank_of_another_shape(own):
    root = own("ks")
    dataset = KineticsSounds(root, "test")
    for i in range(2):
        path = Path(dataset.files(i)["audio"])
        np.save(path.with_suffix(".npy"), np.ones((128, 1024), np.float32))
        path.unlink()
    with pytest.raises(ValueError, match=r"npy has shape \(128, 1024\); expected \(1024, 128\)"):
        KineticsSounds(root, "test", **SMALL).take(torch.tensor([0]))
