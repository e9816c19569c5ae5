"""The kinds of `[[scene]]` tables of scene files; data/README.md lists their keys."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mmsar.core.toml_table import Table
from mmsar.errors import FormatError
from mmsar.simulate.scene import EDGE, Scene

MM = 1e-3


def read_scene(t: Table, folder: Path) -> Scene:
    """The part of a scene that a table describes; files it names lie in `folder`."""
    kinds = {
        "points": lambda: Scene.points(t.numbers("positions_mm", unit=MM)),
        "two_points": lambda: Scene.two_points(t.number("spacing_mm") * MM, t.text("axis", "x"), centre=_centre(t)),
        "point_grid": lambda: Scene.grid(_counts(t), t.numbers("step_mm", unit=MM), centre=_centre(t)),
        "letters": lambda: Scene.letters(*_text(t), pixel=_pixel(t), centre=_centre(t)),
        "usaf": lambda: Scene.usaf(t.numbers("widths_mm", unit=MM), pixel=_pixel(t, 0.5), centre=_centre(t)),
        "siemens": lambda: Scene.siemens(
            t.number("radius_mm") * MM, t.whole("spokes", 16), pixel=_pixel(t), centre=_centre(t)
        ),
        "png": lambda: Scene.from_png(
            folder / t.text("file"),
            t.number("pixel_mm") * MM,
            threshold=t.number("threshold", 0.5),
            invert=t.flag("invert", False),
            centre=_centre(t),
        ),
        "knife": lambda: _tool(t, "knife"),
        "wrench": lambda: _tool(t, "wrench"),
        "scissors": lambda: _tool(t, "scissors"),
        "printed": lambda: Scene.printed(
            *_text(t), background=t.number("background", 0.1), pixel=_pixel(t), centre=_centre(t)
        ),
        "cut_out": lambda: Scene.cut_out(*_text(t), pixel=_pixel(t), centre=_centre(t)),
        "mannequin": lambda: Scene.mannequin(
            t.number("height_mm") * MM,
            t.positive("spacing_mm") * MM if t.has("spacing_mm") else None,
            centre=_centre(t),
            seed=seed_of(t),
        ),
        "mesh": lambda: Scene.from_mesh(
            folder / t.text("file"),
            t.number("spacing_mm") * MM,
            unit=t.number("unit_mm", 1.0) * MM,
            centre=_centre(t) if t.has("centre_mm") else None,
            seed=seed_of(t),
        ),
    }
    scene = t.choice("kind", kinds)()
    if t.has("turn_deg"):
        kind = t.text("kind")
        fixed = kind == "points" or (kind == "mesh" and not t.has("centre_mm"))
        about = np.zeros(3) if fixed else _centre(t)
        scene = scene.turned(np.deg2rad(t.numbers("turn_deg")), about=about)
    if t.has("lobe"):
        scene = _with_lobe(t, scene)
    if t.has("max_points"):
        scene = scene.subsample(t.whole("max_points"), seed=seed_of(t))
    if isinstance(t.content.get("reflectivity"), list):
        return replace(scene, reflectivity=scene.reflectivity * _per_point(t, len(scene)))
    return scene.scaled(t.number("reflectivity", 1.0))


def seed_of(t: Table) -> int:
    """The seed of a table; 0 without one."""
    value = t.whole("seed", 0)
    if value < 0:
        raise FormatError(f"{t.where} seed: got {value}, wanted a whole number >= 0")
    return value


def _tool(t: Table, kind: str) -> Scene:
    edge = t.number("edge_mm", EDGE / MM) * MM
    return Scene.tool(kind, t.number("length_mm") * MM, pixel=_pixel(t), edge=edge, centre=_centre(t))


def _text(t: Table) -> tuple[str, float]:
    return t.text("text"), t.number("height_mm") * MM


def _pixel(t: Table, default: float = 1.0) -> float:
    return t.number("pixel_mm", default) * MM


def _with_lobe(t: Table, scene: Scene) -> Scene:
    if scene.normal is None:
        raise FormatError(f"{t.where} lobe: got one for points, wanted a kind with surfaces (knife, mesh ...)")
    return replace(scene, lobe=t.number("lobe"))


def _per_point(t: Table, n: int) -> np.ndarray:
    values = t.numbers("reflectivity")
    if values.shape != (n,):
        raise FormatError(f"{t.where} reflectivity: got {values.size} values, wanted one number or {n}, one per point")
    return values


def _centre(t: Table) -> np.ndarray:
    return t.numbers("centre_mm", [0.0, 0.0, 300.0], unit=MM)


def _counts(t: Table) -> tuple[int, ...]:
    value = t.take("counts", wanted="three whole numbers [n_x, n_y, n_z]")
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) is int for v in value):
        raise FormatError(f"{t.where} counts: got {value!r}, wanted three whole numbers [n_x, n_y, n_z]")
    return tuple(value)
