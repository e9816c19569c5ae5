// Irregular points to plane waves over planes stacked in z (stacked.py): spreading, the sum over planes, and adjoints.
// Points are sorted by their cell along y, then x. Every cell of the fine grid collects the points that reach it, in
// the order of the points, so that no two threads add to one place and sums are the same in every run.
//
// Compiled with WIDTH (taps along x and y) and WIDTH_Z (taps along z, 1 for a single plane).

// grid[m, z, y, x] = sum of the taps of all points that reach (z, y, x) or a copy of it a period further, times data.
//   data (n_points, n_k); start (n_points, 3) first cells z, y, x; taps (n_points, WIDTH_Z + 2 WIDTH): z, y, x
//   cell (n_cells_y, n_cells_x + 1): first point of every cell of a row, and the row's end
extern "C" __global__ void spread_points(
    const float2 *data, int n_points, const int *start, const float *taps, const int *cell, int n_cells_y,
    int n_cells_x, int n_k, int n_z, int n_y, int n_x, float2 *grid) {
    const int x0 = blockIdx.x, y0 = blockIdx.y;
    const int row = WIDTH_Z + 2 * WIDTH;
    for (int lane = threadIdx.x; lane < n_k * n_z; lane += blockDim.x) {
        const int m = lane % n_k, z = lane / n_k;
        float2 sum = make_float2(0.0f, 0.0f);
        for (int y = y0; y < n_cells_y + WIDTH - 1; y += n_y)
            for (int x = x0; x < n_cells_x + WIDTH - 1; x += n_x)
                for (int iy = max(0, y - WIDTH + 1); iy <= min(y, n_cells_y - 1); iy++) {
                    const int *of_row = cell + (size_t)iy * (n_cells_x + 1);
                    const int last = of_row[min(x, n_cells_x - 1) + 1];
                    for (int p = of_row[min(max(0, x - WIDTH + 1), n_cells_x)]; p < last; p++) {
                        const int iz = z - start[3 * p];
                        if (iz < 0 || iz >= WIDTH_Z) continue;
                        const float *of_point = taps + (size_t)p * row;
                        const float weight = of_point[iz] * of_point[WIDTH_Z + y - iy] *
                                             of_point[WIDTH_Z + WIDTH + x - start[3 * p + 2]];
                        add_scaled(sum, weight, data[(size_t)p * n_k + m]);
                    }
                }
        grid[(((size_t)m * n_z + z) * n_y + y0) * n_x + x0] = sum;
    }
}

// The adjoint: data (n_points, n_k) overwritten.
extern "C" __global__ void gather_points(
    float2 *data, int n_points, const int *start, const float *taps, int n_k, int n_z, int n_y, int n_x,
    const float2 *grid) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (size_t)n_points * n_k) return;
    const int p = (int)(i / n_k), m = (int)(i % n_k);
    const int *at = start + 3 * p;
    const float *of_point = taps + (size_t)p * (WIDTH_Z + 2 * WIDTH);
    float2 sum = make_float2(0.0f, 0.0f);
    for (int a = 0; a < WIDTH_Z; a++)
        for (int b = 0; b < WIDTH; b++) {
            const float weight = of_point[a] * of_point[WIDTH_Z + b];
            const float2 *line = grid + (((size_t)m * n_z + at[0] + a) * n_y + (at[1] + b) % n_y) * n_x;
            for (int c = 0; c < WIDTH; c++)
                add_scaled(sum, weight * of_point[WIDTH_Z + WIDTH + c], line[(at[2] + c) % n_x]);
        }
    data[i] = sum;
}

struct Plane {
    float2 first, ratio;  // exp(j kappa z_0) times the kernel's correction, and exp(j kappa h): kappa = kz - K + centre
};

__device__ __forceinline__ Plane plane_phases(
    double kx, double ky, double k2, double centre, double z_0, double h, double inverse, const double *correction,
    int n_table) {
    const double kappa = sqrt(fmax(k2 * k2 - kx * kx - ky * ky, 0.0)) - k2 + centre;
    const double at = fmin(fmax((kappa + centre) * inverse, 0.0), n_table - 1.001);
    const int i = (int)at;
    const float scale = (float)(correction[i] + (at - i) * (correction[i + 1] - correction[i]));
    Plane p;
    p.first = cis_double(kappa * (z_0 / 6.283185307179586));
    p.first.x *= scale;
    p.first.y *= scale;
    p.ratio = cis_double(kappa * (h / 6.283185307179586));
    return p;
}

// spectrum[m, q] = factor[q] sum_z first ratio^z grid[m, z, column of the pair] (Horner, last plane first).
extern "C" __global__ void sum_planes(
    const float2 *grid, int n_z, int size, const int *column, const double *kx, const double *ky, const double *k2,
    double centre, double z_0, double h, double inverse, const double *correction, int n_table, const float2 *factor,
    int n_pairs, float2 *spectrum) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, m = blockIdx.y;
    if (q >= n_pairs) return;
    const Plane p = plane_phases(kx[q], ky[q], k2[m], centre, z_0, h, inverse, correction, n_table);
    float2 sum = make_float2(0.0f, 0.0f);
    for (int z = n_z - 1; z >= 0; z--) {
        sum = times(sum, p.ratio);
        add_scaled(sum, 1.0f, grid[((size_t)m * n_z + z) * size + column[q]]);
    }
    spectrum[(size_t)m * n_pairs + q] = times(sum, times(p.first, factor[q]));
}

// The adjoint: the pairs' places in grid, which is zero before, are overwritten.
extern "C" __global__ void split_planes(
    float2 *grid, int n_z, int size, const int *column, const double *kx, const double *ky, const double *k2,
    double centre, double z_0, double h, double inverse, const double *correction, int n_table, const float2 *factor,
    int n_pairs, const float2 *spectrum) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, m = blockIdx.y;
    if (q >= n_pairs) return;
    const Plane p = plane_phases(kx[q], ky[q], k2[m], centre, z_0, h, inverse, correction, n_table);
    float2 value = times_conj(spectrum[(size_t)m * n_pairs + q], times(p.first, factor[q]));
    for (int z = 0; z < n_z; z++) {
        grid[((size_t)m * n_z + z) * size + column[q]] = value;
        value = times_conj(value, p.ratio);
    }
}
