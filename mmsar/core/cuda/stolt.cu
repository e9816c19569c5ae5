// The Stolt step: scattered k_z to heights, by gridding (Kaiser-Bessel, one line per wavenumber pair) or by the sum as
// it stands, with adjoints; the equations are those of gridding.py. k_z and its phases are formed in double precision.
//
// Compiled with WIDTH (taps, at most 8), SUBDIVISIONS (of the table of taps) and STEEPEST2 (largest squared sine).

#define HEIGHTS 4

struct Wave {
    double kz;
    float amplitude;
};

__device__ __forceinline__ double edge(double u, double low, double high, double per_guard) {
    double t = fmin(fmax(fmax(low - u, u - high) * per_guard, 0.0), 1.0);
    return 1.0 - t * t * (3.0 - 2.0 * t);
}

// band: low and high direction cosine along x, along y, largest sine, guard.
__device__ __forceinline__ Wave wave(double kx, double ky, double k2, const double *band) {
    const double u = kx / k2, v = ky / k2, sine2 = u * u + v * v, per_guard = 1.0 / band[5];
    Wave w;
    const double cosine2 = fmax(1.0 - sine2, 1.0 - STEEPEST2);
    w.kz = k2 * sqrt(cosine2);
    double soft = edge(u, band[0], band[1], per_guard) * edge(v, band[2], band[3], per_guard);
    soft *= edge(sqrt(sine2), -1.0, band[4], per_guard);
    w.amplitude = sine2 < STEEPEST2 ? (float)(soft / (k2 * cosine2)) : 0.0f;
    return w;
}

__device__ __forceinline__ int place_taps(double place, const float *table, float *weights) {
    const double start = ceil(place - 0.5 * WIDTH);
    const double offset = (start - place + 0.5 * WIDTH) * SUBDIVISIONS;
    const int step = (int)offset;
    const float t = (float)(offset - step);
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        const float low = table[step * 8 + i];
        weights[i] = low + t * (table[(step + 1) * 8 + i] - low);
    }
    return (int)start;
}

__device__ __forceinline__ int wrap(int i, int n) {
    i %= n;
    return i < 0 ? i + n : i;
}

// A thread takes one pair: k_z moves one way with frequency, so WIDTH cells are held in registers and each is written
// to the line when the taps have moved past it. rows (count, fine) are zero before.
extern "C" __global__ void stolt_spread(
    const float2 *spectrum, int n_pairs, int first, int count, const double *kx, const double *ky, const double *k2,
    int n_k, const double *band, double z_c, double dz, const float *table, int fine, float2 *rows) {
    const int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= count) return;
    const int q = first + r;
    const double scale = dz * fine / 6.283185307179586, turns = -z_c / 6.283185307179586;
    float2 *line = rows + (size_t)r * fine;
    float2 cell[WIDTH];
    int base = -2147483647;
    for (int m = 0; m < n_k; m++) {
        const Wave w = wave(kx[q], ky[q], k2[m], band);
        float weights[WIDTH];
        const int start = place_taps(w.kz * scale, table, weights);
        if (m == 0 || start < base || start >= base + WIDTH) {
            for (int i = 0; i < WIDTH; i++) {
                if (m > 0) add_scaled(line[wrap(base + i, fine)], 1.0f, cell[i]);
                cell[i] = make_float2(0.0f, 0.0f);
            }
            base = start;
        }
        for (; base < start; base++) {
            add_scaled(line[wrap(base, fine)], 1.0f, cell[0]);
            #pragma unroll
            for (int i = 0; i < WIDTH - 1; i++) cell[i] = cell[i + 1];
            cell[WIDTH - 1] = make_float2(0.0f, 0.0f);
        }
        float2 value = times(spectrum[(size_t)m * n_pairs + q], cis_double(w.kz * turns));
        value.x *= w.amplitude;
        value.y *= w.amplitude;
        #pragma unroll
        for (int i = 0; i < WIDTH; i++) add_scaled(cell[i], weights[i], value);
    }
    for (int i = 0; i < WIDTH; i++) add_scaled(line[wrap(base + i, fine)], 1.0f, cell[i]);
}

// The adjoint: rows (count, fine) to spectrum[:, first : first + count], overwritten.
extern "C" __global__ void stolt_gather(
    float2 *spectrum, int n_pairs, int first, int count, const double *kx, const double *ky, const double *k2, int n_k,
    const double *band, double z_c, double dz, const float *table, int fine, const float2 *rows) {
    const int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= count) return;
    const int q = first + r, m = blockIdx.y;
    const double scale = dz * fine / 6.283185307179586, turns = z_c / 6.283185307179586;
    const float2 *line = rows + (size_t)r * fine;
    const Wave w = wave(kx[q], ky[q], k2[m], band);
    float weights[WIDTH];
    const int start = place_taps(w.kz * scale, table, weights);
    float2 sum = make_float2(0.0f, 0.0f);
    for (int i = 0; i < WIDTH; i++) add_scaled(sum, w.amplitude * weights[i], line[wrap(start + i, fine)]);
    spectrum[(size_t)m * n_pairs + q] = times(sum, cis_double(w.kz * turns));
}

// planes[j, first + r] = rows[r, mode j] z_scale[j] phase[first + r], turned in tiles of 32 x 32; mode 0 is n_z / 2.
extern "C" __global__ void stolt_rows_to_planes(
    const float2 *rows, int fine, int first, int count, const float *z_scale, const float2 *phase, int n_z,
    float2 *planes, int n_pairs) {
    __shared__ float2 tile[32][33];
    const int r0 = 32 * blockIdx.x, j0 = 32 * blockIdx.y, a = threadIdx.x % 32, b = threadIdx.x / 32;
    for (int i = b; i < 32; i += blockDim.x / 32)
        if (r0 + i < count && j0 + a < n_z) tile[i][a] = rows[(size_t)(r0 + i) * fine + wrap(j0 + a - n_z / 2, fine)];
    __syncthreads();
    for (int i = b; i < 32; i += blockDim.x / 32)
        if (r0 + a < count && j0 + i < n_z) {
            const int q = first + r0 + a;
            const float s = z_scale[j0 + i];
            planes[(size_t)(j0 + i) * n_pairs + q] = times(tile[a][i], make_float2(s * phase[q].x, s * phase[q].y));
        }
}

// The adjoint; rows are zero before.
extern "C" __global__ void stolt_planes_to_rows(
    float2 *rows, int fine, int first, int count, const float *z_scale, const float2 *phase, int n_z,
    const float2 *planes, int n_pairs) {
    __shared__ float2 tile[32][33];
    const int r0 = 32 * blockIdx.x, j0 = 32 * blockIdx.y, a = threadIdx.x % 32, b = threadIdx.x / 32;
    for (int i = b; i < 32; i += blockDim.x / 32)
        if (r0 + a < count && j0 + i < n_z) {
            const int q = first + r0 + a;
            const float s = z_scale[j0 + i];
            tile[a][i] =
                times_conj(planes[(size_t)(j0 + i) * n_pairs + q], make_float2(s * phase[q].x, s * phase[q].y));
        }
    __syncthreads();
    for (int i = b; i < 32; i += blockDim.x / 32)
        if (r0 + i < count && j0 + a < n_z) rows[(size_t)(r0 + i) * fine + wrap(j0 + a - n_z / 2, fine)] = tile[i][a];
}

// Any heights: planes[j, q] = z_scale[j] phase[q] sum_m amplitude S_m e^(-j k_z z_j), HEIGHTS of them per thread.
extern "C" __global__ void stolt_sum(
    const float2 *spectrum, int n_pairs, const double *kx, const double *ky, const double *k2, int n_k,
    const double *band, const double *z, const float *z_scale, const float2 *phase, int n_z, float2 *planes) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, j0 = HEIGHTS * blockIdx.y;
    if (q >= n_pairs) return;
    float2 sum[HEIGHTS];
    for (int i = 0; i < HEIGHTS; i++) sum[i] = make_float2(0.0f, 0.0f);
    for (int m = 0; m < n_k; m++) {
        const Wave w = wave(kx[q], ky[q], k2[m], band);
        const float2 value = spectrum[(size_t)m * n_pairs + q];
        const double turns = -w.kz / 6.283185307179586;
        #pragma unroll
        for (int i = 0; i < HEIGHTS; i++)
            if (j0 + i < n_z) add_scaled(sum[i], w.amplitude, times(value, cis_double(turns * z[j0 + i])));
    }
    for (int i = 0; i < HEIGHTS; i++)
        if (j0 + i < n_z) {
            const float s = z_scale[j0 + i];
            planes[(size_t)(j0 + i) * n_pairs + q] = times(sum[i], make_float2(s * phase[q].x, s * phase[q].y));
        }
}

// The adjoint: spectrum overwritten.
extern "C" __global__ void stolt_sum_back(
    float2 *spectrum, int n_pairs, const double *kx, const double *ky, const double *k2, int n_k, const double *band,
    const double *z, const float *z_scale, const float2 *phase, int n_z, const float2 *planes) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, m = blockIdx.y;
    if (q >= n_pairs) return;
    const Wave w = wave(kx[q], ky[q], k2[m], band);
    const double turns = w.kz / 6.283185307179586;
    float2 sum = make_float2(0.0f, 0.0f);
    for (int j = 0; j < n_z; j++)
        add_scaled(sum, z_scale[j], times(planes[(size_t)j * n_pairs + q], cis_double(turns * z[j])));
    sum = times_conj(sum, phase[q]);
    spectrum[(size_t)m * n_pairs + q] = make_float2(w.amplitude * sum.x, w.amplitude * sum.y);
}
