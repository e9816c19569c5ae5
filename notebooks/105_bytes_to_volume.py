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
# # 105 From DCA1000 bytes to a volume
#
# **What you will learn**
#
# - what a whole measurement is in files: the radar's configuration, a session, recordings, a scan, an image;
# - how a TI radar with a DCA1000 capture card sends samples, down to the byte, and to decode them by hand;
# - how to account for every packet, and why that matters;
# - to run all of it on a laptop first: the *emulated bench* stands in for the radar's command line, the card with its
#   real ports and pace, the stage controller, and the scene.
#
# Capture needs Linux. [docs/capture.md](../docs/capture.md) is about the real bench: wiring, network, what goes
# wrong.

# %%
# %matplotlib inline
import atexit
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mmsar
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.protocol import decode_packet
from mmsar.metrics import point_response
from mmsar.view.look import Look
from mmsar.view.plot import figure_aperture, figure_mips, figure_volume

MMSAR = f'"{sys.executable}" -m mmsar'  # what you type as `mmsar` in a terminal
out = Path("out/105")
shutil.rmtree(out, ignore_errors=True)  # a recording is never overwritten: begin with an empty folder
out.mkdir(parents=True)

# %% [markdown]
# ## What to do, in two files
#
# The radar is told its waveform by the command lines of TI's demo. `profileCfg` says: ramp from 77 GHz at 70 MHz/us,
# the converter starts 5 us after the ramp and takes 128 samples at 2.6 MS/s. `chirpCfg` lines let the two
# transmitters fire in turn (masks 1 and 2); `frameCfg` repeats both 16 times in a frame, every 20 ms.

# %%
RADAR = """% xWR1642
sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg 15 3 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 10 5 55 0 0 70 1 128 2600 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 2
frameCfg 0 1 16 0 20 1 0
lowPower 0 1
lvdsStreamCfg -1 0 1 0
calibData 0 0 0
"""
SESSION = """[radar]
config = "radar.cfg"
board = "IWR1642BOOST"

[stage]
kind = "grbl"
port = "/dev/ttyUSB0"
acceleration_mm_s2 = 500
travel_speed_mm_s = 80

[stage.x]
limits_mm = [0, 399]
zero_mm = -400

[stage.y]
limits_mm = [0, 299]
zero_mm = -300

[scan]
kind = "raster"
rows = 3
columns = 64
step_x_mm = 0.9      # one frame per step
step_y_mm = 7.589    # the length of the virtual array
centre_mm = [350, 275]
"""
(out / "radar.cfg").write_text(RADAR)
(out / "raster.toml").write_text(SESSION)
# !{MMSAR} capture {out}/raster.toml --check

# %% [markdown]
# `--check` touches nothing. It tells what will happen, and what is wrong with it; `mmsar hw check` does the same for
# a radar configuration alone.
#
# ## The measurement
#
# In a first terminal the emulated bench: `mmsar hw emulate bench raster.toml`. It writes `raster.emulated.toml`
# beside the session, the same with its own ports and addresses. Before it stand three points: at $(-30, 0, 300)$,
# $(25, 20, 300)$ and $(0, -25, 350)$ mm.

# %%
addresses = ["--host-ip", "127.0.0.9", "--card-ip", "127.0.0.10"]
bench = subprocess.Popen(
    [sys.executable, "-m", "mmsar", "hw", "emulate", "bench", str(out / "raster.toml"), *addresses],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
atexit.register(bench.kill)
for _ in range(300):  # until it is ready
    if (out / "raster.emulated.toml").exists() or bench.poll() is not None:
        break
    time.sleep(0.1)
print((out / "raster.emulated.toml").read_text()[:160], "...")

# %% [markdown]
# In the second terminal the same command as on the real bench. The stage goes to its reference; then, row by row: the
# card is armed, the radar started, the row driven at constant speed, radar and card stopped. Half a minute of
# waiting, as in the lab. (`| cat` keeps the progress bar away.)

# %%
# !{MMSAR} capture {out}/raster.emulated.toml -o {out}/scan.h5 2>&1 | cat

# %% [markdown]
# ## Down to the bytes
#
# Beside the scan lies what the network card saw: the datagrams of every row as they came, in order, with the kernel's
# time. A datagram of the DCA1000 is
#
# | bytes | |
# |---|---|
# | 4 | sequence number, little-endian, from 1 |
# | 6 | how many bytes of the stream came before this packet |
# | rest | payload: the stream itself, without regard to frames |
#
# The stream of a row is frame after frame without any mark; only counting bytes tells where a frame begins. That is
# why one lost packet that nobody notices shifts *everything* behind it.

# %%
row = out / "scan.capture/sweep_0001/recording"
journal = (row / "packets-00000.bin").read_bytes()
at = 16 + 32  # head of the file, head of the first block
packets = []
for _ in range(3):
    size = int.from_bytes(journal[at : at + 2], "little")
    stamp = int.from_bytes(journal[at + 2 : at + 10], "little")
    datagram = journal[at + 10 : at + 10 + size]
    packets.append(datagram)
    print(f"{size} bytes at {stamp} ns: {datagram[:10].hex(' ')} | {datagram[10:26].hex(' ')} ...")
    at += 10 + size

sequence, before = int.from_bytes(packets[1][:4], "little"), int.from_bytes(packets[1][4:10], "little")
known = decode_packet(packets[1])
print(f"by hand: number {sequence}, {before} bytes before it; payload {len(packets[1]) - 10} bytes")
assert (sequence, before) == (known.sequence, known.offset)
assert before == len(packets[0]) - 10

# %% [markdown]
# The payload is int16. In which order depends on the chip and on its settings. An xWR16xx has two lanes and sends,
# chirp after chirp and receiver after receiver, two samples of one kind and two of the other: with `adcbufCfg ... 1`
# (third value) as $Q_0 Q_1 I_0 I_1\; Q_2 Q_3 I_2 I_3 \dots$ Read with the wrong order the numbers look just as
# random, and the picture is noise, or a mirror image in range. Here it is in five lines, against the library's
# decoder:

# %%
capture = Capture.open(row)
config = capture.config
chirps, n_rx, n = config.chirps_per_frame, config.n_rx, config.n_samples
words = np.frombuffer(capture.raw(slice(0, 1)).data, dtype="<i2")
quads = words.reshape(chirps, n_rx, n // 2, 2, 2).astype(np.float32)  # (chirp, rx, pair of samples, Q or I, sample)
by_hand = (quads[..., 1, :] + 1j * quads[..., 0, :]).reshape(config.n_loops, config.n_tx, n_rx, n)

decoded, valid = capture.samples(slice(0, 1))
print("layout", config.layout, "| (loop, tx, rx, sample) =", by_hand.shape, "| frame of", config.frame_bytes, "bytes")
assert np.array_equal(by_hand, decoded[0]) and valid.all()

# %% [markdown]
# ## One chirp, seen
#
# The beat signal, and its spectrum as range $R = f_\mathrm{beat}\, c / 2K$. The echoes stand at $+R$, not at $-R$:
# the sign convention of the library, in which the phase grows with range. A negative-frequency peak would mean I and
# Q changed places.

# %%
one = by_hand.mean(axis=0)[0, 0]  # the loops are averaged; first transmitter, first receiver
chirp = config.chirp()
spectrum = np.fft.fftshift(np.fft.fft(one * np.hanning(n), 4096))
ranges = np.fft.fftshift(np.fft.fftfreq(4096)) * n * chirp.range_resolution

figure = Figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(one.real, label="I")
left.plot(one.imag, label="Q")
left.set(xlabel="sample", ylabel="counts")
left.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, 1.14), frameon=False)
right.plot(ranges * 1e3, 20 * np.log10(np.abs(spectrum) / np.abs(spectrum).max()))
right.set(xlabel="range [mm]", ylabel="dB re peak", xlim=(-1000, 1000), ylim=(-50, 2), xticks=range(-1000, 1001, 500))
right.grid(alpha=0.3)
figure

# %%
strongest = ranges[np.argmax(np.abs(spectrum))]
print(f"strongest echo at {strongest * 1e3:.0f} mm")
assert 0.25 < strongest < 0.45

# %% [markdown]
# ## Accounts
#
# What was sent, what came, what was lost and where: packets that never reached this computer, and packets that its
# own socket dropped. What did not come is 0 in the samples and False in `valid`; later frames never move up.

# %%
# !{MMSAR} hw report {row}

# %% [markdown]
# Ctrl-C ends the bench. It then says what it *really* sent, and the two must agree:

# %%
bench.send_signal(signal.SIGINT)
said = bench.communicate(timeout=30)[0]
print(said[said.index("recording 1") :])
sent = int(said[said.index("recording 2") :].split(" packets")[0].split()[-1].replace(",", ""))
assert capture.report.packets_received == sent == capture.report.packets_expected

# %% [markdown]
# ## From samples to a scan
#
# The scan has the samples of all rows and, for every frame, the pose of the board: what the controller *reported* at
# the time of that frame, not what it was told. The rows were driven to and fro, with run-ups that are cut off here.

# %%
# !{MMSAR} info {out}/scan.h5

# %%
scan = mmsar.load_scan(out / "scan.h5")
figure_aperture(scan)

# %% [markdown]
# ## The volume

# %%
grid = mmsar.ImageGrid.from_extent((-0.06, 0.06), (-0.05, 0.05), (0.24, 0.42), spacing=(1.5e-3, 2e-3, 5e-3))
image = mmsar.reconstruct(scan, grid)
figure_mips(image, floor=-20)

# %%
cell = np.array([chirp.wavelength * 0.3 / (2 * 0.058), chirp.wavelength * 0.3 / (2 * 0.0228), chirp.range_resolution])
print("resolution cell (x, y, z):", np.round(1e3 * cell, 1), "mm")
for true in ((-0.030, 0.0, 0.300), (0.025, 0.020, 0.300), (0.0, -0.025, 0.350)):
    near = image.crop(*[(t - c, t + c) for t, c in zip(true, 0.6 * cell, strict=True)])
    found = point_response(near).position
    print("point at", np.round(1e3 * np.array(found), 1), "mm, true", 1e3 * np.array(true))
    assert np.all(np.abs(np.subtract(found, true)) < cell / 4)

# %% [markdown]
# Three rows make an aperture of 58 mm by 23 mm, so the points are 25 mm high; the place of a peak is known ten times
# better than that. With the 13 rows of [data/sessions/raster.toml](../data/sessions/raster.toml) the picture is sharp
# in y, too, after two and a half minutes.

# %%
figure_volume(image, look=Look(kind="iso", levels=(-9, -4)), aperture=scan.virtual_position)

# %% [markdown]
# ## Exercises
#
# 1. Let the network lose packets: `--faults "drop=0.02,seed=1"` behind `bench`. Compare `mmsar hw report` with what
#    the bench says at its end. What happens to the picture?
#    <details><summary>Hint</summary>
#
#    `scan.valid` has the channels that count; every lost one is missing in sum and norm alike, so a point still peaks
#    at the same height.
#
#    </details>
# 2. Interrupt the capture (Ctrl-C in a terminal) after the first row and go on with `--resume`.
#    <details><summary>Hint</summary>
#
#    The command is printed. Look at `sweep_0000/done.json`.
#
#    </details>
# 3. Decode the frame as $I_0 I_1 Q_0 Q_1$ instead. Where is the strongest echo now?
#    <details><summary>Hint</summary>
#
#    $Q + jI = j\,(I + jQ)^*$: the spectrum is mirrored. `ranges` has negative values, too.
#
#    </details>
# 4. How fast may the stage move with these frames before the raster aliases? And what does the second transmitter
#    see?
#    <details><summary>Hint</summary>
#
#    One frame every 20 ms and $\lambda/4$ per frame. The transmitters fire 65 us apart: `mmsar info` has the motion
#    within a pose, and every imager uses the positions of the slots.
#
#    </details>
