"""exp(j 2 pi t) for the hot loops: a polynomial, so that loops over it are vectorised."""

import math

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Floating-point freedoms that keep NaN and infinity what they are."""

# sin(pi t / 2) / t and cos(pi t / 2) as Taylor polynomials in t^2; |t| <= 1/2, remainders below 1e-17
_SIN = tuple((-1) ** m * (math.pi / 2) ** (2 * m + 1) / math.factorial(2 * m + 1) for m in range(8))
_COS = tuple((-1) ** m * (math.pi / 2) ** (2 * m) / math.factorial(2 * m) for m in range(8))
_S0, _S1, _S2, _S3, _S4, _S5, _S6, _S7 = _SIN
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7 = _COS

_F0, _F1, _F2, _F3, _F4 = (np.float32(c) for c in _SIN[:5])
_G0, _G1, _G2, _G3, _G4, _G5 = (np.float32(c) for c in _COS[:6])
_ONE, _TWO = np.float32(1), np.float32(2)


@njit(inline="always", error_model="numpy", fastmath=FAST)
def sincos_single(t):
    """Sine and cosine of 2 pi t in single precision, to 1e-6; t float32, |t| <= 1/2."""
    u = t * t
    s = t * (_F0 + u * (_F1 + u * (_F2 + u * (_F3 + u * _F4))))
    c = _G0 + u * (_G1 + u * (_G2 + u * (_G3 + u * (_G4 + u * _G5))))
    s, c = _TWO * s * c, _ONE - _TWO * s * s
    return _TWO * s * c, _ONE - _TWO * s * s


@njit(inline="always", error_model="numpy", fastmath=FAST)
def sincos_cycles(cycles):
    """Sine and cosine of 2 pi `cycles` to about 1e-15: a quarter of the angle by Taylor, doubled twice."""
    t = cycles - math.floor(cycles + 0.5)
    u = t * t
    s = t * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * (_S4 + u * (_S5 + u * (_S6 + u * _S7)))))))
    c = _C0 + u * (_C1 + u * (_C2 + u * (_C3 + u * (_C4 + u * (_C5 + u * (_C6 + u * _C7))))))
    s, c = 2.0 * s * c, 1.0 - 2.0 * s * s
    return 2.0 * s * c, 1.0 - 2.0 * s * s
