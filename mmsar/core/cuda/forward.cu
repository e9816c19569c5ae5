// The exact forward model; the equations are those of kernels_forward.py. A block takes one channel: its threads form
// amplitude, phase and phase step of THREADS points at a time (paths in double), then every thread sums its samples
// over these points, in the order of the points. Phases of samples count from the middle one, in turns.

struct Echo {
    float re, im, turn, step;  // amplitude; phase of the middle sample and step per sample [turns]
};

// Amplitude of a surface by its normal n; lobe 0 is Lambert's law. tx, rx: from the point to the antennas.
__device__ double facing(const double *tx, const double *rx, const double *n, double lobe) {
    if (n[0] == 0 && n[1] == 0 && n[2] == 0) return 1.0;
    const double out = tx[0] * n[0] + tx[1] * n[1] + tx[2] * n[2], back = rx[0] * n[0] + rx[1] * n[1] + rx[2] * n[2];
    if (out <= 0 || back <= 0) return 0.0;
    const double r_out = sqrt(tx[0] * tx[0] + tx[1] * tx[1] + tx[2] * tx[2]);
    const double r_back = sqrt(rx[0] * rx[0] + rx[1] * rx[1] + rx[2] * rx[2]);
    if (lobe == 0) return sqrt(out * back / (r_out * r_back));
    double square = 0;
    for (int i = 0; i < 3; i++) {
        const double b = tx[i] / r_out + rx[i] / r_back;
        square += b * b;
    }
    const double cosine = (out / r_out + back / r_back) / sqrt(square);
    return lobe == 1 ? cosine : pow(cosine, lobe);
}

// Field pattern of an element towards the unit vector u: cos^exponent times a table over theta and phi, linear.
__device__ double element(const double *board, const double *u, double exponent, const double *table, int n_theta, int n_phi) {
    const double cosine = u[0] * board[2] + u[1] * board[5] + u[2] * board[8];
    const double value = exponent > 0 ? pow(fmax(cosine, 0.0), exponent) : 1.0;
    if (n_theta == 0) return value;
    const double pi = 3.141592653589793;
    const double along = u[0] * board[0] + u[1] * board[3] + u[2] * board[6];
    const double across = u[0] * board[1] + u[1] * board[4] + u[2] * board[7];
    const double row = acos(fmin(fmax(cosine, -1.0), 1.0)) / pi * (n_theta - 1);
    const double column = atan2(across, along) / (2 * pi) * n_phi;
    const int top = min((int)row, n_theta - 2), left = (int)floor(column);
    const double v = row - top, w = column - left;
    const int j = ((left % n_phi) + n_phi) % n_phi, k = (j + 1) % n_phi;
    const double *upper = table + (size_t)top * n_phi, *lower = upper + n_phi;
    return value * ((1 - v) * ((1 - w) * upper[j] + w * upper[k]) + v * ((1 - w) * lower[j] + w * lower[k]));
}

extern "C" __global__ void __launch_bounds__(THREADS) forward_channels(
    const double *tx, const double *rx, const double *board, const double *gain, const double *points,
    const double *normal, int has_normal, const double *lobe, const double *sigma, int n_point, double first,
    double step, double rvp, int amplitude, double exponent, const double *table, int n_theta, int n_phi,
    const long long *view, const unsigned char *seen, int n_byte, int n_samples, float2 *out) {
    __shared__ Echo echoes[THREADS];
    const int c = blockIdx.x;
    const double middle = n_samples / 2;
    for (int n0 = 0; n0 < n_samples; n0 += THREADS) {
        const int n = n0 + threadIdx.x;
        float2 sum = make_float2(0.0f, 0.0f);
        for (int i0 = 0; i0 < n_point && gain[c] != 0; i0 += THREADS) {
            const int i = i0 + threadIdx.x;
            Echo e = {0.0f, 0.0f, 0.0f, 0.0f};
            bool lit = i < n_point;
            if (lit && n_byte > 0)
                lit = (seen[view[2 * c] * n_byte + i / 8] & seen[view[2 * c + 1] * n_byte + i / 8]) >> (i % 8) & 1;
            if (lit) {
                double legs[2][3], path = 0, a = 1;
                for (int k = 0; k < 3; k++) {
                    legs[0][k] = tx[3 * c + k] - points[(size_t)k * n_point + i];
                    legs[1][k] = rx[3 * c + k] - points[(size_t)k * n_point + i];
                }
                if (has_normal) {
                    const double n3[3] = {normal[i], normal[n_point + i], normal[2 * (size_t)n_point + i]};
                    a = facing(legs[0], legs[1], n3, lobe[i]);
                }
                for (int l = 0; l < 2; l++) {
                    const double *d = legs[l], r = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
                    path += r;
                    if (amplitude) a /= r;
                    if (exponent > 0 || n_theta > 0) {
                        const double u[3] = {-d[0] / r, -d[1] / r, -d[2] / r};
                        a *= element(board + 9 * c, u, exponent, table, n_theta, n_phi);
                    }
                }
                if (a != 0) {
                    const double turns = path * (first + middle * step - rvp * path);
                    e.re = (float)(a * sigma[i]);
                    e.im = (float)(a * sigma[n_point + i]);
                    e.turn = (float)(turns - rint(turns));
                    e.step = (float)(path * step);
                }
            }
            echoes[threadIdx.x] = e;
            __syncthreads();
            const float from_middle = (float)(n - middle);
            const int count = min(THREADS, n_point - i0);
            for (int k = 0; k < count; k++) {
                const float2 turned =
                    times(make_float2(echoes[k].re, echoes[k].im), cis(echoes[k].turn + from_middle * echoes[k].step));
                sum.x += turned.x;
                sum.y += turned.y;
            }
            __syncthreads();
        }
        if (n < n_samples) out[(size_t)c * n_samples + n] = make_float2((float)gain[c] * sum.x, (float)gain[c] * sum.y);
    }
}
