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
# # 103 Round a target
#
# **What you will learn**
#
# - what a turntable or a cylinder sweep adds: why the plane of rotation is resolved to a fifth of a wavelength;
# - how many angles that takes, and what ghosts look like where there are too few;
# - how `isar` images it with the waves of a cylinder, to the accuracy of back-projection and at the cost of FFTs;
# - what a wrong radius does, and how to get the right one from the echoes themselves.
#
# Know [101](101_first_image.ipynb) first.

# %%
# %matplotlib inline
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import mmsar
from mmsar.focus.rotation import apply_rotation, fit_rotation
from mmsar.focus.rotation_result import RotationOptions
from mmsar.metrics import error_db, point_response
from mmsar.simulate.scene import Scene
from mmsar.view.look import Look
from mmsar.view.plot import figure_aperture, figure_compare, figure_mips, figure_psf, figure_volume

MMSAR = f'"{sys.executable}" -m mmsar'  # what you type as `mmsar` in a terminal
out = Path("out/103")
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## One ring
#
# A target turns on a table; in its own frame, which is the world here, the radar goes round it. The axis is the
# world's $y$; at the table's angle $t$ the board stands at $(R_0\cos a,\; y,\; R_0\sin a)$ with $a = a_0 + t$ and
# looks at the axis. First a single antenna at one height: a ring of 512 angles, 0.25 m from the axis, and three
# points.

# %%
chirp = mmsar.Chirp(f0=77e9, slope=125e12, fs=2e6, n_samples=64)
radius = 0.25
ring = mmsar.Trajectory.turntable(512, radius)
targets = np.array([[0.030, 0.0, -0.020], [-0.035, 0.0, 0.010], [0.010, 0.0, 0.030]])
one = mmsar.AntennaArray.single()
scan = mmsar.simulate(Scene.points(targets), chirp=chirp, array=one, trajectory=ring)
mmsar.save_scan(scan, out / "ring.h5")
# !{MMSAR} info {out}/ring.h5

# %%
figure_aperture(scan)

# %% [markdown]
# ## The image of a ring
#
# With $k_r = \sqrt{4k^2 - k_y^2}$, the addition theorem of cylinder waves expands the wave between an antenna and a
# voxel at $(\rho, \varphi)$ into azimuth orders $n$,
#
# $$ \frac{e^{-jKR}}{R} = -\frac{j}{2}\int e^{jk_y (y - y_\ell)} \sum_n e^{jn(\varphi - a_\ell)}\, J_n(k_r\rho)\,
# H_n^{(2)}(k_r R_0)\; dk_y , \qquad K = 2k , $$
#
# exactly. Only $|n| \lesssim k_r\rho$ count: what the *target* reaches decides, not the antennas. So an FFT over the
# angles, a multiplication of every order by $H_n$, and a non-uniform FFT from polar wavenumbers to the pixels give
# the image of back-projection. This is `isar`, and `auto` takes it when it finds the antennas on a circle.

# %%
plane = mmsar.ImageGrid.from_extent((-0.05, 0.05), 0.0, (-0.05, 0.05), spacing=0.3e-3)
image = mmsar.reconstruct(scan, plane)
exact = mmsar.reconstruct(scan, plane, method="bpa")
print(f"{image.history[-1]['method']} against bpa: {error_db(image, exact).error_db:.1f} dB")
assert image.history[-1]["method"] == "isar"
assert error_db(image, exact).error_db < -45

figure_mips(image, title="the plane of rotation")

# %% [markdown]
# ## Resolution
#
# Seen from all sides at the wavenumber $2k$, the spectrum of a point lies on a circle of the radius $2k$, which the
# bandwidth thickens only a little. Its transform is
#
# $$ I(\Delta) = J_0(2 k \Delta), $$
#
# with a width of $0.18\,\lambda$ at -3 dB, whatever the radius $R_0$, and sidelobes of -7.9 dB that fall slowly.
# Bandwidth hardly matters for the resolution here; the angles do everything. The bandwidth only damps the sidelobes
# farther off.

# %%
around = image.crop(x=(0.02, 0.04), z=(-0.03, -0.01))
found = point_response(around)
print("peak at", np.round(1e3 * np.array(found.position), 3), "mm, true", 1e3 * targets[0])
print(f"width {found.width[0] * 1e3:.3f} mm (x), {found.width[2] * 1e3:.3f} mm (z)", end="; ")
print(f"0.18 wavelengths = {0.18 * chirp.wavelength * 1e3:.3f} mm")
print(f"highest sidelobe {found.pslr[0]:.1f} dB")

assert np.abs(found.position - targets[0]).max() < 0.1e-3
assert abs(found.width[0] / (0.18 * chirp.wavelength) - 1) < 0.1
assert -8.5 < found.pslr[0] < -6.5

# %%
figure_psf(around)

# %% [markdown]
# ## How many angles
#
# A target at the distance $\rho$ from the axis moves by $\rho\,\Delta a$ from angle to angle, across the line of
# sight for some of them. As everywhere, a step of $\lambda/4$ is always enough:
#
# $$ \Delta a \le \frac{\lambda}{4\rho} . $$
#
# 512 angles carry targets to $\rho = 75$ mm. With 90 the ghost-free radius is 13 mm, and all three points are outside
# of it.

# %%
sparse_scan = mmsar.simulate(
    Scene.points(targets), chirp=chirp, array=one, trajectory=mmsar.Trajectory.turntable(90, radius)
)
sparse = mmsar.reconstruct(sparse_scan, plane)


def floor_db(picture):
    """Median level over the plane, re peak."""
    return 20 * np.log10(np.median(picture.magnitude()) / picture.magnitude().max())


print(f"median level: {floor_db(image):.1f} dB with 512 angles, {floor_db(sparse):.1f} dB with 90")
assert floor_db(sparse) > floor_db(image) + 6

figure_compare([image, sparse], ["512 angles", "90 angles"], floor=-30)

# %% [markdown]
# ## A volume
#
# An array that is stepped up and down before the table resolves height as a planar scan does, $\delta_y \approx
# \lambda R_0 / 2D_y$. The board's eight virtual antennas stand upright; eight heights continue them to an aperture of
# 60 mm. Pairs of transmitter and receiver count as one antenna in their middle here, with the exact path difference
# on the axis as a correction. `mmsar info` reckons the phase this leaves, the line "residual".

# %%
array = mmsar.AntennaArray.iwr1443()
step = 8 * array.uniform_pitch()
heights = (np.arange(8) - 3.5) * step
cylinder = mmsar.Trajectory.turntable(360, radius, heights=heights)
turn = np.linspace(0, 3 * np.pi, 22)
points = np.stack([0.03 * np.cos(turn), 0.022 * (turn / turn[-1] * 2 - 1), 0.03 * np.sin(turn)], axis=1)
scene = Scene.points(points)  # a spiral stair of 22 points
volume_scan = mmsar.simulate(scene, chirp=chirp, array=array, trajectory=cylinder)
mmsar.save_scan(volume_scan, out / "cylinder.h5")
# !{MMSAR} info {out}/cylinder.h5

# %%
grid = mmsar.ImageGrid.from_extent((-0.04, 0.04), (-0.032, 0.032), (-0.04, 0.04), spacing=(0.5e-3, 1.6e-3, 0.5e-3))
volume = mmsar.reconstruct(volume_scan, grid)
off = [np.subtract(point_response(volume, tuple(point)).position, point) for point in points]
print("largest error of a place (x, y, z):", np.round(1e3 * np.abs(off).max(axis=0), 2), "mm")
assert np.abs(off).max() < 1e-3

figure_mips(volume, floor=-20)

# %%
figure_volume(volume, look=Look(kind="iso", floor=-20, levels=(-6,)))

# %% [markdown]
# Every point is as thin along $z$ as along $x$, a small part of what the bandwidth alone resolves (37.5 mm). No
# planar scan shows that.
#
# ## The radius
#
# All of this stands on $R_0$. An error $\mathrm{d}r$ changes the way to a point at the distance $\rho$ by
#
# $$ 2\,\mathrm{d}r\cos\beta \approx 2\,\mathrm{d}r\left(1 - \frac{\rho^2 \sin^2(a - b)}{2R_0^2}\right), $$
#
# the first term being the same for all angles (a range bias does just that), the second not: it blurs, the more the
# farther out, and the more the nearer the antennas are. So here the board is near, at 140 mm, and its log says 144
# mm. There is one target near the axis, and one far out:

# %%
true, logged = 0.140, 0.144
pair = np.array([[0.0, 0.0, 0.010], [0.066, 0.0, 0.0]])
near = mmsar.simulate(Scene.points(pair), chirp=chirp, array=one, trajectory=mmsar.Trajectory.turntable(512, true))
wrong = replace(near, trajectory=mmsar.Trajectory.turntable(512, logged))

fit = fit_rotation(wrong, options=RotationOptions(extent=0.075, scatterers=4))
aligned = apply_rotation(wrong, fit)
print(f"radius {fit.radius.value * 1e3:.3f} +- {fit.radius.sigma * 1e3:.3f} mm, logged {logged * 1e3:.0f} mm")
assert abs(fit.radius.value - true) < 0.05e-3

# %%
wide = mmsar.ImageGrid.from_extent((-0.012, 0.076), 0.0, (-0.012, 0.022), spacing=0.25e-3)
blurred, sharp = (mmsar.reconstruct(scan_, wide) for scan_ in (wrong, aligned))
for name, picture in (("as logged", blurred), ("as fitted", sharp)):
    inner, outer = (picture.crop(x=(x - 5e-3, x + 5e-3)).magnitude().max() for x in pair[:, 0])
    print(f"peaks {name}: {inner:.2f} near the axis, {outer:.2f} far out")
assert outer > 0.95 > 1.1 * blurred.crop(x=(0.061, 0.071)).magnitude().max()

outer_box = {"x": (0.058, 0.074), "z": (-0.008, 0.008)}
figure_compare(
    [blurred.crop(**outer_box), sharp.crop(**outer_box)],
    [f"far target, {logged * 1e3:.0f} mm as logged", "far target, as fitted"],
    floor=-25,
)

# %% [markdown]
# In a terminal: `mmsar align scan.h5 --rotation -o aligned.h5`. Read the error that it states before using a radius.
# Points that stand alone make it sharp; extended targets without isolated reflectors hardly tell their radius, and it
# says so. From one height it cannot know how high a scatterer stands, which is most of the error stated above.

# %% [markdown]
# ## Exercises
#
# 1. Use a quarter of the circle (`span=np.pi / 2`). What are the two widths now, and which depends on the bandwidth?
#    <details><summary>Hint</summary>
#
#    Across the middle line of sight $\lambda / (4\sin(\text{span}/2))$ times 0.886; along it $c/2B$ and the spread of
#    $2k\cos a$ over the arc add up.
#
#    </details>
# 2. Image the ring with the other kernels: `options=ReconOptions(kernel="exponential")`, from `mmsar.recon.options`.
#    What happens between the points?
#    <details><summary>Hint</summary>
#
#    $J_n = (H_n^{(1)} + H_n^{(2)})/2$ holds waves that come in beside those that go out. Compare peak and median as
#    in `floor_db`.
#
#    </details>
# 3. Move a target to $\rho = 90$ mm and keep 512 angles. Where is the ghost, and how strong?
#    <details><summary>Hint</summary>
#
#    The grid has to be larger, too. `mmsar info` says to which radius the scan is free of ghosts.
#
#    </details>
# 4. Put one point on the axis and try to fit the radius. What does `align` say, and why?
#    <details><summary>Hint</summary>
#
#    With $\rho = 0$ the blurring term is zero: nothing in the echoes tells the radius from a range bias.
#
#    </details>
