"""Training: the terms of the loss, the stream of batches, the loop, its checkpoints, and that it learns."""

import csv
from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'mmsar[train]'")

import numpy as np  # noqa: E402

from mmsar.enhance.model.build import build  # noqa: E402
from mmsar.enhance.train.average import Average  # noqa: E402
from mmsar.enhance.train.batches import stream, tensors, turned  # noqa: E402
from mmsar.enhance.train.checkpoint import load_network, read_checkpoint  # noqa: E402
from mmsar.enhance.train.loop import LAST, resume, train  # noqa: E402
from mmsar.enhance.train.loss import LossWeights, balance, loss_terms  # noqa: E402
from mmsar.enhance.train.settings import TrainSettings  # noqa: E402
from mmsar.errors import DeviceError, FormatError, MmsarError  # noqa: E402

TINY = {"kind": "gatenet", "widths": (8, 8), "blocks": (1, 1)}


class Blobs:
    """Batches of 32 x 32: blobs as labels, the same spread out, with speckle, as input; the same at each iteration."""

    def __init__(self, n, seed=0):
        self.n, self.seed = n, seed

    def __iter__(self):
        axis = np.arange(32)
        for index in range(self.n):
            rng = np.random.default_rng((self.seed, index))
            label, image = np.zeros((4, 32, 32)), np.zeros((4, 32, 32))
            for one, other in zip(label, image, strict=True):
                for y, x in rng.uniform(4, 28, (3, 2)):
                    square = (axis[:, None] - y) ** 2 + (axis - x) ** 2
                    one += np.exp(-square / 2)
                    other += np.exp(-square / 8)
            image += 0.1 * rng.rayleigh(size=image.shape)
            yield image.astype(np.float32), label.astype(np.float32)


def settings(**changes):
    values = {"steps": 12, "rate": 3e-3, "warmup": 4, "check_every": 5, "average": 0.9}
    return TrainSettings(**{**values, **changes})


def pair(label, output):
    return torch.as_tensor(output, dtype=torch.float32)[None, None], torch.as_tensor(label, dtype=torch.float32)[
        None, None
    ]


def test_perfect_output_costs_nothing():
    label = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for weights in (LossWeights(), LossWeights.paper()):
        assert all(term.item() == pytest.approx(0, abs=1e-7) for term in loss_terms(label, label, weights).values())


def test_paper_loss_is_the_mean_absolute_difference():
    output, label = pair(np.eye(16), 0.25 * np.ones((16, 16)))
    terms = loss_terms(output, label, LossWeights.paper())
    assert set(terms) == {"charbonnier", "loss"}
    assert terms["loss"].item() == pytest.approx(np.abs(np.eye(16) - 0.25).mean())


def test_logarithm_counts_decibels():
    weights = LossWeights(charbonnier=0, log=1, foreground=0, fourier=0, delta=1e-4)
    bright, weak = (loss_terms(*pair(np.full((8, 8), a), np.full((8, 8), 0.5 * a)), weights) for a in (1.0, 0.1))
    assert bright["loss"].item() == pytest.approx(np.log(2), rel=1e-3)
    assert weak["loss"].item() == pytest.approx(np.log(2), rel=2e-3)


def test_point_counts_as_much_as_a_solid():
    label = np.zeros((64, 64))
    label[10:13, 10:13] = 1
    label[30:60, 30:60] = 1
    weights = LossWeights(charbonnier=0, log=0, foreground=1, fourier=0, eps=0)
    weight = balance(torch.as_tensor(label, dtype=torch.float32)[None, None])[0, 0]
    assert weight[11, 11].item() == pytest.approx(1 / 9, rel=1e-5)
    assert weight[45, 45].item() == pytest.approx(1 / 225, rel=1e-5)
    assert weight[20, 20] == 0
    losses = []
    for rows in (slice(10, 13), slice(30, 60)):
        output = label.copy()
        output[rows, rows] = 0
        losses.append(loss_terms(*pair(label, output), weights)["loss"].item())
    assert losses[1] / losses[0] < 8


def test_fourier_term_is_unitary():
    label, output = np.zeros((16, 16)), np.zeros((16, 16))
    output[3, 4] = 1
    weights = LossWeights(charbonnier=0, log=0, foreground=0, fourier=1, eps=0)
    assert loss_terms(*pair(label, output), weights)["loss"].item() == pytest.approx(1 / 16, rel=1e-5)


def test_noise_only_scene_has_a_finite_loss():
    output, label = pair(np.zeros((16, 16)), np.full((16, 16), 0.3))
    output.requires_grad_()
    terms = loss_terms(output, label, LossWeights())
    terms["loss"].backward()
    assert terms["foreground"].item() == 0
    assert torch.isfinite(output.grad).all()
    assert (output.grad > 0).all()


@pytest.mark.parametrize("values", [{"charbonnier": -1}, {"delta": 0}, {"log": float("nan")}])
def test_bad_weights_are_refused(values):
    with pytest.raises(MmsarError, match=f"LossWeights.{next(iter(values))}: got"):
        LossWeights(**values)
    with pytest.raises(MmsarError, match="got 0 for every term"):
        LossWeights(charbonnier=0, log=0, foreground=0, fourier=0)


def test_average_follows_slowly():
    network = build(TINY)
    average = Average(network, 0.5)
    first = network.entry.bias.detach().clone()
    with torch.no_grad():
        network.entry.bias += 1
    average.update(network)
    assert torch.allclose(average.network.entry.bias, first + 0.9)
    for _ in range(30):
        average.update(network)
    assert torch.allclose(average.network.entry.bias, network.entry.bias, atol=1e-6)


def test_average_holds_running_statistics():
    network = build({"kind": "srvit"})
    average = Average(network, 0.5)
    network.train()(torch.rand(2, 1, 16, 16))
    average.update(network)
    held, now = average.network.entry[1], network.entry[1]
    assert held.num_batches_tracked == 1
    assert torch.allclose(held.running_mean, 0.9 * now.running_mean)


def test_rates():
    plan = settings(steps=104, warmup=4, rate=1.0)
    assert [plan.rate_at(step) for step in (0, 3, 54)] == pytest.approx([0.25, 1, 0.5])
    assert plan.rate_at(103) < 1e-3
    halved = settings(steps=100, warmup=0, rate=1.0, halve_at=(30, 60))
    assert [halved.rate_at(step) for step in (0, 29, 30, 99)] == [1, 1, 0.5, 0.25]


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"rate": 0}, {"average": 1.0}, {"patience": -1}, {"device": "tpu"}, {"clip": float("inf")}],
)
def test_bad_settings_are_refused(values):
    with pytest.raises(MmsarError, match=f"TrainSettings.{next(iter(values))}: got"):
        settings(**values)


def test_stream_starts_in_the_middle_and_goes_round():
    numbers = ["a", "b", "c"]
    assert list(islice(stream(numbers, 0), 5)) == ["a", "b", "c", "a", "b"]
    assert list(islice(stream(numbers, 4), 3)) == ["b", "c", "a"]
    with pytest.raises(MmsarError, match="batches: ran out after 3"):
        list(stream(iter(numbers), 1))


def test_tensors_take_what_the_network_wants():
    data = np.array([[[3 + 4j] * 16] * 16], dtype=np.complex64)
    label = np.ones((1, 16, 16))
    image, wanted, scale = tensors((data, label), build({"kind": "srvit"}))
    assert scale is None
    assert image.shape == wanted.shape == (1, 1, 16, 16)
    assert image.dtype == wanted.dtype == torch.float32
    assert (image == 5).all()
    complex_net = build({**TINY, "inputs": "complex"})
    image, _, scale = tensors((data, label, [2.0]), complex_net)
    assert scale.tolist() == [2.0]
    assert image[0, :, 0, 0].tolist() == [3, 4]
    with pytest.raises(MmsarError, match="wanted complex ones"):
        tensors((label, label), complex_net)
    with pytest.raises(MmsarError, match=r"both \(batch, y, x\)"):
        tensors((data, label[0]), complex_net)
    with pytest.raises(MmsarError, match="steps of 8"):
        tensors((data[:, :12], label[:, :12]), complex_net)


def test_turns_are_the_same_for_both_and_for_the_same_seed():
    image = torch.arange(8 * 2 * 16 * 16, dtype=torch.float32).reshape(8, 2, 16, 16)
    label = image[:, :1] + 0.5
    turned_image, turned_label = turned(image, label, (0, 7))
    assert torch.equal(turned_image[:, :1] + 0.5, turned_label)
    assert torch.equal(turned(image, label, (0, 7))[0], turned_image)
    assert not torch.equal(turned(image, label, (0, 8))[0], turned_image)
    assert len({(*tuple(one[0, 0, :2].tolist()), float(one[0].argmin())) for one in turned_image - image[:, :1]}) > 3
    assert turned(image[..., :8], label[..., :8], (0, 7))[0].shape == (8, 2, 16, 8)


def test_training_learns(tmp_path):
    network = build(TINY)
    result = train(
        network,
        Blobs(40),
        settings=settings(steps=160, rate=1e-2, warmup=10, check_every=20),
        folder=tmp_path / "run",
        validation=Blobs(2, seed=1),
    )
    assert result.step == 160
    first, last = result.curves[0], result.curves[-1]
    assert last["loss"] < 0.7 * first["loss"]
    assert last["validation"] < 0.7 * first["validation"]
    assert result.best_loss == min(line["validation"] for line in result.curves)
    image, label = next(iter(Blobs(1, seed=2)))
    best = load_network(tmp_path / "run" / "best.pt")
    with torch.no_grad():
        enhanced = best(torch.from_numpy(image)[:, None])[:, 0].numpy()
    assert np.square(enhanced - label).mean() < 0.5 * np.square(image - label).mean()
    with (tmp_path / "run" / "curves.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["step"]) for line in lines] == list(range(20, 161, 20))
    assert float(lines[-1]["loss"]) == pytest.approx(last["loss"])
    assert {"rate", "seconds", "charbonnier", "log", "foreground", "fourier", "validation"} <= lines[0].keys()


class Interrupted:
    """The batches of `Blobs(n)`, round after round, with Ctrl-C before batch `fail_at` of all."""

    def __init__(self, n, fail_at):
        self.n, self.fail_at, self.drawn = n, fail_at, 0

    def __iter__(self):
        for batch in Blobs(self.n):
            if self.drawn == self.fail_at:
                raise KeyboardInterrupt
            self.drawn += 1
            yield batch


@pytest.mark.parametrize("description", [TINY, {"kind": "srvit"}, {"kind": "srvit", "paper": True}])
def test_killed_run_resumes_in_the_same_bits(tmp_path, description):
    plan = settings(steps=4, check_every=2) if description["kind"] == "srvit" else settings()
    validation = Blobs(1, seed=1)
    whole = train(build(description), Blobs(5), settings=plan, folder=tmp_path / "whole", validation=validation)
    killed = Interrupted(5, plan.check_every + 1)
    with pytest.raises(KeyboardInterrupt):
        train(build(description), killed, settings=plan, folder=tmp_path / "killed", validation=validation)
    assert read_checkpoint(tmp_path / "killed" / "last.pt")["step"] == plan.check_every
    assert not list((tmp_path / "killed").glob("*.part*"))
    resumed = resume(tmp_path / "killed", Blobs(5), validation=validation)
    assert resumed.step == whole.step == plan.steps
    first, second = (read_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "killed"))
    for part in ("weights", "average"):
        assert all(torch.equal(value, second[part][name]) for name, value in first[part].items())
    for old, new in zip(first["curves"], second["curves"], strict=True):
        assert {k: v for k, v in old.items() if k != "seconds"} == {k: v for k, v in new.items() if k != "seconds"}


def test_folder_with_a_run_is_kept(tmp_path):
    train(build(TINY), Blobs(2), settings=settings(steps=1, check_every=1), folder=tmp_path)
    with pytest.raises(MmsarError, match="holds a run already"):
        train(build(TINY), Blobs(2), settings=settings(), folder=tmp_path)
    with pytest.raises(FormatError, match="no such file"):
        resume(tmp_path / "nothing", Blobs(2))


def test_early_stop(tmp_path):
    plan = settings(steps=40, rate=1e-12, check_every=2, patience=3)
    result = train(build(TINY), Blobs(4), settings=plan, folder=tmp_path, validation=Blobs(1, seed=1))
    assert result.step < 40


def test_loss_that_is_not_finite_changes_nothing(tmp_path):
    image = np.full((2, 32, 32), np.nan, dtype=np.float32)
    network = build(TINY)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(MmsarError, match="step 0: the loss is nan"):
        train(network, [(image, np.zeros_like(image))], settings=settings(), folder=tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_missing_gpu_is_said(tmp_path):
    with pytest.raises(DeviceError, match="cuda asked for"):
        train(build(TINY), Blobs(2), settings=settings(device="cuda"), folder=tmp_path)


def test_a_run_goes_on_on_another_device(tmp_path):
    train(build(TINY), Blobs(2), settings=settings(steps=1, check_every=1), folder=tmp_path)
    content = read_checkpoint(tmp_path / LAST)
    content["settings"] |= {"device": "cuda", "steps": 2}
    torch.save(content, tmp_path / LAST)
    assert resume(tmp_path, Blobs(2), device="cpu").step == 2


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"mmsar_checkpoint": 99}, {"code": Blobs(1)}])
def test_foreign_checkpoints_are_refused(tmp_path, content):
    path = tmp_path / "last.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(FormatError, match=r"last\.pt: (not a checkpoint|got checkpoint version 99)"):
        read_checkpoint(path)
