"""The layout of mmsar's HDF5 files, written once: names, axes, units, version.

A file has the root attributes `mmsar_schema` (an integer), `kind` ("scan", "image", "calibration" or "pairs"),
`mmsar_version`, `created` (ISO 8601) and `history` (JSON). Every dataset has `units` and `axes` (comma-separated, first
axis first).

    scan.h5   /signal (pose,tx,rx,sample) complex64, or int16 with a last axis iq of 2 and @scale
              /chirp@f0,slope,fs,n_samples   /array/tx,rx,polarity and /array@name   /trajectory/time,position,rotation
              /tx_delay   /valid   /calibration as in calibration.h5 (optional)
              /raster@n_y,n_x,step_x,step_y,serpentine (optional)   @attrs, @history
    image.h5  /data (z,y,x) complex64 or float32   /grid@shape,origin,spacing   @history
    calibration.h5  /calibration/gain and @range_bias,source,residual,attrs
              /calibration/delay and its @frequency (optional)
    pairs.h5  /input (sample,part,y,x) /ideal, /physical (sample,y,x) float16, a column (sample) for every property of a
              pair, /done (sample): 1 where a sample is whole   @spacing, @recipe
"""

from dataclasses import dataclass

SCHEMA = 1
"""Version of the layout; a file of a newer one is refused."""

SCHEMA_ATTR = "mmsar_schema"
KIND_ATTR = "kind"


@dataclass(frozen=True)
class Field:
    """One dataset: its axes by name, its unit, and the kinds of number it may hold (numpy `dtype.kind`)."""

    axes: tuple[str, ...]
    units: str
    kinds: str = "f"


SIGNAL = Field(("pose", "tx", "rx", "sample"), "1", "ci")
IQ_AXIS = "iq"

SCAN_FIELDS = {
    "array/tx": Field(("tx", "xyz"), "m"),
    "array/rx": Field(("rx", "xyz"), "m"),
    "array/polarity": Field(("tx", "rx"), "1"),
    "trajectory/time": Field(("pose",), "s"),
    "trajectory/position": Field(("pose", "xyz"), "m"),
    "trajectory/rotation": Field(("pose", "xyzw"), "1"),
    "tx_delay": Field(("tx",), "s"),
    "valid": Field(("pose", "tx", "rx"), "1", "u"),
}
"""Datasets every scan has, beside /signal."""

CALIBRATION_GAIN = Field(("tx", "rx"), "1", "c")
CALIBRATION_DELAY = Field(("tx", "rx"), "s")
IMAGE_DATA = Field(("z", "y", "x"), "1", "cf")

AXIS_LENGTH = {"xyz": 3, "xyzw": 4, IQ_AXIS: 2, "part": 2}
"""Axes whose length is always the same."""

CHIRP_UNITS = {"f0": "Hz", "slope": "Hz/s", "fs": "Hz", "n_samples": "1"}
RASTER_UNITS = {"n_y": "1", "n_x": "1", "step_x": "m", "step_y": "m", "serpentine": "1"}
GRID_UNITS = {"shape": "1", "origin": "m", "spacing": "m"}

PAIR_IMAGES = {
    "input": Field(("sample", "part", "y", "x"), "1"),
    "ideal": Field(("sample", "y", "x"), "1"),
    "physical": Field(("sample", "y", "x"), "1"),
}
"""Images of a file of pairs; part is real, imaginary."""

PAIR_COLUMNS = {
    "seed": Field(("sample",), "1", "u"),
    "family": Field(("sample",), "1", "S"),
    "split": Field(("sample",), "1", "S"),
    "method": Field(("sample",), "1", "S"),
    "error_kind": Field(("sample",), "1", "S"),
    "depth": Field(("sample",), "m"),
    "track": Field(("sample",), "1", "u"),
    "gain": Field(("sample",), "1"),
    "snr_db": Field(("sample",), "dB"),
    "position_error": Field(("sample",), "m"),
    "missing": Field(("sample",), "1"),
    "empty": Field(("sample",), "1", "u"),
    "ghost": Field(("sample",), "1", "u"),
    "clutter": Field(("sample",), "1", "u"),
    "rough": Field(("sample",), "1", "u"),
}
"""Properties of a pair, by the name they have in `mmsar.model.pair.Pair`."""

PAIR_DONE = Field(("sample",), "1", "u")
