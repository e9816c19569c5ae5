"""From a scan to an image in one call: conditions the signal, picks grid and method, runs it, says what it did."""

from contextlib import suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.backend import resolve_device
from mmsar.core.checks import instance, one_of
from mmsar.core.memory import budget, size_text
from mmsar.errors import GeometryError, MmsarError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.model.scan import Geometry, Scan
from mmsar.recon import bpa, empm, ffbp, isar, nufft, rma
from mmsar.recon.default_grid import default_grid, tell_beyond
from mmsar.recon.density import density_weights
from mmsar.recon.ffbp_cost import FFBP_PLANNING
from mmsar.recon.fronts import product_grid
from mmsar.recon.options import ReconOptions
from mmsar.recon.predict import BPA_PLANNING, CPU_ONLY, METHODS, Prediction, predict
from mmsar.recon.request import check_request, warnings_of
from mmsar.recon.speed import speed_factors
from mmsar.signal.cylinder import round_of

AS_FAST = 1.1
"""Predicted times that are no further apart are equal: then the method that comes first in `METHODS` is taken."""
WORTH = 0.5
"""Time that ffbp must save to be taken instead of bpa, whose image it has to an error only [s]."""
EVEN = 0.05
"""Spread of the density weights up to which turns are even."""

_MODULES: dict[str, ModuleType] = {"rma": rma, "empm": empm, "nufft": nufft, "isar": isar, "ffbp": ffbp, "bpa": bpa}


def reconstruct(
    scan: Scan,
    grid: ImageGrid | None = None,
    *,
    method: str = "auto",
    device: str = "auto",
    options: ReconOptions | None = None,
) -> Image:
    """Image a scan.

    Parameters
    ----------
    scan : Scan
        A calibration it carries is applied first.
    grid : ImageGrid, optional
        Default: `default_grid(scan)`; the history says ("beyond") where the scene goes on at its ends.
    method : str
        "auto", "rma", "empm", "nufft", "isar", "ffbp" or "bpa".
    device : str
        "auto", "cpu", "cuda:N", "cuda:all"; see `core.backend.resolve_device`.
    options : ReconOptions, optional
        Window, density compensation, phase, accuracy, memory, progress, verification, sparse reconstruction or least
        squares.

    Returns
    -------
    Image
        Complex64; its history says method, device, options, the predicted error and what was done to the signal.

    Raises
    ------
    GeometryError
        A geometry the method cannot image, or options it does not know, with the reason.
    DeviceError
        A device that is not there.
    MmsarError
        More memory needed than allowed.

    Examples
    --------
    A point 0.3 m before a line of antennas comes out where it was put, with its reflectivity:

    >>> import mmsar
    >>> from mmsar.simulate.scene import Scene
    >>> chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=16)
    >>> path, board = mmsar.Trajectory.linear(60, 1e-3), mmsar.AntennaArray.single()
    >>> point = Scene.points([[0.01, 0.0, 0.3]], 2.0)
    >>> scan = mmsar.simulate(point, chirp=chirp, array=board, trajectory=path)
    >>> grid = mmsar.ImageGrid.from_extent((-0.05, 0.05), 0.0, 0.3, spacing=1e-3)
    >>> image = mmsar.reconstruct(scan, grid, method="bpa")
    >>> line = image.magnitude()[0, 0]
    >>> f"{line.max():.2f} at x = {grid.x[line.argmax()] * 1e3:.0f} mm"
    '2.00 at x = 10 mm'
    """
    wanted = request(scan, grid, method=method, device=device, options=options)
    asked = wanted.options
    of_plan = replace(asked, progress=False) if asked.inverse else asked  # it is applied too often for a bar
    method, geometry = wanted.chosen.method, wanted.geometry
    if asked.least_squares is not None:
        from mmsar.recon.least_squares import least_squares_image, widened

        grid, part = widened(wanted.grid) if method != "isar" else (wanted.grid, (slice(None),) * 3)
        plan = make_plan(method, geometry, grid, device=device, options=of_plan)
        data, told = least_squares_image(
            plan, wanted.scan, asked.least_squares, part, memory=asked.memory, show=asked.progress
        )
        return finished(wanted, data, least_squares=told)
    plan = make_plan(method, geometry, wanted.grid, device=device, options=of_plan)
    if asked.sparse is not None:
        from mmsar.recon.sparse import sparse_image

        data, told = sparse_image(plan, wanted.scan, asked.sparse, memory=asked.memory, show=asked.progress)
        return finished(wanted, data, sparse=told)
    return finished(wanted, plan(wanted.scan))


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A reconstruction that is decided on: what a plan takes, and what the image is to tell."""

    scan: Scan
    """Conditioned: its signal is what the plan images."""
    geometry: Geometry
    """With the weights of the options."""
    grid: ImageGrid
    chosen: Prediction
    """Of the method that is used."""
    options: ReconOptions
    """As asked for, with what the scan says of itself."""
    step: dict[str, Any]
    """The entry for the history."""
    whole: bool
    """Whether the grid is the default one."""


def request(
    scan: Scan,
    grid: ImageGrid | None = None,
    *,
    method: str = "auto",
    device: str = "auto",
    options: ReconOptions | None = None,
) -> Request:
    """What `reconstruct` decides before it makes a plan. Parameters and errors are its own."""
    asked = options or ReconOptions()
    check_request(scan, method, asked)
    device = resolve_device(device)
    options = _options_for(scan, asked)
    scan = conditioned(scan)
    whole = grid is None
    grid = _grid_for(scan, grid, options)
    density = density_of(scan.geometry, options)
    geometry = _weighted(scan.geometry, density, options.window)
    predictions = {p.method: p for p in _predicted(geometry, grid, options)}
    there = [p for p in predictions.values() if device == "cpu" or p.method not in CPU_ONLY]
    chosen = choose(there, options) if method == "auto" else predictions[method]
    step: dict[str, Any] = {
        "step": "reconstruct",
        "version": __version__,
        "method": chosen.method,
        "requested": method,
        "device": device,
        "window": options.window,
        "density": "off" if density is None else "on",
        "predicted_error_db": round(chosen.error_db, 1),
    }
    if chosen.method in ("rma", "empm", "isar"):
        step["phase"] = options.phase
    if chosen.method == "isar":
        step["kernel"] = "far_field" if options.far_field else options.kernel
    warnings = [chosen.reason] * bool(chosen.reason) + warnings_of(scan, grid, asked)
    if warnings:
        step["warning"] = "; ".join(warnings)
    return Request(scan=scan, geometry=geometry, grid=grid, chosen=chosen, options=options, step=step, whole=whole)


def finished(wanted: Request, data: np.ndarray, **told: Any) -> Image:
    """The image of a request from its voxels (n_z, n_y, n_x), verified where asked for; `told` goes to the history."""
    history = tuple(wanted.scan.attrs.get("history", ()))
    image = Image(data=data, grid=wanted.grid, history=history)
    step = wanted.step | told
    if wanted.options.verify:
        step["verify"] = verify(image, wanted.scan, wanted.geometry)
    image = image.with_step(**step)
    return tell_beyond(image, wanted.scan) if wanted.whole else image


def make_plan(
    method: str, geometry: Geometry, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> Any:
    """The plan of a method by name: callable on a signal or a scan, with `adjoint`, `nbytes`, `geometry` and `grid`.

    Raises
    ------
    GeometryError, DeviceError, MmsarError
        As the method's own `plan`.
    """
    options = options or ReconOptions()
    one_of("method", method, METHODS)
    return _MODULES[method].plan(geometry, grid, device=device, options=options)


def explain(
    scan: Scan, grid: ImageGrid | None = None, *, method: str = "auto", options: ReconOptions | None = None
) -> str:
    """What `reconstruct` would do and why: every method with predicted error, time and memory, and the choice.

    Parameters and errors are those of `reconstruct`. Times are rough estimates.
    """
    asked = options or ReconOptions()
    check_request(scan, method, asked)
    options = _options_for(scan, asked)
    scan = conditioned(scan)
    grid = _grid_for(scan, grid, options)
    geometry = weighted_geometry(scan, options)
    predictions = _predicted(geometry, grid, options)
    chosen = choose(predictions, options).method if method == "auto" else method
    factors, allowed = speed_factors(), budget(options.memory)
    for name, planning in (("ffbp", FFBP_PLANNING), ("bpa", BPA_PLANNING)):
        with suppress(MmsarError):  # its plan knows its time better; where it cannot be planned the rough figure stands
            plan = make_plan(name, geometry, grid, device="cpu", options=options)
            better = {"seconds": factors.get(name, 1.0) * (planning + plan.seconds), "memory": plan.nbytes}
            predictions = [replace(p, **better) if p.method == name else p for p in predictions]
    n_z, n_y, n_x = grid.shape
    lines = [f"grid {n_x} x {n_y} x {n_z} voxels, {geometry.n_channels} channels x {geometry.chirp.n_samples} samples"]
    for p in predictions:
        mark = ">" if p.method == chosen else " "
        cost = f", about {p.seconds:.3g} s, {p.memory / 2**20:.0f} MiB" + (f" in {p.pieces} pieces" * (p.pieces > 1))
        if not p.coherence:  # the method has no model of the geometry
            lines.append(f"{mark} {p.method:6s} not for auto: {p.reason}")
            continue
        note = f"; not for auto: {p.reason}" if p.reason else ""
        if not p.reason and p.memory > allowed:
            note = f"; whole, more than the budget of {size_text(allowed)}"
        lines.append(
            f"{mark} {p.method:6s} predicted error {p.error_db:6.1f} dB{cost * bool(np.isfinite(p.seconds))}{note}"
        )
    if options.sparse is not None:
        rounds, iterations = options.sparse.rounds, options.sparse.iterations
        lines.append(f"sparse: at most {rounds} x {iterations} iterations, each of about twice the time of {chosen}")
    if options.least_squares is not None:
        rounds, iterations = options.least_squares.rounds, options.least_squares.iterations
        lines.append(f"least squares: {rounds} x {iterations} iterations, each of about twice the time of {chosen}")
    return "\n".join(lines + [f"warning: {text}" for text in warnings_of(scan, grid, asked)])


def _predicted(geometry: Geometry, grid: ImageGrid, options: ReconOptions) -> list[Prediction]:
    return predict(
        geometry,
        grid,
        phase=options.phase,
        z_ref=options.z_ref,
        far_field=options.far_field,
        memory=options.memory,
        error_db=options.error_db,
    )


def choose(predictions: list[Prediction], options: ReconOptions) -> Prediction:
    """The fastest method that is exact enough and whose memory is expected to fit the budget, the first of equals.

    When none is expected to fit, the one that needs least: its plan works in smaller pieces, or refuses with sizes.
    A kernel other than "matched" is a wish for isar, the only one that has kernels.

    Raises
    ------
    GeometryError
        Such a kernel where isar does not serve, with the reason.
    """
    if options.kernel != "matched":
        (isar_,) = (p for p in predictions if p.method == "isar")
        if isar_.reason:
            raise GeometryError(
                f"kernel: got {options.kernel}, which only method isar has, and that does not serve here: "
                f"{isar_.reason}; leave the kernel out (or ask for method isar all the same)"
            )
        return isar_
    fit = [p for p in predictions if not p.reason]
    allowed = budget(options.memory)
    small = [p for p in fit if p.memory <= allowed]
    if not small:
        return min(fit, key=lambda p: p.memory)
    limit = AS_FAST * min(p.seconds for p in small)
    chosen = next(p for p in small if p.seconds <= limit)
    exact = next((p for p in small if p.method == "bpa"), chosen)
    return exact if chosen.method == "ffbp" and exact.seconds < chosen.seconds + WORTH else chosen


def weighted_geometry(scan: Scan, options: ReconOptions) -> Geometry:
    """The scan's geometry with the weights that the options ask for: density compensation and window."""
    return _weighted(scan.geometry, density_of(scan.geometry, options), options.window)


def _weighted(geometry: Geometry, density: np.ndarray | None, window: str) -> Geometry:
    from mmsar.signal.window import apply_window

    if density is not None:
        geometry = geometry.replace(weight=geometry.weight * density)
    return geometry if window == "none" else apply_window(geometry, window)


def density_of(geometry: Geometry, options: ReconOptions) -> np.ndarray | None:
    """The density weights that the options ask for, None for none: "auto" compensates off a product grid in x and y,
    and round the y axis where steps in angle or height are uneven."""
    if options.density == "off":
        return None
    if options.density == "auto":
        if round_of(geometry) is not None:
            weight = density_weights(geometry)
            return weight if np.ptp(weight[geometry.weight != 0]) > EVEN else None
        flat = geometry.virtual_position.reshape(-1, 3) * [1, 1, 0]
        if not isinstance(product_grid(flat, tolerance=geometry.chirp.wavelength / 40), str):
            return None
    return density_weights(geometry)


def verify(image: Image, scan: Scan, geometry: Geometry, *, size: int = 12, seed: int = 0) -> dict[str, float]:
    """Compare an image with back-projection on four random sub-volumes of `size` voxels a side.

    They are drawn with the energy of the image as probability and count alike, so that the mean of their errors
    estimates that of the whole image.

    Returns
    -------
    dict
        "ncc" (complex, magnitude of the normalised inner product) and "error_db" (residual after the best complex
        scale; -120 at least) over all sub-volumes together, and "voxels" compared.
    """
    from mmsar.metrics import error_db, ncc

    mine, exact = [], []
    for centre in _drawn_by_energy(image, np.random.default_rng(seed)):
        shape = np.array(image.grid.shape)
        start = np.clip(centre - size // 2, 0, np.maximum(shape - size, 0))
        stop = np.minimum(start + size, shape)
        part = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        origin = np.array(image.grid.origin) + np.array(image.grid.spacing) * start[::-1]
        block = ImageGrid(shape=tuple(stop - start), origin=tuple(origin), spacing=image.grid.spacing)
        values = image.data[part].ravel()
        scale = 1 / max(float(np.linalg.norm(values)), 1e-30)
        mine.append(values * scale)
        exact.append(
            bpa.plan(geometry, block, device="cpu", options=ReconOptions(error_db=-60.0))(scan).ravel() * scale
        )
    a, b = np.concatenate(mine), np.concatenate(exact)
    return {
        "ncc": round(float(ncc(a, b)), 4),
        "error_db": round(max(float(error_db(a, b).error_db), -120.0), 1),
        "voxels": int(a.size),
    }


def _drawn_by_energy(image: Image, rng: np.random.Generator, n: int = 4) -> list[np.ndarray]:
    """Indices (z, y, x) of `n` voxels drawn with |image|^2 as probability, spread over the planes."""
    planes = np.array([np.linalg.norm(plane) ** 2 for plane in image.data], dtype=float) + 1e-30
    quantiles = (np.arange(n) + rng.random()) / n
    drawn = []
    for z in np.searchsorted(np.cumsum(planes) / planes.sum(), quantiles):
        z = min(int(z), len(planes) - 1)
        power = np.abs(image.data[z].ravel()).astype(float) ** 2 + 1e-30
        inside = min(int(np.searchsorted(np.cumsum(power) / power.sum(), rng.random())), power.size - 1)
        drawn.append(np.array([z, *np.unravel_index(inside, image.data.shape[1:])]))
    return drawn


def _grid_for(scan: Scan, grid: ImageGrid | None, options: ReconOptions) -> ImageGrid:
    """The grid asked for, else the default one."""
    if grid is None:
        return default_grid(scan, far_field=options.far_field)
    instance("grid", grid, ImageGrid, "ImageGrid.from_extent makes one")
    return grid


def _options_for(scan: Scan, options: ReconOptions) -> ReconOptions:
    """The options, with what the scan says of itself: that its samples are referred to the axis of rotation."""
    return replace(options, far_field=True) if scan.attrs.get("far_field") else options


def conditioned(scan: Scan) -> Scan:
    """The scan with the calibration that it carries applied."""
    if scan.calibration is None:
        return scan
    from mmsar.signal.calibrate import apply_calibration

    return apply_calibration(scan)
