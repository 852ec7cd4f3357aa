import pytest
import torch
import torch.nn.functional as F

from mmlib.data import UCF101, ModelNet40, MVSASingle, NYUDepthV2
from mmlib.data.tools.sample_pictures import write_modelnet40, write_mvsa, write_nyud2, write_ucf101
from mmlib.evaluation import linear_probe

pytestmark = pytest.mark.slow  # files are made and read in each

SETS = {
    "nyud2": (write_nyud2, NYUDepthV2),
    "ucf101": (write_ucf101, UCF101),
    "modelnet40": (write_modelnet40, ModelNet40),
    "mvsa-single": (write_mvsa, MVSASingle),
}


@pytest.fixture(scope="module", params=SETS)
def tree(request, tmp_path_factory):
    write, data = SETS[request.param]
    root = tmp_path_factory.mktemp(request.param)
    assert write(root) == root
    return root, write, data


def content(root):
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root): path.read_bytes() for path in files}


def test_trees_are_small_and_say_what_they_are(tree):
    files = content(tree[0])
    assert sum(map(len, files.values())) < 700_000
    assert "generated sample" in (tree[0] / "README.txt").read_text()


def test_the_same_seed_writes_the_same_files(tree, tmp_path):
    root, write, _ = tree
    count = 5 if write is write_mvsa else 3
    few = {seed: content(write(tmp_path / str(seed), count, seed=seed)) for seed in (0, 1)}
    assert few[0] == content(write(tmp_path / "again", count))
    assert few[0].keys() == few[1].keys() and few[0] != few[1]
    assert len(few[0]) < len(content(root))


def test_each_modality_shows_the_class(tree):
    root, _, data = tree
    train, test = (data(root, split, cache=False) for split in ("train", "test"))

    def features(dataset, modality):
        x = dataset.finish(dataset.take(torch.arange(len(dataset))))[modality]
        if modality == "text":
            return F.one_hot(x, dataset.vocabulary).sum(1).float()
        return F.adaptive_avg_pool2d(x.flatten(1, -3), 12).flatten(1)

    chance = 1 / len(train.classes)
    for modality in train.modalities:
        probe = linear_probe(
            features(train, modality), train.target, features(test, modality), test.target
        )
        assert probe > chance + 0.35
    shuffled = train.target[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    modality = train.modalities[1]
    probe = linear_probe(features(train, modality), shuffled, features(test, modality), test.target)
    assert probe < chance + 0.35  # the probe alone cannot do it


def test_layouts_of_mvsa_hold_the_same_tweets(tmp_path):
    trees = {name: write_mvsa(tmp_path / name, layout=name) for name in ("qmf", "mla", "raw")}
    qmf, mla = (MVSASingle(trees[name], "train") for name in ("qmf", "mla"))
    assert qmf.ids == mla.ids
    labels = [[d.classes[y] for y in d.target] for d in (qmf, mla)]
    assert labels[0] == labels[1]
    assert [qmf.text(i) for i in range(9)] == [mla.text(i) for i in range(9)]
    raw = [MVSASingle(trees["raw"], split) for split in ("train", "val", "test")]
    assert sum(map(len, raw)) == 59  # of 60 tweets one has labels in conflict


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="layout is 'bert'; choose one of qmf, mla, raw"):
        write_mvsa(tmp_path, layout="bert")
    for name, (write, _) in SETS.items():
        with pytest.raises(ValueError, match="clips_per_class is 2; give a whole number"):
            write(tmp_path / name, clips_per_class=2)
