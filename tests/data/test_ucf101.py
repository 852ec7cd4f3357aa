import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from mmlib.data import UCF101, ModelNet40, NYUDepthV2, nyud2, ucf101
from mmlib.data.reading.transforms import (
    DRAWS,
    IMAGENET,
    crop,
    fitting_box,
    flips,
    normalise,
    own_luck,
    shrink,
    unaligned,
)
from mmlib.data.tools.sample_pictures import write_modelnet40, write_nyud2, write_ucf101
from mmlib.devices import seeded

SETS = {
    "nyud2": (write_nyud2, NYUDepthV2),
    "ucf101": (write_ucf101, UCF101),
    "modelnet40": (write_modelnet40, ModelNet40),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    made = {}
    for name, (write, _) in SETS.items():
        made[name] = write(tmp_path_factory.mktemp(name), clips_per_class=6)
    return made


@pytest.fixture
def copy(trees, tmp_path):
    """A tree of one's own, to break."""
    return lambda name: shutil.copytree(trees[name], tmp_path / name)


@pytest.fixture
def lists(trees, tmp_path):
    """The lists of a tree in a folder of their own, to break; the pictures stay where they are."""

    def copied(name):
        for path in trees[name].glob("*.txt"):
            shutil.copy(path, tmp_path)
        return tmp_path

    return copied


@pytest.fixture
def draws():
    return torch.rand(64, DRAWS, generator=torch.Generator().manual_seed(0))


def replace(path, old, new):
    """Change a list in place, bytes for bytes."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def flipping(draws, flip):
    """The draws with column 4 such that everything is flipped, or nothing."""
    changed = draws.clone()
    changed[:, 4] = 0.0 if flip else 0.9
    return changed


@pytest.mark.parametrize("name", SETS)
class TestEach:
    """What holds for all three data sets."""

    def test_splits(self, name, trees):
        parts = {s: SETS[name][1](trees[name], s) for s in ("train", "val", "test")}
        sizes = [len(part) for part in parts.values()]
        classes = parts["train"].classes
        assert sizes == [3 * len(classes), len(classes), 2 * len(classes)]
        assert len({id for part in parts.values() for id in part.ids}) == sum(sizes)
        for split, part in parts.items():
            assert part.split == split and part.classes == classes == tuple(sorted(classes))
            assert part.target.dtype == torch.int64 and len(part.ids) == len(part)
            counts = part.target.bincount(minlength=len(classes))
            assert (counts == len(part) // len(classes)).all()
        again = SETS[name][1](trees[name], "val")
        assert again.ids == parts["val"].ids  # the same at every call

    def test_shapes_and_types(self, name, trees, draws):
        data = SETS[name][1](trees[name], "train")
        raw = data.take(torch.tensor([2, 0]))
        assert tuple(raw) == data.modalities
        assert all(x.dtype == torch.uint8 and len(x) == 2 for x in raw.values())
        for finished in (data.finish(raw), data.finish(raw, draws[:2])):
            for modality, x in finished.items():
                assert x.dtype == torch.float32 and x.isfinite().all()
                assert x.shape == (2, *raw[modality].shape[1:-2], 224, 224)

    def test_one_sample_is_a_batch_of_one(self, name, trees):
        data = SETS[name][1](trees[name], "test")
        inputs, target, index = data[3]
        batch = data.finish(data.take(torch.tensor([1, 3])))
        assert index == 3 and target == data.target[3]
        for modality, x in inputs.items():
            torch.testing.assert_close(x, batch[modality][1])
        for beyond in (len(data), -len(data) - 1):
            with pytest.raises(IndexError, match=f"the split holds {len(data)} samples"):
                data[beyond]
        assert data[-1][2] == len(data) - 1
        assert sum(1 for _ in data) == len(data)

    def test_a_sample_depends_on_its_own_draws_alone(self, name, trees, draws):
        options = {"nyud2": {}, "ucf101": {"places": 3}, "modelnet40": {"views": "random"}}
        data = SETS[name][1](trees[name], "train", **options[name])
        whole, parts = torch.tensor([0, 4, 7]), [torch.tensor([7]), torch.tensor([0, 4])]
        together = data.finish(data.take(whole, draws[:3]), draws[:3])
        for index, rows in zip(parts, (draws[2:3], draws[:2])):
            alone = data.finish(data.take(index, rows), rows)
            for m in data.modalities:
                expected = together[m][2:] if len(index) == 1 else together[m][:2]
                torch.testing.assert_close(alone[m], expected)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_finishes_on_a_gpu(self, name, trees, draws):
        for aligned in (True, False):
            data = SETS[name][1](trees[name], "train", aligned=aligned)
            raw = data.take(torch.arange(3))
            there = {m: x.cuda() for m, x in raw.items()}
            for few, place in ((None, "cpu"), (draws[:3], "cpu"), (draws[:3], "cuda")):
                here = data.finish(raw, few)
                on_gpu = data.finish(there, few if few is None else few.to(place))
                for m, x in on_gpu.items():
                    assert x.is_cuda  # resized bytes are rounded on the CPU, to a grey level
                    torch.testing.assert_close(x.cpu(), here[m], atol=0.03, rtol=0)

    def test_the_cache_changes_nothing(self, name, trees, tmp_path):
        index = torch.tensor([0, 5])
        without = SETS[name][1](trees[name], "train", cache=False)
        cached = SETS[name][1](trees[name], "train", cache=tmp_path / "cache")
        raw = without.take(index)
        for _ in range(2):
            assert all(torch.equal(cached.take(index)[m], x) for m, x in raw.items())
        assert len(list((tmp_path / "cache").rglob("*.safetensors"))) >= 2

    def test_no_picture_is_opened_by_the_constructor(self, name, copy, monkeypatch):
        root = copy(name)
        for path in root.rglob("*.*"):
            if path.suffix in (".png", ".jpg"):
                path.write_bytes(b"no picture")
        data = SETS[name][1](root, "train")
        with pytest.raises(ValueError, match=r"(png|jpg) is no picture that can be read"):
            data.take(torch.tensor([0]))

    def test_sources_are_the_files_read(self, name, trees, monkeypatch):
        data = SETS[name][1](trees[name], "test", cache=False)
        opened = []
        module = sys.modules[SETS[name][1].__module__]
        read = module.read_image
        monkeypatch.setattr(module, "read_image", lambda p, *a: opened.append(p) or read(p, *a))
        data.take(torch.tensor([1]))
        assert opened == data.sources(1) and all(path.is_file() for path in opened)

    def test_survives_being_sent_to_a_worker(self, name, trees):
        data = SETS[name][1](trees[name], "val")
        sent = pickle.loads(pickle.dumps(data))
        assert torch.equal(sent[0][0][data.modalities[0]], data[0][0][data.modalities[0]])
        assert "val" in repr(sent) and str(len(data)) in repr(sent)

    def test_missing_root_and_unknown_split(self, name, trees, tmp_path):
        data = SETS[name][1]
        with pytest.raises(FileNotFoundError, match="nowhere is missing or no folder"):
            data(tmp_path / "nowhere", "train")
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="empty"):
            data(tmp_path / "empty", "train")
        with pytest.raises(ValueError, match="split is 'dev'; choose one of train, val, test"):
            data(trees[name], "dev")


def test_halves_are_left_and_right_in_pils_bicubic(copy):
    root = copy("nyud2")
    data = NYUDepthV2(root, "test")
    path = data.sources(0)[0]
    noise = np.random.default_rng(0).integers(0, 256, (90, 240, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    raw = data.take(torch.tensor([0]))
    for modality, half in zip(data.modalities, (noise[:, :120], noise[:, 120:])):
        pil = Image.fromarray(half).resize((256, 256), Image.Resampling.BICUBIC)
        expected = torch.from_numpy(np.array(pil)).permute(2, 0, 1)
        assert torch.equal(raw[modality][0], expected)
    finished = data.finish(raw)["depth"][0]
    whole = TF.resize(raw["depth"][0].float(), [224, 224], antialias=True) / 255
    expected = TF.normalize(whole, *nyud2.STATISTICS)
    torch.testing.assert_close(finished, expected, atol=1.1 / 255 / 0.1474, rtol=0)  # one level


def marked(batch):
    """Two equal raw pictures a sample, so that what differs afterwards is the augmentation."""
    x = torch.randint(256, (batch, 3, 256, 256), generator=torch.Generator().manual_seed(1))
    return x.to(torch.uint8)


@pytest.mark.parametrize("name", ["nyud2", "modelnet40"])
def test_aligned_pairs_share_crop_and_flip(name, trees, draws):
    data = SETS[name][1](trees[name], "train")
    x = marked(16)
    first, second = data.modalities
    raw = {first: x, second: x}
    aligned = data.finish(raw, draws[:16])
    assert torch.equal(aligned[first], aligned[second])
    if name == "modelnet40":  # its views are cropped each on its own when they are read: see below
        return
    own = SETS[name][1](trees[name], "train", aligned=False).finish(raw, draws[:16])
    assert torch.equal(own[first], aligned[first])
    differs = (own[first] != own[second]).flatten(1).any(1)
    assert differs.all()
    assert torch.equal(own[second], data.finish(raw, unaligned(draws[:16]))[second])
    plain = [SETS[name][1](trees[name], "train", aligned=a).finish(raw) for a in (True, False)]
    assert torch.equal(plain[0][second], plain[1][second])  # evaluation knows no such thing


def test_crop_cuts_and_flips(draws):
    x = marked(4)[:, :, None]
    boxes = torch.tensor([[0, 0, 224, 224], [32, 32, 224, 224], [5, 9, 224, 224], [1, 2, 224, 224]])
    flip = torch.tensor([False, True, False, True])
    cut = crop(x, boxes, flip)
    for k, (top, left, tall, wide) in enumerate(boxes.tolist()):
        expected = x[k, ..., top : top + tall, left : left + wide]
        assert torch.equal(cut[k], expected.flip(-1) if flip[k] else expected)
    assert torch.equal(crop(x, boxes, None)[1], cut[1].flip(-1))


def test_shrink_keeps_the_proportions():
    picture = torch.arange(240 * 320 * 3).remainder(256).to(torch.uint8).view(3, 240, 320)
    assert shrink(picture, (256, 340)).shape == (3, 256, 340)
    assert torch.equal(shrink(picture, (240, 320)), picture)
    assert torch.equal(shrink(picture, (240, 300)), picture[..., 10:310])  # cut, not squeezed
    for height, width in ((300, 411), (411, 300), (100, 90), (256, 300), (1, 1), (3, 700)):
        noise = torch.randint(256, (height, width, 3), dtype=torch.uint8)
        qmf = TF.center_crop(TF.resize(Image.fromarray(noise.numpy()), 256), 256)
        shrunk = shrink(noise.permute(2, 0, 1), (256, 256))
        assert torch.equal(shrunk.permute(1, 2, 0), torch.from_numpy(np.array(qmf)))


def test_depth_and_picture_stay_together_after_both_splits(trees):
    folders = {NYUDepthV2(trees["nyud2"], s).ids[0].split("/")[0] for s in ("train", "val")}
    assert folders == {"train"}
    inner = NYUDepthV2(trees["nyud2"] / "nyud2_trainvaltest", "test")
    assert inner.ids == NYUDepthV2(trees["nyud2"], "test").ids


@pytest.mark.parametrize(
    ("size", "mode"), [((161, 60), "RGB"), ((80, 60), "RGB"), ((2, 2), "L"), ((1, 1), "RGB")]
)
def test_a_picture_that_is_no_pair(size, mode, copy):
    root = copy("nyud2")
    data = NYUDepthV2(root, "test")
    Image.new(mode, size).save(data.sources(0)[0])
    with pytest.raises(ValueError, match=rf"0000.png is {size[0]} x {size[1]} pixels; expected"):
        data.take(torch.tensor([0]))


def test_bad_folders_of_nyud2(copy):
    root = copy("nyud2") / "nyud2_trainvaltest"
    (root / "test" / "garage").mkdir()
    with pytest.raises(ValueError, match="garage is of no class of train, bathroom, bedroom"):
        NYUDepthV2(root, "test")
    (root / "train" / "garage").mkdir()
    with pytest.raises(ValueError, match=r"train/garage holds no .png or .jpg"):
        NYUDepthV2(root, "train")
    shutil.rmtree(root / "test")
    with pytest.raises(FileNotFoundError, match="test is missing or no folder"):
        NYUDepthV2(root, "test")
    for path in (root / "train").iterdir():
        shutil.rmtree(path)
    with pytest.raises(FileNotFoundError, match="train holds no folders"):
        NYUDepthV2(root, "val")


def test_flow_of_ten_frames_around_the_middle(trees):
    data = UCF101(trees["ucf101"], "test")
    names = [path.name for path in data.sources(0)]
    expected = [f"frame{k:06d}.jpg" for k in range(2, 12)]  # 12 frames of flow, as DI-MML's code
    assert names == [*expected, *expected, "frame000007.jpg"]
    trees_of = [path.parent.parent.name for path in data.sources(0)[::10]]
    assert trees_of == ["u", "v", "jpegs_256"]
    raw = data.take(torch.tensor([0]))
    assert raw["flow"].shape == (1, 2, 10, 256, 340)
    assert raw["visual"].shape == (1, 3, 1, 256, 340)
    finished = data.finish(raw)
    middle = raw["flow"][..., 16:240, 58:282].float() - 127.5
    assert torch.equal(finished["flow"], middle)
    stacked = UCF101(trees["ucf101"], "test", stacked=True).finish(raw)["flow"]
    assert stacked.shape == (1, 20, 224, 224)
    for frame in (0, 9):
        assert torch.equal(stacked[:, 2 * frame : 2 * frame + 2], middle[:, :, frame])
    mean, deviation = ([[[[255 * x]]] for x in s] for s in ucf101.STATISTICS)
    picture = raw["visual"][0, ..., 16:240, 58:282]
    expected = (picture - torch.tensor(mean)) / torch.tensor(deviation)
    torch.testing.assert_close(finished["visual"][0], expected)


def test_numbers_of_frames(trees):
    data = UCF101(trees["ucf101"], "test", flow_frames=4, frames=2)
    raw = data.take(torch.tensor([0, 1]))
    assert raw["flow"].shape[2] == 4 and raw["visual"].shape[2] == 2
    balance = UCF101(trees["ucf101"], "test", recipe="balance")
    raw = balance.take(torch.tensor([0]))
    assert raw["flow"].shape == (1, 2, 3, 224, 224) and raw["visual"].shape == (1, 3, 3, 224, 224)
    # the second frame of each third of 12, as BalanceBenchmark's test
    names = [path.name for path in balance.sources(0)[::3]]
    assert names == ["frame000002.jpg", "frame000006.jpg", "frame000010.jpg"]
    finished = balance.finish(raw)
    assert 0 <= finished["flow"].min() and finished["flow"].max() <= 1
    expected = normalise(raw["visual"], *IMAGENET)
    assert torch.equal(finished["visual"], expected)


def test_places_of_the_window(trees, draws):
    def starts(places, rows, **more):
        data = UCF101(trees["ucf101"], "train", places=places, **more)
        clip = data._clip(0)
        return [tuple(data._starts(clip, row)) for row in rows]

    assert set(starts(1, draws)) == {(1,)} and starts(5, [None]) == [(1,)]
    assert set(starts(3, draws)) == {(0,), (1,), (2,)}
    assert set(starts(2, draws)) == {(0,), (2,)}
    assert set(starts(None, draws)) == {(0,), (1,), (2,)}
    assert set(starts(None, draws, flow_frames=12)) == {(0,)}
    drawn = starts(None, draws, recipe="balance")
    assert {first for first, _, _ in drawn} == set(range(4))
    assert {last for _, _, last in drawn} == set(range(8, 12))
    low, high = torch.zeros(1, DRAWS), torch.full((1, DRAWS), 1 - 2**-24)
    assert starts(3, [*low, *high]) == [(0,), (2,)]


def test_any_place_is_not_cached(trees, tmp_path, draws):
    data = UCF101(trees["ucf101"], "train", places=None, cache=tmp_path / "cache")
    data.take(torch.tensor([0]), draws[:1])
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("recipe", ["di-mml", "balance"])
def test_a_flipped_flow_points_the_other_way(recipe, trees, draws):
    data = UCF101(trees["ucf101"], "train", recipe=recipe)
    raw = data.take(torch.arange(4))
    plain, flipped = (data.finish(raw, flipping(draws[:4], flip)) for flip in (False, True))
    zero = 0.0 if recipe == "di-mml" else 0.5
    u, v = (plain["flow"] - zero).unbind(1)
    flipped_u, flipped_v = (flipped["flow"] - zero).unbind(1)
    assert u.std() > 0.01 and v.std() > 0.01
    torch.testing.assert_close(flipped_u, -u.flip(-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(flipped_v, v.flip(-1), atol=1e-6, rtol=0)
    assert torch.equal(flipped["visual"], plain["visual"].flip(-1))


def test_released_flips_of_flow(trees, draws):
    index = torch.arange(4)
    data = UCF101(trees["ucf101"], "train", aligned=False)
    raw = data.take(index)
    plain, flipped = (data.finish(raw, flipping(draws[:4], flip)) for flip in (False, True))
    assert torch.equal(flipped["flow"][:, 0], plain["flow"][:, 0].flip(-1))  # the sign stays
    assert torch.equal(flipped["flow"][:, 1], plain["flow"][:, 1])  # v is not mirrored at all
    assert torch.equal(flipped["visual"], plain["visual"].flip(-1))
    data = UCF101(trees["ucf101"], "train", recipe="balance", aligned=False)
    few = draws[:32]
    alike = {m: x[:1].expand(32, *x.shape[1:]) for m, x in data.take(index).items()}
    finished, evaluated = data.finish(alike, few), data.finish(alike)
    sides = {}
    for name, x, y in (
        ("visual", finished["visual"], evaluated["visual"]),
        ("u", finished["flow"][:, 0], evaluated["flow"][:, 0]),
        ("v", finished["flow"][:, 1], evaluated["flow"][:, 1]),
    ):
        mirrored = (x == y.flip(-1)).flatten(1).all(1)
        assert (mirrored | (x == y).flatten(1).all(1)).all()
        sides[name] = mirrored
    assert torch.equal(sides["visual"], flips(few))
    assert (sides["u"] != sides["visual"]).any() and (sides["u"] != sides["v"]).any()


def test_validation_keeps_groups_together(trees):
    parts = [UCF101(trees["ucf101"], split) for split in ("train", "val")]
    groups = [{id.split("_")[-2] for id in part.ids} for part in parts]
    assert groups == [{"g08", "g09", "g10"}, {"g11"}]


def test_lists_of_ucf101(trees, lists):
    root, folder = trees["ucf101"], lists("ucf101")
    plain = UCF101(root, "test")
    (folder / "testlist01.txt").unlink()
    labelled = UCF101(root, "test", lists=folder)  # testlist001.txt
    assert labelled.ids == plain.ids and torch.equal(labelled.target, plain.target)
    content = (folder / "trainlist01.txt").read_bytes().replace(b"\n", b"\r\n")
    (folder / "trainlist01.txt").write_bytes(b"\xef\xbb\xbf" + content + b"\r\n\r\n")
    (folder / "trainlist02.txt").write_bytes(content.replace(b" ", b"\t"))
    for fold in (1, 2):
        assert UCF101(root, "train", lists=folder, fold=fold).ids == UCF101(root, "train").ids
    with pytest.raises(FileNotFoundError, match="trainlist03.txt is missing"):
        UCF101(root, "train", lists=folder, fold=3)
    with pytest.raises(FileNotFoundError, match="testlist002.txt is missing"):
        UCF101(root, "test", lists=folder, fold=2)
    with pytest.raises(ValueError, match="fold is 4"):
        UCF101(root, "test", fold=4)


def test_lists_in_their_official_folder(trees, tmp_path):
    (tmp_path / "ucfTrainTestlist").mkdir()
    for path in trees["ucf101"].glob("*.txt"):
        shutil.copy(path, tmp_path / "ucfTrainTestlist")
    assert UCF101(tmp_path, "val").ids == UCF101(trees["ucf101"], "val").ids


def test_folders_in_other_capitals(copy):
    root = copy("ucf101")
    before = UCF101(root, "test", cache=False)[0][0]
    for tree in ("jpegs_256", "tvl1_flow/u", "tvl1_flow/v"):
        folder = root / tree / "v_Archery_g01_c01"
        folder.rename(folder.with_name("v_archery_g01_c01"))
    after = UCF101(root, "test", cache=False)[0][0]
    assert all(torch.equal(before[m], after[m]) for m in before)


FIRST = b"Archery/v_Archery_g08_c01.avi 1\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"Archery/v_Archery_g08_c01.avi one two\n", "expected 'Class/v_Class_g01_c01.avi'"),
        (b"v_Archery_g08_c01.avi 1\n", "expected 'Class/v_Class_g01_c01.avi'"),
        (b"Archery/Archery_g08_c01.avi 1\n", "expected 'Class/v_Class_g01_c01.avi'"),
        (b"Archery/v_Archery_g08_c01.avi 0\n", "expected 1, the number of Archery"),
        (b"Archery/v_Archery_g08_c01.avi 4\n", "expected 1, the number of Archery"),
        (b"Archery/v_Archery_g08_c01.avi 2\n", "expected 1, the number of Archery"),
        (b"Archery/v_Archery_g08_c01.avi -1\n", "expected 1, the number of Archery"),
        (b"Juggling/v_Juggling_g08_c01.avi 1\n", "expected one of the classes Archery"),
        (b"Archery/../v_Archery_g08_c01.avi 1\n", "without '..'"),
        (b"/Archery/v_Archery_g08_c01.avi 1\n", "a path below the root"),
        (FIRST + FIRST, r"trainlist01.txt:2 .* stands in line 1 already"),
        (b"\xff\xfe\n", "trainlist01.txt:1 is not UTF-8"),
    ],
)
def test_bad_lines_of_ucf101(line, words, trees, lists):
    folder = lists("ucf101")
    replace(folder / "trainlist01.txt", FIRST, line)
    with pytest.raises(ValueError, match=rf"trainlist01.txt:\d.*{words}|{words}"):
        UCF101(trees["ucf101"], "train", lists=folder)
    UCF101(trees["ucf101"], "test", lists=folder)  # the other list is as it was


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1 Archery\n3 Bowling\n", r"classInd.txt:2 is '3 Bowling'; expected '2 Class'"),
        ("Archery\n", "classInd.txt:1 is 'Archery'; expected '1 Class'"),
        ("1 Archery\n2 Archery\n", "classInd.txt:2 .* each class once"),
        ("1 ../up\n", "classInd.txt:1 .* without '..'"),
        ("\n\n", "classInd.txt is empty"),
    ],
)
def test_bad_class_list_of_ucf101(content, words, trees, lists):
    folder = lists("ucf101")
    (folder / "classInd.txt").write_text(content)
    with pytest.raises(ValueError, match=words):
        UCF101(trees["ucf101"], "test", lists=folder)


def test_one_group_cannot_be_split(trees, lists):
    folder = lists("ucf101")
    (folder / "trainlist01.txt").write_bytes(FIRST)
    with pytest.raises(ValueError, match="trainlist01.txt is all of group 8; validation needs"):
        UCF101(trees["ucf101"], "train", lists=folder)


def test_too_few_or_unequal_frames(copy):
    root = copy("ucf101")
    data = UCF101(root, "test", cache=False)
    u, v, pictures = (root / "tvl1_flow/u", root / "tvl1_flow/v", root / "jpegs_256")
    video = data.ids[0]
    (u / video / "frame000012.jpg").unlink()
    with pytest.raises(ValueError, match=rf"u/{video} holds 11 frames and .*v/{video} 12"):
        data.take(torch.tensor([0]))
    for folder in (u, v):
        for k in range(10, 13):
            (folder / video / f"frame{k:06d}.jpg").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=rf"u/{video} holds 9 frames; 10 are needed"):
        data.take(torch.tensor([0]))
    UCF101(root, "test", recipe="balance").take(torch.tensor([0]))
    shutil.rmtree(pictures / video)
    with pytest.raises(FileNotFoundError, match=rf"jpegs_256/{video} is missing"):
        data.sources(0)
    (pictures / video).mkdir()
    with pytest.raises(ValueError, match=rf"jpegs_256/{video} holds no .jpg"):
        data.sources(0)
    shutil.rmtree(u)
    with pytest.raises(FileNotFoundError, match="u is missing or no folder"):
        data.take(torch.tensor([1]))


def test_bad_options_of_ucf101(trees):
    def make(**options):
        return UCF101(trees["ucf101"], "train", **options)

    with pytest.raises(ValueError, match="recipe is 'i3d'; choose one of di-mml, balance"):
        make(recipe="i3d")
    with pytest.raises(ValueError, match="places is 0"):
        make(places=0)
    with pytest.raises(ValueError, match="frames is 11, more than the 10 flow_frames"):
        make(frames=11)
    with pytest.raises(ValueError, match="flow_frames is 0"):
        make(flow_frames=0)
    with pytest.raises(FileNotFoundError, match="classInd.txt"):
        make(lists=trees["ucf101"] / "no")


def test_lists_and_folders_of_modelnet40_agree(copy):
    root = copy("modelnet40")
    listed = [ModelNet40(root, split) for split in ("train", "val", "test")]
    for name in ("train.txt", "test.txt"):
        (root / name).rename(root / name.upper())
    walked = [ModelNet40(root, split) for split in ("train", "val", "test")]
    for a, b in zip(listed, walked):
        assert a.ids == b.ids and a.classes == b.classes and torch.equal(a.target, b.target)
    assert ModelNet40(root / "modelnet40_images_new_12x", "test").ids == walked[2].ids
    lists = root / "lists"
    lists.mkdir()
    for name in ("train", "test"):
        content = (root / f"{name.upper()}.TXT").read_bytes()
        windows = content.replace(b"\n", b"\r\n").replace(b"/", b"\\")
        (lists / f"{name}.txt").write_bytes(b"\xef\xbb\xbf" + windows)
    assert ModelNet40(root, "test", lists=lists).ids == listed[2].ids
    with pytest.raises(FileNotFoundError, match="nowhere is missing"):
        ModelNet40(root, "test", lists=root / "nowhere")
    (lists / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="test.txt is missing"):
        ModelNet40(root, "test", lists=lists)


def test_front_and_rear_views(trees, draws):
    data = ModelNet40(trees["modelnet40"], "train")
    names = [path.name[-8:] for path in data.sources(0)]
    assert names == ["v001.png", "v007.png"]
    every = ModelNet40(trees["modelnet40"], "train", views="random")
    views = [every._picture(0, view) for view in range(1, 13)]
    alone = every.take(torch.zeros(64, dtype=torch.int64), draws)
    front, rear = (
        torch.tensor([[torch.equal(x, view) for view in views] for x in alone[m]])
        for m in ("front", "rear")
    )
    # v003 and v011 look alike in some objects, so that a picture may stand for two views
    assert front[:, :6].any(1).all() and rear[:, 6:].any(1).all()
    assert front[:, :6].any(0).all() and rear[:, 6:].any(0).all()
    fixed = data.take(torch.tensor([0]))
    assert all(torch.equal(every.take(torch.tensor([0]))[m], x) for m, x in fixed.items())
    assert len(every.sources(0)) == 12
    with pytest.raises(ValueError, match="views is 'all'"):
        ModelNet40(trees["modelnet40"], "train", views="all")


def test_views_that_are_cropped_each_on_its_own_are_cut_as_torchvision_cuts(copy, draws):
    root = copy("modelnet40")
    data = ModelNet40(root, "train", aligned=False)
    views, rng = {}, np.random.default_rng(0)
    for modality, path in zip(data.modalities, data.sources(0)):
        views[modality] = Image.fromarray(rng.integers(0, 256, (120, 200, 3), dtype=np.uint8))
        views[modality].save(path)  # in another shape than published: nothing is squeezed first
    size, limit = [224, 224], 2.1 / 255 / 0.224  # two levels
    for row in draws[:8]:
        raw = data.take(torch.tensor([0]), row[None])
        finished, luck, boxes = data.finish(raw, row[None]), own_luck(row.tolist()), set()
        for modality, view in views.items():
            boxes.add(box := fitting_box(luck, 120, 200))
            wanted = TF.resized_crop(view, *box, size)
            wanted = TF.hflip(wanted) if luck.random() < 0.5 else wanted
            wanted = TF.normalize(TF.to_tensor(wanted), *IMAGENET)
            torch.testing.assert_close(finished[modality][0], wanted, atol=limit, rtol=0)
        assert len(boxes) == 2
    plain = data.finish(data.take(torch.tensor([0])))
    for modality, view in views.items():
        wanted = TF.normalize(TF.to_tensor(TF.resize(view, size)), *IMAGENET)
        torch.testing.assert_close(plain[modality][0], wanted, atol=limit, rtol=0)
    squeezed = ModelNet40(root, "train")  # the same cache folder, other entries
    assert squeezed._picture(0, 1).shape == (3, 224, 224)
    assert data._picture(0, 1).shape == (3, 120, 200)


@pytest.mark.parametrize("cache", [None, False])
def test_a_missing_rear_view(cache, copy):
    root = copy("modelnet40")
    data = ModelNet40(root, "test", cache=cache)
    data.sources(0)[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"shaded_v007.png is missing"):
        data.take(torch.tensor([0]))
    data.take(torch.tensor([1]))


CHAIR = b"../modelnet40_images_new_12x/chair/train/chair_0001.obj.shaded_v001.png\t1\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (CHAIR.replace(b"\t", b" "), "a tab and a label"),
        (CHAIR.replace(b"v001", b"v002"), "a tab and a label"),
        (CHAIR.replace(b"chair/train/", b"chair/"), "a tab and a label"),
        (CHAIR.replace(b"\t1", b"\t4"), r"expected a label in 0..3"),
        (CHAIR.replace(b"\t1", b"\t-1"), r"expected a label in 0..3"),
        (CHAIR.replace(b"\t1", b"\tchair"), r"expected a label in 0..3"),
        (CHAIR.replace(b"\t1", b"\t2"), "expected label 1: chair is that in the alphabetical"),
        (CHAIR.replace(b"12x/chair", b"12x/../chair"), "without '..'"),
        (b"../../chair/train/chair_0001.obj.shaded_v001.png\t1\n", "without '..'"),
        (b"/chair/train/chair_0001.obj.shaded_v001.png\t1\n", "a path below the root"),
        (CHAIR + CHAIR, r"stands in line 5 already"),
    ],
)
def test_bad_lines_of_modelnet40(line, words, trees, lists):
    folder = lists("modelnet40")
    replace(folder / "train.txt", CHAIR, line)
    with pytest.raises(ValueError, match=rf"train.txt:[56] .*{words}"):
        ModelNet40(trees["modelnet40"], "train", lists=folder)


def test_an_unknown_class_in_the_test_list_of_modelnet40(copy):
    root = copy("modelnet40")
    with open(root / "test.txt", "ab") as file:
        file.write(CHAIR.replace(b"chair", b"sofa"))
    with pytest.raises(ValueError, match=r"test.txt:9 is 'sofa'; expected one of the classes"):
        ModelNet40(root, "test")
    for path in (root / "modelnet40_images_new_12x/chair/test").iterdir():
        path.rename(path.with_name(path.name.replace("_v", "_w")))
    (root / "train.txt").unlink()
    with pytest.raises(ValueError, match="chair/test holds no view that ends in _v001.png"):
        ModelNet40(root, "test")


def test_training_with_the_courses_encoders(trees, draws):
    from mmlib.encoders import ResNet18

    data = UCF101(trees["ucf101"], "train")
    x = data.finish(data.take(torch.arange(2)), draws[:2])
    stacked = UCF101(trees["ucf101"], "train", stacked=True)
    with seeded(0), torch.no_grad():
        small = {m: y[..., ::4, ::4] for m, y in x.items()}
        assert ResNet18(2).eval()(small["flow"]).shape == (2, 512)
        assert ResNet18(3).eval()(small["visual"]).shape == (2, 512)
        y = stacked.finish(stacked.take(torch.arange(2)), draws[:2])["flow"][..., ::4, ::4]
        assert ResNet18(20).eval()(y).shape == (2, 512)
