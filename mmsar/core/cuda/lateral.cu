// Planes of wavenumber pairs into the buffers of a 2-D FFT over x and y, and back. Every place of the buffer collects
// the pairs that belong to it, so that no two threads add to one place; modes beyond a period fold onto it, and an axis
// with period 1 (one voxel) sums all its modes.

// out[c, y, x] = sum over modes a = x (mod n_x), b = y (mod n_y) of planes[c, pair(a, b)] mask_x[c, a] mask_y[c, b]
extern "C" __global__ void place_modes(
    const float2 *planes, int n_pairs, const int *pair, int n_kx, int n_ky, int first_x, int first_y,
    const float *mask_x, const float *mask_y, int n_x, int n_y, float2 *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (i >= n_x * n_y) return;
    const int x = i % n_x, y = i / n_x;
    int a0 = (x - first_x) % n_x, b0 = (y - first_y) % n_y;
    a0 += a0 < 0 ? n_x : 0;
    b0 += b0 < 0 ? n_y : 0;
    float2 sum = make_float2(0.0f, 0.0f);
    for (int b = b0; b < n_ky; b += n_y) {
        const float of_y = mask_y[(size_t)c * n_ky + b];
        for (int a = a0; a < n_kx; a += n_x) {
            const int q = pair[(size_t)b * n_kx + a];
            if (q >= 0) add_scaled(sum, of_y * mask_x[(size_t)c * n_kx + a], planes[(size_t)c * n_pairs + q]);
        }
    }
    out[((size_t)c * n_y + y) * n_x + x] = sum;
}

// The adjoint: planes[c, q] overwritten; mode of the pair in the block of modes (n_kx, n_ky).
extern "C" __global__ void pick_modes(
    float2 *planes, int n_pairs, const int *mode, int n_kx, int n_ky, int first_x, int first_y, const float *mask_x,
    const float *mask_y, int n_x, int n_y, const float2 *in) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (q >= n_pairs) return;
    const int a = mode[q] / n_ky, b = mode[q] % n_ky;
    int x = (first_x + a) % n_x, y = (first_y + b) % n_y;
    x += x < 0 ? n_x : 0;
    y += y < 0 ? n_y : 0;
    const float weight = mask_x[(size_t)c * n_kx + a] * mask_y[(size_t)c * n_ky + b];
    const float2 value = in[((size_t)c * n_y + y) * n_x + x];
    planes[(size_t)c * n_pairs + q] = make_float2(weight * value.x, weight * value.y);
}
