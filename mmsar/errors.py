"""The errors mmsar raises: each message is one line that says what was wrong, what was expected, what to do."""


class MmsarError(Exception):
    """Base of every error raised on purpose by mmsar."""


class GeometryError(MmsarError):
    """A measurement, a trajectory or an image grid that cannot be what it says it is."""


class FormatError(MmsarError):
    """A file that is truncated, foreign, of another schema, or at odds with its description."""


class DeviceError(MmsarError):
    """A compute device that was asked for and is not there, or cannot do what was asked."""


class CaptureError(MmsarError):
    """A radar, capture card, stage or tracker that failed, with the diagnosis."""
