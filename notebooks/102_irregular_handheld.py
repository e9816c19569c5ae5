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
# # 102 A scan by hand
#
# **What you will learn**
#
# - what an irregular scan does to the methods that made [101](101_first_image.ipynb) fast;
# - what the projection of all samples to one plane (EMPM, [arXiv 2305.02064](https://arxiv.org/abs/2305.02064))
#   assumes, where it fails, and how to reckon the failure before it is seen;
# - how the exact method, a type-3 non-uniform FFT, does without the assumption;
# - how to use exact back-projection as the judge, and let the library judge itself.
#
# Needs nothing beyond [101](101_first_image.ipynb).

# %%
# %matplotlib inline
import numpy as np
from matplotlib.figure import Figure

import mmsar
from mmsar.metrics import error_db, point_response
from mmsar.recon.options import ReconOptions
from mmsar.simulate.demo import demo_setup, planar_assumption
from mmsar.simulate.scene import Scene
from mmsar.view.plot import figure_aperture, figure_compare

# %% [markdown]
# ## The scan
#
# Somebody moves the radar past the scene by hand, along rows, as well as a hand can: 12 mm to and fro, 2 degrees of
# rotation. A tracker knows where the board was. The scene are letters and a few points at slightly different depths.

# %%
setup = demo_setup()
scan = setup.simulate()
figure_aperture(scan)

# %% [markdown]
# The picture below is one slice of it, imaged three ways: as if the hand had kept to the plane raster it was meant to
# follow (`rma` with the nominal positions), from the true positions by back-projection (`bpa`, the plain sum, exact),
# and from the true positions by `nufft`.

# %%
grid = mmsar.ImageGrid.from_extent((-0.095, 0.095), (-0.07, 0.075), 0.300, spacing=1e-3)
planar = mmsar.reconstruct(planar_assumption(scan), grid, method="rma")
exact = mmsar.reconstruct(scan, grid, method="bpa")
nufft = mmsar.reconstruct(scan, grid, method="nufft")

print(f"nufft against bpa: error {error_db(nufft, exact).error_db:.1f} dB")
print(f"rma on nominal positions against bpa: error {error_db(planar, exact).error_db:.1f} dB")
assert error_db(nufft, exact).error_db < -25
assert error_db(planar, exact).error_db > -3

figure_compare([planar, exact, nufft], ["planar assumption (rma)", "exact (bpa)", "exact (nufft)"], floor=-25)

# %% [markdown]
# A millimetre of unknown depth is half a wavelength of path: nothing is left of the picture without the positions.
# The rest of this notebook is about how the *known* positions are used.
#
# ## One plane for all: EMPM
#
# Fast imagers want antennas on a plane. The multi-planar method moves a sample that was taken at the height $z_\ell$
# to the plane $z_\mathrm{ref}$ by a phase, and a pair of antennas with the separation $\mathbf{d}$ to the one in
# their middle:
#
# $$ s \;\to\; s \cdot e^{-jk\left[\,2 (z_\mathrm{ref} - z_\ell) + (d_x^2 + d_y^2) / 4Z\,\right]} $$
#
# Then a non-uniform FFT over $x, y$ (type 1: the samples are irregular, the wavenumbers regular) and the same
# migration as `rma`. The first term says: an antenna $\Delta z$ nearer to the target sees a path $2\Delta z$ shorter.
# That is true straight ahead. Under the angle $\theta$ to the line of sight the path changes by $2\Delta
# z\cos\theta$, so the phase left is
#
# $$ \Delta\varphi = 2k\,\Delta z\,(1 - \cos\theta) \approx k\,\Delta z\,\theta^2 . $$
#
# `phase="reference"`, the default of the library, uses the exact path difference at the *scene's centre* instead of
# the closed form; that moves the place without error from straight ahead of every antenna to the scene's centre:
#
# $$ \Delta\varphi = 2k\,\Delta z\,(\cos\theta_\mathrm{c} - \cos\theta) . $$
#
# ## Where it fails
#
# To see the error alone, take a row of targets ever further to the side, each by itself, seen by one antenna that a
# hand moves over 100 mm x 100 mm and $\pm 15$ mm in depth. Coherent summation loses
#
# $$ \rho = \Big|\, \frac{1}{N} \sum_\ell e^{j\Delta\varphi_\ell} \Big| $$
#
# of the peak, and this can be worked out from the positions without any image.

# %%
chirp = mmsar.Chirp.stepped(77e9, 0.25e9, 16)  # few frequencies do for one target
array = mmsar.AntennaArray.single()
hand = mmsar.Trajectory.freehand((51, 51), (2e-3, 2e-3), motion=(1e-3, 1e-3, 15e-3), seed=3)
z0, sides = 0.3, np.linspace(0.0, 0.2, 6)


def peak_of(scan, target, method, phase="reference"):
    """Magnitude at a target, imaged alone in a slice through it; the centre of every grid is the middle of the scene."""
    slice_ = mmsar.ImageGrid.from_extent((-0.21, 0.21), (-0.01, 0.01), z0, spacing=1e-3)
    options = ReconOptions(phase=phase, density="off")
    image = mmsar.reconstruct(scan, slice_, method=method, options=options)
    return point_response(image.crop(x=(target[0] - 8e-3, target[0] + 8e-3))).value


def coherence(target, centre=None):
    """What the phases left by a projection let through, from the positions alone."""
    p = hand.position
    z_ref = p[:, 2].mean()

    def cosine(point):
        towards = np.asarray(point) - p
        return towards[:, 2] / np.linalg.norm(towards, axis=1)

    reference = 1.0 if centre is None else cosine(centre)
    left = 2 * chirp.k.mean() * (p[:, 2] - z_ref) * (reference - cosine(target))
    return np.abs(np.exp(1j * left).mean())


methods = {"bpa": ("bpa", "reference"), "nufft": ("nufft", "reference")}
methods |= {"empm, taylor": ("empm", "taylor"), "empm, reference": ("empm", "reference")}
measured = {name: [] for name in methods}
for x in sides:
    one = mmsar.simulate(Scene.points([[x, 0.0, z0]]), chirp=chirp, array=array, trajectory=hand)
    for name, (method, phase) in methods.items():
        measured[name].append(peak_of(one, (x, 0.0, z0), method, phase))
fine = np.linspace(0, sides[-1], 81)
predicted = {
    "empm, taylor": [coherence((x, 0.0, z0)) for x in fine],
    "empm, reference": [coherence((x, 0.0, z0), (0.0, 0.0, z0)) for x in fine],
}

# %%
figure = Figure(figsize=(7.5, 4.2), layout="constrained")
axes = figure.add_subplot(xlabel="target beside the middle of the aperture, x [mm]", ylabel="peak (exact: 1)")
for name, style, size in zip(measured, ("ko", "C0s", "C1^", "C3v"), (14, 6, 8, 8), strict=True):
    fill = "none" if name == "bpa" else "full"
    axes.plot(sides * 1e3, measured[name], style, label=name, fillstyle=fill, markersize=size)
for (name, values), colour in zip(predicted.items(), ("C1", "C3"), strict=True):
    axes.plot(fine * 1e3, values, colour, lw=1.2, label=f"{name}: predicted $\\rho$")
axes.set_ylim(0, 1.1)
axes.grid(alpha=0.3)
axes.legend(loc="lower left", fontsize=9)
figure

# %% [markdown]
# Straight ahead everything is right. 0.2 m to the side, at 0.3 m range, the projected images have lost most of the
# target, as the formula said; the exact method has lost nothing. `taylor` loses a little even at $x = 0$, because
# antennas at the rim of the aperture see the target under an angle; `reference` is exact at the scene's centre by
# construction.

# %%
for name, phase in (("empm, taylor", None), ("empm, reference", (0.0, 0.0, z0))):
    for x, value in zip(sides, measured[name], strict=True):
        assert abs(value - coherence((x, 0.0, z0), phase)) < 0.12, name
assert np.abs(np.array(measured["nufft"]) / measured["bpa"] - 1).max() < 0.02
assert measured["empm, reference"][-1] < 0.6 * measured["bpa"][-1]

# %% [markdown]
# ## Exact, at the price of an FFT
#
# Nothing forces the projection. The wide-angle spectrum of a scene, seen from antennas at $(x_c, y_c, z_c)$, is
#
# $$ S(k_x, k_y, k) = \sum_c w_c\, s_c(k)\, e^{-j(k_x x_c + k_y y_c)}\, e^{+j k_z (z_c - z_\mathrm{ref})}, \qquad
# k_z = \sqrt{4k^2 - k_x^2 - k_y^2} . $$
#
# Here $k_z$, unlike the $2k$ of the projection, knows the direction of every plane wave: a wave that comes in under
# $\theta$ has $k_z = 2k\cos\theta$. Positions and wavenumbers are both irregular, which makes it a non-uniform FFT of
# *type 3*. The fast part $e^{2jk(z_c - z_\mathrm{ref})}$ is taken out first; what remains in $z$ are the few cycles
# of $2k - k_z$, so a dozen planes suffice. The rest is `rma`.
#
# `explain` reckons the error of every method for the geometry at hand, by evaluating the phases above on random
# voxels and channels, and `auto` takes the fastest that is exact enough:

# %%
volume = mmsar.ImageGrid.from_extent((-0.095, 0.095), (-0.07, 0.075), (0.27, 0.33), spacing=(1e-3, 1e-3, 4e-3))
print(mmsar.explain(scan, volume))

# %% [markdown]
# `verify` compares what came out with back-projection on voxels drawn where the image has energy. It costs a second,
# and it is the honest thing to do with a geometry you have not imaged before. In a terminal: `mmsar reconstruct
# scan.h5 -o image.h5 --verify`.

# %%
image = mmsar.reconstruct(scan, volume, options=ReconOptions(verify=True))
step = image.history[-1]
told = step["verify"]
print(f"{step['method']}: predicted error {step['predicted_error_db']:.1f} dB; against bpa NCC {told['ncc']}")

assert step["method"] == "nufft"
assert told["ncc"] > 0.99
projected = mmsar.reconstruct(scan, volume, method="empm")

# %%
figure_compare([image, projected], ["nufft", "empm"], floor=-25)

# %% [markdown]
# Over this scene the projection costs sharpness and a decibel or two rather than the picture. That is why it is
# published, and why its error is easily overlooked.

# %%
point = (0.060, -0.040, 0.320)
for name, one in (("nufft", image), ("empm", projected)):
    found = point_response(one.crop(x=(0.045, 0.075), y=(-0.055, -0.025)), point)
    off = 1e3 * np.linalg.norm(np.subtract(found.position, point)[:2])
    print(f"{name}: peak {found.value:.2f} of 8, {off:.2f} mm beside its place")
    if name == "nufft":
        assert off < 1.0

# %% [markdown]
# ## Exercises
#
# 1. How much depth motion may a hand have so that EMPM loses less than 1 dB at 20 degrees?
#    <details><summary>Hint</summary>
#
#    For phases spread evenly over $\pm a$, $\rho = \sin a / a$; a loss of 1 dB is $a \approx 0.82$ rad. Solve
#    $2k\,\Delta z\,(1 - \cos\theta) = a$.
#
#    </details>
# 2. Let the hand move along x and y only (`motion=(2e-3, 2e-3, 0)`). Which method does `auto` take now?
#    <details><summary>Hint</summary>
#
#    Without motion in depth the projection has nothing to project; look at the predicted errors and the times.
#
#    </details>
# 3. Blur the positions instead of the depth: add a tracker error of 0.3 mm with
#    `SimulationOptions(position_error=(3e-4, 3e-4, 3e-4))`. Which method helps?
#    <details><summary>Hint</summary>
#
#    None: every method believes the recorded positions, bpa included. The phase error is $2k$ times the error along
#    the line of sight.
#
#    </details>
# 4. Where would `phase="taylor"` beat `phase="reference"`?
#    <details><summary>Hint</summary>
#
#    Its place without error is straight ahead of every antenna. Take an aperture much wider than the scene is deep
#    and put the targets before its rim.
#
#    </details>
