"""Focusing: what a recording says itself about where the antennas were.

`rotation` fits the radius of a scan round a target, and with a known pin the offsets across it. Its parts:
`rotation_result` (what is asked and answered), `rotation_fitter` (the steps of a fit), `observation` (the samples that
count, and what displacements do), `scatterers` (where the brightest are), `pointmodel` (least squares of points and
displacements together).
"""
