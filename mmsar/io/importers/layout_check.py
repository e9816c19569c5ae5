"""Is the layout that a description names the one the samples were written in?

Echoes turn the phase one way only, so the beat spectrum of complex samples lies on one side of zero. Samples read in
another layout than they were written in mix receivers, instants or I and Q, and their spectrum is two-sided. Sizes
cannot tell: most layouts of the same receivers have the same size.
"""

import numpy as np

from mmsar.io.importers.iq_layout import LAYOUTS, PAIRED, REAL, decode, frame_bytes
from mmsar.io.importers.raw_frames import Frames
from mmsar.io.importers.sign import one_sided_db

CLEAR_DB = 12.0
"""Another layout has to be one-sided by so much, and by so much more than the described one, to be preferred [dB]."""


def better_layout(raw: np.ndarray, frames: Frames) -> str:
    """Why another layout fits the samples, as one clause; empty when the described one may stand.

    It may stand unless another layout makes the spectrum clearly more one-sided, by 12 dB: noise, real samples and few
    of them decide nothing, and a layout that swaps I and Q is as one-sided as the right one (see `sign`).

    Parameters
    ----------
    raw : ndarray
        int16 in file order, a whole number of frames, top bit already put right.
    frames : Frames
        What the description says.
    """
    if frames.samples < 16 or frames.layout in REAL:
        return ""
    shape = {"chirps": frames.chirps, "samples": frames.samples, "rx": frames.rx}
    sign = -1 if frames.conjugate else 1
    found = {}
    for layout in LAYOUTS:
        if frame_bytes(layout, **shape) == frames.nbytes and not (layout in PAIRED and frames.samples % 2):
            found[layout] = sign * float(np.nan_to_num(one_sided_db(decode(raw, layout, **shape))))
    described = found.pop(frames.layout)
    best = max(found, key=found.__getitem__, default=frames.layout)
    if found.get(best, 0.0) < abs(described) + CLEAR_DB:
        return ""
    return (
        f'read as "{frames.layout}" positive beat frequencies hold {described:+.1f} dB of the energy of negative ones, '
        f'as "{best}" {found[best]:+.1f} dB, as echoes do: set [capture] layout = "{best}"'
    )
