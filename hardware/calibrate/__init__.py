"""Channel gains, delay and range bias from a known reflector, and calibrations of other programs."""
