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
# # 106 Your own scan: geometry, calibration, checks
#
# **What you will learn**
#
# - to describe raw data of your own, so that they can be imported: waveform, axes, path, antennas;
# - to look for trouble in the order in which it happens: sign, range, geometry, calibration, image;
# - to calibrate a board with a corner reflector, and to test the calibration on another;
# - what typical mistakes look like, and which of them a sharp picture does *not* rule out.
#
# The notebook runs on a stand-in for your data. Set the paths below and go through it with your own; the asserts that
# know the truth are then left out.

# %%
# %matplotlib inline
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mmsar
from mmsar.io.calibration_h5 import load_calibration
from mmsar.metrics import contrast, point_response
from mmsar.recon.options import ReconOptions
from mmsar.signal.calibrate import attach_calibration
from mmsar.signal.rangefft import energy_interval, mean_range_power
from mmsar.simulate.forward import SimulationOptions
from mmsar.simulate.scene import Scene
from mmsar.view.look import Look
from mmsar.view.plot import figure_aperture, figure_compare, figure_mips, figure_range_profile, figure_volume

MMSAR = f'"{sys.executable}" -m mmsar'  # what you type as `mmsar` in a terminal
out = Path("out/106")
out.mkdir(parents=True, exist_ok=True)

MY_DATA = None  # Path("/data/plate.npz"): .npz, .mat, .bin, a folder of rows, a recording
MY_DESCRIPTION = None  # Path("/data/plate.toml")
MY_REFLECTOR = None  # Path("/data/reflector.npz"): scan of a corner reflector with the same board and settings
MY_REFLECTOR_AT = (0.0, 0.0, 0.3)  # its apex, measured from the board's origin in the middle of the scan [m]
MY_CHECK, MY_CHECK_AT = None, (-0.04, 0.01, 0.35)  # a second scan, with the reflector somewhere else
MY_GRID = None  # mmsar.ImageGrid.from_extent(...); None: what the aperture covers

# %% [markdown]
# ## A stand-in
#
# A raster of 13 rows of 105 positions, serpentine, first row at the bottom; two transmitters, four receivers. The
# instrument does what instruments do: every channel has a gain and a phase of its own, everything is seen 68 mm too
# far because of cables and filters, and the transmitters leak into the receivers. Saved as the array that a program
# of your own might write, in the order in which it was recorded.

# %%
chirp = mmsar.Chirp(f0=77e9 + 62.5e12 * 6e-6, slope=62.5e12, fs=1e6, n_samples=64)
board = mmsar.AntennaArray.iwr1443()
pitch = round(board.uniform_pitch(), 6)
rng = np.random.default_rng(7)
gain = rng.uniform(0.6, 1.4, (2, 4)) * np.exp(2j * np.pi * rng.uniform(size=(2, 4)))
instrument = mmsar.Calibration(gain=gain, range_bias=68e-3)


def record(scene, name, shape, seed):
    """Simulate, distort, and save as an array (row, column, tx, rx, sample)."""
    path = mmsar.Trajectory.raster(shape, (pitch, 8 * pitch))
    ideal = mmsar.simulate(
        scene, chirp=chirp, array=board, trajectory=path, options=SimulationOptions(snr_db=15, seed=seed)
    )
    samples = ideal.read()
    leak = 0.5 * np.sqrt(np.mean(np.abs(samples) ** 2)) * np.exp(2j * chirp.k * 10e-3)
    samples = (samples + leak) * instrument.response(chirp.f)
    np.savez(out / name, cube=samples.reshape(*shape, *samples.shape[1:]).astype(np.complex64))
    return out / name


target = (0.030, -0.032, 0.300)
if MY_DATA is None:
    scene = Scene.letters("LAB", 34e-3, centre=(0.0, 12e-3, 0.3)) + Scene.points([target], 25.0)
    data = record(scene, "plate.npz", (13, 105), 1)
    reflector = record(Scene.points([MY_REFLECTOR_AT], 50.0), "reflector.npz", (3, 21), 2)
    check = record(Scene.points([MY_CHECK_AT], 50.0), "second.npz", (3, 21), 3)
    grid = mmsar.ImageGrid.from_extent((-0.06, 0.06), (-0.05, 0.05), (0.24, 0.42), spacing=(1e-3, 1e-3, 5e-3))
else:
    data, reflector, check, grid = MY_DATA, MY_REFLECTOR, MY_CHECK, MY_GRID
stand_in = MY_DATA is None

# %% [markdown]
# ## The description
#
# Raw data do not say how they were made. A short TOML file does; the unit is part of every key. Three entries deserve
# care:
#
# - **First sample.** The converter starts some microseconds after the ramp. $f_0$ in $k_n = 2\pi(f_0 + K n/f_s)/c$
#   belongs to the first *sample*; with `adc_start_us` the slope times that time is added.
# - **Board frame.** `tx_mm`, `rx_mm`: where the antennas are when the board stands in the scanner, x to the right
#   *for somebody who faces the radar*, y up, z where it looks. Known boards have a name instead (`board =
#   "IWR1443BOOST"`). The vector from receivers to transmitters matters in the near field.
# - **Order of the path.** `direction` and `first_row` say how the rows were driven.

# %%
rows = {"tx": board.tx, "rx": board.rx}
antennas = "\n".join(f"{name}_mm = {np.round(1e3 * where, 4).tolist()}" for name, where in rows.items())
DESCRIPTION = f"""format = "npz"

[waveform]
start_ghz = 77.0
slope_mhz_us = 62.5
adc_start_us = 6.0
sample_rate_ksps = 1000
samples = 64

[data]
variable = "cube"
axes = ["y", "x", "tx", "rx", "sample"]

[scan]
x_step_mm = {pitch * 1e3:g}
y_step_mm = {8 * pitch * 1e3:g}
direction = "serpentine"
first_row = "bottom"
motion = "step"

[array]
{antennas}
"""
description = MY_DESCRIPTION
if stand_in:
    description = out / "plate.toml"
    description.write_text(DESCRIPTION)
print(description.read_text())

# %% [markdown]
# ## Check 1: the sign
#
# The library's signal is $s = \sigma\, e^{+jk(R_\mathrm{tx} + R_\mathrm{rx})}$. Network analysers and some radars
# record the conjugate. Then all echoes stand at negative beat frequencies; an imager of the wrong sign focuses on the
# mirror image *behind* the aperture and shows noise before it. `--check-sign` refuses such data. Here the description
# claims the other sign on purpose:

# %%
wrong_sign = out / "wrong_sign.toml"
wrong_sign.write_text(description.read_text().replace("[waveform]\n", '[waveform]\nsign = "negative"\n'))
# !{MMSAR} import {data} -d {wrong_sign} -o {out}/wrong.h5 --check-sign

# %%
# !{MMSAR} import {data} -d {description} -o {out}/scan.h5 --check-sign

# %% [markdown]
# ## Check 2: what the file says of itself
#
# Read every line against your lab book: frequency of the first sample, bandwidth *sampled*, size of the aperture (a
# factor of 10 or 1000 is a unit), pitch against $\lambda/4$, range. And look at the path.

# %%
# !{MMSAR} info {out}/scan.h5

# %%
scan = mmsar.load_scan(out / "scan.h5")
figure_aperture(scan)

# %%
if stand_in:
    assert abs(scan.chirp.f0 / chirp.f0 - 1) < 1e-9
    assert np.allclose(scan.virtual_position.reshape(-1, 3).mean(axis=0), 0, atol=1e-5)

# %% [markdown]
# ## Check 3: range
#
# Is the target where the tape measure says? It is not: the letters at 300 mm show at 368 mm. This *range bias* is the
# instrument's; published rigs of this kind have 65 to 73 mm. At range 0 (and one bias behind) there is the leakage,
# the same at all positions; `energy_interval` leaves it out by what changes from pose to pose.

# %%
profile = mean_range_power(scan)
low, high = energy_interval(scan)
print(f"echoes of the scene between {low * 1e3:.0f} and {high * 1e3:.0f} mm")
figure_range_profile(profile.range_m, profile.power, interval=(low, high))

# %% [markdown]
# ## Check 4: calibration
#
# Every channel multiplies its samples by
#
# $$ g_{tr}\; e^{2jk\,b}\; e^{2\pi j (f - f_\mathrm{ref})\,\tau_{tr}} , $$
#
# a complex gain, the range bias $b$ common to all, and a small delay of its own. Uncorrected phases defocus the array
# within every pose. A corner reflector that outshines everything else, at a known place, tells all of them; its
# distance decides the range bias, so measure that one well.

# %%
place, other_place = (",".join(f"{1e3 * v:g}" for v in where) for where in (MY_REFLECTOR_AT, MY_CHECK_AT))
# !{MMSAR} import {reflector} -d {description} -o {out}/reflector.h5
# !{MMSAR} calibrate {out}/reflector.h5 --target-mm={place} -o {out}/cal.h5

# %% [markdown]
# The honest test is a reflector at *another* place. Within 10 degrees and a twentieth of a range cell it is good.

# %%
# !{MMSAR} import {check} -d {description} -o {out}/second.h5
# !{MMSAR} calibrate {out}/second.h5 --target-mm={other_place} --check {out}/cal.h5

# %%
calibration = load_calibration(out / "cal.h5")
print(f"range bias {calibration.range_bias * 1e3:.2f} mm")
if stand_in:
    relative = (calibration.gain / calibration.gain[0, 0]) / (gain / gain[0, 0])
    print(f"phases off by up to {np.abs(np.angle(relative, deg=True)).max():.2f} degrees")
    assert abs(calibration.range_bias - instrument.range_bias) < 1e-3
    assert np.abs(np.angle(relative, deg=True)).max() < 3

# %% [markdown]
# `mmsar calibrate scan.h5 --apply cal.h5 -o scan_cal.h5` takes it out of a scan; in Python a scan *carries* it until
# it is imaged. A calibration holds for one board and one radar configuration, and is refused for others.
# `--subtract-empty empty.h5` takes out a scan of the same path without the target: leakage, mount, room.

# %%
calibrated = attach_calibration(scan, calibration)
raw_image = mmsar.reconstruct(scan, grid)
image = mmsar.reconstruct(calibrated, grid, options=ReconOptions(verify=True))
figure_compare([raw_image, image], ["as recorded", "calibrated"], floor=-25)

# %%
told = image.history[-1]["verify"]
print(f"against back-projection: NCC {told['ncc']:.4f}, error {told['error_db']:.1f} dB")
print(f"contrast {contrast(raw_image):.1f} as recorded, {contrast(image):.1f} calibrated")
if stand_in:
    found = point_response(image.crop(x=(0.015, 0.045), y=(-0.047, -0.017), z=(0.26, 0.34)), target).position
    print("point at", np.round(1e3 * np.array(found), 2), "mm, true", 1e3 * np.array(target))
    assert np.abs(np.subtract(found, target)).max() < 1e-3
    assert contrast(image) > 1.15 * contrast(raw_image)
    assert told["ncc"] > 0.98

# %% [markdown]
# ## What mistakes look like
#
# The same samples with one mistake each in what was said of them. Sharpness (contrast: standard deviation over mean
# of $|I|^2$) is what can be judged without knowing the scene.

# %%
tables = tomllib.loads(description.read_text())


def imaged(**changes):
    """The image of a description with other values in some tables."""
    changed = {**tables, **{name: {**tables[name], **values} for name, values in changes.items()}}
    return mmsar.reconstruct(attach_calibration(mmsar.import_scan(data, changed), calibration, force=True), grid)


def mirrored():
    """The image with the x of all positions negated."""
    path = scan.trajectory
    left = mmsar.Trajectory(time=path.time, position=path.position * [-1, 1, 1], rotation=path.rotation)
    return mmsar.reconstruct(replace(calibrated, trajectory=left), grid)


if stand_in:
    shown = {
        "right": image,
        "serpentine forgotten": imaged(scan={"direction": "forward"}),
        "first row at the top": imaged(scan={"first_row": "top"}),
        "step along x 5 % too large": imaged(scan={"x_step_mm": 1.05e3 * pitch}),
        "adc_start_us forgotten": imaged(waveform={"adc_start_us": 0.0}),
        "x counted to the left": mirrored(),
    }
    sharpness = {name: contrast(one) for name, one in shown.items()}
    figure = Figure(figsize=(9.5, 5.6), layout="constrained")
    for axes, (name, one) in zip(figure.subplots(2, 3).flat, shown.items(), strict=True):
        figure_mips(one, floor=-25, axes=axes)
        axes.set_title(f"{name}\ncontrast {sharpness[name]:.1f}", fontsize=9)
figure if stand_in else None

# %%
if stand_in:
    assert sharpness["right"] >= max(sharpness.values()) - 0.05
    assert sharpness["serpentine forgotten"] < 0.95 * sharpness["right"]
    flipped = shown["x counted to the left"].data[:, :, ::-1]
    assert np.allclose(np.abs(flipped), image.magnitude(), atol=0.02 * image.magnitude().max())  # sharp, and wrong

# %% [markdown]
# Only two of the five are plain to see without knowing the letters. A mirrored axis costs nothing in sharpness,
# because the geometry is consistent with itself; a scale error of some percent and a wrong first frequency are below
# the depth of focus of this aperture. A sharp picture does not prove the geometry. *Put something in the scene whose
# place and handedness you know*: a letter, a point off all axes, measured with a tape.
#
# | what you see | cause | what to do |
# |---|---|---|
# | noise, or a mirror image in range | sign, or I and Q swapped | `--check-sign`; `sign = "negative"` |
# | every second row displaced, a double picture | serpentine not said; backlash | `direction = "serpentine"`; `backlash_mm` of the session |
# | smeared along y, upside down | order of the rows against the antennas within a row | `first_row` |
# | everything some centimetres too deep | range bias | `mmsar calibrate` |
# | sharp in x, blurred in y within the array's length | channel phases, or channels in another order | `mmsar calibrate`; look at its table |
# | sizes wrong by some percent | steps per millimetre | measure the travel, not the command |
# | factor of 10 or 1000 | millimetres where metres are meant | files and Python are in metres, `_mm` keys and the command line in millimetres |
# | left and right exchanged | x counted as seen from behind the radar | x is to the right for somebody who *faces* it |
# | ghosts at fixed angles | pitch above $\lambda/4$ | `mmsar info` names the angle |
# | a disc in the middle at all depths | leakage, mount | `--subtract-empty`, `--background pose` |
# | round scans blurred far out only | radius | [103](103_rotation.ipynb), `mmsar align` |
#
# ## Where it stands in three dimensions

# %%
figure_volume(image, look=Look(kind="iso", levels=(-12, -6)), aperture=scan.virtual_position)

# %% [markdown]
# ## Exercises
#
# 1. Take the range bias out of the calibration (`dataclasses.replace(calibration, range_bias=0.0)`). What happens to
#    the picture, besides its depth?
#    <details><summary>Hint</summary>
#
#    A constant range error shifts by 68 mm in $R$, not in $z$: look at how far the letters spread in x, and at the
#    sharpness. The comparison above has the answer in its left half, without the phases.
#
#    </details>
# 2. Measure the reflector's distance 5 mm too short and calibrate again. Does `--check` notice?
#    <details><summary>Hint</summary>
#
#    The bias absorbs the error at the first place and at the second: what is left is how the direction from the board
#    changes. Put the second reflector far to the side.
#
#    </details>
# 3. Exchange two receivers in the data (`cube[..., [1, 0, 2, 3], :]`) for all scans alike. Does the calibration
#    repair it?
#    <details><summary>Hint</summary>
#
#    It repairs phases for one direction. The antennas' places are still exchanged: look at the residuals, and at
#    `--check`.
#
#    </details>
# 4. Record with a coarser step (every second column) and describe it correctly. What does `mmsar info` say, and what
#    does the picture show?
#    <details><summary>Hint</summary>
#
#    `cube[:, ::2]` with twice `x_step_mm`; mind that a serpentine's odd rows begin at the other end. With 1.9 mm,
#    $\sin\theta = \lambda/2p$ is beyond the grid here.
#
#    </details>
# 5. Your own data: set the paths at the top.
#    <details><summary>Hint</summary>
#
#    Work from the top, one check at a time; do not look at pictures before the range profile is understood.
#    [docs/files.md](../docs/files.md#importing-recordings) has all keys.
#
#    </details>
