"""The checks of lesson 3, boosting."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlib.encoders import SmallCNN
from mmlib.exercises.checking import agrees, call, compare, exercise, has_shape, small_batch
from mmlib.methods.boosting import BoostedFusion, weaker_modality


@exercise("Your turn, the residual label")
def check_residual_label(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 3: `answer(previous_logits, target, smoothing)` is `e_y - smoothing * e_y * p`."""
    logits, target = small_batch()
    previous, target = logits["audio"].requires_grad_(), target.clamp(max=2)  # no class 3 in it
    given = call(answer, previous, target, 0.4)
    z, e_y = previous.detach(), F.one_hot(target, 4)
    given = has_shape(given, e_y.shape, "the label is {}; give (B, K) = (6, 4)")
    mistakes = {
        "mask it: e_y * p leaves the wrong classes at 0, none below": e_y - 0.4 * z.softmax(1),
        "smoothing is not used": e_y - e_y * z.softmax(1),
        "the softmax runs over the classes, dim=1": e_y - 0.4 * e_y * z.softmax(0),
        "p is a softmax of the logits, not the logits": e_y - 0.4 * e_y * z,
        "what the earlier ones give is taken off, not added": e_y + 0.4 * e_y * z.softmax(1),
        "not e_y - smoothing * e_y * softmax(previous_logits)": ...,
    }
    compare(given, e_y - 0.4 * e_y * z.softmax(1), mistakes)
    assert not given.requires_grad, "a gradient flows through the label: detach p"


@exercise("Your turn, the residual loss")
def check_residual_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Lesson 3: `answer(new, previous, target, smoothing)`, the loss as a weight on each sample."""
    logits, target = small_batch()
    new, previous = logits["audio"].requires_grad_(), logits["visual"].requires_grad_()
    given = torch.as_tensor(call(answer, new, previous, target, 0.4))
    with torch.no_grad():
        ce = F.cross_entropy(new, target, reduction="none")
        s, own = (_score(z, target) for z in (previous, new))
        wanted = ((1 - 0.4 * s) * ce).mean()
        mistakes = {
            "one number for each sample: take their mean": (1 - 0.4 * s) * ce,
            "a sum over the batch: give the mean": ((1 - 0.4 * s) * ce).sum(),
            "this is the plain loss of the newest: what does the label do to a sample?": ce.mean(),
            "smoothing is not used": ((1 - s) * ce).mean(),
            "the factor is 1 minus smoothing times the score: the 1 is missing": (
                (0.4 * s * ce).mean(),
                (s * ce).mean(),
            ),
            "the factor falls with the score: the sign is turned": ((1 + 0.4 * s) * ce).mean(),
            "the score is that of the earlier ones, not of the newest": (
                ((1 - 0.4 * own) * ce).mean()
            ),
            "the loss is that of the newest alone, not of the earlier ones": (
                ((1 - 0.4 * s) * F.cross_entropy(previous, target, reduction="none")).mean(),
                ((1 - 0.4 * own) * F.cross_entropy(previous, target, reduction="none")).mean(),
            ),
            "weigh each sample first, then take the mean: reduction='none', and factor and "
            "loss both of shape (B,); (B, 1) times (B,) is (B, B)": (1 - 0.4 * s).mean()
            * ce.mean(),
            "divide by the size of the batch, not by the sum of the factors": (
                ((1 - 0.4 * s) * ce).sum() / (1 - 0.4 * s).sum()
            ),
            "not the mean of factor times cross-entropy; what is the label's entry of the true "
            "class?": ...,
        }
    compare(given, wanted, mistakes)
    assert given.requires_grad, "no gradient flows to the newest classifier"
    given.backward()
    still = previous.grad is None or not previous.grad.any()
    assert still, "a gradient flows through the factor: detach the earlier logits"


def _score(z: Tensor, target: Tensor) -> Tensor:
    return z.softmax(1).gather(1, target[:, None]).squeeze(1)  # (B, K) -> (B, 1) -> (B,)


@exercise("Your turn, who gets the next classifier")
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
        ({"visual": 0.50, "audio": 0.40, "text": 0.90}, 0.01),  # two are below the others
    )
    hints = {
        ZeroDivisionError: "scores may all be 0: multiply instead of dividing",
        ValueError: "scores may hold more than two modalities",
    }
    given = [call(answer, *case, hints=hints, none=True) for case in cases]
    usual = {  # hint -> what is held against a share of the lowest score
        "compare with the mean of the others, not with the largest or with their sum": (
            max,
            lambda x: sum(x) - min(x),
        ),
        "the mean of the others leaves the lowest out": (lambda x: sum(x) / len(x),),
    }
    rules = [
        (hint, _lowest_if(lambda x, d, of=of: of(x) > (1 + d) * min(x)))
        for hint, all_of in usual.items()
        for of in all_of
    ]
    differs = "the dead zone is no difference: compare with `1 + dead_zone` times the lowest score"
    rules.append((differs, _lowest_if(lambda x, d: (sum(x) - min(x)) / (len(x) - 1) - min(x) > d)))
    first = "the lowest gets it, not the first that is behind the others"
    rules.append((first, _first_behind))
    found = {f": {hint}" for hint, rule in rules if [rule(*case) for case in cases] == given}
    for (scores, dead_zone), mine in zip(cases, given, strict=True):
        wanted = weaker_modality(scores, dead_zone)
        assert mine == wanted, (
            f"for scores {scores} and a dead zone of {dead_zone} the answer is {wanted!r}; "
            f"{answer.__name__} returns {mine!r}{''.join(found)}"
        )


def _first_behind(scores: dict[str, float], dead_zone: float) -> str | None:
    total, others = sum(scores.values()), len(scores) - 1
    behind = (m for m, x in scores.items() if (total - x) / others > (1 + dead_zone) * x)
    return next(behind, None)


def _lowest_if(asked: Callable[[list[float], float], bool]) -> Callable:
    """A rule that gives the lowest modality a classifier where this is so of the scores."""
    return lambda scores, d: min(scores, key=scores.get) if asked([*scores.values()], d) else None


@exercise("Your turn, a classifier that learns")
def check_grow(answer: Callable[[nn.Module, torch.optim.Optimizer, str], nn.Module]) -> None:
    """Lesson 3: `answer(model, optimizer, modality)` adds a first layer and returns it."""
    encoders = {m: SmallCNN(features=48) for m in ("audio", "visual")}
    model = BoostedFusion(encoders, 10, hidden=20)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    old = model.first["visual"][0]
    new = call(answer, model, optimizer, "visual")
    counts = {m: len(first) for m, first in model.first.items()}
    assert counts == {"audio": 1, "visual": 2} and model.first["visual"][-1] is new, (
        f"the numbers of classifiers are {counts}; append one to model.first['visual'] and "
        "return that layer"
    )
    assert model.first["visual"][0] is old, "the old classifier is gone: append the new one to it"
    _is_fresh(new, old)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in new.named_parameters():
        assert id(parameter) in known, (
            f"the optimiser does not know the new layer's {name}: it takes part in every sum "
            "and never learns, as in the released code; use optimizer.add_param_group"
        )
        assert parameter.requires_grad, f"the new layer's {name} is frozen: requires_grad is False"
    first, group = optimizer.param_groups[0], _group_of(new.weight, optimizer)
    for option in ("lr", "momentum", "weight_decay"):
        assert group[option] == first[option], (
            f"the newcomer learns with {option} {group[option]}, all others with {first[option]}: "
            "add the group with its parameters only, the optimiser fills in the rest"
        )
    kept = all(p in optimizer.state for p in model.second.parameters())
    assert kept, "the optimiser has lost its momentum: add a group, do not make it anew"
    whole = all(id(p) in known for p in model.parameters())
    assert whole, "the optimiser has lost old parameters: add a group, leave the others as they are"
    starts = new.bias is not None and not new.bias.any()
    assert starts, "the new layer's bias starts at 0; PyTorch draws it: nn.init.zeros_"


def _group_of(parameter: nn.Parameter, optimizer: torch.optim.Optimizer) -> dict:
    return next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))


def _is_fresh(new: nn.Module, old: nn.Linear) -> None:
    """A layer of its own, of the old one's sizes, from which learning can start."""
    fits = isinstance(new, nn.Linear) and new.weight.shape == old.weight.shape
    assert fits, f"the new layer is {new}; give a Linear of the sizes of {old}"
    hint = "the new layer shares the weights of the first one: make its own"
    assert new.weight is not old.weight, hint
    hint = "the new layer starts as a copy of the old one: give it weights drawn anew"
    assert not torch.equal(new.weight, old.weight), hint
    assert new.weight.any(), "all its weights are 0, so ReLU passes no gradient: draw them"


@exercise("Exercise 2, which parameters never learn")
def check_untrained(answer: Callable[[nn.Module, torch.optim.Optimizer], list[str]]) -> None:
    """Lesson 3: `answer(model, optimizer)` names the parameters that no step can move."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BoostedFusion({m: SmallCNN() for m in ("audio", "text")}, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    hint = "compare by identity, `p is q` or `id(p)`: tensors of the same numbers are not the same"
    sizes = {RuntimeError: f"`p in list` compares numbers, and sizes differ: {hint}"}
    nobody = call(answer, model, optimizer, hints=sizes)
    everybody = [name for name, _ in model.named_parameters()]
    assert list(nobody) != everybody, (
        "in a new network all can learn, and you name all: ask the optimiser's groups, not "
        "`p.grad`, which is None before the first step"
    )
    assert list(nobody) == [], f"in a new network all can learn; you name {list(nobody)}"
    model.first["text"].append(nn.Linear(64, 32))  # forgotten
    model.first["audio"].append(nn.Linear(64, 32))
    optimizer.add_param_group({"params": model.first["audio"][1].parameters()})
    known = call(answer, model, optimizer, hints=sizes)
    forgotten = {"first.text.1.weight", "first.text.1.bias"}
    later = "a group that was added later counts: look through all optimizer.param_groups"
    assert "first.audio.1.weight" not in known, later
    assert set(known) >= forgotten, f"{sorted(forgotten - set(known))} is missing from your list"
    with torch.no_grad():  # a twin with the same numbers as one that is known
        model.first["text"][1].load_state_dict(model.first["audio"][1].state_dict())
    assert set(call(answer, model, optimizer)) == forgotten, hint
    model.second.bias.requires_grad_(False)
    found = set(call(answer, model, optimizer))
    hint = "second.bias is in a group, but frozen: a parameter without requires_grad stays, too"
    assert "second.bias" in found, hint
    assert found == forgotten | {"second.bias"}, f"you name {sorted(found)}"


@exercise("Exercise 1, accuracy with missing modalities")
def check_missing(answer: Callable[[float, dict[str, float], float], float]) -> None:
    """Lesson 3: `answer(fused, alone, rate)` is the expected accuracy."""
    for alone in ({"a": 0.7, "v": 0.5}, {"a": 0.7, "v": 0.5, "t": 0.3}):
        for rate in (0.0, 0.2, 1.0):
            kept, total = (1 - rate) * 0.9, sum(alone.values())
            wanted = kept + rate * total / len(alone)
            given = float(call(answer, 0.9, alone, rate))
            case = f"fused 0.9, alone {alone}, rate {rate}"
            mistakes = {
                "one of M modalities is kept: divide by M, not by 2": kept + rate * total / 2,
                "only one is kept: take the mean over modalities, not the sum": kept + rate * total,
                f"{case}: expected {wanted:.3f}, not {given:.3f}": ...,
            }
            compare(given, wanted, mistakes)


@exercise("Exercise 3, a true residual")
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
    assert agrees(new.grad, error), "the gradient at the new logits is not p - e_y"
