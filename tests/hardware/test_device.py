"""Chips: names, and limits that are data with a source."""

import math

import pytest

from mmsar.errors import GeometryError
from mmsar.hardware.device import DEVICES, device


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("xWR1843", "xWR1843"),
        ("IWR1843", "xWR1843"),
        ("awr1843boost", "xWR1843"),
        ("AWR1843AOP", "xWR1843"),
        ("xWR18xx", "xWR1843"),
        (" xwr18XX ", "xWR1843"),
        ("IWR1443BOOST", "xWR1443"),
        ("AWR1642BOOST", "xWR1642"),
        ("IWR6843ISK", "xWR6843"),
        ("IWR6843ISK-ODS", "xWR6843"),
        ("IWR6843AOPEVM", "xWR6843"),
        ("IWR6843LEVM", "xWR6843"),
        ("xWR68xx_AOP", "xWR6843"),
        ("AWR1243BOOST", "xWR1243"),
        ("AWR2243BOOST", "xWR2243"),
        ("AWR2944EVM", "xWR2944"),
        ("AWR294X", "xWR2944"),
        ("MMWCAS-RF", "MMWCAS"),
        ("mmwcas", "MMWCAS"),
    ],
)
def test_names_in_use_are_known(name, found):
    assert device(name) is DEVICES[found]


@pytest.mark.parametrize("name", ["", "1843", "xWR", "IWR1942", "IWRL6432", "AWR1843FOO", "xWR18xx9", "ISK", None])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(GeometryError, match=r"^device: got .*, wanted one of xWR1243, .*MMWCAS"):
        device(name)


def test_facts_of_the_chips():
    facts = {
        "xWR1243": (4, 3, 4, 16384),
        "xWR1443": (4, 3, 4, 16384),
        "xWR1642": (2, 2, 4, 32768),
        "xWR1843": (2, 3, 4, 32768),
        "xWR6843": (2, 3, 4, 32768),
        "xWR2243": (4, 3, 4, 16384),
        "xWR2944": (2, 4, 4, None),
        "MMWCAS": (4, 12, 16, 16384),
    }
    assert {name: (d.lanes, d.n_tx, d.n_rx, d.adc_buffer_bytes) for name, d in DEVICES.items()} == facts
    assert [name for name, d in DEVICES.items() if not d.complex_ok] == ["xWR2944"]
    assert [name for name, d in DEVICES.items() if not d.has_cli] == ["xWR1243", "xWR2243", "MMWCAS"]


def test_steps_of_frequency_and_slope():
    assert DEVICES["xWR1843"].frequency_lsb == pytest.approx(53.644, abs=1e-3)
    assert DEVICES["xWR1843"].slope_lsb == pytest.approx(48.279e9, rel=2e-5)
    assert DEVICES["xWR6843"].frequency_lsb == pytest.approx(2 * 40.233, abs=2e-3)  # even codes only
    assert DEVICES["xWR6843"].slope_lsb == pytest.approx(36.21e9, rel=2e-5)


def test_every_limit_has_a_source_and_an_order():
    for chip in DEVICES.values():
        assert chip.source
        assert chip.band[0] < chip.band[1]
        for name, limits in chip.limits.items():
            for limit in limits:
                assert limit.source, (chip.name, name)
                low = -math.inf if limit.low is None else limit.low
                assert low < (math.inf if limit.high is None else limit.high)


def test_limits_of_another_chip_are_never_sure():
    for chip in DEVICES.values():
        for limits in chip.limits.values():
            assert not any("AWR2243" in limit.source and limit.sure for limit in limits)


def test_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        DEVICES["xWR1843"] = None
    with pytest.raises(TypeError):
        DEVICES["xWR1843"].limits["slope"] = ()
