"""Figures: alt text is asked for and kept, modalities keep their looks, everything is drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mmlib import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_show_passes_the_alt_text_on_and_closes(monkeypatch):
    seen = []
    monkeypatch.setattr(plotting, "display", lambda figure, metadata: seen.append(metadata))
    figure, _ = plt.subplots()
    plotting.show(figure, "A line that rises.")
    assert seen == [{"image/png": {"alt": "A line that rises."}}]
    assert not plt.get_fignums()
    with pytest.raises(ValueError, match="alt is empty"):
        plotting.show(figure, "  ")


def test_every_modality_has_a_look_of_its_own():
    styles = [tuple(plotting.modality_style(m).values()) for m in plotting.MODALITY_COLORS]
    colors, markers = zip(*styles)
    assert len(set(colors)) == len(set(markers)) == len(styles)
    with pytest.raises(KeyError, match="no colour for modality 'smell'"):
        plotting.modality_style("smell")


def test_figures_show_what_they_are_given():
    noise = np.random.default_rng(0).random((3, 8, 9))
    gallery = plotting.plot_gallery(noise, noise, ["one", "two", "three"])
    assert [ax.get_title() for ax in gallery.axes[:3]] == ["one", "two", "three"]
    _, axes = plt.subplots()
    plotting.plot_curves(axes, [1, 2], {"audio": [0.1, 0.2], "fused": [0.3, 0.4]}, dashed=True)
    assert [line.get_linestyle() for line in axes.lines] == ["--", "--"]
    assert list(axes.lines[1].get_ydata()) == [0.3, 0.4]
    _, axes = plt.subplots()
    plotting.plot_intervals(axes, {"a": (0.05, 0.01, 0.09), "b": (0.0, -0.1, 0.1)}, "k")
    points = axes.containers[0].lines[0]
    assert list(points.get_xdata()) == [5, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    drawn = {text.get_text() for text in plotting.plot_shared_error().axes[0].texts}
    assert {"$z$", "loss $L(z, y)$"} <= drawn


def test_coalitions_show_pay_offs_gains_and_contributions():
    _, axes = plt.subplots()
    plotting.plot_coalitions(axes, {"audio": True, "visual": False, "fused": True})
    drawn = [text.get_text() for text in axes.texts]
    assert [text for text in drawn if text[:1] in "+-" and text] == ["+1", "+0", "+1", "+2"]
    assert "picture alone\nwrong, $u$ = 0" in drawn and "both\nright, $u$ = 2" in drawn
    assert axes.get_title() == r"$\phi_a = 1.5$     $\phi_v = 0.5$"


def test_classifiers_are_drawn_one_by_one():
    axes = plotting.plot_classifiers({"audio": 1, "visual": 3}).axes[0]
    drawn = [text.get_text() for text in axes.texts]
    assert sum("Layer 1$_{v" in text for text in drawn) == 3
    assert sum("Layer 1$_{a" in text for text in drawn) == 1
