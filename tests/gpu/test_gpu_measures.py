"""The measures of `make bench-gpu`, small and on the host, so that they run when a GPU is there at last."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from host import HostDevice

from mmsar.model import AntennaArray, Trajectory

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def measures(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import benchscenes
    import gpu_measures

    return gpu_measures, benchscenes


def test_every_measure_gives_its_figures(measures, host_folder):
    gpu_measures, benchscenes = measures
    device = HostDevice(host_folder)
    grid = benchscenes.volume((3, 12, 10), half=0.01)
    board = benchscenes.scan_of(Trajectory.raster((2, 4), (2e-3, 2 * benchscenes.PITCH)), AntennaArray.iwr1443())
    single = benchscenes.scan_of(Trajectory.raster((8, 8), (2e-3, 2e-3)), AntennaArray.single())
    rows = {
        "bpa": gpu_measures.bpa_rows(device, board, grid, 1, goal="goal"),
        "rma": gpu_measures.rma_rows(device, single, grid, 1),
        "nufft": gpu_measures.nufft_rows(device, board, grid, 1),
    }
    for name, table in rows.items():
        assert any(label.startswith(name) for label, _ in table)
        for label, value in table:
            figures = [float(f) for f in re.findall(r"-?\d+\.?\d*", value)]
            assert figures, label
            assert np.isfinite(figures).all(), label
    of_bpa, of_nufft = dict(rows["bpa"]), dict(rows["nufft"])
    assert float(of_bpa["error against a float64 sum"].split()[0]) < -50
    assert float(of_nufft["off the CPU's image"].split()[0]) < -80


def test_without_a_gpu_nothing_is_written(measures, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    import gpu

    assert gpu.main([]) == 4
    assert "nothing was run and no page written" in capsys.readouterr().err
