"""What holds for the data sets of two pictures, NYU Depth V2, UCF-101 and ModelNet40."""

import pickle
import sys

import pytest
import torch

from mmlib.batches import DRAWS
from mmlib.data import UCF101, ModelNet40, NYUDepthV2
from mmlib.data.reading.boxes import unaligned

SETS = {"nyud2": NYUDepthV2, "ucf101": UCF101, "modelnet40": ModelNet40}


@pytest.fixture
def draws():
    return torch.rand(64, DRAWS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SETS)
class TestEach:
    """What holds for all three data sets."""

    def test_splits(self, name, tree):
        parts = {s: SETS[name](tree(name), s) for s in ("train", "val", "test")}
        sizes = [len(part) for part in parts.values()]
        classes = parts["train"].classes
        assert sizes == [3 * len(classes), len(classes), 2 * len(classes)]
        assert len({id for part in parts.values() for id in part.ids}) == sum(sizes)
        for split, part in parts.items():
            assert part.split == split and part.classes == classes == tuple(sorted(classes))
            assert part.target.dtype == torch.int64 and len(part.ids) == len(part)
            counts = part.target.bincount(minlength=len(classes))
            assert (counts == len(part) // len(classes)).all()
        again = SETS[name](tree(name), "val")
        assert again.ids == parts["val"].ids  # the same at every call

    def test_shapes_and_types(self, name, tree, draws):
        data = SETS[name](tree(name), "train")
        raw = data.take(torch.tensor([2, 0]))
        assert tuple(raw) == data.modalities
        assert all(x.dtype == torch.uint8 and len(x) == 2 for x in raw.values())
        for finished in (data.finish(raw), data.finish(raw, draws[:2])):
            for modality, x in finished.items():
                assert x.dtype == torch.float32 and x.isfinite().all()
                assert x.shape == (2, *raw[modality].shape[1:-2], 224, 224)

    def test_one_sample_is_a_batch_of_one(self, name, tree):
        data = SETS[name](tree(name), "test")
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

    def test_a_sample_depends_on_its_own_draws_alone(self, name, tree, draws):
        options = {"nyud2": {}, "ucf101": {"places": 3}, "modelnet40": {"views": "random"}}
        data = SETS[name](tree(name), "train", **options[name])
        whole, parts = torch.tensor([0, 4, 7]), [torch.tensor([7]), torch.tensor([0, 4])]
        together = data.finish(data.take(whole, draws[:3]), draws[:3])
        for index, rows in zip(parts, (draws[2:3], draws[:2])):
            alone = data.finish(data.take(index, rows), rows)
            for m in data.modalities:
                expected = together[m][2:] if len(index) == 1 else together[m][:2]
                torch.testing.assert_close(alone[m], expected)

    @pytest.mark.cuda
    def test_finishes_on_a_gpu(self, name, tree, draws):
        for aligned in (True, False):
            data = SETS[name](tree(name), "train", aligned=aligned)
            raw = data.take(torch.arange(3))
            there = {m: x.cuda() for m, x in raw.items()}
            for few, place in ((None, "cpu"), (draws[:3], "cpu"), (draws[:3], "cuda")):
                here = data.finish(raw, few)
                on_gpu = data.finish(there, few if few is None else few.to(place))
                for m, x in on_gpu.items():
                    assert x.is_cuda  # resized bytes are rounded on the CPU, to a grey level
                    torch.testing.assert_close(x.cpu(), here[m], atol=0.03, rtol=0)

    def test_the_cache_changes_nothing(self, name, tree, tmp_path):
        index = torch.tensor([0, 5])
        without = SETS[name](tree(name), "train", cache=False)
        cached = SETS[name](tree(name), "train", cache=tmp_path / "cache")
        raw = without.take(index)
        for _ in range(2):
            assert all(torch.equal(cached.take(index)[m], x) for m, x in raw.items())
        assert len(list((tmp_path / "cache").rglob("*.safetensors"))) >= 2

    def test_no_picture_is_opened_by_the_constructor(self, name, own, monkeypatch):
        root = own(name)
        for path in root.rglob("*.*"):
            if path.suffix in (".png", ".jpg"):
                path.write_bytes(b"no picture")
        data = SETS[name](root, "train")
        with pytest.raises(ValueError, match=r"(png|jpg) is no picture that can be read"):
            data.take(torch.tensor([0]))

    def test_sources_are_the_files_read(self, name, tree, monkeypatch):
        data = SETS[name](tree(name), "test", cache=False)
        opened = []
        module = sys.modules[SETS[name].__module__]
        read = module.read_image
        monkeypatch.setattr(module, "read_image", lambda p, *a: opened.append(p) or read(p, *a))
        data.take(torch.tensor([1]))
        assert opened == data.sources(1) and all(path.is_file() for path in opened)

    def test_survives_being_sent_to_a_worker(self, name, tree):
        data = SETS[name](tree(name), "val")
        sent = pickle.loads(pickle.dumps(data))
        assert torch.equal(sent[0][0][data.modalities[0]], data[0][0][data.modalities[0]])
        assert "val" in repr(sent) and str(len(data)) in repr(sent)

    def test_missing_root_and_unknown_split(self, name, tree, tmp_path):
        data = SETS[name]
        with pytest.raises(FileNotFoundError, match="nowhere is missing or no folder"):
            data(tmp_path / "nowhere", "train")
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="empty"):
            data(tmp_path / "empty", "train")
        with pytest.raises(ValueError, match="split is 'dev'; choose one of train, val, test"):
            data(tree(name), "dev")


def marked(batch):
    """Two equal raw pictures a sample, so that what differs afterwards is the augmentation."""
    x = torch.randint(256, (batch, 3, 256, 256), generator=torch.Generator().manual_seed(1))
    return x.to(torch.uint8)


@pytest.mark.parametrize("name", ["nyud2", "modelnet40"])
def test_aligned_pairs_share_crop_and_flip(name, tree, draws):
    data = SETS[name](tree(name), "train")
    x = marked(16)
    first, second = data.modalities
    raw = {first: x, second: x}
    aligned = data.finish(raw, draws[:16])
    assert torch.equal(aligned[first], aligned[second])
    if name == "modelnet40":  # its views are cropped each on its own when they are read: see below
        return
    own = SETS[name](tree(name), "train", aligned=False).finish(raw, draws[:16])
    assert torch.equal(own[first], aligned[first])
    differs = (own[first] != own[second]).flatten(1).any(1)
    assert differs.all()
    assert torch.equal(own[second], data.finish(raw, unaligned(draws[:16]))[second])
    plain = [SETS[name](tree(name), "train", aligned=a).finish(raw) for a in (True, False)]
    assert torch.equal(plain[0][second], plain[1][second])  # evaluation knows no such thing
