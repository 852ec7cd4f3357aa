"""Boxes out of draws: inside the picture, of torchvision's shapes, linked to nothing else."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch.testing import assert_close
from torchvision.transforms import RandomResizedCrop

from mmlib.batches import DRAWS
from mmlib.data.reading import boxes
from mmlib.data.reading.boxes import fitting_box, own_luck, random_boxes


def test_random_boxes_lie_inside_and_have_the_shapes_asked():
    draws = torch.rand(5000, DRAWS, generator=torch.Generator().manual_seed(1))
    draws[0], draws[1] = 0, 1 - 2**-24
    top, left, height, width = random_boxes(draws, 240, 240).unbind(1)
    assert (top >= 0).all() and (top + height <= 240).all()
    assert (left >= 0).all() and (left + width <= 240).all()
    area = (height * width).double() / 240**2
    assert 0.075 < area.min() < 0.09 and area.max() <= 1
    assert area.mean().item() == pytest.approx(0.53, abs=0.02)  # less than 0.54: some are cut
    ratio = width / height
    assert 0.74 < ratio.min() < 0.76 and 1.32 < ratio.max() < 1.35
    assert (top == 0).any() and (top + height == 240).any()


@pytest.mark.parametrize(("height", "width"), [(360, 480), (480, 360), (224, 224)])
def test_boxes_that_fit_are_distributed_as_torchvisions(height, width):
    """They are not those that are cut: on 4:3 these cover a fifth more of the picture."""
    luck, count = np.random.Generator(np.random.PCG64(0)), 5000
    empty, how = torch.empty(3, height, width), ((0.08, 1.0), (3 / 4, 4 / 3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        wanted = torch.tensor([RandomResizedCrop.get_params(empty, *how) for _ in range(count)])
    found = torch.tensor([fitting_box(luck, height, width) for _ in range(count)])
    cut = random_boxes(torch.rand(count, DRAWS, generator=torch.Generator()), height, width)

    def looks(boxes):
        top, left, tall, wide = boxes.double().unbind(1)
        assert (top >= 0).all() and (top + tall <= height).all()
        assert (left >= 0).all() and (left + wide <= width).all()
        area = tall * wide / height / width
        return {"area": area, "ratio": wide / tall, "top": top, "left": left}

    wanted, found, cut = map(looks, (wanted, found, cut))
    for name, x in found.items():
        assert ks_2samp(x, wanted[name]).statistic < 0.035  # 1 in 200 is above, were they alike
    assert ks_2samp(cut["area"], wanted["area"]).statistic > 0.1
    for x in (wanted, found):
        assert 0.079 < x["area"].min() < 0.085 and 0.95 < x["area"].max() <= 1
        assert 0.74 < x["ratio"].min() < 0.76 and 1.32 < x["ratio"].max() < 1.35


@pytest.mark.parametrize(("height", "width"), [(10, 1000), (1000, 10), (1, 1), (30, 40)])
def test_where_no_box_fits_the_middle_is_taken(height, width, monkeypatch):
    luck, empty = np.random.Generator(np.random.PCG64(0)), torch.empty(3, height, width)
    monkeypatch.setattr(boxes, "SCALE", (1.5, 2.0))  # more than there is
    wanted = RandomResizedCrop.get_params(empty, boxes.SCALE, (3 / 4, 4 / 3))
    assert fitting_box(luck, height, width) == wanted


def test_a_row_of_draws_makes_as_many_numbers_as_are_asked_for():
    """Boxes and flips of a sample's frames have to do neither with each other nor with the row."""
    rows = torch.rand(3000, DRAWS, generator=torch.Generator().manual_seed(5))

    def frames_of(row):
        luck, numbers = own_luck(row), []
        for _ in range(4):
            top, left, tall, wide = fitting_box(luck, 360, 480)
            place = top / max(360 - tall, 1), left / max(480 - wide, 1)
            numbers += [tall * wide, wide / tall, *place, luck.random() < 0.5]
        return numbers

    numbers = torch.tensor([[*row, *frames_of(row)] for row in rows.tolist()], dtype=torch.float64)
    assert_close(numbers[:, 12::5].mean(0), torch.full((4,), 0.5).double(), atol=0.04, rtol=0)
    linked = torch.corrcoef(numbers.T)
    for k in range(4):  # area and place within one frame may be linked
        own = slice(DRAWS + 5 * k, DRAWS + 5 * (k + 1))
        linked[own, own] = torch.eye(5)
    assert_close(linked, torch.eye(DRAWS + 20).double(), atol=0.08, rtol=0)
    row = rows[0].tolist()
    assert frames_of(row) == frames_of(row) == frames_of([*row[:5], 0.1, 0.2, 0.3])
    near = [frames_of([row[0] + k * 2**-24, *row[1:]])[0] for k in range(30)]
    assert len(set(near)) == 30 and np.std(near) > 0.15 * 360 * 480  # neighbours are not alike
