"""What the tests of the CUDA path share: a device of numpy and kernels compiled for the host, and small scans."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from host import host_folder

__all__ = ["host_folder"]
