"""What the instructions of the back-projection kernel allow at most, without a GPU: `python tests/bench/gpu_bound.py`.

nvcc translates the kernel to PTX; the instructions of its two inner loops are counted (the legs of GROUP receivers, and
one transmitter's leg with GROUP pairs), and divided by what a multiprocessor starts in a clock: 128 instructions in
all, 128 in single precision, 16 special functions, 8 loads of 16 bytes from shared memory. The largest count is the
bound; memory, latencies and the work per tile and pose come on top. It is a bound and no measurement.
"""

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from mmsar.core import kernels_cuda

CONSTANTS = {"N_TX": 2, "N_RX": 4, "GROUP": 4, "POSES": 16, "THREADS": 64, "PER": 4, "VOXELS": 256}
KINDS = {
    "single precision": (r"(add|sub|mul|fma|max|min)\.\S*f32", 128),
    "special functions": (r"(sin|cos|rsqrt|div)\.approx", 16),
    "shared memory": (r"ld\.shared", 8),
}


def loops(architecture: str) -> list[Counter]:
    """Instructions of the blocks of bpa_project that have sines: the receivers' legs, a transmitter with its pairs."""
    with tempfile.TemporaryDirectory() as folder:
        code, ptx = Path(folder) / "bpa.cu", Path(folder) / "bpa.ptx"
        code.write_text(kernels_cuda.source("bpa", CONSTANTS))
        command = ["nvcc", "-std=c++14", "--use_fast_math", f"-arch={architecture}", "-ptx", "-o", ptx, code]
        subprocess.run(command, check=True)
        text = ptx.read_text()
    kernel = text[text.index(".entry bpa_project") :].partition("\n}\n")[0]
    found = []
    for block in re.split(r"\n(?=\$L__)", kernel):
        instructions = Counter(re.findall(r"^\s+(?:@%?!?\w+ )?([a-z][\w.]+)\s", block, re.M))
        if any("sin.approx" in name for name in instructions):
            found.append(instructions)
    return found


def main() -> None:
    """Print the counts per voxel-pair and the bounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--multiprocessors", type=int, default=132, help="132: an H100 SXM or H200")
    parser.add_argument("--ghz", type=float, default=1.98, help="clock (an H200's highest is 1.98)")
    args = parser.parse_args()
    receivers, transmitter = loops(args.arch)
    n_tx, pairs = CONSTANTS["N_TX"], CONSTANTS["N_TX"] * CONSTANTS["N_RX"] * CONSTANTS["PER"]
    per_pose = Counter(receivers)
    for name, count in transmitter.items():
        per_pose[name] += n_tx * count
    rates = {"all": (r".", 128), **KINDS}
    clock = args.multiprocessors * args.ghz * 1e9
    print(f"bpa_project, {args.arch}, {CONSTANTS['N_TX']} x {CONSTANTS['N_RX']} antennas; per voxel-pair:")
    for kind, (pattern, per_clock) in rates.items():
        count = sum(n for name, n in per_pose.items() if re.match(pattern, name)) / pairs
        print(f"  {kind}: {count:.1f} instructions, at most {clock * per_clock / count / 1e12:.2f} T voxel-pairs/s")


if __name__ == "__main__":
    main()
