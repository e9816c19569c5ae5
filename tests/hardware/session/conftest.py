"""An emulated bench for whole sessions: radar, card, stage, scene, and the session file that fits them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mmsar.hardware.board import board
from mmsar.hardware.emulate.bench import EmulatedBench, Instrument, stage_poses
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.session.setup import read_session
from mmsar.simulate.scene import Scene

CONFIG = """% xWR1642
sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg 15 3 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 10 5 55 0 0 70 1 128 2600 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 2
frameCfg 0 1 2 0 20 1 0
lowPower 0 1
lvdsStreamCfg -1 0 1 0
calibData 0 0 0
"""

RADAR = """
[radar]
config = "radar.cfg"
device = "xWR1642"
board = "IWR1642BOOST"
port = "{radar}"

[card]
host_ip = "{host}"
card_ip = "{card}"
packet_delay_us = 10
buffer_mib = 4
"""

STAGE = """
[stage]
kind = "grbl"
port = "{stage}"
acceleration_{unit}_s2 = {acceleration}
travel_speed_mm_s = 80
"""

AXES = """
[stage.x]
limits_mm = [0, 398]
zero_mm = -399

[stage.y]
limits_mm = [0, 398]
zero_mm = -399
"""
"""[stage.*] tables of a GRBL with 399 mm of travel."""


@dataclass
class Bench:
    """An emulated bench, the folder of a session on it, and its session file."""

    emulated: EmulatedBench
    folder: Path
    session_file: Path

    def session(self):
        return read_session(self.session_file)

    @property
    def output(self) -> Path:
        return self.folder / "scan.h5"


class Benches:
    """Builds benches and closes them at the end."""

    def __init__(self, folder: Path, addresses: tuple[str, str]) -> None:
        self.folder, self.addresses, self.open = folder, addresses, []

    def staged(
        self, scan: str, points, *, axes: str, unit: str = "mm", acceleration: float = 500.0, **options
    ) -> Bench:
        """A bench with a GRBL stage; `axes` are the [stage.*] tables, `scan` the keys of [scan]."""
        rotary = (True, False, False) if unit == "deg" else (False, False, False)
        settings = {110: 30000, 120: 2000, 130: 1000, 27: 1} if unit == "deg" else {}
        grbl = GrblPty(start=(-30.0, -20.0, -10.0), settings=settings, rotary=rotary, **options.pop("grbl", {}))
        options.setdefault("flush", 0.4)  # between rows a session waits for the card's tail, which comes after 2 s
        bench = self._bench(points, stage=grbl, **options)
        text = STAGE.format(stage=grbl.port, unit=unit, acceleration=acceleration)
        self._write(bench, f"{text}{axes}\n[scan]\n{scan}")
        session = bench.session()
        bench.emulated.poses = stage_poses(grbl, session.stage.axes, session.world)
        return bench

    def handheld(self, scan: str, points, poses) -> Bench:
        """A bench whose radar is moved by `poses`."""
        bench = self._bench(points, poses=poses)
        self._write(bench, f"\n[scan]\n{scan}")
        return bench

    def _bench(self, points, **options) -> Bench:
        host, card = self.addresses
        instrument = Instrument(
            device="xWR1642",
            array=lambda config: config.array(board("IWR1642BOOST")),
            scene=Scene.points(points),
            noise=2.0,
        )
        bench = EmulatedBench(instrument, host_ip=host, card_ip=card, **options)
        self.open.append(bench)
        (self.folder / "radar.cfg").write_text(CONFIG)
        return Bench(bench, self.folder, self.folder / "session.toml")

    def _write(self, bench: Bench, text: str) -> None:
        host, card = self.addresses
        radar = RADAR.format(radar=bench.emulated.radar.port, host=host, card=card)
        bench.session_file.write_text(radar + text)


@pytest.fixture
def benches(tmp_path, addresses):
    made = Benches(tmp_path, addresses)
    yield made
    for bench in made.open:
        bench.close()


def peak(scan, centre, half=(0.02, 0.02, 0.03), step=(0.5e-3, 0.5e-3, 1e-3)) -> np.ndarray:
    """Where the image of a scan is brightest near `centre` (x, y, z) [m]."""
    from mmsar import ImageGrid
    from mmsar.recon import bpa

    n = [2 * round(h / s) + 1 for h, s in zip(half, step, strict=True)]
    origin = np.array(centre) - (np.array(n) - 1) / 2 * step
    grid = ImageGrid(shape=tuple(n[::-1]), origin=origin, spacing=step)
    image = bpa.plan(scan, grid)(scan)
    z, y, x = np.unravel_index(np.argmax(np.abs(image)), image.shape)
    return np.array([grid.x[x], grid.y[y], grid.z[z]])


def cells(scan, z) -> np.ndarray:
    """Resolution cell (x, y, range) of a planar scan at distance z [m]."""
    extent = np.ptp(scan.virtual_position.reshape(-1, 3), axis=0)
    wavelength = scan.chirp.wavelength
    return np.array([wavelength * z / (2 * extent[0]), wavelength * z / (2 * extent[1]), scan.chirp.range_resolution])
