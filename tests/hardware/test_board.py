"""Boards: agreement with the arrays of the model and with published tables; refusals; the JSON format."""

import json

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.board import FOLDER, KEYS, board, boards
from mmsar.hardware.device import DEVICES, device
from mmsar.model.array import AntennaArray

KNOWN_GAP = {"IWR1443BOOST", "IWR1642BOOST", "IWR6843ISK"}


@pytest.fixture
def written(tmp_path):
    """A function that writes a board file: the smallest right one with changes."""

    def write(**changes):
        entry = {
            "name": "mine",
            "device": "xWR1843",
            "design_frequency_hz": 77e9,
            "tx_m": [[0, 0, 0], [0.004, 0, 0]],
            "rx_m": [[0, 0, 0], [0.002, 0, 0]],
            "tx_rx_gap_m": [0.01, 0.001, 0],
            "sigma_m": 1e-5,
            "source": "calliper",
        }
        entry.update(changes)
        entry = {key: value for key, value in entry.items() if value != "leave out"}
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(entry), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("name", "tx", "array"),
    [
        ("IWR1443BOOST", (0, 2), AntennaArray.iwr1443()),
        ("AWR1642BOOST", (0, 1), AntennaArray.iwr1642()),
        ("IWR6843ISK", (0, 2), AntennaArray.iwr6843isk()),
    ],
)
def test_boards_agree_with_the_arrays_of_the_model(name, tx, array):
    found = board(name).array(tx=tx)
    np.testing.assert_allclose(found.tx, array.tx, atol=1e-15)
    np.testing.assert_allclose(found.rx, array.rx, atol=1e-15)
    np.testing.assert_array_equal(found.polarity, array.polarity)


@pytest.mark.parametrize("n_tx", [1, 3])
def test_other_selections_differ_by_the_origin_only(n_tx):
    found, other = board("IWR1443BOOST").array(tx=range(n_tx)), AntennaArray.iwr1443(n_tx)
    shift = found.rx[0] - other.rx[0]
    np.testing.assert_allclose(found.tx - shift, other.tx, atol=1e-15)
    np.testing.assert_allclose(found.rx - shift, other.rx, atol=1e-15)


def test_origin_does_not_depend_on_the_transmitters_used():
    whole = board("IWR1443BOOST").array()
    for order in [(0,), (2, 0), (1, 2, 0)]:
        np.testing.assert_array_equal(board("IWR1443BOOST").array(tx=order).tx, whole.tx[list(order)])


def test_lying_board_is_the_upright_one_turned():
    up, flat = board("IWR6843ISK").array(), board("IWR6843ISK").array(upright=False)
    np.testing.assert_array_equal(up.tx, np.stack([-flat.tx[:, 1], flat.tx[:, 0], flat.tx[:, 2]], axis=1))
    assert np.ptp(flat.rx[:, 0]) > 0.006
    assert np.ptp(flat.rx[:, 1]) == 0
    assert flat.tx[1, 1] - flat.tx[0, 1] == pytest.approx(C0 / 62e9 / 2)  # TX2 raised when the row is horizontal
    assert up.tx[1, 0] - up.tx[0, 0] == pytest.approx(-C0 / 62e9 / 2)


TABLES = {
    "IWR6843ISK": ([0, -1, -2, -3, -2, -3, -4, -5, -4, -5, -6, -7], [-1] * 4 + [0] * 4 + [-1] * 4, [1, 1, 1, 1]),
    "IWR6843ISK-ODS": (
        [0, 0, -1, -1, -2, -2, -3, -3, -2, -2, -3, -3],
        [0, -1, -1, 0, 0, -1, -1, 0, -2, -3, -3, -2],
        [1, -1, -1, 1],
    ),
    "IWR6843AOP": (
        [-1, -1, 0, 0, -3, -3, -2, -2, -1, -1, 0, 0],
        [-1, 0, -1, 0, -3, -2, -3, -2, -3, -2, -3, -2],
        [-1, 1, -1, 1],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_virtual_arrays_are_those_of_the_people_tracking_tables(name):
    azimuth, elevation, phase = TABLES[name]
    found = board(name, tx_rx_gap=(0.01, 0, 0))
    half = C0 / found.design_frequency / 2
    virtual = (found.tx[:, None] + found.rx[None, :]).reshape(-1, 3) / half
    virtual -= virtual[0]
    np.testing.assert_allclose(virtual[:, 0], -(np.array(azimuth) - azimuth[0]), atol=1e-9)
    np.testing.assert_allclose(virtual[:, 1], np.array(elevation) - elevation[0], atol=1e-9)
    np.testing.assert_array_equal(found.polarity, [phase] * 3)
    np.testing.assert_array_equal(found.array(tx=(2, 0)).polarity, [phase] * 2)


def test_cascade_has_the_86_element_row():
    found = board("MMWCAS-RF")
    unit = 1.95177e-3
    row = found.tx[3:, None, 0] + found.rx[None, :, 0]
    numbers = np.unique(np.round((row - row.min()) / unit).astype(int))
    np.testing.assert_array_equal(numbers, np.arange(86))
    assert C0 / found.design_frequency / 2 == pytest.approx(unit, abs=5e-9)
    assert [round(v) for v in (found.tx[:3, 1] - found.tx[3, 1]) / unit] == [6, 4, 1]


@pytest.mark.parametrize("name", sorted(set(boards()) - KNOWN_GAP))
def test_unknown_gap_is_refused_and_can_be_given(name):
    found = board(name)
    assert not found.tx_rx_gap_known
    with pytest.raises(GeometryError, match=r"no distance between transmitters and receivers.*tx_rx_gap"):
        found.array()
    gap = np.array([0.0123, -0.002, 0.0])
    array = board(name, tx_rx_gap=gap).array(tx=[0], upright=False)
    np.testing.assert_allclose(array.tx[0] - array.rx[0], gap, atol=1e-15)


def test_transmitter_of_uncertain_place_is_refused():
    found = board("IWR6843LEVM", tx_rx_gap=(0.01, 0, 0))
    assert found.array(tx=(0, 1)).n_tx == 2
    with pytest.raises(GeometryError, match=r"IWR6843LEVM: got TX3, .*half wavelength above TX2"):
        found.array()


def test_every_board_is_complete():
    assert KNOWN_GAP < set(boards())
    assert len(boards()) == len(list(FOLDER.glob("*.json"))) == 9
    for name in boards():
        found = board(name.lower().replace("-", " "))
        assert found.name == name
        assert found.device in DEVICES
        assert found.source
        assert found.n_rx == device(found.device).n_rx
        assert found.tx_rx_gap_known == (name in KNOWN_GAP)
        assert found.tx_rx_gap_known or "measure it" in " ".join(found.unknown)


def test_origin_is_the_mean_phase_centre():
    for name in KNOWN_GAP:
        found = board(name)
        virtual = found.array(tx=found.centre_tx).virtual
        np.testing.assert_allclose(virtual.mean(axis=(0, 1)), 0, atol=1e-15)


def test_own_file(written):
    found = board(written())
    assert (found.name, found.sigma) == ("mine", 1e-5)
    assert found.tx_rx_gap_known
    flat = found.array(upright=False)
    np.testing.assert_allclose(flat.tx[0] - flat.rx[0], [0.01, 0.001, 0])
    other = board(str(written(tx_rx_gap_m=None)), tx_rx_gap=(0.02, 0, 0)).array(upright=False)
    np.testing.assert_allclose(other.tx[0] - other.rx[0], [0.02, 0, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "leave out"}, "got no source, wanted a text"),
        ({"tx_rx_gap_m": "leave out"}, r"got no tx_rx_gap_m, wanted \[x, y, z\] \[m\], or null"),
        ({"gap": 1}, "got the key 'gap', wanted only name"),
        ({"device": "IWR9"}, "device: got 'IWR9'"),
        ({"name": ""}, "name: got '', wanted a text"),
        ({"tx_m": [[0, 0]]}, r"tx_m: got shape \(1, 2\), wanted \(n, 3\)"),
        ({"rx_m": [["a", 0, 0]]}, "rx_m: got list, wanted numbers"),
        ({"rx_m": [[0, 0, 0]] * 5}, "got 2 TX and 5 RX, wanted at most 3 and 4"),
        ({"rx_m": [[0, 0, 0], [1.9, 0, 0]]}, "got 1.9 m, wanted at most 1; these are metres, not millimetres"),
        ({"tx_rx_gap_m": [10.7, 0, 0]}, "tx_rx_gap: got 10.7 m, wanted at most 1"),
        ({"tx_rx_gap_m": [0.01]}, r"tx_rx_gap: got shape \(1,\)"),
        ({"design_frequency_hz": -1}, "design_frequency_hz: got -1, wanted more than 0"),
        ({"polarity": [[1, 0], [1, 1]]}, r"polarity: got other values, wanted \+1 or -1"),
        ({"polarity": [[1, 1]]}, r"polarity: got shape \(1, 2\)"),
        ({"sigma_m": 0}, "sigma: got 0, wanted more than 0"),
        ({"centre_tx": [2]}, r"centre_tx: got \[2\], wanted whole numbers from 0 to 1"),
        ({"centre_tx": 1.5}, r"centre_tx: got \[1.5\]"),
        ({"unknown": "much"}, "unknown: got 'much', wanted a list of texts"),
    ],
)
def test_wrong_files_are_refused_in_one_line(written, changes, message):
    with pytest.raises(FormatError, match=message) as caught:
        board(written(**changes))
    assert "mine.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize("value", [None, True, -1, 0, 1e300, "x", "", [], {}, [1], [[]], [[1, 2, 3]], {"a": 1}])
def test_any_value_is_taken_or_refused(written, key, value):
    """A wrong file never ends in another error."""
    try:
        found = board(written(**{key: value}))
        if found.tx_rx_gap_known:
            found.array()
    except (FormatError, GeometryError) as error:
        assert "\n" not in str(error)


def test_file_that_is_no_board(tmp_path):
    path = tmp_path / "x.json"
    for text in ("{", "[]", '"x"'):
        path.write_text(text)
        with pytest.raises(FormatError, match="wanted"):
            board(path)
    with pytest.raises(FileNotFoundError):
        board(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["IWR1843", "", "AWR2944EVM"])
def test_unknown_board(name):
    with pytest.raises(GeometryError, match=r"wanted one of AWR1243BOOST, .*\.json file of your own"):
        board(name)


@pytest.mark.parametrize(
    "elements", [{"tx": [3]}, {"rx": [-1]}, {"tx": []}, {"rx": [0.5]}, {"tx": [True]}, {"tx": 1.5}]
)
def test_elements_that_are_not_there(elements):
    with pytest.raises(GeometryError, match="wanted whole numbers from 0"):
        board("IWR1443BOOST").array(**elements)
