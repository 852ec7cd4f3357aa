"""From names to what is trained: a data set, encoders for what it gives, a method over them."""

import argparse
import inspect

import torch
from torch import nn

from mmlib.arguments import check_kinds, known_names, one_of
from mmlib.data.text import HuggingFaceEncoder, HuggingFaceTokenizer
from mmlib.devices import seeded, use_channels_last, use_compiled, use_precision
from mmlib.encoders import ResNet18, SmallCNN, TextEncoder
from mmlib.methods import NAMED, make_method
from mmlib.training import Method


def check_once(arguments: argparse.Namespace) -> None:
    """Raise `ValueError` for what is given as a flag and among `--options`."""
    for name, _ in arguments.options:
        if getattr(arguments, name, None) is not None and name in ("lr", "accumulate"):
            raise ValueError(f"{name} is given twice, by --{name} and in --options; give it once")


def open_data(arguments: argparse.Namespace, settings: dict, split: str):
    """A split of the data set of that name. Raises what the data set does, and `ValueError` for an
    unknown name, a missing `--root` or an option that the data set does not have or of another
    kind."""
    from mmlib.data import DATA

    kind = DATA[one_of("--data", arguments.data, list(DATA))]
    options = settings["data_options"]
    if arguments.data == "av-digits":
        known = ("size", "deal")
    else:
        known = tuple(inspect.signature(kind).parameters)[2:]  # after root and split
        if arguments.root is None:
            raise ValueError(f"--root is missing; give the folder of {arguments.data}")
    known_names("--data-options", options, known, arguments.data)
    check_kinds(kind.__init__, options)
    if settings["text_model"] and "tokenizer" not in known:
        raise ValueError(f"--text-model is for data with text; {arguments.data} has none")
    if arguments.data == "av-digits":
        own = {"seed": settings["seed"], "voices": arguments.root}
        return kind(split, settings["scenario"], **own, **options)
    if arguments.scenario:
        raise ValueError(f"--scenario is of av-digits; leave it out for {arguments.data}")
    if settings["text_model"]:
        options = options | {"tokenizer": HuggingFaceTokenizer(settings["text_model"])}
    return kind(arguments.root, split, **options)


def build(arguments: argparse.Namespace, settings: dict, dataset, device: torch.device) -> Method:
    """The method over fresh encoders, as fast as the device and the flags allow."""
    name, options = settings["method"], settings["options"]
    kinds = [inspect.signature(kind).parameters.values() for kind in NAMED[name][1].__mro__[:-1]]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = {p.name for parameters in kinds for p in parameters if p.kind in named}
    known = (known | {"initialisation"}) - {"model", "dataset", "epochs", "seed"}
    known_names("--options", options, sorted(known), name)
    with seeded(settings["seed"]):
        encoders = {m: encoder_for(x, dataset, settings) for m, x in dataset[0][0].items()}
    if settings["pretrained"] and not any(isinstance(e, ResNet18) for e in encoders.values()):
        raise ValueError(f"--pretrained is for ResNet-18; {arguments.data} has no use for one")
    for m, encoder in encoders.items():
        if device.type == "cuda":
            encoder = use_channels_last(encoder)
        encoders[m] = use_precision(encoder, settings["precision"], device)
        if arguments.compile:
            graphs = device.type == "cuda" and options.get("accumulate", 1) == 1
            use_compiled(encoder, graphs)
    classes, epochs, seed = len(dataset.classes), settings["epochs"], settings["seed"]
    try:
        return make_method(name, encoders, classes, epochs, seed, device, dataset, **options)
    except TypeError as error:
        raise ValueError(f"options {options} do not fit {name}: {error}") from error


def encoder_for(x: torch.Tensor, dataset, settings: dict) -> nn.Module:
    """An encoder for one modality, from a sample of it: text, AV-Digits, or pictures and sound."""
    if x.dtype == torch.int64 and settings["text_model"]:
        return HuggingFaceEncoder(settings["text_model"])
    if x.dtype == torch.int64:
        return TextEncoder(dataset.vocabulary, features=ResNet18.features)
    if x.dim() == 3 and min(x.shape[-2:]) < 64:
        return SmallCNN(channels=x.shape[0])
    return ResNet18(x.shape[0], "IMAGENET1K_V1" if settings["pretrained"] else None)
