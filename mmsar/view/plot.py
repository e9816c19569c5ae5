"""Figures of scans and images: decibels relative to the peak, viridis, millimetre axes, equal aspect, one fixed range.

Everything here makes `matplotlib.figure.Figure` objects, which need no display and no global state; only
`show_figure` opens a window. Every figure can also be drawn on given `axes`, and is returned either way. Three views
stand as on a drawing: the front view (x to the right, y up, as seen facing the aperture) at the lower left, the top
view (x, z) above it, the side view (z, y) to its right, with common scales, so that a target is found by following a
line up or across. z is the depth, away from the radar. Axes with a single voxel have no view: two such axes leave a
curve. A figure of an image whose history tells of a learned enhancement says so. `figure_volume`, the image in three
dimensions, is a picture of its own and takes no axes.
"""

from mmsar.view.aperture_plot import figure_aperture
from mmsar.view.compare_plot import figure_compare
from mmsar.view.image_plot import figure_mips, figure_slices
from mmsar.view.marks import LEARNED
from mmsar.view.phase_plot import figure_phase
from mmsar.view.profile_plot import figure_range_profile
from mmsar.view.psf_plot import figure_psf
from mmsar.view.save import DPI, FORMATS, KINDS, can_show, save_figure, show_figure
from mmsar.view.volume_figure import figure_volume

__all__ = [
    "DPI",
    "FORMATS",
    "KINDS",
    "LEARNED",
    "can_show",
    "figure_aperture",
    "figure_compare",
    "figure_mips",
    "figure_phase",
    "figure_psf",
    "figure_range_profile",
    "figure_slices",
    "figure_volume",
    "save_figure",
    "show_figure",
]
