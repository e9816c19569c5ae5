"""One wording for input errors: the name, what was given, what was wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmsar.core.checks import check_shape, finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_pass_unchanged(value):
    assert finite_number("x", value, "m") == value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_number_that_is_not_finite_is_refused(value):
    with pytest.raises(GeometryError, match=r"^Chirp.f0: got .*, wanted a finite number \[Hz\]$"):
        finite_number("Chirp.f0", value, "Hz")


@pytest.mark.parametrize("value", [None, "much", "3", "nan", [1.0, 2.0], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(GeometryError, match=r"^x: got .*, wanted a number \[m\]$"):
        finite_number("x", value, "m")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_bound_is_exclusive(value, bound):
    if value > bound:
        assert finite_number("x", value, "m", above=bound) == value
    else:
        with pytest.raises(GeometryError, match=r"wanted more than"):
            finite_number("x", value, "m", above=bound)


@pytest.mark.parametrize("value", [1, np.int64(7), np.uint8(3)])
def test_positive_ints_become_python_ints(value):
    assert type(positive_int("n", value)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None, np.float64(2)])
def test_other_counts_are_refused(value):
    with pytest.raises(GeometryError, match=r"^n: got .*, wanted a whole number >= 1$"):
        positive_int("n", value)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e9, 1e9)))
def test_real_array_is_a_frozen_copy(value):
    array = real_array("a", value, value.shape, "m")
    np.testing.assert_array_equal(array, value)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    assert not array.flags.writeable
    assert not np.shares_memory(array, value)


def test_real_array_counts_what_is_not_finite():
    with pytest.raises(GeometryError, match=r"^a: got 2 of 3 values not finite, wanted finite numbers \[m\]$"):
        real_array("a", [np.nan, 1.0, np.inf], (None,), "m")


@pytest.mark.parametrize("value", ["text", [[1.0], [1.0, 2.0]], object()])
def test_real_array_wants_numbers(value):
    with pytest.raises(GeometryError, match=r"^a: got .*, wanted numbers \[m\]$"):
        real_array("a", value, (None,), "m")


@pytest.mark.parametrize(
    ("got", "wanted", "text"),
    [
        ((2, 3), (2,), "(2)"),
        ((2, 3), (None, 4), "(n, 4)"),
        ((0, 3), (None, 3), "(n, 3)"),
        ((), (None,), "(n)"),
    ],
)
def test_wrong_shape_names_both(got, wanted, text):
    with pytest.raises(GeometryError) as caught:
        check_shape("a", got, wanted)
    assert str(caught.value) == f"a: got shape {got}, wanted {text}"


def test_right_shapes_pass():
    check_shape("a", (5, 3), (None, 3))
    check_shape("a", (), ())
    check_shape("a", (0, 3), (0, 3))


def test_one_of_names_the_choices():
    assert one_of("method", "bpa", ("bpa", "rma")) == "bpa"
    with pytest.raises(GeometryError, match=r"^method: got 'sar', wanted one of bpa, rma$"):
        one_of("method", "sar", ("bpa", "rma"))


def test_whole_numbers_that_no_float_holds():
    with pytest.raises(GeometryError, match=r"x: got 1000.*, wanted a number \[m\]"):
        finite_number("x", 10**400, "m")
    with pytest.raises(GeometryError, match=r"x: got list, wanted numbers \[m\]"):
        real_array("x", [10**400], (1,), "m")
