"""Figure of the power over range."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.core.checks import real_array
from mmsar.errors import GeometryError
from mmsar.view.extents import checked_floor
from mmsar.view.given import given_axes, root_figure


def figure_range_profile(
    range_m: np.ndarray,
    power: np.ndarray,
    *,
    interval: tuple[float, float] | None = None,
    floor: float = -60.0,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Power over range in dB relative to its peak, with an interval shaded.

    Parameters
    ----------
    range_m, power : array_like
        One-way ranges [m] and power, (n,), as from `mmsar.signal.rangefft.range_profile`.
    interval : (low, high), optional
        Ranges to shade [m], as from `energy_interval`.
    floor : float
        Lower end of the scale [dB].
    title : str, optional
        Heading.
    axes : Axes, optional
        Where to draw. Default: a new figure.

    Raises
    ------
    GeometryError
        Lengths that differ, no power, a floor that is not below 0.
    """
    range_m = real_array("figure_range_profile range_m", range_m, (None,), "m")
    power = real_array("figure_range_profile power", power, range_m.shape, "1")
    floor = checked_floor(floor)
    if not power.max() > 0:
        raise GeometryError("figure_range_profile power: got no power, wanted some")
    if axes is None:
        axes = Figure(figsize=(7.5, 3.6), layout="constrained").add_subplot()
    (axes,) = given_axes("figure_range_profile", axes, ["profile"])
    axes.plot(range_m * 1e3, 10 * np.log10(np.maximum(power / power.max(), 10 ** (floor / 10))), linewidth=1.3)
    if interval is not None:
        low, high = (v * 1e3 for v in interval)
        axes.axvspan(low, high, color="tab:orange", alpha=0.2, label=f"scene: {low:.0f} to {high:.0f} mm")
        axes.legend(loc="upper right", fontsize=9, frameon=False)
    axes.set(xlabel="one-way range [mm]", ylabel="power [dB re peak]", ylim=(floor, 3))
    axes.set_xlim(float(range_m[0]) * 1e3, float(range_m[-1]) * 1e3)
    axes.grid(alpha=0.3)
    if title:
        axes.set_title(title, fontsize=11)
    return root_figure(axes)
