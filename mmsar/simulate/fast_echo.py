"""Echoes of scenes in a few planes, seen by tens of thousands of monostatic elements, by FFT convolution.

    s[l, n] = sum_i sigma_i exp(+j K_n |r_i - p_l|),        K_n = 2 k_n

what `simulate.forward` computes for a baseline of zero; faster from some hundreds of scatterers on. Per plane of
scatterers (one z):

1. reflectivities are spread to a grid of `pitch` with a Kaiser-Bessel kernel, off-grid places kept,
2. convolved by FFT with the exact spherical kernel exp(j K (R - z)), sampled on the same grid, for every frequency,
3. read at the true x, y of every element with the same kernel (both kernels are divided out of the spectrum),
4. at a few heights h_q between the lowest and the highest element: the plane waves are moved by exp(-j (kz - K) h).
   Between heights the field of element l turns as exp(-j K c_l z), c_l the cosine of the angle to the scene's centre;
   what is left is a polynomial in z through the h_q (Chebyshev nodes, as many as the scene's spread of cosines asks).

The grid resolves K sin(theta_max), the steepest wave between scene and aperture; there is no small-angle step.
"""

from collections.abc import Sequence

import numpy as np

from mmsar.core import gridding, kernels_echo
from mmsar.core.checks import finite_number, real_array
from mmsar.core.fft import PlaneFFT, aligned, good_size
from mmsar.core.kernels_spread import cells, gather_points, spread_points
from mmsar.core.parallel import Workers, threads
from mmsar.errors import GeometryError
from mmsar.model.chirp import Chirp
from mmsar.simulate.scene import Scene

WIDTH = 7
"""Taps of the spreading kernel."""
MARGIN = 12
"""Grid points kept free between what is used and where the period wraps around."""
SIGMA = 1.2
"""Least oversampling of the steepest waves."""
ZONES = 3.0
"""Fresnel zones that are kept beyond the steepest straight line: a cut right there rings at the edges."""
HEIGHT_ERROR = 0.2
"""Bound of the polynomial's error in height, relative to the field."""
MAX_HEIGHTS = 24
MAX_PLANES = 32


class FastEcho:
    """The model for one waveform, one area of elements and one area of scatterers.

    Parameters
    ----------
    chirp : Chirp
        Frequencies.
    aperture, scene : float
        Elements and scatterers lie within +- this, along x and along y [m].
    nearest : float
        Least z of a scatterer above the elements' z = 0 [m]: with the areas it bounds the angles.
    pitch : float
        Grid spacing [m], at most lambda / 4 where waves come from everywhere.
    held : sequence of float
        Heights of planes whose kernels are kept once they have been computed [m].

    Raises
    ------
    GeometryError
        Values out of range, or a pitch too coarse for the steepest waves.
    """

    def __init__(
        self, chirp: Chirp, *, aperture: float, scene: float, nearest: float, pitch: float, held: Sequence[float] = ()
    ) -> None:
        self.chirp, self.k2 = chirp, 2 * chirp.k
        self.aperture = finite_number("FastEcho aperture", aperture, "m", above=0.0)
        self.scene = finite_number("FastEcho scene", scene, "m", above=0.0)
        self.nearest = finite_number("FastEcho nearest", nearest, "m", above=chirp.wavelength)
        self.pitch = finite_number("FastEcho pitch", pitch, "m", above=0.0)
        reach = self.aperture + self.scene
        distance = np.hypot(reach, self.nearest)
        finest = float(self.k2.max()) * self.pitch / np.pi
        if finest * reach / distance > 1 / SIGMA:
            raise GeometryError(
                f"FastEcho pitch: got {self.pitch:.3g} m, wanted at most "
                f"{self.pitch * distance / (SIGMA * finest * reach):.3g} m for angles "
                f"up to {np.degrees(np.arctan2(reach, self.nearest)):.0f} degrees"
            )
        zone = np.sqrt(np.pi / (float(self.k2.min()) / 2 * distance)) * self.nearest / distance
        sigma = max(SIGMA, 1 / (finest * min(reach / distance + ZONES * zone, 1.0)))
        self.size = n = good_size(int(np.ceil(2 * reach / self.pitch)) + 2 * MARGIN)
        table = gridding.kernel_table(WIDTH, sigma)
        self._tables = (np.ones((gridding.SUBDIVISIONS + 2, 1), dtype=np.float32), table, table)
        cycles = np.fft.fftfreq(n)
        self._mode = 2 * np.pi * cycles / self.pitch
        passed = np.abs(self._mode) <= np.pi / (sigma * self.pitch) * (1 + 1e-9)
        correction = gridding.kernel_correction(WIDTH, sigma, np.where(passed, cycles, 0.0))
        self._scale = (np.where(passed, correction, 0.0) ** 2 / n).astype(np.float32)
        half = int(np.ceil(self.aperture / self.pitch)) + WIDTH
        self._rows = slice(n // 2 - half, n // 2 + half + 1)
        self._held = {float(z): None for z in held}
        self._workers = Workers(lambda: (PlaneFFT(n, n, "forward"), PlaneFFT(n, n, "backward")))

    def __call__(self, scene: Scene, position: np.ndarray) -> np.ndarray:
        """Noise-free samples of every element, complex64 (n, n_samples).

        Parameters
        ----------
        scene : Scene
            Scatterers in at most `MAX_PLANES` planes of constant z; normals are not used.
        position : (n, 3) array
            True places of the elements [m].

        Raises
        ------
        GeometryError
            Scatterers or elements outside the areas, too many planes, or elements too far apart in height.
        """
        position = real_array("FastEcho position", position, (None, 3), "m")
        self._check(scene, position)
        heights, phase_of, lagrange = self._heights(scene, position)
        total = self._spectrum(scene)
        side = self._rows.stop - self._rows.start
        m = len(self.k2)
        fields = aligned((side, 1, cells(side), m))
        points = np.zeros((len(position), 3))
        points[:, 1:] = position[:, 1::-1] / self.pitch + self.size // 2 - self._rows.start
        out, part = np.zeros((2, len(position), m), dtype=np.complex64)
        edges = np.linspace(0, len(position), 4 * threads() + 1).astype(int)
        for q, height in enumerate(heights):

            def field_at(n: int, _: PlaneFFT, backward: PlaneFFT, height=height) -> None:
                kernels_echo.to_height(total[n], self._mode, self._scale, self.k2[n], height, backward.buffer)
                fields[:, 0, :side, n] = backward()[self._rows, self._rows]

            def read(i: int, _: PlaneFFT, __: PlaneFFT, q=q) -> None:
                piece = slice(edges[i], edges[i + 1])
                gather_points(fields, points, piece.start, piece.stop, self._tables, (0, side), part)
                turned = np.exp(-1j * np.outer(phase_of(q, piece), self.k2))
                out[piece] += part[piece] * (lagrange[q, piece, None] * turned)

            self._workers.run(field_at, range(m))
            self._workers.run(read, range(len(edges) - 1))
        return out

    def _check(self, scene: Scene, position: np.ndarray) -> None:
        for name, values, limit in (
            ("scene", scene.position, self.scene),
            ("position", position, self.aperture),
        ):
            far = float(np.abs(values[:, :2]).max())
            if far > limit * (1 + 1e-9):
                raise GeometryError(f"FastEcho {name}: got x or y of {far:.4g} m, wanted at most {limit:.4g} m")
        gap = float(scene.position[:, 2].min())
        if gap < self.nearest * (1 - 1e-9):
            raise GeometryError(
                f"FastEcho scene: got a scatterer at z = {gap:.4g} m, wanted {self.nearest:.4g} or more"
            )

    def _heights(self, scene: Scene, position: np.ndarray):
        """Heights h_q, the path K turns by (as a function of q and a slice of elements), and weights (Q, n)."""
        weight = np.abs(scene.reflectivity)
        weight = weight if weight.any() else np.ones(len(scene))
        centre = np.average(scene.position, axis=0, weights=weight)
        offset = position - centre
        z = position[:, 2]
        cosine = -offset[:, 2] / np.linalg.norm(offset, axis=1)
        low, high = float(z.min()), float(z.max())
        middle, half = (low + high) / 2, (high - low) / 2
        turn = float(self.k2.max()) * half * _cosine_spread(scene.position, position, centre)
        count, bound = 1, turn
        while bound > HEIGHT_ERROR and count <= MAX_HEIGHTS:
            count += 1
            bound *= turn / (2 * count)
        if count > MAX_HEIGHTS:
            raise GeometryError(
                f"FastEcho position: got elements {2e3 * half:.3g} mm apart in height, wanted fewer; "
                "use simulate.forward for so deep a motion"
            )
        nodes = middle + half * np.cos(np.pi * (np.arange(count) + 0.5) / count)
        depth = centre[2]
        lagrange = np.ones((count, len(z)))
        for q in range(count):
            for other in range(count):
                if other != q:
                    lagrange[q] *= (z - nodes[other]) / (nodes[q] - nodes[other])
            lagrange[q] *= (depth - nodes[q]) / depth  # a plane of waves at distance d has the amplitude d / kz^2
        return nodes, lambda q, piece: cosine[piece] * (z[piece] - nodes[q]) + nodes[q], lagrange

    def _spectrum(self, scene: Scene) -> np.ndarray:
        """Plane waves of the whole scene at z = 0, complex64 (n_samples, N, N)."""
        total = np.zeros((len(self.k2), self.size, self.size), dtype=np.complex64)
        planes = np.unique(scene.position[:, 2])
        if len(planes) > MAX_PLANES:
            raise GeometryError(f"FastEcho scene: got {len(planes)} planes of scatterers, wanted at most {MAX_PLANES}")
        for z in planes:
            there = scene.position[:, 2] == z
            points = np.zeros((int(there.sum()), 3))
            points[:, 1:] = scene.position[there, 1::-1] / self.pitch + self.size // 2
            grid = aligned((self.size, 1, cells(self.size), 1))
            data = scene.reflectivity[there].astype(np.complex64)[:, None]
            spread_points(data, points, 0, len(points), self._tables, (0, self.size), grid)
            waves = np.empty((self.size, self.size), dtype=np.complex64)
            kernels = self._kernels(float(z))

            def transform(_: int, forward: PlaneFFT, __: PlaneFFT, grid=grid, waves=waves) -> None:
                forward.buffer[:] = grid[:, 0, : self.size, 0]
                waves[:] = forward()

            def add(n: int, forward: PlaneFFT, _: PlaneFFT, z=z, waves=waves, kernels=kernels) -> None:
                kernel = self._kernel(n, z, forward) if kernels is None else kernels[n]
                kernels_echo.add_product(waves, kernel, complex(np.exp(1j * self.k2[n] * z)), total[n])

            self._workers.run(transform, range(1))
            self._workers.run(add, range(len(self.k2)))
        return total

    def _kernel(self, n: int, z: float, forward: PlaneFFT) -> np.ndarray:
        """Spectrum of the spherical kernel of frequency n over the distance z, in the plan's buffer."""
        kernels_echo.spherical(self.k2[n], z, self.pitch, forward.buffer)
        return forward()

    def _kernels(self, z: float) -> np.ndarray | None:
        """The kernels of a plane that is held, computed when first asked for; None for another plane."""
        if z not in self._held:
            return None
        if self._held[z] is None:
            found = np.empty((len(self.k2), self.size, self.size), dtype=np.complex64)

            def one(n: int, forward: PlaneFFT, _: PlaneFFT) -> None:
                found[n] = self._kernel(n, z, forward)

            self._workers.run(one, range(len(self.k2)))
            self._held[z] = found
        return self._held[z]


def _cosine_spread(scene: np.ndarray, position: np.ndarray, centre: np.ndarray) -> float:
    """Largest difference of the cosine of the angle to z between scene and its centre, seen from any element."""
    corners = np.stack(np.meshgrid(*np.stack([scene.min(axis=0), scene.max(axis=0)]).T), axis=-1).reshape(-1, 3)
    low, high = position.min(axis=0), position.max(axis=0)
    x, y = (np.linspace(low[a], high[a], 9) for a in (0, 1))
    seen = np.stack(np.meshgrid(x, y, [low[2], high[2]]), axis=-1).reshape(-1, 1, 3)
    cosine, middle = (
        (r - seen)[..., 2] / np.linalg.norm(r - seen, axis=-1) for r in (np.vstack([corners, centre]), centre)
    )
    return float(np.abs(cosine - middle).max())
