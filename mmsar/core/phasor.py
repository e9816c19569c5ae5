"""exp(j 2 pi t) for the hot loops: a polynomial, so that loops over it are vectorised."""

import math

from numba import njit

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Floating-point freedoms that keep NaN and infinity what they are."""

# sin(pi t / 2) / t and cos(pi t / 2) as Taylor polynomials in t^2; |t| <= 1/2, remainders below 1e-17
_SIN = tuple((-1) ** m * (math.pi / 2) ** (2 * m + 1) / math.factorial(2 * m + 1) for m in range(8))
_COS = tuple((-1) ** m * (math.pi / 2) ** (2 * m) / math.factorial(2 * m) for m in range(8))
_S0, _S1, _S2, _S3, _S4, _S5, _S6, _S7 = _SIN
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7 = _COS


@njit(inline="always", error_model="numpy", fastmath=FAST)
def sincos_cycles(cycles):
    """Sine and cosine of 2 pi `cycles` to about 1e-15: a quarter of the angle by Taylor, doubled twice."""
    t = cycles - math.floor(cycles + 0.5)
    u = t * t
    s = t * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * (_S4 + u * (_S5 + u * (_S6 + u * _S7)))))))
    c = _C0 + u * (_C1 + u * (_C2 + u * (_C3 + u * (_C4 + u * (_C5 + u * (_C6 + u * _C7))))))
    s, c = 2.0 * s * c, 1.0 - 2.0 * s * s
    return 2.0 * s * c, 1.0 - 2.0 * s * s
