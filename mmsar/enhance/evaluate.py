"""Evaluation of networks for enhancement on scenes of families they were not trained on.

The sets, columns and probes were fixed before any network was tuned, but for the column `placed`, which no bar asks
for. Every pair is made, shown to all contestants and dropped: nothing is stored. Contestants that are slow see the
first `few` images of a set only; gains over the input are always over the same images.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmsar.core.progress import counter
from mmsar.enhance.consistent import Consistent, seen_from
from mmsar.enhance.dataset import Observed, PairMaker
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.evaluation import Contestant, Evaluation, Probes, Scores
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.probes import Probe
from mmsar.enhance.score import COLUMNS, psnr, published, scaled, score, thresholded
from mmsar.model.pair import Pair
from mmsar.model.scan import Geometry
from mmsar.recon.options import LeastSquaresOptions, SparseOptions

FIRST_SEED = 1_000_003
"""Recipe seed of the first set; a file of pairs has a seed of its own, and must not have these."""
INPUT, ZERO, THRESHOLD, BPA, SPARSE = "input", "zero image", "-20 dB threshold", "bpa", "sparse"
RECORDED, FOCUS, TRUTH = "recorded positions", "autofocus", "true positions"
Refocus = Callable[[Any, np.ndarray, np.ndarray], Geometry]
"""(plan, samples, valid) to the geometry with focused poses."""
SIGMAS = (0.0, 0.1e-3, 0.2e-3, 0.5e-3, 1e-3, 2e-3, 4e-3, 6e-3)
SNRS_DB = (-10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0)
DEPTH = 0.25
"""Distance of the probes' slice [m]."""
FACTORS = (0.1, 0.5, 2.0, 10.0)
SLOW = 250.0
"""What takes longer for 256 x 256 pixels is slow [ms]."""
UNSCALED = 7e-4
"""Brightness of the input in the published scoring, against the label's."""


def contestants(networks: Sequence[Enhancer]) -> list[Contestant]:
    """The baselines, then the networks by their names."""
    found = [
        Contestant(name=ZERO, run=lambda image: np.zeros(image.shape, dtype=np.float32)),
        Contestant(name=INPUT, run=np.abs),
        Contestant(name=THRESHOLD, run=lambda image: thresholded(np.abs(image))),
    ]
    for net in networks:
        run = net if net.inputs == "complex" else (lambda image, net=net: net(np.abs(image)))
        noise = np.random.default_rng(0).standard_normal((256, 256)).astype(np.complex64)
        slow = min(_times([Contestant(name=net.name, run=run)], noise, rounds=1).values()) > SLOW
        found.append(Contestant(name=net.name, run=run, slow=slow, enhancer=net))
    return found


def test_recipe(recipe: Recipe, **changes: Any) -> Recipe:
    """A recipe of held-out families only, imaged by empm, no scene empty."""
    fixed = {"validation_share": 0.0, "test_share": 1.0, "empty_share": 0.0, "methods": ("empm",)}
    return replace(recipe, **{**fixed, **changes})


def at_error(sigma: float) -> dict[str, Any]:
    """Changes of a recipe for one position error [m]."""
    if sigma == 0:
        return {"exact_share": 1.0}
    return {"position_error": (sigma, sigma), "exact_share": 0.0}


class Evaluator:
    """Makes pairs and scores contestants.

    Parameters
    ----------
    recipe : Recipe
        What the networks were trained on, or another one to try them on.
    networks : sequence of Enhancer
        At least one.
    label : {"physical", "ideal"}
        Label to score against.
    images, few, seeds : int
        Images per set and seed, of those for slow contestants, and seeds.
    show : bool, optional
        Progress bars; None: on a terminal.
    """

    def __init__(
        self,
        recipe: Recipe,
        networks: Sequence[Enhancer],
        *,
        label: str = "physical",
        images: int = 200,
        few: int = 20,
        seeds: int = 3,
        show: bool | None = None,
    ) -> None:
        self.recipe, self.label, self.show = recipe, label, show
        self.images, self.few, self.seeds = images, min(few, images), seeds
        self.contestants = contestants(networks)

    def run_set(
        self,
        name: str,
        count: int,
        few: int,
        seed: int,
        *,
        asked: Sequence[Contestant] | None = None,
        **changes: Any,
    ) -> dict[str, Scores]:
        """Scores of everyone, or of those asked (with the input), on the first `count` pairs of a changed recipe."""
        asked = self.contestants if asked is None else asked
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED + seed, **changes))
        rows: dict[str, list[dict[str, float]]] = {c.name: [] for c in asked}
        told: list[tuple[str, str]] = []
        with counter(name, count, self.show) as done:
            for index in range(count):
                pair = maker.pair(index)
                told.append((pair.family, pair.error_kind))
                for c in asked:
                    if index < few or not c.slow:
                        rows[c.name].append(score(c.run(pair.input), getattr(pair, self.label), self.recipe.pixel))
                done(index + 1)
        return {name: _scores(found, rows[INPUT], told) for name, found in rows.items()}

    def bpa(self, reference: Scores, seed: int, **changes: Any) -> Scores:
        """Scores of back-projection on the first `few` pairs of a set, whose input `run_set` scored."""
        shown = [c for c in self.contestants if c.name == INPUT]
        found = self.run_set(BPA, self.few, self.few, seed, asked=shown, methods=("bpa",), **changes)[INPUT]
        return replace(found, gain=found.columns["psnr"] - reference.columns["psnr"][: self.few])

    def from_samples(
        self, make: Callable[[Observed], dict[str, np.ndarray]], reference: Scores, seed: int, **changes: Any
    ) -> dict[str, Scores]:
        """Scores of images that are made of the samples, by name, on the first `few` pairs of a set."""
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED + seed, **changes))
        rows: dict[str, list[dict[str, float]]] = {}
        told = []
        with counter("from samples", self.few, self.show) as done:
            for index in range(self.few):
                observed = maker.observed(index)
                told.append((observed.pair.family, observed.pair.error_kind))
                label = getattr(observed.pair, self.label)
                for name, image in make(observed).items():
                    rows.setdefault(name, []).append(score(image, label, self.recipe.pixel))
                done(index + 1)
        input_psnr = reference.columns["psnr"][: self.few]
        found = {name: _scores(part, part, told) for name, part in rows.items()}
        return {name: replace(s, gain=s.columns["psnr"] - input_psnr) for name, s in found.items()}

    def sparse_probes(self, imager: Consistent) -> Probes:
        """All probes but that of tiles, for sparse reconstruction."""
        probe = Probe(PairMaker(test_recipe(self.recipe, tracks=1)), self._depth(), imager)
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED - 1, **PERFECT))
        exact = [maker.observed(i) for i in range(max(self.few // 4, 1))]
        first, start = exact[0], time.perf_counter()
        whole = self._psnr(imager(first.plan, first.signal, first.valid), first.pair)
        milliseconds = 1e3 * (time.perf_counter() - start)
        scaled_by = [self._psnr(imager(first.plan, first.signal * np.float32(f)), first.pair) for f in (0.1, 10.0)]
        gains = [
            self._psnr(imager(o.plan, o.signal, o.valid), o.pair) - self._psnr(o.pair.magnitude, o.pair) for o in exact
        ]
        return Probes(
            amplitude=probe.amplitudes(np.abs),
            two_points=probe.two_points(np.abs),
            noise=probe.lit(np.abs, [probe.noise(seed) for seed in range(4)]),
            speckle=probe.lit(np.abs, [probe.speckle(seed) for seed in range(2)]),
            scale=float(np.ptp([whole, *scaled_by])),
            exact=float(np.mean(gains)),
            tiles=float("nan"),
            milliseconds=milliseconds,
        )

    def probes(self) -> dict[str, Probes]:
        """All probes, for the input and the networks."""
        probe = Probe(PairMaker(test_recipe(self.recipe, tracks=1)), self._depth())
        noise, speckle = ([make(seed) for seed in range(4)] for make in (probe.noise, probe.speckle))
        asked = [c for c in self.contestants if c.name == INPUT or c.enhancer]
        times = _times(asked, probe.noise(0))
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED - 1, **PERFECT))
        exact = [maker.pair(i) for i in range(max(self.few // 2, 2))]
        found = {}
        with counter("probes", len(asked), self.show) as done:
            for n, c in enumerate(asked):
                found[c.name] = Probes(
                    amplitude=probe.amplitudes(c.run),
                    two_points=probe.two_points(c.run),
                    noise=probe.lit(c.run, noise),
                    speckle=probe.lit(c.run, speckle),
                    scale=self._scale(c, exact[:2]),
                    exact=float(np.mean([self._psnr(c.run(p.input), p) - self._psnr(p.magnitude, p) for p in exact])),
                    tiles=_tiles(c.enhancer, exact[0]),
                    milliseconds=times[c.name],
                )
                done(n + 1)
        return found

    @property
    def _fewest(self) -> int:
        """Images of a point of a sweep that slow contestants see."""
        return max(self.few // 4, 1)

    def _depth(self) -> float:
        return min(self.recipe.depths, key=lambda depth: abs(depth - DEPTH))

    def _psnr(self, image: np.ndarray, pair: Pair) -> float:
        label = getattr(pair, self.label)
        return psnr(scaled(image, label), label)

    def _scale(self, contestant: Contestant, pairs: Sequence[Pair]) -> float:
        worst = 0.0
        for pair in pairs:
            values = [self._psnr(contestant.run(pair.input * np.float32(f)), pair) for f in (1.0, *FACTORS)]
            worst = max(worst, float(np.ptp(values)))
        return worst

    def paper(self, count: int, sigma: float) -> dict[str, float]:
        """Mean PSNR by the published protocol against the ideal label, input first [dB]."""
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED, **at_error(sigma)))
        fast = [c for c in self.contestants if c.name not in (ZERO, INPUT)]
        sums: list[list[float]] = []
        for index in range(count):
            pair = maker.pair(index)
            images = [pair.magnitude, *(c.run(pair.input) for c in fast)]
            sums.append(published(images, pair.ideal, UNSCALED))
        means = np.mean(sums, axis=0)
        return dict(zip([INPUT, *(c.name for c in fast)], map(float, means), strict=True))

    def samples(self, count: int, sigma: float) -> list[tuple[Pair, dict[str, np.ndarray]]]:
        """Pairs with what everyone made of them, for pictures."""
        maker = PairMaker(test_recipe(self.recipe, seed=FIRST_SEED + 77, **at_error(sigma)))
        pairs = [maker.pair(index) for index in range(count)]
        return [(p, {c.name: c.run(p.input) for c in self.contestants if c.name != ZERO}) for p in pairs]

    def __call__(
        self,
        *,
        sigmas: Sequence[float],
        paper: bool = False,
        sweep_images: int = 24,
        sparse: SparseOptions | None = None,
        refocus: Refocus | None = None,
        squares: LeastSquaresOptions | None = None,
    ) -> Evaluation:
        """Everything.

        Parameters
        ----------
        sigmas : sequence of float
            Position errors of the main sets [m].
        paper : bool
            Also the published protocol.
        sweep_images : int
            Images per point of a sweep and per set out of the distribution.
        sparse : SparseOptions, optional
            Also sparse reconstruction from the samples: it is slow, and is not in the sweeps.
        refocus : callable, optional
            Also images at the poses that it finds from (plan, samples, valid) of the first `few` images of every set,
            alone and through the first network.
        squares : LeastSquaresOptions, optional
            Also least squares from the same samples, at all positions that images are made at.
        """
        imager = None
        if sparse is not None:
            imager = Consistent(replace(sparse, restore=self.recipe.blob))

        first = next(c for c in self.contestants if c.enhancer)

        def make(observed: Observed) -> dict[str, np.ndarray]:
            places = {TRUTH: observed.truth}
            if refocus is not None:
                places = {FOCUS: refocus(observed.plan, observed.signal, observed.valid)} | places
            if squares is not None:
                places = {RECORDED: observed.plan.geometry} | places
            found = {}
            for name, geometry in places.items():
                found |= seen_from(name, geometry, observed, squares=squares, network=first)
            return found

        start = time.monotonic()
        main: dict[float, dict[str, Scores]] = {}
        by_seed: dict[float, dict[str, list[float]]] = {}
        for sigma in sigmas:
            text = f"position error {sigma * 1e3:g} mm"
            parts = [
                self.run_set(f"{text}, set {s + 1}", self.images, self.few, s, **at_error(sigma))
                for s in range(self.seeds)
            ]
            main[sigma] = {name: _joined([part[name] for part in parts]) for name in parts[0]}
            by_seed[sigma] = {name: [part[name].mean("gain")[0] for part in parts] for name in parts[0]}
            main[sigma][BPA] = self.bpa(parts[0][INPUT], 0, **at_error(sigma))
            if imager is not None:
                main[sigma] |= self.from_samples(
                    lambda o: {SPARSE: imager(o.plan, o.signal, o.valid)}, parts[0][INPUT], 0, **at_error(sigma)
                )
            found = [self.from_samples(make, p[INPUT], s, **at_error(sigma)) for s, p in enumerate(parts)]
            main[sigma] |= {name: _joined([part[name] for part in found]) for name in found[0]}
            by_seed[sigma] |= {name: [part[name].mean("gain")[0] for part in found] for name in found[0]}
        sweep_sigma, sweep_snr = self.sweeps(sweep_images)
        return Evaluation(
            recipe=self.recipe,
            images=self.images,
            few=self.few,
            seeds=self.seeds,
            main=main,
            by_seed=by_seed,
            sweep_sigma=sweep_sigma,
            sweep_snr=sweep_snr,
            sets={
                name: self.run_set(name, sweep_images, self._fewest, 60, **{**at_error(0.2e-3), **changes})
                for name, changes in self._outside().items()
            },
            probes=self.probes() | ({} if imager is None else {SPARSE: self.sparse_probes(imager)}),
            paper=self.paper(sweep_images, sigmas[0]) if paper else {},
            samples=self.samples(4, sigmas[0]),
            seconds=time.monotonic() - start,
        )

    def sweeps(self, count: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Mean PSNR [dB] at SIGMAS (SNR 20 dB) and at SNRS_DB (position error 0.2 mm), by contestant.

        It is that of the input on all images plus the mean gain over the input: slow contestants see fewer images.
        """

        def sweep(changes: Mapping[float, dict[str, Any]], what: str) -> dict[str, list[float]]:
            found = [self.run_set(f"{what} {v:g}", count, self._fewest, 50, **c) for v, c in changes.items()]
            return {n: [point[INPUT].mean("psnr")[0] + point[n].mean("gain")[0] for point in found] for n in found[0]}

        return (
            sweep({s * 1e3: at_error(s) | {"snr_db": (20.0, 20.0)} for s in SIGMAS}, "error [mm]"),
            sweep({s: at_error(0.2e-3) | {"snr_db": (s, s)} for s in SNRS_DB}, "SNR [dB]"),
        )

    def _outside(self) -> dict[str, dict[str, Any]]:
        far = 2 * self._depth() + 0.1
        return {
            f"slice at {far:.1f} m": {"depths": (far,)},
            "every surface rough": {"rough_share": 1.0},
            "multipath copies": {"ghost_share": 1.0},
            "clutter behind": {"clutter_share": 1.0},
            "position error 0.6 mm": at_error(0.6e-3),
        }


PERFECT = {
    "exact_share": 1.0,
    "snr_db": (50.0, 50.0),
    "missing_share": 0.0,
    "ghost_share": 0.0,
    "clutter_share": 0.0,
    "off_plane": 0.0,
}
"""Changes of a recipe for images that are as good as they get."""


def _scores(rows: list[dict[str, float]], reference: list[dict[str, float]], told: Sequence[tuple[str, str]]) -> Scores:
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    family, kind = ([t[i] for t in told[: len(rows)]] for i in (0, 1))
    gain = columns["psnr"] - np.array([row["psnr"] for row in reference[: len(rows)]])
    return Scores(columns=columns, gain=gain, family=family, kind=kind)


def _joined(parts: Sequence[Scores]) -> Scores:
    columns = {name: np.concatenate([p.columns[name] for p in parts]) for name in COLUMNS}
    family, kind = ([v for p in parts for v in getattr(p, name)] for name in ("family", "kind"))
    return Scores(columns=columns, gain=np.concatenate([p.gain for p in parts]), family=family, kind=kind)


def _tiles(enhancer: Enhancer | None, pair: Pair) -> float:
    """Largest difference of an image in tiles from the whole, relative to the peak."""
    if enhancer is None:
        return float("nan")
    image = np.tile(pair.input, (2, 2))
    image = image if enhancer.inputs == "complex" else np.abs(image)
    side = image.shape[0]
    whole = enhancer.retiled(-(-side // enhancer.multiple) * enhancer.multiple)(image)
    small = max(3 * enhancer.halo, side // 2 + enhancer.halo)
    tiled = enhancer.retiled(small)(image)
    return float(np.abs(whole - tiled).max() / max(whole.max(), 1e-30))


def _times(asked: Sequence[Contestant], image: np.ndarray, rounds: int = 10) -> dict[str, float]:
    """Least time of each on one image [ms]; they take turns."""
    best = {c.name: float("inf") for c in asked}
    for c in asked:
        c.run(image)
    for _ in range(rounds):
        for c in asked:
            start = time.perf_counter()
            c.run(image)
            best[c.name] = min(best[c.name], 1e3 * (time.perf_counter() - start))
    return best
