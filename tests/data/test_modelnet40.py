"""ModelNet40: views, lists and folders."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from mmlib.batches import DRAWS
from mmlib.data import ModelNet40
from mmlib.data.reading.boxes import fitting_box, own_luck
from mmlib.data.reading.transforms import IMAGENET


@pytest.fixture
def draws():
    return torch.rand(64, DRAWS, generator=torch.Generator().manual_seed(0))


def replace(path, old, new):
    """Change a list in place, bytes for bytes."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_lists_and_folders_of_modelnet40_agree(own):
    root = own("modelnet40")
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


def test_front_and_rear_views(tree, draws):
    data = ModelNet40(tree("modelnet40"), "train")
    names = [path.name[-8:] for path in data.sources(0)]
    assert names == ["v001.png", "v007.png"]
    every = ModelNet40(tree("modelnet40"), "train", views="random")
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
        ModelNet40(tree("modelnet40"), "train", views="all")


def test_views_that_are_cropped_each_on_its_own_are_cut_as_torchvision_cuts(own, draws):
    root = own("modelnet40")
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
def test_a_missing_rear_view(cache, own):
    root = own("modelnet40")
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
def test_bad_lines_of_modelnet40(line, words, tree, lists):
    folder = lists("modelnet40")
    replace(folder / "train.txt", CHAIR, line)
    with pytest.raises(ValueError, match=rf"train.txt:[56] .*{words}"):
        ModelNet40(tree("modelnet40"), "train", lists=folder)


def test_an_unknown_class_in_the_test_list_of_modelnet40(own):
    root = own("modelnet40")
    with open(root / "test.txt", "ab") as file:
        file.write(CHAIR.replace(b"chair", b"sofa"))
    with pytest.raises(ValueError, match=r"test.txt:9 is 'sofa'; expected one of the classes"):
        ModelNet40(root, "test")
    for path in (root / "modelnet40_images_new_12x/chair/test").iterdir():
        path.rename(path.with_name(path.name.replace("_v", "_w")))
    (root / "train.txt").unlink()
    with pytest.raises(ValueError, match="chair/test holds .* and no view that ends in _v001.png"):
        ModelNet40(root, "test")
