# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 101 A first image
#
# **What you will learn**
#
# - what a near-field MIMO-SAR scan is made of, and how to write one down in `mmsar`: chirp, antennas, path, scene;
# - how to turn it into a volume, which method is used and why;
# - how to predict the resolution and the ghosts of a scan before it is made, and to measure both afterwards;
# - that the phase of the image is worth keeping.
#
# You know radar: range from the beat frequency, cross-range from an aperture. Everything here is simulated, runs in
# seconds on two cores, and needs nothing but `pip install mmsar[viz]` (without `viz`, the 3-D view is replaced by
# projections).

# %%
# %matplotlib inline
import sys
from pathlib import Path

import numpy as np

import mmsar
from mmsar.metrics import point_response
from mmsar.signal.rangefft import energy_interval, mean_range_power
from mmsar.simulate.scene import Scene
from mmsar.view.look import Look
from mmsar.view.plot import figure_aperture, figure_mips, figure_psf, figure_range_profile, figure_volume

MMSAR = f'"{sys.executable}" -m mmsar'  # what you type as `mmsar` in a terminal
out = Path("out/101")
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## One signal model
#
# The chirp sweeps $f(t) = f_0 + K t$. Sample $n$ of the beat signal belongs to the frequency $f_n = f_0 + K n / f_s$,
# with $f_0$ at the *first sample of the converter*, and to the wavenumber $k_n = 2\pi f_n / c$. A scene of points
# with reflectivities $\sigma_i$ gives
#
# $$ s(k) = \sum_i \sigma_i \, e^{+j k (R_{\mathrm{tx},i} + R_{\mathrm{rx},i})} $$
#
# for every pair of a transmitter and a receiver, with the two path lengths of that pair. The phase *grows* with
# range. That is all physics there is in this notebook. The radar is a 77 GHz board with two transmitters and four
# receivers in a row; it is moved along rows, like a printer head.
#
# Everything is in SI units: hertz, seconds, metres, radians.

# %%
chirp = mmsar.Chirp(f0=77e9, slope=125e12, fs=2e6, n_samples=64)
array = mmsar.AntennaArray.iwr1443()
pitch = array.uniform_pitch()  # of the eight virtual antennas, a quarter of a wavelength
path = mmsar.Trajectory.raster((13, 105), (pitch, 8 * pitch))  # 13 rows that touch, 105 positions each

target = np.array([0.020, -0.030, 0.300])  # x to the right, y up, z away from the radar
scene = Scene.points([target], 30.0)
for letter, x, z in (("S", -36e-3, 0.36), ("A", 0.0, 0.30), ("R", 36e-3, 0.24)):  # one behind the other
    cell = (z / 0.3) ** 2  # a resolution cell holds more points of a letter farther away
    scene += Scene.letters(letter, 34e-3, centre=(x, 12e-3, z)).scaled(1 / cell)
scan = mmsar.simulate(scene, chirp=chirp, array=array, trajectory=path)

print(f"sampled bandwidth {chirp.bandwidth / 1e9:.2f} GHz, wavelength {chirp.wavelength * 1e3:.2f} mm")
print("samples: (pose, tx, rx, sample) =", scan.shape)

# %% [markdown]
# The aperture: where the board went, and, cell by cell, how far it is from each phase centre, the middle between a
# transmitter and a receiver, to the next one. What has to be compared with that distance is $\lambda/4$: moving an
# antenna that sends *and* receives by $p$ turns the echo from the direction $\theta$ by
# $4\pi p \sin\theta/\lambda$, and this must stay below $\pi$ for every $\theta$.

# %%
figure_aperture(scan)

# %% [markdown]
# ## What the scan can resolve, before any image is made
#
# $$ \delta_z = \frac{c}{2B}, \qquad \delta_x \approx \frac{\lambda z}{2 D_x}, \qquad R_\mathrm{max} = \frac{f_s c}{2 K} $$
#
# with the bandwidth $B$ of the *sampled* part of the chirp and the size $D_x$ of the aperture. `mmsar info` reckons
# this from the file, as it would for a measured scan:

# %%
mmsar.save_scan(scan, out / "scan.h5")
# !{MMSAR} info {out}/scan.h5

# %% [markdown]
# The range profile, averaged over all channels, says at which ranges there is anything. Three letters stand one
# behind the other, at 0.24, 0.30 and 0.36 m, little more than a range cell apart: range alone hardly tells them from
# each other.

# %%
profile = mean_range_power(scan)
figure_range_profile(profile.range_m, profile.power, interval=energy_interval(scan))

# %% [markdown]
# ## The image
#
# Every imager of the library computes, or approximates, the matched filter
#
# $$ I(\mathbf{r}) = \frac{1}{N} \sum_{c}\sum_n w_c v_n \, s_{c,n}\, e^{-j k_n \left(R_{\mathrm{tx},c}(\mathbf{r}) +
# R_{\mathrm{rx},c}(\mathbf{r})\right)},
# \qquad N = \sum_c |w_c| \sum_n |v_n| , $$
#
# so that a point of reflectivity 1 peaks at 1. They differ in which geometries they accept and what they give up for
# speed; `explain` predicts that for this very geometry.

# %%
grid = mmsar.ImageGrid.from_extent((-0.06, 0.06), (-0.05, 0.05), (0.2, 0.4), spacing=(1e-3, 1e-3, 5e-3))
print(mmsar.explain(scan, grid))

# %%
image = mmsar.reconstruct(scan, grid)
figure_mips(image, title="largest magnitude along each axis")

# %% [markdown]
# `rma` was taken: with the antennas on a plane and on a regular grid the sum is a convolution, and fast Fourier
# transforms do it. Range is resolved several times worse than cross-range, which is what the top view and the side
# view show.
#
# ## Measured against the formulas
#
# The single point is bright and stands apart, so it shows the point response. For an unweighted aperture this is a
# $\mathrm{sinc}$: its full width at -3 dB is $0.886\,\delta$, and its first sidelobe is at -13.3 dB.

# %%
alone = mmsar.simulate(Scene.points([target]), chirp=chirp, array=array, trajectory=path)
near = mmsar.ImageGrid.from_extent(
    *[(p - w, p + w) for p, w in zip(target, (0.03, 0.03, 0.12), strict=True)], spacing=(1e-3, 1e-3, 5e-3)
)
point = mmsar.reconstruct(alone, near)
found = point_response(point)

extent = np.ptp(scan.virtual_position.reshape(-1, 3), axis=0)
theory = 0.886 * np.array([*(chirp.wavelength * target[2] / (2 * extent[:2])), chirp.range_resolution])
for axis, place, truth, width, wanted in zip("xyz", found.position, target, found.width, theory, strict=True):
    print(
        f"{axis}: peak at {place * 1e3:7.2f} mm (true {truth * 1e3:6.1f}), "
        f"-3 dB width {width * 1e3:5.2f} mm (formula {wanted * 1e3:5.2f})"
    )
print(f"peak {found.value:.3f} (a point of reflectivity 1)")

assert np.abs(found.position - target).max() < 1e-3  # within a millimetre
assert abs(found.value - 1) < 0.05
assert np.abs(found.width[:2] / theory[:2] - 1).max() < 0.1  # within a tenth
assert found.width[2] < theory[2]

# %%
figure_psf(point)

# %% [markdown]
# Along z the peak is *narrower* than the bandwidth alone allows. That is the near field: the aperture sees the target
# under angles up to some 20 degrees, and a wave that comes from the side has the wavenumber $k_z = 2k\cos\theta$
# along z. So $k_z$ covers $2\,\Delta k$ by the sweep and another $2k\,(1-\cos\theta)$ by the angles, here about as
# much: the aperture has a depth of focus of its own. The formula $c/2B$ is what is left of it far away.
#
# Real scans taper the aperture: with a Hann or Taylor window the sidelobes fall, and the main lobe widens.
# `ReconOptions(window="taylor")`, or `--window taylor` in a terminal.
#
# ## The phase means something
#
# A scatterer that moves by $\lambda/8$ towards the radar shortens the way there and back by $\lambda/4$; the image at
# the old place then turns by a quarter (almost: the target is seen somewhat from the side). Nothing of this is left
# in a magnitude.

# %%
moved = mmsar.simulate(Scene.points([target - [0, 0, chirp.wavelength / 8]]), chirp=chirp, array=array, trajectory=path)
place = tuple(
    int(np.argmin(np.abs(axis - value))) for axis, value in zip((near.z, near.y, near.x), target[::-1], strict=True)
)
turn = np.angle(mmsar.reconstruct(moved, near).data[place] / point.data[place], deg=True)
print(f"phase turned by {turn:.1f} degrees")

assert abs(turn + 90) < 5

# %% [markdown]
# ## In three dimensions
#
# Surfaces of equal level, with the antennas before them (red). `mmsar view image.h5 --3d` opens a window in which the
# volume can be turned, cut and thresholded, `mmsar view image.h5 --serve` a page in the browser.

# %%
figure_volume(image, look=Look(kind="iso", levels=(-15, -7)), aperture=scan.virtual_position)

# %% [markdown]
# ## The same in a terminal
#
# One file in, one file out, so that every step can be looked at.

# %%
# !{MMSAR} reconstruct {out}/scan.h5 -o {out}/image.h5 --extent=-60,60,-50,50,200,400 --spacing 1,1,5
# !{MMSAR} metrics {out}/image.h5
# !{MMSAR} view {out}/image.h5 --save {out}/image.png

# %% [markdown]
# ## Exercises
#
# 1. Halve the aperture along x (53 positions instead of 105). Which widths change, and by how much?
#    <details><summary>Hint</summary>
#
#    Only $D_x$ changes; predict $\delta_x$ first, then let `point_response` measure it.
#
#    </details>
# 2. Make the step along x 4 mm and keep the aperture. Where do ghosts of the point appear? How does `mmsar info`
#    warn?
#    <details><summary>Hint</summary>
#
#    A target straight ahead has ghosts at $\sin\theta = \lambda/2p$: widen the grid along x until you see one. The
#    warning names the angle.
#
#    </details>
# 3. Double the bandwidth by doubling the slope. What happens to $\delta_z$, and to $R_\mathrm{max}$?
#    <details><summary>Hint</summary>
#
#    Both have $K$ in the denominator; look at the range profile, too.
#
#    </details>
# 4. Reconstruct with `method="bpa"` and compare with `mmsar.metrics.error_db(image, exact)`. Does `explain` keep its
#    word?
#    <details><summary>Hint</summary>
#
#    The error is dominated by one replacement: a pair of antennas 20 mm apart by one antenna in their middle.
#    [102](102_irregular_handheld.ipynb) looks into it.
#
#    </details>
