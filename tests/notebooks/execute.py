"""Run the notebooks, each in a kernel of its own in their folder, and say how long each took and worked.

    python tests/notebooks/execute.py                                    # all of them
    python tests/notebooks/execute.py notebooks/101_first_image.py       # some of them
    python tests/notebooks/execute.py --output executed/                 # keep the executed .ipynb

Ends with 1 when a cell fails, a notebook takes longer than it may, or one writes to standard error, as warnings do.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LONGEST = 120.0
"""Seconds a notebook may take."""


def worked() -> float:
    """CPU time of all kernels that have ended [s]."""
    times = os.times()
    return times.children_user + times.children_system


def execute(source: Path, output: Path | None) -> list[str]:
    """Run one notebook; what is wrong with it, a line each."""
    notebook = jupytext.read(source)
    start, before, wrong = time.monotonic(), worked(), []
    with TemporaryDirectory() as folder:
        transport = (
            "tcp" if sys.platform == "win32" else "ipc"
        )  # of TCP a kernel warns: others on the machine can listen
        file = str(Path(folder, "kernel.json"))
        kernel = KernelManager(kernel_name="python3", transport=transport, connection_file=file)
        client = NotebookClient(notebook, timeout=LONGEST, km=kernel, resources={"metadata": {"path": str(FOLDER)}})
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            wrong.append(str(error))
        finally:
            kernel.shutdown_kernel()
    seconds = time.monotonic() - start
    print(f"{source.stem:24s} {seconds:6.1f} s, {worked() - before:6.1f} s of CPU time", flush=True)
    if seconds > LONGEST:
        wrong.append(f"took {seconds:.0f} s, wanted at most {LONGEST:.0f} s")
    for cell in notebook.cells:
        for piece in cell.get("outputs", ()):
            if piece.get("name") == "stderr":
                wrong.append(f"wrote to standard error:\n{piece['text']}")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, output / f"{source.stem}.ipynb")
    return wrong


def main() -> int:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.py")), metavar="NOTEBOOK.py")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where executed notebooks go (nowhere)")
    args = parser.parse_args()
    start, failed = time.monotonic(), 0
    for source in args.notebooks:
        wrong = execute(source, args.output)
        failed += bool(wrong)
        for text in wrong:
            print(f"{source.name}: {text}", file=sys.stderr)
    print(f"{len(args.notebooks)} notebooks in {time.monotonic() - start:.1f} s, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
