"""Pictures of test objects as boolean masks: first row at the top, columns towards +x."""

from collections.abc import Sequence

import numpy as np

from mmsar.errors import GeometryError

# Seven rows of five pixels for every character, top first, as numbers 0 to 31 (16 is the left pixel).
FONT = {
    "A": (14, 17, 17, 31, 17, 17, 17),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "D": (30, 17, 17, 17, 17, 17, 30),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 14),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "J": (7, 2, 2, 2, 2, 18, 12),
    "K": (17, 18, 20, 24, 20, 18, 17),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 25, 21, 19, 17, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "P": (30, 17, 17, 30, 16, 16, 16),
    "Q": (14, 17, 17, 17, 21, 18, 13),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    "V": (17, 17, 17, 17, 17, 10, 4),
    "W": (17, 17, 17, 21, 21, 27, 17),
    "X": (17, 17, 10, 4, 10, 17, 17),
    "Y": (17, 17, 10, 4, 4, 4, 4),
    "Z": (31, 1, 2, 4, 8, 16, 31),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 6, 8, 16, 31),
    "3": (30, 1, 1, 14, 1, 1, 30),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (14, 16, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 1, 14),
    " ": (0, 0, 0, 0, 0, 0, 0),
    "-": (0, 0, 0, 31, 0, 0, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
}


def letter_mask(text: str) -> np.ndarray:
    """A line of text as bool (7, 6 n - 1), one empty column between characters; lower case is shown as upper case.

    Raises
    ------
    GeometryError
        An empty or blank text, or a character the font does not have.
    """
    characters = str(text).upper()
    unknown = sorted({c for c in characters if c not in FONT})
    if unknown or not characters.strip():
        got = f"the character {unknown[0]!r}" if unknown else f"{text!r}"
        raise GeometryError(f"letters text: got {got}, wanted A-Z, 0-9, space, - and .")
    rows = np.array([FONT[c] for c in characters])
    cells = (rows[:, :, None] >> np.arange(4, -1, -1)) & 1
    spaced = np.pad(cells, ((0, 0), (0, 0), (0, 1))).astype(bool)
    return np.concatenate(list(spaced), axis=1)[:, :-1]


def usaf_mask(widths: Sequence[int]) -> np.ndarray:
    """Three bars w x 5w upright and three lying, for every width w [pixels], the pairs below each other."""
    total = 12 * max(widths)
    blocks = []
    for w in widths:
        upright = np.zeros((5 * w, 5 * w), dtype=bool)
        for bar in range(3):
            upright[:, 2 * w * bar : 2 * w * bar + w] = True
        pair = np.concatenate([upright, np.zeros((5 * w, 2 * w), dtype=bool), upright.T], axis=1)
        left = (total - 12 * w) // 2
        blocks += [np.pad(pair, ((0, 2 * w), (left, total - 12 * w - left)))]
    return np.concatenate(blocks)[: -2 * widths[-1]]


def siemens_mask(n: int, spokes: int) -> np.ndarray:
    """A star of `spokes` sectors, alternately full and empty, in the circle of an n x n picture."""
    x = (np.arange(n) - (n - 1) / 2)[None, :]
    y = ((n - 1) / 2 - np.arange(n))[:, None]
    sector = np.floor(np.arctan2(y, x) * spokes / np.pi).astype(int)
    return (sector % 2 == 0) & (np.hypot(x, y) <= n / 2)
