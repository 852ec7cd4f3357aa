"""UCF-101: windows, flow that is flipped, lists and folders."""

import shutil

import pytest
import torch

from mmlib.batches import DRAWS
from mmlib.data import UCF101, ucf101
from mmlib.data.reading.boxes import flips
from mmlib.data.reading.transforms import IMAGENET, normalise
from mmlib.devices import seeded


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


def test_flow_of_ten_frames_around_the_middle(tree):
    data = UCF101(tree("ucf101"), "test")
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
    stacked = UCF101(tree("ucf101"), "test", stacked=True).finish(raw)["flow"]
    assert stacked.shape == (1, 20, 224, 224)
    for frame in (0, 9):
        assert torch.equal(stacked[:, 2 * frame : 2 * frame + 2], middle[:, :, frame])
    mean, deviation = ([[[[255 * x]]] for x in s] for s in ucf101.STATISTICS)
    picture = raw["visual"][0, ..., 16:240, 58:282]
    expected = (picture - torch.tensor(mean)) / torch.tensor(deviation)
    torch.testing.assert_close(finished["visual"][0], expected)


def test_numbers_of_frames(tree):
    data = UCF101(tree("ucf101"), "test", flow_frames=4, frames=2)
    raw = data.take(torch.tensor([0, 1]))
    assert raw["flow"].shape[2] == 4 and raw["visual"].shape[2] == 2
    balance = UCF101(tree("ucf101"), "test", recipe="balance")
    raw = balance.take(torch.tensor([0]))
    assert raw["flow"].shape == (1, 2, 3, 224, 224) and raw["visual"].shape == (1, 3, 3, 224, 224)
    # the second frame of each third of 12, as BalanceBenchmark's test
    names = [path.name for path in balance.sources(0)[::3]]
    assert names == ["frame000002.jpg", "frame000006.jpg", "frame000010.jpg"]
    finished = balance.finish(raw)
    assert 0 <= finished["flow"].min() and finished["flow"].max() <= 1
    expected = normalise(raw["visual"], *IMAGENET)
    assert torch.equal(finished["visual"], expected)


def test_places_of_the_window(tree, draws):
    def starts(places, rows, **more):
        data = UCF101(tree("ucf101"), "train", places=places, **more)
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


def test_any_place_is_not_cached(tree, tmp_path, draws):
    data = UCF101(tree("ucf101"), "train", places=None, cache=tmp_path / "cache")
    data.take(torch.tensor([0]), draws[:1])
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("recipe", ["di-mml", "balance"])
def test_a_flipped_flow_points_the_other_way(recipe, tree, draws):
    data = UCF101(tree("ucf101"), "train", recipe=recipe)
    raw = data.take(torch.arange(4))
    plain, flipped = (data.finish(raw, flipping(draws[:4], flip)) for flip in (False, True))
    zero = 0.0 if recipe == "di-mml" else 0.5
    u, v = (plain["flow"] - zero).unbind(1)
    flipped_u, flipped_v = (flipped["flow"] - zero).unbind(1)
    assert u.std() > 0.01 and v.std() > 0.01
    torch.testing.assert_close(flipped_u, -u.flip(-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(flipped_v, v.flip(-1), atol=1e-6, rtol=0)
    assert torch.equal(flipped["visual"], plain["visual"].flip(-1))


def test_released_flips_of_flow(tree, draws):
    index = torch.arange(4)
    data = UCF101(tree("ucf101"), "train", aligned=False)
    raw = data.take(index)
    plain, flipped = (data.finish(raw, flipping(draws[:4], flip)) for flip in (False, True))
    assert torch.equal(flipped["flow"][:, 0], plain["flow"][:, 0].flip(-1))  # the sign stays
    assert torch.equal(flipped["flow"][:, 1], plain["flow"][:, 1])  # v is not mirrored at all
    assert torch.equal(flipped["visual"], plain["visual"].flip(-1))
    data = UCF101(tree("ucf101"), "train", recipe="balance", aligned=False)
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


def test_validation_keeps_groups_together(tree):
    parts = [UCF101(tree("ucf101"), split) for split in ("train", "val")]
    groups = [{id.split("_")[-2] for id in part.ids} for part in parts]
    assert groups == [{"g08", "g09", "g10"}, {"g11"}]


def test_lists_of_ucf101(tree, lists):
    root, folder = tree("ucf101"), lists("ucf101")
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


def test_lists_in_their_official_folder(tree, tmp_path):
    (tmp_path / "ucfTrainTestlist").mkdir()
    for path in tree("ucf101").glob("*.txt"):
        shutil.copy(path, tmp_path / "ucfTrainTestlist")
    assert UCF101(tmp_path, "val").ids == UCF101(tree("ucf101"), "val").ids


def test_folders_in_other_capitals(own):
    root = own("ucf101")
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
def test_bad_lines_of_ucf101(line, words, tree, lists):
    folder = lists("ucf101")
    replace(folder / "trainlist01.txt", FIRST, line)
    with pytest.raises(ValueError, match=rf"trainlist01.txt:\d.*{words}|{words}"):
        UCF101(tree("ucf101"), "train", lists=folder)
    UCF101(tree("ucf101"), "test", lists=folder)  # the other list is as it was


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
def test_bad_class_list_of_ucf101(content, words, tree, lists):
    folder = lists("ucf101")
    (folder / "classInd.txt").write_text(content)
    with pytest.raises(ValueError, match=words):
        UCF101(tree("ucf101"), "test", lists=folder)


def test_one_group_cannot_be_split(tree, lists):
    folder = lists("ucf101")
    (folder / "trainlist01.txt").write_bytes(FIRST)
    with pytest.raises(ValueError, match="trainlist01.txt is all of group 8; validation needs"):
        UCF101(tree("ucf101"), "train", lists=folder)


def test_too_few_or_unequal_frames(own):
    root = own("ucf101")
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


@pytest.mark.parametrize("place", ["jpegs_256", "tvl1_flow/v"])
def test_frames_of_another_number_are_refused(place, own):
    root = own("ucf101")
    data = UCF101(root, "test", cache=False)
    folder = root / place / data.ids[0]
    first, *_, last = sorted(folder.iterdir())
    last.rename(folder / "frame000014.jpg")  # as many as before
    if place == "jpegs_256":
        first.unlink()
    with pytest.raises(ValueError, match=rf"{place}/{data.ids[0]}/frame0000\d\d.jpg stands where"):
        data.sources(0)
    for path in folder.iterdir():  # other names of the same numbers are none
        path.unlink()
    for path in (root / "tvl1_flow/u" / data.ids[0]).iterdir():
        shutil.copy(path, folder / f"img_{path.stem[-5:]}.jpg")
    data.sources(0)


def test_bad_options_of_ucf101(tree):
    def make(**options):
        return UCF101(tree("ucf101"), "train", **options)

    with pytest.raises(ValueError, match="recipe is 'i3d'; choose one of di-mml, balance"):
        make(recipe="i3d")
    with pytest.raises(ValueError, match="places is 0"):
        make(places=0)
    with pytest.raises(ValueError, match="frames is 11, more than the 10 flow_frames"):
        make(frames=11)
    with pytest.raises(ValueError, match="flow_frames is 0"):
        make(flow_frames=0)
    with pytest.raises(FileNotFoundError, match="classInd.txt"):
        make(lists=tree("ucf101") / "no")


def test_training_with_the_courses_encoders(tree, draws):
    from mmlib.encoders import ResNet18

    data = UCF101(tree("ucf101"), "train")
    x = data.finish(data.take(torch.arange(2)), draws[:2])
    stacked = UCF101(tree("ucf101"), "train", stacked=True)
    with seeded(0), torch.no_grad():
        small = {m: y[..., ::4, ::4] for m, y in x.items()}
        assert ResNet18(2).eval()(small["flow"]).shape == (2, 512)
        assert ResNet18(3).eval()(small["visual"]).shape == (2, 512)
        y = stacked.finish(stacked.take(torch.arange(2)), draws[:2])["flow"][..., ::4, ::4]
        assert ResNet18(20).eval()(y).shape == (2, 512)
