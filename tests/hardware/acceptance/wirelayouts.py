"""Radars of the acceptance tests: configuration texts, and where each sample lies on the wire, by index formulas."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Radar:
    """A radar's settings; `order`: "4lane", "iiqq", "qqii", "real", "4lane-real"; `tx`: masks of the chirps."""

    device: str = "xWR1843"
    order: str = "qqii"
    rx_mask: int = 15
    tx: tuple[int, ...] = (1, 4, 2)
    samples: int = 64
    loops: int = 3
    frames: int = 7
    period: float = 50.0
    bits: int = 2
    start: float = 77.0

    @property
    def n_rx(self) -> int:
        return bin(self.rx_mask).count("1")

    @property
    def real(self) -> bool:
        return self.order.endswith("real")

    @property
    def lanes(self) -> int:
        return 4 if self.order.startswith("4lane") else 2

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of a frame: (loop, tx, rx, sample)."""
        return self.loops, len(self.tx), self.n_rx, self.samples

    @property
    def chirp_words(self) -> int:
        return self.samples * (4 if self.lanes == 4 else self.n_rx) * (1 if self.real else 2)

    @property
    def frame_bytes(self) -> int:
        return 2 * self.loops * len(self.tx) * self.chirp_words

    @property
    def text(self) -> str:
        """Command lines as the Demo Visualizer writes them."""
        masks = 0
        for mask in self.tx:
            masks |= mask
        swap = 0 if self.order == "iiqq" or self.lanes == 4 else 1
        buffer = f"{int(self.real)} {swap} {int(self.lanes != 4)} 1"
        count = f"{self.samples} " if self.device == "xWR2944" else ""
        lines = [
            "% written by the acceptance tests",
            "sensorStop",
            "flushCfg",
            "dfeDataOutputMode 1",
            f"channelCfg {self.rx_mask} {masks} 0",
            f"adcCfg {self.bits} {int(not self.real)}",
            f"adcbufCfg {buffer}" if self.device == "xWR1443" else f"adcbufCfg -1 {buffer}",
            f"profileCfg 0 {self.start} 20 6 70 0 0 50 1 {self.samples} 5000 0 0 30",
            *(f"chirpCfg {k} {k} 0 0 0 0 0 {mask}" for k, mask in enumerate(self.tx)),
            f"frameCfg 0 {len(self.tx) - 1} {self.loops} 0 {count}{self.period} 1 0",
            "lvdsStreamCfg -1 0 1 0",
            "sensorStart",
        ]
        return "\n".join(lines) + "\n"

    def words(self, loop, tx, rx, sample, part):
        """Index of the 16-bit word of a part (0 I, 1 Q) of a sample within its frame."""
        chirp = loop * len(self.tx) + tx
        if self.order == "4lane":
            within = (sample * 2 + part) * 4 + rx
        elif self.order == "4lane-real":
            within = sample * 4 + rx
        elif self.order == "real":
            within = rx * self.samples + sample
        else:
            first = part if self.order == "iiqq" else 1 - part
            within = ((rx * (self.samples // 2) + sample // 2) * 2 + first) * 2 + sample % 2
        return chirp * self.chirp_words + within

    def measure(self, frames: int, seed: int = 0) -> tuple[np.ndarray, bytes]:
        """Random samples (frame, loop, tx, rx, sample) complex64, and their bytes on the wire."""
        rng = np.random.default_rng(seed)
        top = {0: 2**11, 1: 2**13, 2: 2**15}[self.bits]
        parts = 1 if self.real else 2
        values = rng.integers(-top, top, (frames, *self.shape, parts), dtype=np.int16)
        wire = np.zeros((frames, self.frame_bytes // 2), np.uint16)
        where = self.words(*np.indices((*self.shape, parts)))
        wire[:, where.ravel()] = values.reshape(frames, -1).view(np.uint16) & np.uint16(2 * top - 1)
        cube = values[..., 0] + 1j * (0 if self.real else values[..., 1])
        return cube.astype(np.complex64), wire.astype("<u2").tobytes()

    def valid(self, frames: int, present: np.ndarray) -> np.ndarray:
        """Which samples came: `present` tells it of each byte of the stream."""
        words = present.reshape(frames, -1, 2).all(axis=2)
        parts = 1 if self.real else 2
        where = self.words(*np.indices((*self.shape, parts)))
        return words[:, where].all(axis=-1)
