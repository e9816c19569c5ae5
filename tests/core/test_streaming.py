"""Lines written past the cache: what is there afterwards, and what is refused when it is compiled."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from mmsar.core.fft import aligned
from mmsar.core.streaming import LINE, stream_line


@njit
def reverse(source, out):
    """Lines of `source` in the opposite order, each reversed."""
    for first in range(0, source.size, LINE):
        a = source[first : first + LINE]
        stream_line(out, source.size - LINE - first, (a[7], a[6], a[5], a[4], a[3], a[2], a[1], a[0]))


def test_lines_are_where_they_were_written():
    """Any 8 bytes, among them complex numbers of single precision and what is no number."""
    source, out = aligned((5 * LINE,)), aligned((5 * LINE,))
    source[:] = np.random.default_rng(0).standard_normal(source.size) + 1j
    source[3] = np.nan
    reverse(source.view(np.float64), out.view(np.float64))
    np.testing.assert_array_equal(out.view(np.uint64), source.view(np.uint64)[::-1])


@pytest.mark.parametrize("values", [(0.0,) * 4, (0,) * LINE])
def test_what_is_no_line_is_not_compiled(values):
    @njit
    def write(out):
        stream_line(out, 0, values)

    with pytest.raises(TypingError, match="wanted 8 float64"):
        write(np.zeros(LINE))
