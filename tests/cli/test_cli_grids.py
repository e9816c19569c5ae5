"""Grids of the command line: lengths are millimetres there, and a box in metres is told of."""

from argparse import Namespace

import pytest

from mmsar.cli.grids import grid_asked_for


@pytest.mark.parametrize(
    ("extent", "warned"),
    [
        ([-0.1, 0.1, -0.1, 0.1, 0.28, 0.32], True),
        ([-1.5, 1.5, -1, 1, 0.5, 1.2], True),
        ([-100, 100, -100, 100, 280, 320], False),
        ([0, 0, 0, 0, 0, 0], False),
        ([-3, 3, 0, 0, -3, 3], False),
    ],
)
def test_a_box_in_metres_is_warned_of(extent, warned, capsys):
    args = Namespace(verb="align", extent=extent, spacing=[0.5], grid=None, center=None)
    grid = grid_asked_for(args, None)
    assert grid.centre[2] == pytest.approx((extent[4] + extent[5]) / 2e3)
    error = capsys.readouterr().err
    assert ("mmsar align: warning: --extent " in error and " is in millimetres" in error) == warned
    assert warned or not error
