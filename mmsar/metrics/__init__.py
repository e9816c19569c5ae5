"""Numbers that say how good an image is, each with its normalisation stated.

Point response: `point_response` (peak, -3 dB widths, PSLR, ISLR). Focus without a reference: `entropy`, `contrast`.
Image against reference: `ncc`, `error_db`, `psnr`, `ssim`. Edges: `edge_width`. `NORMALISATION` holds one sentence per
number, for tables and files.
"""

from mmsar.metrics.compare import Fit, error_db, ncc, psnr, ssim
from mmsar.metrics.focus import contrast, edge_width, entropy
from mmsar.metrics.point import PointCut, PointResponse, point_cuts, point_response

NORMALISATION = {
    "position": "sub-voxel peak of the band-limited interpolation, world frame",
    "value": "interpolated peak magnitude, as stored (a unit point is 1)",
    "width": "full width at -3 dB of the peak magnitude, cuts upsampled 16 times",
    "pslr": "highest sidelobe beyond the first minima over the peak, magnitude",
    "islr": "energy beyond the first minima over the energy between them, |I|^2 of the cut",
    "pslr_3d": "highest of the cuts' sidelobes and the voxels outside the box between the first minima, over the peak",
    "islr_3d": "energy outside the box between the first minima over the energy inside, |I|^2 of the whole image",
    "entropy": "-sum p ln p with p = |I|^2 / sum |I|^2 over all voxels; low is sharp, at most ln(voxels)",
    "contrast": "standard deviation over mean of |I|^2, all voxels; high is sharp",
    "ncc": "|sum a conj(b)| / (|a| |b|), no mean removed; complex where both images are",
    "error": "residual norm over reference norm after the best (least-squares) scale",
    "scale": "least-squares factor that takes the image to the reference",
    "psnr": "mean square error of magnitudes, each over its own peak; data range 1",
    "ssim": "Gaussian 11 x 11 window, sigma 1.5, K 0.01 and 0.03, per z slice; magnitudes over own peaks, range 1",
}
"""What each number is relative to."""

__all__ = [
    "NORMALISATION",
    "Fit",
    "PointCut",
    "PointResponse",
    "contrast",
    "edge_width",
    "entropy",
    "error_db",
    "ncc",
    "point_cuts",
    "point_response",
    "psnr",
    "ssim",
]
