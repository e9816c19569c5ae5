"""Write the mannequin of `kind = "mannequin"` as an STL file, for `kind = "mesh"` or other programs.

python data/make_mannequin.py mannequin.stl --height-mm 1750
"""

import argparse
import sys

from mmsar.simulate.mannequin import mannequin_mesh, write_stl


def main() -> None:
    """Make the mesh and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", metavar="MESH.stl", help="file to write, in millimetres")
    parser.add_argument("--height-mm", type=float, default=250.0, help="height of the figure; default 250")
    parser.add_argument("--cells", type=int, default=100, help="lattice cells to the height; default 100")
    args = parser.parse_args()
    vertices, faces = mannequin_mesh(args.cells)
    write_stl(args.output, vertices * args.height_mm, faces)
    sys.stdout.write(f"{args.output}: {len(faces):,} triangles\n")


if __name__ == "__main__":
    main()
