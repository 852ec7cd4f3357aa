"""Which frames of a clip are shown: one of each part, or as the released loaders do."""

import pytest
import torch

from mmlib.data.reading.frames import after_gap, choose_frames, smv_frames


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


def test_a_clip_with_too_few_frames_repeats_them():
    for luck in (None, [0.0] * 3, [1 - 2**-24] * 3):
        assert choose_frames(1, 4, luck, 0.5) == [0, 0, 0, 0]
        assert choose_frames(2, 3, luck, 0.5) == [0, 0, 1]


@pytest.mark.parametrize(
    ("numbers", "later"),
    [
        (range(10), ""),
        (range(1, 11), ""),  # counted from one
        (range(7), ""),  # of a clip that breaks off
        ([0, 30, 60, 90, 120, 150, 180, 210, 240, 270], ""),
        ([0, 30, 60, 90, 119, 149, 179, 209, 239, 269], ""),
        (range(29, 300, 29), ""),
        ([0], ""),
        (range(1, 10), 1),
        ([0, 1, 3, 4], 3),
        ([60, 90, 120], 60),
    ],
)
def test_gaps_in_the_numbers_of_frames(numbers, later):
    names = [f"v2_{number:05d}.jpg" for number in numbers]
    assert after_gap(names, whole=10) == (f"v2_{later:05d}.jpg" if later else "")


def test_frames_without_numbers_have_no_gap():
    assert after_gap(["a.jpg", "b.jpg"], whole=10) == after_gap(["a.jpg"], whole=10) == ""
