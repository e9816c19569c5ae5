"""The kernels around the lateral transforms, each against its adjoint and its definition."""

import numpy as np
import pytest

from mmsar.core import kernels_lateral


def random(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def dot(a, b):
    return np.vdot(a.astype(complex), b.astype(complex))


COLUMN = np.mod(np.arange(20) - 4, 12).astype(np.int32)  # 20 modes on a period of 12: eight of them fold


@pytest.mark.parametrize(("shape", "of_row", "of_mode"), [((6, 12), 12, 1), ((1, 12), 0, 1), ((1, 6), 1, 0)])
def test_place_and_pick_are_adjoint_also_where_pairs_share_a_place(shape, of_row, of_mode):
    """In full, and with a whole axis summed up."""
    rng = np.random.default_rng(5)
    row, mode = (a.astype(np.int32) for a in np.nonzero(rng.random((6, 20)) < 0.6))
    index = of_row * row + of_mode * COLUMN[mode]
    by_row, by_mode = rng.random(6).astype(np.float32), rng.random(20).astype(np.float32)
    values, other = random(rng, len(row)), random(rng, *shape)
    out, back = random(rng, *shape), random(rng, len(row))
    kernels_lateral.place(values, row, mode, by_row, by_mode, index, out)
    kernels_lateral.pick(other, row, mode, by_row, by_mode, index, back)
    assert dot(other, out) == pytest.approx(dot(back, values), rel=1e-5)
    want = np.zeros(shape, dtype=complex)
    np.add.at(want.reshape(-1), index, values * by_row[row] * by_mode[mode])
    np.testing.assert_allclose(out, want, atol=1e-5)


def test_turn_and_turn_back_are_adjoint_also_where_modes_fold():
    rng = np.random.default_rng(6)
    source, other = random(rng, 20, 10), random(rng, 7, 12)
    out, back = random(rng, 7, 12), random(rng, 20, 10)
    kernels_lateral.turn(source, COLUMN, out)
    kernels_lateral.turn_back(other, COLUMN, back)
    assert dot(other, out) == pytest.approx(dot(back, source), rel=1e-5)
    assert np.all(back[:, 7:] == 0)
    want = np.zeros((7, 12), dtype=complex)
    np.add.at(want, (slice(None), COLUMN), source[:, :7].T)
    np.testing.assert_allclose(out, want, atol=1e-5)
