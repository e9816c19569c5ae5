"""Training pairs: how fast; and how near the fast echoes are to the exact sum, by depth and position error.

40,000 elements, 12 frequencies, 5,000 points over 170 x 170 mm (a solid of 57 x 57 mm has as many). The pairs are those
of the default recipe. Nothing is asserted.
"""

import time

import numpy as np
import pytest
from sidebyside import interleaved

from mmsar.enhance import dataset_track as track
from mmsar.enhance.dataset import PairMaker
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.metrics import ncc
from mmsar.model import Geometry
from mmsar.simulate.fast_echo import FastEcho
from mmsar.simulate.forward import forward
from mmsar.simulate.scene import Scene

PAIRS, POINTS = 100, 5000


def both(echo: FastEcho, scene: Scene, geometry: Geometry) -> tuple[float, dict[str, float]]:
    """NCC of the two models, and the better of two times of each, taken in turns."""
    found = {}

    def fast() -> None:
        found["fast"] = echo(scene, geometry.tx_position.reshape(-1, 3))

    def exact() -> None:
        found["exact"] = forward(geometry, scene).reshape(-1, geometry.chirp.n_samples)

    best = interleaved({"fast": fast, "exact": exact}, rounds=2)
    return ncc(found["fast"], found["exact"]), best


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of about a minute; run make bench")


def test_fast_echoes(benchmark, report):
    """NCC with simulate.forward (goal >= 0.995) and times of both, interleaved."""
    recipe, rows = Recipe(), []
    chirp = PairMaker(recipe).chirp
    for depth in (0.2, 0.3, 1.0):
        echo = FastEcho(
            chirp, aperture=track.reach(recipe), scene=recipe.reach, nearest=depth, pitch=recipe.pitch, held=(depth,)
        )
        for kind, rms in (("none", 0.0), ("white", 1e-3), ("hand", 3e-3), ("white", 3e-3)):
            rng = np.random.default_rng(0)
            place = np.c_[rng.uniform(-recipe.reach, recipe.reach, (POINTS, 2)), np.full(POINTS, depth)]
            scene = Scene.points(place, np.exp(2j * np.pi * rng.random(POINTS)) * 10 ** (-1.5 * rng.random(POINTS)))
            error = 0.0 if kind == "none" else track.position_error(recipe, kind, rms, rng)
            true = track.elements(recipe, track.nominal(recipe, 0) + error)[:, None]
            geometry = Geometry(chirp=chirp, tx_position=true, rx_position=true)
            likeness, best = both(echo, scene, geometry)
            label = f"z {depth * 1e3:.0f} mm, error {kind} {rms * 1e3:.0f} mm"
            rows.append((label, f"NCC {likeness:.5f}; {best['fast']:.2f} s, exact sum {best['exact']:.2f} s"))
    benchmark.pedantic(lambda: None, rounds=1)
    report(f"fast echoes of {POINTS} points against the exact sum", rows)


def test_pairs(benchmark, report):
    """Pairs an hour of the default recipe, plans held (goal: thousands)."""
    maker = PairMaker(Recipe())
    start = time.perf_counter()
    for i in range(PAIRS):
        maker.pair(i)
    first = time.perf_counter() - start
    start = time.perf_counter()
    for i in range(PAIRS):
        maker.pair(i)
    rate = 3600 * PAIRS / (time.perf_counter() - start)
    benchmark.pedantic(lambda: None, rounds=1)
    report(
        f"training pairs, {PAIRS} of the default recipe",
        [("plans held", f"{rate:,.0f} an hour"), ("plans made on the way", f"{3600 * PAIRS / first:,.0f} an hour")],
    )
