"""The checks of lesson 3, boosting."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.encoders import SmallCNN
from mmlib.exercises.checking import agrees, call, compare, exercise, has_shape, small_batch
from mmlib.methods.boosting import BoostedFusion, weaker_modality


@exercise("Exercise 1, the residual label")
def check_residual_label(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 3: `answer(previous_logits, target, smoothing)` is `y - smoothing * y * q`."""
    logits, target = small_batch()
    previous, target = logits["audio"].requires_grad_(), target.clamp(max=2)  # no class 3 in it
    given = call(answer, previous, target, 0.4)
    z, y = previous.detach(), F.one_hot(target, 4)
    has_shape(given, y.shape, "the label is {}; give (B, K) = (6, 4)")
    mistakes = {
        "mask it: y * q leaves the wrong classes at 0, none below": y - 0.4 * z.softmax(1),
        "smoothing is not used": y - y * z.softmax(1),
        "the softmax runs over the classes, dim=1": y - 0.4 * y * z.softmax(0),
        "q is a softmax of the logits, not the logits": y - 0.4 * y * z,
        "not y - smoothing * y * softmax(previous_logits)": ...,
    }
    compare(given, y - 0.4 * y * z.softmax(1), mistakes)
    assert not given.requires_grad, "a gradient flows through the label: detach q"


@exercise("Exercise 2, who gets a classifier")
def check_assignment(answer: Callable[[dict[str, float], float], str | None]) -> None:
    """Lesson 3: `answer(scores, dead_zone)` is a modality's name or `None`."""
    cases = (
        ({"audio": 0.6, "visual": 0.5}, 0.01),
        ({"audio": 0.5, "visual": 0.6}, 0.01),
        ({"audio": 0.504, "visual": 0.5}, 0.01),
        ({"audio": 0.5, "visual": 0.5}, 0.0),
        ({"audio": 0.0, "visual": 0.0}, 0.01),
        ({"audio": 0.6, "visual": 0.5}, 0.3),
        ({"audio": 0.1, "visual": 0.095}, 0.01),
        ({"audio": 0.6, "visual": 0.5}, 0.15),
        ({"audio": 0.50, "visual": 0.52, "text": 0.9}, 0.2),
        ({"audio": 0.50, "visual": 0.51, "text": 0.60}, 0.15),
    )
    hints = {
        ZeroDivisionError: "scores may all be 0: multiply instead of dividing",
        ValueError: "scores may hold more than two modalities",
    }
    for scores, dead_zone in cases:
        wanted = weaker_modality(scores, dead_zone)
        given = call(answer, scores, dead_zone, hints=hints, none=True)
        assert given == wanted, (
            f"for scores {scores} and a dead zone of {dead_zone} the answer is {wanted!r}; "
            f"{answer.__name__} returns {given!r}"
        )


@exercise("Exercise 3, a classifier that learns")
def check_grow(answer: Callable[[nn.Module, torch.optim.Optimizer, str], nn.Module]) -> None:
    """Lesson 3: `answer(model, optimizer, modality)` adds a first layer and returns it."""
    model = BoostedFusion({m: SmallCNN() for m in ("audio", "visual")}, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    new = call(answer, model, optimizer, "visual")
    counts = {m: len(first) for m, first in model.first.items()}
    assert counts == {"audio": 1, "visual": 2} and model.first["visual"][-1] is new, (
        f"the numbers of classifiers are {counts}; append one to model.first['visual'] and "
        "return that layer"
    )
    old = model.first["visual"][0]
    fits = isinstance(new, nn.Linear) and new.weight.shape == old.weight.shape
    assert fits, f"the new layer is {new}; give a Linear of the sizes of {old}"
    hint = "the new layer shares the weights of the first one: make its own"
    assert new.weight is not old.weight, hint
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in new.named_parameters():
        assert id(parameter) in known, (
            f"the optimiser does not know the new layer's {name}: it takes part in every sum "
            "and never learns, as in the released code; use optimizer.add_param_group"
        )
    kept = all(p in optimizer.state for p in model.second.parameters())
    assert kept, "the optimiser has lost its momentum: add a group, do not make it anew"


@exercise("Exercise 4, accuracy with missing modalities")
def check_missing(answer: Callable[[float, dict[str, float], float], float]) -> None:
    """Lesson 3: `answer(fused, alone, rate)` is the expected accuracy."""
    for alone in ({"a": 0.7, "v": 0.5}, {"a": 0.7, "v": 0.5, "t": 0.3}):
        for rate in (0.0, 0.2, 1.0):
            kept, total = (1 - rate) * 0.9, sum(alone.values())
            wanted = kept + rate * total / len(alone)
            given = float(call(answer, 0.9, alone, rate))
            case = f"fused 0.9, alone {alone}, rate {rate}"
            mistakes = {
                "one of n modalities is kept: divide by n, not by 2": kept + rate * total / 2,
                "only one is kept: take the mean over modalities, not the sum": kept + rate * total,
                f"{case}: expected {wanted:.3f}, not {given:.3f}": ...,
            }
            compare(given, wanted, mistakes)


@exercise("Exercise 5, a true residual")
def check_additive_loss(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Lesson 3: `answer(new, previous, target)` is the cross-entropy of sg(previous) + new."""
    logits, target = small_batch()
    new, previous = logits["audio"].requires_grad_(), logits["visual"].requires_grad_()
    given = call(answer, new, previous, target)
    wanted = F.cross_entropy(new + previous, target).detach()
    mistakes = {
        "a sum over the batch: give the mean": len(target) * wanted,
        "not the cross-entropy of the two logits added, a mean over the batch": ...,
    }
    compare(given, wanted, mistakes)
    assert given.requires_grad, "no gradient flows to the newest classifier"
    given.backward()
    still = previous.grad is None or not previous.grad.any()
    assert still, "the earlier classifiers move too: detach their logits"
    error = ((new + previous).softmax(1) - F.one_hot(target, 4)) / len(target)
    assert agrees(new.grad, error), "the gradient at the new logits is not p - y"
