"""Every CUDA kernel compiles for the architectures named, without spilling registers; skipped without a compiler."""

import re
import shutil
import subprocess

import pytest

from mmsar.core import kernels_cuda
from mmsar.core.gridding import STEEPEST2, SUBDIVISIONS, WIDTH
from mmsar.recon.device_bpa import SHARED
from mmsar.simulate.device_forward import THREADS

CONSTANTS = {
    "bpa": {"N_TX": 3, "N_RX": 4, "GROUP": 4, "POSES": 12, "THREADS": 64, "PER": 4, "VOXELS": 256},
    "stolt": {"WIDTH": WIDTH, "SUBDIVISIONS": SUBDIVISIONS, "STEEPEST2": STEEPEST2},
    "lateral": {},
    "stacked": {"WIDTH": 5, "WIDTH_Z": 5},
    "forward": {"THREADS": THREADS},
}
ARCHITECTURES = ("80", "90")
SPILLED = 16
"""Bytes of registers that may be spilled by a kernel: nvcc trades that much for occupancy."""


def test_every_source_is_here():
    assert set(CONSTANTS) == set(kernels_cuda.NAMES)
    assert all(kernels_cuda.kernels(name) for name in CONSTANTS)


@pytest.mark.parametrize("name", CONSTANTS)
def test_nvcc_compiles_it(name, tmp_path):
    """To machine code for two architectures; registers, spills and shared memory of every kernel as ptxas says."""
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc not found: kernels are compiled to machine code where the CUDA toolkit is installed")
    code = tmp_path / f"{name}.cu"
    code.write_text(kernels_cuda.source(name, CONSTANTS[name]))
    options = ["-std=c++14", "--use_fast_math", "-Xptxas", "-v", "--threads", "2", "-fatbin"]
    options += [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    done = subprocess.run(["nvcc", *options, "-o", tmp_path / "out", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    told = re.findall(
        r"Compiling entry function '(\w+)' for 'sm_(\d+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers([^\n]*)",
        done.stderr,
        re.DOTALL,
    )
    expected = {(kernel, arch) for kernel in kernels_cuda.kernels(name) for arch in ARCHITECTURES}
    assert {(kernel, arch) for kernel, arch, *_ in told} == expected
    for kernel, arch, spilled, registers, rest in told:
        assert int(spilled) <= SPILLED, f"{kernel} for sm_{arch} spills {spilled} bytes"
        assert int(registers) <= 128, f"{kernel} for sm_{arch} takes {registers} registers"
        shared = re.search(r"(\d+) bytes smem", rest)
        assert not shared or int(shared[1]) <= max(SHARED + 1024, 16384)


@pytest.mark.parametrize("name", CONSTANTS)
def test_nvrtc_compiles_it(name):
    """As cupy does it, without a GPU: nvrtc has no headers of the host, and other built-in types."""
    pytest.importorskip("cupy", reason="cupy not installed: nvrtc is what compiles the kernels on a GPU's machine")
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"nvrtc does not load: {type(error).__name__}")
    text = kernels_cuda.source(name, CONSTANTS[name])
    for arch in ARCHITECTURES:
        program = nvrtc.createProgram(text, f"{name}.cu", (), ())
        nvrtc.compileProgram(program, (*kernels_cuda.OPTIONS, f"-arch=compute_{arch}"))
        assert all(f".entry {kernel}(" in str(nvrtc.getPTX(program)) for kernel in kernels_cuda.kernels(name))
