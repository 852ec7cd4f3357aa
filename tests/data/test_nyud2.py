"""NYU Depth V2: halves are told apart, bad folders and pictures are refused."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as TF

from mmlib.data import NYUDepthV2, nyud2


def test_halves_are_left_and_right_in_pils_bicubic(own):
    root = own("nyud2")
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


def test_depth_and_picture_stay_together_after_both_splits(tree):
    folders = {NYUDepthV2(tree("nyud2"), s).ids[0].split("/")[0] for s in ("train", "val")}
    assert folders == {"train"}
    inner = NYUDepthV2(tree("nyud2") / "nyud2_trainvaltest", "test")
    assert inner.ids == NYUDepthV2(tree("nyud2"), "test").ids


@pytest.mark.parametrize(
    ("size", "mode"), [((161, 60), "RGB"), ((80, 60), "RGB"), ((2, 2), "L"), ((1, 1), "RGB")]
)
def test_a_picture_that_is_no_pair(size, mode, own):
    root = own("nyud2")
    data = NYUDepthV2(root, "test")
    Image.new(mode, size).save(data.sources(0)[0])
    with pytest.raises(ValueError, match=rf"0000.png is {size[0]} x {size[1]} pixels; expected"):
        data.take(torch.tensor([0]))


def test_bad_folders_of_nyud2(own):
    root = own("nyud2") / "nyud2_trainvaltest"
    (root / "test" / "garage").mkdir()
    with pytest.raises(ValueError, match="garage is of no class of train, bathroom, bedroom"):
        NYUDepthV2(root, "test")
    (root / "train" / "garage").mkdir()
    with pytest.raises(ValueError, match=r"train/garage holds no .jpg or .jpeg or .png"):
        NYUDepthV2(root, "train")
    shutil.rmtree(root / "test")
    with pytest.raises(FileNotFoundError, match="test is missing or no folder"):
        NYUDepthV2(root, "test")
    for path in (root / "train").iterdir():
        shutil.rmtree(path)
    with pytest.raises(FileNotFoundError, match="train holds no folders"):
        NYUDepthV2(root, "val")
