"""GRBL's texts: reports, settings and banners as the real firmware writes them, and garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.hardware.motion import grbl_text
from mmsar.hardware.motion.grbl_text import parse_banner, parse_setting, parse_status


@pytest.mark.parametrize(
    ("text", "state", "detail", "position", "machine", "offset", "free"),
    [
        ("<Idle|MPos:0.000,0.000,0.000|FS:0,0>", "Idle", None, (0, 0, 0), True, None, None),
        (
            "<Hold:1|MPos:5.529,0.560,7.000|Bf:12,128|FS:0,0|Ov:100,100,100>",
            "Hold",
            1,
            (5.529, 0.56, 7.0),
            True,
            None,
            12,
        ),
        ("<Jog|WPos:-1.5,2.0,0.0|F:500|WCO:-10.0,0.0,1.0>", "Jog", None, (-1.5, 2, 0), False, (-10, 0, 1), None),
        ("<Alarm|MPos:1.0,2.0,3.0,4.0|Pn:XP>", "Alarm", None, (1, 2, 3, 4), True, None, None),
    ],
)
def test_reports(text, state, detail, position, machine, offset, free):
    status = parse_status(text)
    assert (status.state, status.detail, status.position) == (state, detail, position)
    assert (status.machine, status.offset, status.planner_free) == (machine, offset, free)


@pytest.mark.parametrize(
    "text",
    ["", "ok", "<Idle>", "<Idle|MPos:1,2", "Idle|MPos:1,2>", "<Idle|MPos:1,x>", "<|MPos:1>", "<Idle|MPos:1|Bf:a,1>"],
)
def test_what_is_no_report(text):
    assert parse_status(text) is None


@given(text=st.one_of(st.text(), st.from_regex(r"<[A-Z][a-z]+(:\d)?(\|[A-Za-z]+:[^>]*)*>", fullmatch=True)))
def test_no_text_raises(text):
    parse_status(text)
    parse_setting(text)
    parse_banner(text)


def test_settings_and_banners():
    assert parse_setting("$110=500.000") == (110, 500.0)
    assert parse_setting("$10=1 (status report)") == (10, 1.0)
    assert parse_setting("$N0=G54") is None
    assert parse_setting("$1=.-") is None
    assert parse_banner("Grbl 1.1h ['$' for help]") == (1, 1)
    assert parse_banner("GrblHAL 1.1f ['$' or '$HELP' for help]") == (1, 1)
    assert parse_banner("Marlin 2.0") is None


def test_numbers_are_explained():
    assert grbl_text.error_text(15).startswith("error 15: jog target outside")
    assert grbl_text.alarm_text(9).startswith("alarm 9: homing")
    assert "not in the list" in grbl_text.error_text(99)
    assert "not in the list" in grbl_text.alarm_text(-1)
    assert grbl_text.POSITION_LOST <= set(grbl_text.ALARMS)
    assert grbl_text.CRITICAL <= set(grbl_text.ALARMS)
