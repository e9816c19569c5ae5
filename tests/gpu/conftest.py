"""What the tests of the CUDA path share: the devices they run on, and small scans with their plans.

Every test of a plan runs on the kernels compiled for the host, and, marked gpu, on the first GPU.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from host import HostDevice, host_folder

__all__ = ["host_folder"]


@pytest.fixture(params=["host", pytest.param("cuda:0", marks=pytest.mark.gpu)])
def device(request):
    """The host with the kernels' own source, or a GPU."""
    if request.param == "host":
        return HostDevice(request.getfixturevalue("host_folder"))
    from mmsar.core.backend import open_devices

    return open_devices(request.param)[0]


@pytest.fixture
def off_db():
    """off_db(got, wanted): RMS difference relative to what was wanted [dB]."""
    return lambda got, wanted: 20 * np.log10(np.linalg.norm(got - wanted) / np.linalg.norm(wanted) + 1e-12)
