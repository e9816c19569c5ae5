"""What can be asked of a reconstruction beyond method, grid and device."""

from dataclasses import dataclass

from mmsar.core.checks import finite_number, instance, one_of, positive_int
from mmsar.errors import GeometryError
from mmsar.signal.multistatic import PHASES
from mmsar.signal.window import TAPERS

KERNELS = ("matched", "hankel", "exponential", "exponential-sampled")
"""Azimuth kernels of isar."""


@dataclass(frozen=True, kw_only=True)
class SparseOptions:
    """Options of a sparse reconstruction (`recon.sparse`).

    Raises
    ------
    GeometryError
        An option out of its range.
    """

    strength: float = 0.03
    """lambda over the peak of the imager's picture: what stays below is left out. Above 0, below 1."""
    iterations: int = 50
    """Most of a round."""
    rounds: int = 3
    """Rounds; after the first, strong amplitudes are penalised less."""
    tolerance: float = 0.02
    """Violation of the conditions of the minimum, over lambda, that ends a round."""
    restore: float | None = None
    """Radius at which the blob of a spike falls to 1/e [m]; 0 shows spikes, None takes blobs half as wide as a point
    in the middle of the imager's picture, along each axis."""

    def __post_init__(self) -> None:
        for name in ("strength", "tolerance"):
            if finite_number(f"sparse {name}", getattr(self, name), "1", above=0.0) >= 1:
                raise GeometryError(f"sparse {name}: got {getattr(self, name):g}, wanted a part of 1, as 0.03")
        for name in ("iterations", "rounds"):
            positive_int(f"sparse {name}", getattr(self, name))
        if self.restore is not None and finite_number("sparse restore", self.restore, "m") < 0:
            raise GeometryError(f"sparse restore: got {self.restore:g} m, wanted a radius of 0 or more")


@dataclass(frozen=True, kw_only=True)
class LeastSquaresOptions:
    """Options of a reconstruction by least squares (`recon.least_squares`).

    Raises
    ------
    GeometryError
        An option out of its range.
    """

    damping: float = 0.01
    """lambda over the energy that the brightest image has in its own image: more keeps noise down, less is sharper.
    Above 0, at most 10."""
    rounds: int = 3
    """Rounds; after the first, what is bright is damped less."""
    iterations: int = 6
    """Of conjugate gradients in every round, at most."""

    def __post_init__(self) -> None:
        if finite_number("least squares damping", self.damping, "1", above=0.0) > 10:
            raise GeometryError(f"least squares damping: got {self.damping:g}, wanted at most 10, as 0.01")
        for name in ("rounds", "iterations"):
            positive_int(f"least squares {name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class ReconOptions:
    """Options of `reconstruct` and of every `plan`.

    A plan takes its weights from the geometry it is given: `window`, `density`, `verify`, `sparse` and `least_squares`
    are for `reconstruct`, which weights the geometry first (`signal.window.apply_window`,
    `recon.density.density_weights`).

    Raises
    ------
    GeometryError
        An option out of its range.
    """

    window: str = "none"
    """Taper over frequency and aperture, by name (see signal.window)."""
    density: str = "auto"
    """Density compensation of irregular positions: "auto" (when irregular), "on" or "off"."""
    phase: str = "reference"
    """Compensation of rma and empm: "reference" (exact at the scene's centre) or "taylor" (the paper's)."""
    z_ref: float | None = None
    """Aperture plane of empm [m]; default the mean height of the phase centres."""
    kernel: str = "matched"
    """Azimuth kernel of isar (see recon.isar): "matched" (what every method is), "hankel", "exponential" or
    "exponential-sampled"; method "auto" takes isar for these or refuses, other methods refuse them."""
    far_field: bool = False
    """isar of samples that are referred to the axis of rotation and seen from far away: plane waves."""
    error_db: float = -50.0
    """Accuracy of the numerics (interpolation, compression, NUFFT) relative to an exact sum [dB]."""
    memory: int | None = None
    """Memory budget [bytes]; default half of what is free."""
    tiles: int = 1
    """Tiles that the image is made in, one in memory at a time (`recon.tiles`); plans count their memory so."""
    progress: bool | None = None
    """Progress bar: True, False, or only on a terminal."""
    verify: bool = False
    """Compare with back-projection on a random sub-volume and say so in the history."""
    sparse: SparseOptions | None = None
    """Reconstruct sparsely, through the method as a forward model; not with `verify`, `tiles` or kernels of isar."""
    least_squares: LeastSquaresOptions | None = None
    """Reconstruct by least squares, through the method as a forward model; not with `sparse`, or what that is not
    with."""

    def __post_init__(self) -> None:
        one_of("window", self.window, TAPERS)
        one_of("density", self.density, ("auto", "on", "off"))
        one_of("phase", self.phase, PHASES)
        one_of("kernel", self.kernel, KERNELS)
        if self.z_ref is not None:
            finite_number("z_ref", self.z_ref, "m")
        if not -100.0 <= finite_number("error_db", self.error_db, "dB") <= -20.0:
            raise GeometryError(f"error_db: got {self.error_db:g}, wanted -100 to -20 dB")
        for name, kind in (("sparse", SparseOptions), ("least_squares", LeastSquaresOptions)):
            if getattr(self, name) is not None:
                instance(name, getattr(self, name), kind, f"of mmsar.recon.options; {kind.__name__}() for the defaults")
        if self.sparse is not None and self.least_squares is not None:
            raise GeometryError("least squares: got sparse too, wanted one of them")
        if positive_int("tiles", self.tiles) > 1:
            self.refuse_inverse("tiles", "the whole image at once (every voxel explains every sample)")
        if self.verify or self.kernel != "matched":
            what = "verify" if self.verify else f"kernel {self.kernel}"
            self.refuse_inverse(what, "it left out: what is asked for is not the matched filter's image")
        if self.memory is not None and finite_number("memory", self.memory, "bytes") < 2**20:
            raise GeometryError(f"memory: got {self.memory:g} bytes, wanted at least 1 MiB (1048576 bytes)")

    @property
    def inverse(self) -> str:
        """What is asked for beside the imager's picture: "sparse", "least squares" or ""."""
        return "sparse" if self.sparse is not None else "least squares" if self.least_squares is not None else ""

    def refuse_inverse(self, what: str, wanted: str) -> None:
        """Raise GeometryError where `inverse` is asked for along with something that it does not go with."""
        if self.inverse:
            raise GeometryError(f"{self.inverse}: got {what} too, wanted {wanted}")
