"""Options are checked when made; what is wrong is one line."""

import dataclasses

import pytest

from mmsar.errors import GeometryError
from mmsar.recon.options import ReconOptions


def test_defaults():
    options = ReconOptions()
    assert (options.window, options.density, options.phase, options.verify) == ("none", "auto", "reference", False)
    assert options.error_db == -50 and options.memory is None and options.z_ref is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.window = "hann"


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [
        ({"window": "bartlett"}, "hann"),
        ({"window": None}, "hann"),
        ({"density": True}, "auto, on, off"),
        ({"phase": "exact"}, "reference"),
        ({"z_ref": float("nan")}, "finite"),
        ({"z_ref": "near"}, "number"),
        ({"error_db": -10}, "-100 to -20"),
        ({"error_db": -200}, "-100 to -20"),
        ({"error_db": float("inf")}, "finite"),
        ({"error_db": None}, "number"),
        ({"error_db": "-40"}, "number"),
        ({"sparse": True}, "SparseOptions"),
        ({"memory": 1000}, "1 MiB"),
        ({"memory": -1}, "1 MiB"),
        ({"memory": "lots"}, "number"),
    ],
)
def test_bad_options_are_one_line(bad, wanted):
    with pytest.raises(GeometryError) as caught:
        ReconOptions(**bad)
    message = str(caught.value)
    assert next(iter(bad)) in message and wanted in message and "\n" not in message


@pytest.mark.parametrize("good", [{"window": "taylor"}, {"density": "on"}, {"z_ref": -0.01}, {"memory": 2**20}])
def test_good_options_are_kept(good):
    options = ReconOptions(**good)
    assert getattr(options, next(iter(good))) == next(iter(good.values()))
