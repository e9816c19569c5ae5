"""The array: known boards, virtual elements, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.constants import C0
from mmsar.errors import GeometryError
from mmsar.model.array import AntennaArray

LAM = C0 / 79e9


def test_iwr1443_has_eight_virtual_elements_at_a_quarter_wavelength():
    board = AntennaArray.iwr1443()
    assert (board.n_tx, board.n_rx) == (2, 4)
    assert board.uniform_pitch() == pytest.approx(LAM / 4, abs=1e-9)
    y = np.sort(board.virtual[..., 1].ravel())
    np.testing.assert_allclose(np.diff(y), LAM / 4, atol=1e-9)
    np.testing.assert_allclose(board.virtual.reshape(-1, 3).mean(axis=0), 0, atol=1e-12)


def test_iwr1443_separations():
    """|tx - rx| from 5 mm (nearest pair) in steps of half a wavelength to 5 mm + 3.5 wavelengths = 18.28 mm."""
    baseline = AntennaArray.iwr1443().baseline
    np.testing.assert_array_equal(baseline[..., [0, 2]], 0)
    want = 5e-3 + LAM * np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
    np.testing.assert_allclose(np.sort(baseline[..., 1].ravel()), want, atol=1e-9)
    assert baseline.max() == pytest.approx(18.28e-3, abs=5e-6)


@pytest.mark.parametrize("n_tx", [1, 2, 3])
def test_iwr1443_variants(n_tx):
    board = AntennaArray.iwr1443(n_tx)
    assert board.virtual.shape == (n_tx, 4, 3)
    assert (board.uniform_pitch() is None) == (n_tx == 3)
    np.testing.assert_allclose(board.virtual.reshape(-1, 3).mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize(("board", "frequency"), [("iwr1642", 79e9), ("iwr6843isk", 62e9)])
def test_other_boards_are_uniform_too(board, frequency):
    assert getattr(AntennaArray, board)().uniform_pitch() == pytest.approx(C0 / frequency / 4, abs=1e-9)


def test_single_pair():
    array = AntennaArray.single(0.12)
    np.testing.assert_allclose(array.baseline[0, 0], [0.12, 0, 0])
    np.testing.assert_allclose(array.virtual[0, 0], 0)
    assert array.uniform_pitch() is None


@given(
    tx=st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=1, max_size=4),
    rx=st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=1, max_size=4),
)
def test_virtual_and_baseline_give_back_the_elements(tx, rx):
    array = AntennaArray(tx=tx, rx=rx)
    want_tx = np.broadcast_to(array.tx[:, None], array.virtual.shape)
    np.testing.assert_allclose(array.virtual + array.baseline / 2, want_tx, atol=1e-12)
    np.testing.assert_allclose(
        array.virtual - array.baseline / 2, np.broadcast_to(array.rx, array.virtual.shape), atol=1e-12
    )


def test_uniform_pitch_sees_uneven_steps_of_either_sign():
    def pitch(*y):
        return AntennaArray(tx=[[0, 0, 0]], rx=[[0, 2 * v, 0] for v in y]).uniform_pitch()

    assert pitch(0, 1e-3, 2e-3) == pytest.approx(1e-3)
    assert pitch(2e-3, 0, 1e-3) == pytest.approx(1e-3)
    assert pitch(0, 1.1e-3, 2e-3) is None
    assert pitch(0, 0.9e-3, 2e-3) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tx": [[0, 0]]}, r"AntennaArray.tx: got shape \(1, 2\), wanted \(n, 3\)"),
        ({"rx": []}, "AntennaArray.rx: got shape"),
        ({"rx": [[0, np.inf, 0]]}, "AntennaArray.rx: got 1 of 3 values not finite"),
        ({"tx": "left"}, r"AntennaArray.tx: got str, wanted numbers \[m\]"),
        ({"polarity": [[1, 1]]}, r"AntennaArray.polarity: got shape \(1, 2\), wanted \(1, 1\)"),
        ({"polarity": [[0.5]]}, r"wanted \+1 or -1 for every pair"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(GeometryError, match=message):
        AntennaArray(**{"tx": [[0, 0, 0]], "rx": [[0, 0, 0]], **fields})


def test_unknown_variant_is_refused():
    with pytest.raises(GeometryError, match="n_tx: got 4, wanted 1, 2 or 3"):
        AntennaArray.iwr1443(4)


def test_arrays_are_copies_that_cannot_be_written():
    tx = np.zeros((1, 3))
    array = AntennaArray(tx=tx, rx=tx)
    tx[:] = 1
    np.testing.assert_array_equal(array.tx, 0)
    with pytest.raises(ValueError, match="read-only"):
        array.tx[:] = 1
