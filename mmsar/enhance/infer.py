"""Enhancement with an exported network: images and volumes of any size, on the CPU by onnxruntime.

A network file is ONNX with the inputs `image` (batch, channels, y, x) and, unless it is the published variant, `scale`
(batch,), the amplitude that stands for 1 inside; and with facts about itself in its metadata. One scale is used for all
tiles and slices of a volume, so that slices keep their relative brightness and tiles agree with the whole.

`enhance` takes slices of another pixel size than the network was trained on to that size and the result back.
"""

import hashlib
import json
import os
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, instance, positive_int
from mmsar.core.memory import budget, require
from mmsar.core.parallel import threads
from mmsar.core.progress import counter
from mmsar.enhance import weights
from mmsar.enhance.resample import factors, resample, resized
from mmsar.enhance.statistics import check_statistics, robust_scale
from mmsar.enhance.tiles import spans
from mmsar.errors import FormatError, GeometryError, MmsarError
from mmsar.model.image import Image

METADATA = "mmsar"
"""Key of the metadata, a JSON object with the keys of FACTS, and perhaps those of EXTRAS."""
FACTS = {"name": str, "inputs": str, "multiple": int, "halo": int, "tile": int}
EXTRAS = ("statistics", "spacing_mm")
"""Facts that a file may hold: statistics of the training images, and the size of their pixels [mm]."""
STEP = "learned enhancement"
"""Name of the step in histories."""


class Enhancer:
    """A network file, loaded.

    Parameters
    ----------
    path : path or str
        Written by `mmsar.enhance.train.export.export_onnx`, or the name of a network that comes with the package
        (`mmsar.enhance.weights.shipped`); default "gatenet".
    tile : int, optional
        Largest side worked on in one piece [pixels]; default: what the file says.

    Raises
    ------
    MmsarError
        onnxruntime is not installed, or a tile too small for the halo.
    FormatError
        No such file, not ONNX, or not a network of this library.
    """

    def __init__(self, path: str | os.PathLike[str] = weights.DEFAULT, *, tile: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MmsarError("enhancement needs onnxruntime, which is not installed; pip install 'mmsar[sr]'") from None
        path = weights.find(path) if str(path) in weights.shipped() else Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            there = f" or one of {', '.join(weights.shipped())}"
            raise FormatError(f"{path}: {error.strerror or error}; wanted a network file (.onnx){there}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each cause, all of them straight from Exception
            raise FormatError(f"{path}: not a network that onnxruntime can load ({_first_line(error)})") from None
        facts = _facts(path, self._session.get_modelmeta().custom_metadata_map.get(METADATA))
        self.name: str = facts["name"]
        self.inputs: str = facts["inputs"]
        """"magnitude" or "complex"."""
        self.multiple: int = facts["multiple"]
        """Sides are padded to multiples of this [pixels]; also the smallest side."""
        self.halo: int = facts["halo"]
        """Edge of a tile that is dropped, a multiple of `multiple` [pixels]."""
        self._set_tile(facts["tile"] if tile is None else tile)
        self.statistics: dict[str, Any] | None = facts.get("statistics")
        """Of the training images (`mmsar.enhance.statistics`), when the file holds them."""
        self.spacing: float | None = facts["spacing_mm"] / 1e3 if "spacing_mm" in facts else None
        """Pixel size of the training images [m], when the file holds it."""
        self.sha256 = hashlib.sha256(content).hexdigest()
        """Of the file."""
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self._takes_scale = "scale" in {node.name for node in self._session.get_inputs()}

    def _set_tile(self, tile: int) -> None:
        self.tile = -(-positive_int("tile", tile) // self.multiple) * self.multiple
        """Largest side worked on in one piece [pixels]."""
        spans(self.tile + 1, tile=self.tile, halo=self.halo, ramp=self.multiple)  # refuses a tile without a middle

    def retiled(self, tile: int) -> "Enhancer":
        """The same network with tiles of another side [pixels].

        Raises
        ------
        MmsarError
            A tile too small for the halo.
        """
        other = copy(self)
        other._set_tile(tile)
        return other

    def __call__(self, data: np.ndarray, *, show: bool | None = False) -> np.ndarray:
        """Enhanced magnitude of an image (y, x), or of a volume (z, y, x) slice by slice; float32, >= 0, same shape.

        Parameters
        ----------
        data : ndarray
            Magnitudes >= 0, or complex for a network of complex input.
        show : bool, optional
            Progress bar; None: on a terminal only.

        Raises
        ------
        GeometryError
            Another number of axes, a side below `multiple` pixels, values that are not finite or below 0, or complex
            numbers where magnitudes are wanted and the other way round.
        """
        data = np.asarray(data)
        self._check(data)
        volume = data.reshape(-1, *data.shape[-2:])
        scale = robust_scale(np.abs(volume))
        out = np.zeros(volume.shape, dtype=np.float32)
        if scale == 0:
            return out.reshape(data.shape)
        height, width = volume.shape[1:]
        pad = [(0, -side % self.multiple) for side in (height, width)]
        rows, columns = (
            spans(side + extra, tile=self.tile, halo=self.halo, ramp=self.multiple)
            for side, (_, extra) in zip((height, width), pad, strict=True)
        )
        total = len(volume) * len(rows) * len(columns)
        with counter("enhancing", total, show) as done:
            n = 0
            for plane, enhanced in zip(volume, out, strict=True):
                padded = np.pad(plane, pad, mode="symmetric")
                whole = np.zeros(padded.shape, dtype=np.float32)
                for y, weight_y in rows:
                    for x, weight_x in columns:
                        whole[y, x] += self._tile(padded[y, x], scale) * np.outer(weight_y, weight_x)
                        n += 1
                        done(n)
                enhanced[:] = whole[:height, :width]
        return out.reshape(data.shape)

    def raw(self, channels: np.ndarray, scale: float = 0.0) -> np.ndarray:
        """What the network makes of a batch (batch, channels, y, x) float32 of sizes it takes; (batch, 1, y, x).

        `scale` 0: the robust scale of each image.
        """
        feed = {"image": np.ascontiguousarray(channels, dtype=np.float32)}
        if self._takes_scale:
            feed["scale"] = np.full(len(channels), scale, dtype=np.float32)
        return self._session.run(None, feed)[0]

    def _tile(self, tile: np.ndarray, scale: float) -> np.ndarray:
        channels = np.stack((tile.real, tile.imag)) if self.inputs == "complex" else tile[None]
        return self.raw(channels[None], scale)[0, 0]

    def _check(self, data: np.ndarray) -> None:
        name = f"image for {self.name}"
        if data.ndim not in (2, 3) or data.dtype.kind not in "fciu":
            raise GeometryError(f"{name}: got {data.dtype} {data.shape}, wanted numbers (y, x) or (z, y, x)")
        if min(data.shape) < 1 or min(data.shape[-2:]) < self.multiple:
            raise GeometryError(
                f"{name}: got {data.shape[-2]} x {data.shape[-1]} pixels (y, x), "
                f"wanted at least {self.multiple} x {self.multiple}; image a larger grid"
            )
        if self.inputs == "magnitude" and np.iscomplexobj(data):
            raise GeometryError(f"{name}: got complex numbers, wanted magnitudes; pass abs(image)")
        if self.inputs == "complex" and not np.iscomplexobj(data):
            raise GeometryError(f"{name}: got {data.dtype}, wanted complex numbers; pass the image as reconstructed")
        if not np.isfinite(data).all():
            raise GeometryError(f"{name}: got NaN or infinite pixels, wanted finite numbers")
        if self.inputs == "magnitude" and data.min() < 0:
            raise GeometryError(f"{name}: got pixels down to {data.min():g}, wanted magnitudes >= 0; pass abs(image)")


def enhance(image: Image, enhancer: Enhancer, *, blend: float = 1.0, show: bool | None = False) -> Image:
    """The enhanced magnitude of an image, slice by slice along z; its history says "learned enhancement" and by what.

    Parameters
    ----------
    image : Image
        As reconstructed. A network of magnitudes gets slices of the pixel size it was trained on, interpolated when
        that differs by more than a tenth; one of complex input gets them as they are.
    blend : float
        Share of the enhanced magnitude, 0 to 1; the rest is the original one.
    show : bool, optional
        Progress bar; None: on a terminal only.

    Raises
    ------
    GeometryError
        As `Enhancer`: fewer than `multiple` pixels along y or x, or magnitudes for a network of complex input; an image
        that is enhanced already; a blend outside 0 to 1.
    MmsarError
        A volume that does not fit into memory when its slices are interpolated.
    """
    instance("image", image, Image, "mmsar.load_image reads one from a file")
    instance("enhancer", enhancer, Enhancer, 'as Enhancer("gatenet")')
    if (before := enhanced_by(image)) is not None:
        raise GeometryError(
            f"image: got one that {before} has enhanced already, wanted it as reconstructed; a network is trained on "
            "images, not on what a network makes of them"
        )
    if not 0 <= finite_number("blend", blend, "1") <= 1:
        raise GeometryError(f"blend: got {blend:g}, wanted 0 (the original magnitude) to 1 (the enhanced one)")
    ratio = pixel_ratio(image, enhancer)
    data = image.magnitude() if enhancer.inputs == "magnitude" else image.data
    sides = image.data.shape[1:]
    inner = resized(sides, ratio)
    if inner != sides and min(inner) < enhancer.multiple:
        raise GeometryError(
            f"image for {enhancer.name}: got {inner[0]} x {inner[1]} pixels (y, x) of {enhancer.spacing * 1e3:.3g} mm, "
            f"wanted at least {enhancer.multiple} x {enhancer.multiple}; image a larger grid"
        )
    if inner != sides:
        needed = 4 * len(data) * (2 * inner[0] * inner[1] + 3 * sides[0] * sides[1])
        require("enhance", needed, budget(), "enhance fewer slices, or image with the pixels the network knows")
        data = resample(data, inner, ratio)
    out = enhancer(data, show=show)
    if inner != sides:
        out = resample(out, sides, tuple(1 / r for r in ratio))
    if blend != 1:
        out = np.float32(blend) * out + np.float32(1 - blend) * image.magnitude()
    step: dict[str, Any] = {
        "step": STEP,
        "method": enhancer.name,
        "blend": float(blend),
        "device": "cpu",
        "version": __version__,
        "sha256": enhancer.sha256,
        "runtime": enhancer.runtime,
    }
    if inner != sides:
        step["pixel_mm"] = [round(s / r * 1e3, 6) for s, r in zip(image.grid.spacing[1::-1], ratio, strict=True)]
    return Image(data=out, grid=image.grid, history=(*image.history, step))


def enhanced_by(image: Image) -> str | None:
    """The network that enhanced an image, None for an image as reconstructed."""
    return next((str(step.get("method")) for step in image.history if step.get("step") == STEP), None)


def pixel_ratio(image: Image, enhancer: Enhancer) -> tuple[float, float]:
    """Pixel size of an image over that of the network's slices along (y, x); 1 where nothing is interpolated."""
    trained = enhancer.spacing if enhancer.inputs == "magnitude" else None
    return factors(image.grid.spacing[1::-1], trained)


def check_extras(extras: dict[str, Any]) -> None:
    """Raise GeometryError for facts that are not those of EXTRAS, or cannot be."""
    unknown = sorted(set(extras) - set(EXTRAS))
    if unknown:
        raise GeometryError(f"facts about a network: got {', '.join(unknown)}, wanted {', '.join(EXTRAS)}")
    if "statistics" in extras:
        check_statistics(extras["statistics"])
    if "spacing_mm" in extras:
        finite_number("spacing_mm", extras["spacing_mm"], "mm", above=0.0)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _facts(path: Path, text: str | None) -> dict[str, Any]:
    """The metadata of a file, checked."""
    try:
        facts = json.loads(text or "")
    except json.JSONDecodeError:
        facts = None
    if not isinstance(facts, dict) or any(not isinstance(facts.get(key), kind) for key, kind in FACTS.items()):
        raise FormatError(f"{path}: got no description of a network by mmsar in its metadata; wanted an exported one")
    sizes = (facts["multiple"], facts["halo"], facts["tile"])
    if facts["inputs"] not in ("magnitude", "complex") or min(sizes[0], sizes[2]) < 1 or sizes[1] % sizes[0]:
        raise FormatError(
            f"{path}: got the description {facts}, wanted known inputs, and a halo in steps of `multiple`"
        )
    try:
        check_extras({key: facts[key] for key in EXTRAS if key in facts})
    except GeometryError as error:
        raise FormatError(f"{path}: its description: {error}") from None
    return facts
