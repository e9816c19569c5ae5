"""Physical constants (SI)."""

C0 = 299_792_458.0
"""Speed of light in vacuum [m/s]."""
