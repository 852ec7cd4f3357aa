"""Crop, flip, resize, normalise: torchvision's numbers, a whole batch at once, out of draws."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch.testing import assert_close
from torchvision.transforms import Resize
from torchvision.transforms.functional import resized_crop as pils_crop

from mmlib.batches import DRAWS
from mmlib.data.reading.boxes import (
    fitting_box,
    flips,
    own_luck,
    random_boxes,
    square_boxes,
    unaligned,
    whole_boxes,
)
from mmlib.data.reading.buffers import Buffers
from mmlib.data.reading.transforms import (
    IMAGENET,
    crop,
    finish_pictures,
    normalise,
    released_view,
    resized_crop,
    shrink,
)

B, H, W = 12, 40, 56


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def draws(generator):
    return torch.rand(B, DRAWS, generator=generator)


@pytest.fixture
def pictures(generator):
    return torch.randint(0, 256, (B, 3, H, W), generator=generator, dtype=torch.uint8)


def torchvisions(pictures, boxes, size, flip):
    rows = []
    for x, (top, left, height, width), turned in zip(pictures, boxes.tolist(), flip):
        x = TF.resized_crop(x, top, left, height, width, [size, size], antialias=True)
        rows.append(TF.horizontal_flip(x) if turned else x)
    return torch.stack(rows)


@pytest.mark.parametrize("size", [1, 17, 32, 90])
def test_torchvisions_resized_crop(size, pictures, draws):
    boxes, flip = random_boxes(draws, H, W), flips(draws)
    assert 0 < flip.sum() < B
    wanted = torchvisions(pictures.float(), boxes, size, flip)
    x = resized_crop(pictures.float(), boxes, size, flip)
    assert x.dtype == torch.float32
    assert_close(x, wanted, atol=2e-3, rtol=0)
    of_bytes = resized_crop(pictures, boxes, size, flip)  # rounded after each side
    assert of_bytes.dtype == torch.float32
    assert_close(of_bytes, torchvisions(pictures, boxes, size, flip).float(), atol=0, rtol=0)
    assert_close(of_bytes, wanted, atol=1.1, rtol=0)


@pytest.mark.parametrize("shape", [(1,), (2, 3), (3, 4), (2, 10)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_channels_and_frames_of_a_sample_are_treated_alike(shape, dtype, draws, generator):
    x = torch.randint(0, 256, (B, *shape, H, W), generator=generator).to(dtype)
    boxes, flip = random_boxes(draws, H, W), flips(draws)
    result = resized_crop(x, boxes, (20, 24), flip)
    assert result.shape == (B, *shape, 20, 24)
    one = x.flatten(1, -3)[:, -1:]
    assert_close(
        result.flatten(1, -3)[:, -1:], resized_crop(one, boxes, (20, 24), flip), atol=1e-3, rtol=0
    )


def test_a_box_of_the_size_asked_is_cut_out_to_the_bit(pictures, draws):
    boxes = square_boxes(draws, B, H, W, 32)
    for x in (pictures, pictures.float()):
        result = resized_crop(x, boxes, 32)
        for row, (top, left, _, _) in enumerate(boxes.tolist()):
            wanted = pictures[row, :, top : top + 32, left : left + 32].float()
            assert_close(result[row], wanted, atol=1e-4, rtol=0)


def test_whole_boxes_at_the_same_size_change_nothing(pictures):
    for x in (pictures, pictures.float()):
        assert_close(resized_crop(x, whole_boxes(B, H, W), (H, W)), pictures.float())


def test_a_sample_does_not_depend_on_its_batch(pictures, draws):
    for x in (pictures, pictures.float()):
        whole = finish_pictures(x, draws, 32)
        parts = [finish_pictures(x[i : i + 1], draws[i : i + 1], 32) for i in range(B)]
        assert_close(whole, torch.cat(parts), atol=1e-5, rtol=0)


def test_a_picture_of_one_pixel():
    x = torch.full((2, 3, 1, 1), 7, dtype=torch.uint8)
    draws = torch.tensor([[0.0] * DRAWS, [1 - 2**-24] * DRAWS])
    assert random_boxes(draws, 1, 1).tolist() == [[0, 0, 1, 1]] * 2
    assert resized_crop(x, random_boxes(draws, 1, 1), 5).unique().tolist() == [7]


def test_a_released_view_is_pils_to_a_level():
    pixels = np.random.default_rng(0).integers(0, 256, (36, 48, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    for size in (20, 64):
        seen = released_view(torch.from_numpy(pixels), None, size).int()
        wanted = torch.from_numpy(np.array(Resize((size, size))(picture))).int()
        assert seen.shape == (size, size, 3) and (seen - wanted).abs().max() <= 1
        mirrored = 0
        for k in range(20):
            luck, same = own_luck([k / 20] * DRAWS), own_luck([k / 20] * DRAWS)
            seen = released_view(torch.from_numpy(pixels), luck, size).int()
            wanted = pils_crop(picture, *fitting_box(same, 36, 48), [size, size])
            wanted = torch.from_numpy(np.array(wanted)).int()
            turned = same.random() < 0.5
            mirrored += turned
            assert (seen - (wanted.flip(1) if turned else wanted)).abs().max() <= 1
        assert 0 < mirrored < 20


def test_square_boxes():
    draws = torch.zeros(2, DRAWS)
    draws[1] = 1 - 2**-24
    assert square_boxes(draws, 2, 9, 12, 4).tolist() == [[0, 0, 4, 4], [5, 8, 4, 4]]
    assert square_boxes(None, 1, 10, 12, 4).tolist() == [[3, 4, 4, 4]]
    assert square_boxes(None, 1, 3, 12, 4).tolist() == [[0, 4, 3, 4]]


def test_half_are_flipped():
    draws = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(2))
    assert flips(draws).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_unaligned_draws_are_uniform_and_their_own():
    draws = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(3))
    others = unaligned(draws)
    assert others.dtype == draws.dtype and (others >= 0).all() and (others < 1).all()
    assert_close(others.mean(0), torch.full((DRAWS,), 0.5), atol=0.03, rtol=0)
    both = torch.corrcoef(torch.cat([draws, others], dim=1).T)
    assert_close(both, torch.eye(2 * DRAWS), atol=0.06, rtol=0)
    assert unaligned(torch.tensor([1 - 2**-24])) < 1


def test_normalise_is_torchvisions(pictures):
    wanted = TF.normalize(pictures.float() / 255, *map(list, IMAGENET))
    assert_close(normalise(pictures, *IMAGENET), wanted)
    before = pictures.float()
    normalise(before, *IMAGENET)
    assert before.equal(pictures.float())  # what it was given is left alone


def test_evaluation_resizes_the_whole_picture(pictures):
    wanted = TF.normalize(TF.resize(pictures, [24, 24]).float() / 255, *map(list, IMAGENET))
    assert_close(finish_pictures(pictures, size=24), wanted, atol=1e-5, rtol=0)
    frames = pictures[:, :, None, :, :W].expand(-1, -1, 2, -1, -1)
    assert finish_pictures(frames, size=24).shape == (B, 3, 2, 24, 24)
    square = pictures[..., :H]
    assert finish_pictures(square, size=H).equal(normalise(square, *IMAGENET))


def test_the_same_draws_are_the_same_crop_in_both_pictures_of_a_pair(pictures, draws):
    pair = [finish_pictures(x, draws, 32) for x in (pictures, 255 - pictures)]
    deviation = torch.tensor(IMAGENET[1])[:, None, None]
    total = (1 - 2 * torch.tensor(IMAGENET[0]))[:, None, None] / deviation
    assert_close(pair[0] + pair[1], total.expand(B, 3, 32, 32), atol=0.04, rtol=0)
    other = finish_pictures(255 - pictures, unaligned(draws), 32)
    assert (pair[0] + other - total).abs().mean() > 0.2


@pytest.mark.parametrize(
    "box", [[-1, 0, 4, 4], [0, 0, 0, 4], [0, 0, H + 1, 4], [H - 3, 0, 4, 4], [0, W - 3, 4, 4]]
)
def test_boxes_outside_are_refused(box, pictures):
    with pytest.raises(ValueError, match=f"leaves a picture of {H} x {W}"):
        resized_crop(pictures[:1], torch.tensor([box]), 8)
    with pytest.raises(ValueError, match="1 boxes for 12 pictures"):
        resized_crop(pictures, torch.tensor([[0, 0, 4, 4]]), 8)


@pytest.mark.cuda
def test_a_gpu_gives_the_same_pictures(pictures, draws):
    here = finish_pictures(pictures, draws, 32)
    there = finish_pictures(pictures.cuda(), draws.cuda(), 32)
    assert_close(there.cpu(), here, atol=0.02, rtol=0)


@pytest.mark.cuda
def test_a_gpu_is_not_waited_for(pictures, draws):
    """PyTorch raises at whatever makes the CPU wait for what it has asked of the GPU."""
    there, own = pictures.cuda(), draws.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for luck in (None, own):
            finish_pictures(there, luck, 32)
            flip = None if luck is None else flips(luck)
            normalise(crop(there, square_boxes(luck, B, H, W, 16), flip, 16), *IMAGENET)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_memory_is_used_again_once_nobody_holds_it():
    buffers = Buffers()
    first, second = buffers.empty(4, 3), buffers.empty(4, 3)
    places = {first.data_ptr(), second.data_ptr()}
    assert len(places) == 2
    view = first.movedim(0, 1)[1:].fill_(7)
    del first
    assert buffers.empty(4, 3).data_ptr() not in places  # the view is still held
    assert (view == 7).all()
    del view, second
    assert {buffers.empty(2, 3).data_ptr(), buffers.empty(4, 3).data_ptr()} <= places
    assert buffers.empty(1, 3).data_ptr() not in places  # too small for it
    many = [buffers.empty(50) for _ in range(Buffers.MOST + 2)]
    assert len({x.data_ptr() for x in many}) == len(many)
    assert len(buffers._kept) == Buffers.MOST


def test_finished_batches_do_not_share_memory(pictures, draws):
    buffers = Buffers()
    batches = [finish_pictures(pictures, draws.roll(k, 0), 24, buffers=buffers) for k in range(9)]
    for k, batch in enumerate(batches):
        assert_close(batch, finish_pictures(pictures, draws.roll(k, 0), 24))


def test_crop_cuts_and_flips(generator):
    x = torch.randint(256, (4, 3, 1, 256, 256), generator=generator, dtype=torch.uint8)
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
