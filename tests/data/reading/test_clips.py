"""What the data sets of clips share: what they give, cache, crop and choose."""

import os
import shutil

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.transforms import functional as TF

from mmlib.batches import DRAWS
from mmlib.commands.presets import PRESETS
from mmlib.data import AVE, CremaD, KineticsSounds
from mmlib.data.reading import clips
from mmlib.data.reading.boxes import fitting_box, own_luck
from mmlib.data.reading.cache import Cache
from mmlib.data.reading.frames import choose_frames
from mmlib.data.reading.media import read_image, read_sound
from mmlib.data.reading.transforms import IMAGENET
from mmlib.data.spectrograms import RECIPES, spectrogram
from voices import voice

SMALL = {"size": 28}  # cached with 32 x 32


@pytest.fixture
def cremad(tree):
    return lambda split="train", **options: CremaD(tree("cremad"), split, **SMALL | options)


@pytest.fixture
def ks(tree):
    return lambda split="train", **options: KineticsSounds(
        tree("kinetics-sounds"), split, **SMALL | options
    )


@pytest.fixture
def draws():
    return torch.rand(6, DRAWS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("data", "frames"), [(CremaD, 1), (CremaD, 2), (AVE, 4), (KineticsSounds, 3)]
)
def test_the_interface(data, frames, tree, draws):
    names = {CremaD: "cremad", AVE: "ave", KineticsSounds: "kinetics-sounds"}
    dataset = data(tree(names[data]), "train", frames=frames, **SMALL)
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
def test_the_interface_with_released_crops(data, tree, draws):
    names = {CremaD: "cremad", AVE: "ave", KineticsSounds: "kinetics-sounds"}
    dataset = data(tree(names[data]), "train", frames=3, crops="released", **SMALL)
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


@pytest.mark.slow
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


def test_released_inputs_are_those_of_torchvision_on_pils_pictures(tree):
    dataset = CremaD(tree("cremad"), "train", frames=2, crops="released")
    shared = CremaD(tree("cremad"), "train", frames=2)
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


def frames_shown(choose, count):
    """The frames, from 1, that each of three parts may show in training, and in evaluation."""
    lucks = [[k / 60, (k * 7 % 60) / 60, 1 - 2**-24 - k / 60] for k in range(60)]
    trained = zip(*(choose(count, luck) for luck in lucks))
    return [sorted({frame + 1 for frame in part}) for part in trained], [
        frame + 1 for frame in choose(count, None)
    ]


def test_the_tenth_frame_is_shown_by_one_rule_and_not_by_the_other(ks):
    shown = {}
    for rule in ("segments", "smv"):
        dataset = ks(frames_from=rule)
        assert len(dataset.sources(0)[2:]) == 10
        shown[rule] = frames_shown(dataset._chosen, 10)
    parts, evaluated = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [1, 4, 7]
    assert shown["smv"] == (parts, evaluated)
    assert shown["segments"] == ([*parts[:2], [*parts[2], 10]], evaluated)


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

    for content, message in ((b"", "is empty"), (whole[:999], "cut short"), (whole[:44], "cut")):
        sound.write_bytes(content)
        take(ValueError, message)
    sound.unlink()
    take(FileNotFoundError, "is missing")
    sound.write_bytes(whole)
    frames[-1].write_bytes(b"")
    with pytest.raises(ValueError, match=f"{dataset.ids[0]}.*{frames[-1].name} is empty"):
        dataset.whole(0)
    frames[len(frames) // 2].write_bytes(b"nothing")
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


def test_other_recipes_average_the_channels_at_their_own_rate(own):
    root = own("cremad")
    data = CremaD(root, "train", cache=False, **SMALL)
    path = data.files(0)["audio"]
    soundfile.write(path, voice(48_000, 1.5, channels=2), 48_000)
    assert data.waveform(0).equal(read_sound(path, 22_050))
    assert data.sample_rate == data.sample_rate_of(0) == 22_050
