"""Sample trees, made once in a session, and copies of them to be changed."""

import shutil

import pytest

from mmlib.data.tools.samples import write_sample

SMALL = {
    "cremad": {"clips_per_class": 12, "actors": 4},
    "ave": {"clips_per_class": 5, "classes": 2},
    "kinetics-sounds": {"clips_per_class": 5, "classes": 2},
    "mvsa-single": {"clips_per_class": 5},
}


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """`tree(name, **options)`: a sample tree, not to be changed; its cache is shared."""
    made = {}

    def get(name, **options):
        options = SMALL.get(name, {"clips_per_class": 6}) | options
        key = name, *sorted(options.items())
        if key not in made:
            made[key] = write_sample(name, tmp_path_factory.mktemp(name), **options)
        return made[key]

    return get


@pytest.fixture
def own(tree, tmp_path):
    """`own(name, **options)`: a copy of a tree, without a cache, to be changed."""

    def copied(name, **options):
        folder = tmp_path / "-".join([name, *map(str, options.values())])
        leave = shutil.ignore_patterns(".mmlib-cache")
        return shutil.copytree(tree(name, **options), folder, ignore=leave)

    return copied


@pytest.fixture
def lists(tree, tmp_path):
    """The lists of a tree in a folder of their own, to be changed; the media stay in place."""

    def copied(name):
        for path in tree(name).glob("*.txt"):
            shutil.copy(path, tmp_path)
        return tmp_path

    return copied
