"""mmsar train-sr: a tiny network learns from a tiny recipe, goes on after Ctrl-C, is refused in one line."""

import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'mmsar[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

import csv
from pathlib import Path

import numpy as np

from mmsar.cli import main
from mmsar.enhance.dataset import write_pairs
from mmsar.enhance.dataset_recipe import load_recipe
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.model.build import build
from mmsar.enhance.train import loop
from mmsar.enhance.train.checkpoint import load_network
from mmsar.enhance.train.config import load_config
from mmsar.enhance.train.pairs import PairBatches, WholePairs, to_one_unit
from mmsar.enhance.train.start import start_from
from mmsar.errors import FormatError, MmsarError
from mmsar.io.pairs_h5 import PairFile

TINY = (Path(__file__).resolve().parents[1] / "enhance" / "tiny.toml").read_text()
RECIPE = TINY + "snr_db = [10, 30]\n[splits]\nvalidation_share = 0.3\n"

TRAINING = """
name = "tiny"
seed = 3
[data]
recipe = "r.toml"
count = 24
crop = 16
batch = 4
validation = 4
[network]
kind = "gatenet"
widths = [8]
blocks = [1]
[training]
steps = 60
rate = 1e-2
warmup = 5
check_every = 20
average = 0.9
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    (folder / "r.toml").write_text(RECIPE)
    (folder / "t.toml").write_text(TRAINING)
    write_pairs(load_recipe(folder / "r.toml"), folder / "pairs.h5", count=20)
    return folder


def test_a_tiny_network_learns_and_is_exported(place, tmp_path, capsys):
    argv = ["train-sr", str(place / "t.toml"), "-o", str(tmp_path / "run"), "--pairs", str(place / "pairs.h5")]
    assert main(argv) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(tmp_path / "run" / "tiny.onnx")
    assert "made 4 pairs" in said.err and "60 steps in" in said.err
    with (tmp_path / "run" / "curves.csv").open() as file:
        losses = [float(line["loss"]) for line in csv.DictReader(file)]
    assert losses[-1] < 0.85 * losses[0]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    enhancer = Enhancer(tmp_path / "run" / "tiny.onnx")
    assert (enhancer.name, enhancer.multiple) == ("tiny", 4)
    assert main(argv) == 3
    assert "holds a run already" in capsys.readouterr().err


def test_stopped_run_goes_on(place, tmp_path, capsys, monkeypatch):
    step = loop.train_step

    def stopping(*args):
        if args[-1] == 25:
            raise KeyboardInterrupt
        return step(*args)

    argv = ["train-sr", str(place / "t.toml"), "-o", str(tmp_path), "--pairs", str(place / "pairs.h5")]
    monkeypatch.setattr(loop, "train_step", stopping)
    assert main(argv) == 130
    assert "go on from the last checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "tiny.onnx").exists()
    monkeypatch.setattr(loop, "train_step", step)
    assert main([*argv, "--resume"]) == 0
    with (tmp_path / "curves.csv").open() as file:
        assert [line["step"] for line in csv.DictReader(file)] == ["20", "40", "60"]


def test_training_starts_from_a_network(place, tmp_path, capsys):
    """From an exported network and from a checkpoint: the same first weights, which are the trained ones."""
    pairs = ["--pairs", str(place / "pairs.h5")]
    assert main(["train-sr", str(place / "t.toml"), "-o", str(tmp_path / "run"), *pairs]) == 0
    description = {"kind": "gatenet", "widths": (8,), "blocks": (1,)}
    trained, first = load_network(tmp_path / "run" / loop.BEST), build(description)
    for source in ("tiny.onnx", loop.BEST):
        start_from(first, tmp_path / "run" / source)
        for name, value in trained.state_dict().items():
            np.testing.assert_array_equal(first.state_dict()[name], value)
    (place / "on.toml").write_text(TRAINING.replace("steps = 60", "steps = 20").replace("rate = 1e-2", "rate = 1e-6"))
    start = ["--start", str(tmp_path / "run" / "tiny.onnx")]
    assert main(["train-sr", str(place / "on.toml"), "-o", str(tmp_path / "on"), *pairs, *start]) == 0
    with (tmp_path / "on" / "curves.csv").open() as file:
        assert float(next(csv.DictReader(file))["validation"]) == pytest.approx(
            float(_last(tmp_path / "run")["validation"]), rel=0.05
        )


def _last(run: Path) -> dict:
    with (run / "curves.csv").open() as file:
        return list(csv.DictReader(file))[-1]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("gatenet", "weights of another network (entry.weight (32, 32, 3, 3)), wanted entry.weight (8, 32, 3, 3)"),
        ("srvit", "weights of another network (none for entry.weight)"),
        ("nothing.onnx", "no such file"),
        ("nothing.pt", "no such file"),
        ("resnet", "got 'resnet', wanted one of gatenet, srvit"),
        ("r.toml", "wanted one of gatenet, srvit"),
        ("broken.onnx", "not an exported network"),
    ],
)
def test_bad_starts_are_one_line(place, tmp_path, capsys, start, said):
    (place / "broken.onnx").write_bytes(b"no network")
    source = place / start if "." in start else start
    argv = ["train-sr", str(place / "t.toml"), "-o", str(tmp_path / "run"), "--start", str(source)]
    assert main(argv) == 3
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "run" / "pairs.h5").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("crop = 16", "crp = 16", r"t.toml \[data\]: unknown key `crp`; did you mean `crop`"),
        ("count = 24", 'count = "few"', r"t.toml \[data\] count: got 'few'"),
        ("steps = 60", "steps = 0", r"t.toml \[training\]: TrainSettings.steps: got 0"),
        ("steps = 60", "rate = 1.0", r"t.toml \[training\] steps: missing"),
        ('name = "tiny"', 'name = "a/b"', "name: got 'a/b'"),
        ("[network]", "[loss]\nlog = -1\n[network]", r"\[loss\]: LossWeights.log: got -1"),
        ("batch = 4", 'label = "true"', "label: got 'true', wanted physical or ideal"),
        ("batch = 4", "batch = 0", "TrainConfig.batch: got 0"),
    ],
)
def test_bad_training_files_are_refused(place, tmp_path, old, new, message):
    text = TRAINING.replace(old, new).replace("rate = 1e-2\n", "" if "rate" in new else "rate = 1e-2\n")
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(FormatError, match=message):
        load_config(tmp_path / "t.toml")


def test_what_cannot_be_trained_is_refused_before_pairs_are_made(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (place / "bad.toml").write_text(TRAINING.replace('"gatenet"', '"resnet"'))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / loop.LAST).write_bytes(b"")
    for file, folder, options, code, said in [
        ("t.toml", tmp_path / "run", ["--device", "cuda"], 4, "cuda asked for"),
        ("t.toml", taken, [], 3, "holds a run already"),
        ("bad.toml", tmp_path / "run", [], 3, "network kind: got 'resnet'"),
    ]:
        assert main(["train-sr", str(place / file), "-o", str(folder), *options]) == code
        assert said in capsys.readouterr().err
        assert not (folder / "pairs.h5").exists()


def test_bad_network_and_missing_recipe_are_one_line(place, tmp_path, capsys):
    (tmp_path / "t.toml").write_text(TRAINING)
    assert main(["train-sr", str(tmp_path / "t.toml"), "-o", str(tmp_path / "run")]) == 3
    assert "r.toml" in capsys.readouterr().err
    (place / "bad.toml").write_text(TRAINING.replace('"gatenet"', '"resnet"'))
    argv = ["train-sr", str(place / "bad.toml"), "-o", str(tmp_path / "run"), "--pairs", str(place / "pairs.h5")]
    assert main(argv) == 3
    assert "network kind: got 'resnet'" in capsys.readouterr().err


def test_batches_depend_on_their_number_only(place):
    with PairFile(place / "pairs.h5") as file:
        first = PairBatches(file, crop=16, batch=3, seed=5)
        later = PairBatches(file, crop=16, batch=3, seed=5).starting(2)
        stream = iter(first)
        for _ in range(2):
            next(stream)
        for a, b in zip(next(stream), next(later), strict=True):
            np.testing.assert_array_equal(a, b)
        image, label, scale = next(later)
        assert image.shape == label.shape == (3, 16, 16)
        assert (image.dtype, label.dtype, scale.tolist()) == (np.complex64, np.float32, [1, 1, 1])


def test_label_is_brought_to_the_brightness_of_the_image(place):
    rng = np.random.default_rng(0)
    label = np.zeros((32, 32), dtype=np.float32)
    label[10:20, 12:16] = rng.uniform(0.5, 1, (10, 4))
    own, wanted = to_one_unit(0.02 * label * np.exp(1j * rng.uniform(0, 6, label.shape)), label)
    assert wanted / own == pytest.approx(0.02, rel=1e-5)
    assert to_one_unit(np.zeros((4, 4)), np.zeros((4, 4))) == (1, 0)
    with PairFile(place / "pairs.h5") as file:
        own, *_ = (abs(image[0]) for image, *_ in WholePairs(file, count=1))
        assert (own**3).sum() / (own**2).sum() == pytest.approx(1, rel=1e-3)


def test_no_pairs_of_a_split_is_said(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE.replace("validation_share = 0.3", "validation_share = 0.0"))
    write_pairs(load_recipe(recipe), tmp_path / "p.h5", count=1)
    with PairFile(tmp_path / "p.h5") as file:
        with pytest.raises(MmsarError, match="no finished pairs of the split 'validation'"):
            WholePairs(file)
        with pytest.raises(MmsarError, match="label: got 'true'"):
            PairBatches(file, label="true")
