// Exact multistatic back-projection and its transpose; the equations are those of kernels_bpa.py.
//
// A block takes one tile of voxels and some poses, a thread PER voxels. For every pose the block forms, once, the length
// of every leg to the tile's centre (double) and one polynomial per channel from TAPS range bins (shared memory); every
// thread then forms its legs to all elements, kept in registers, and runs over all pairs of them:
//     dR = q / (R + R0),  q = 2 (r0 - p).delta + |delta|^2;    sum_tx e^(-j kc R_tx) sum_rx e^(-j kc R_rx) P(R_tx + R_rx)
// Segments (blockIdx.y) share out the poses (project) or the tiles (spread); each has an output of its own, so that no
// two blocks add to one place and sums are the same in every run.
//
// Compiled per array: THREADS, PER (voxels of a thread), VOXELS (of a tile), N_TX, N_RX, GROUP (receivers in registers,
// divides N_RX), POSES (of a step). carrier and scale are cycles_per_m and per_m in float: conversions are dear.
// A polynomial is read from shared memory once for the PER voxels of a thread.

#define TAPS 7
#define PAIRS (N_TX * N_RX)
#define LEGS (N_TX + N_RX)

struct Leg {
    float4 to;    // 2 (centre - element) and length [m]
    float4 more;  // length squared [m^2], carrier at the centre [turns], and two unused
};

struct Range {
    double cycles_per_m, per_m, first, bins_per_m;  // kc / 2 pi; polynomial variable per path; first bin [m]; bins per m
};

__device__ __forceinline__ double leg_to(const double *centre, const double *element, double cycles_per_m, Leg *leg) {
    double x = centre[0] - element[0], y = centre[1] - element[1], z = centre[2] - element[2];
    double length = sqrt(x * x + y * y + z * z), turns = length * cycles_per_m;
    leg->to = make_float4((float)(2 * x), (float)(2 * y), (float)(2 * z), (float)length);
    leg->more = make_float4((float)(length * length), (float)(turns - rint(turns)), 0.0f, 0.0f);
    return length;
}

__device__ __forceinline__ float further(const Leg &leg, float4 node) {  // path beyond that to the centre [m]
    const float q = leg.to.x * node.x + leg.to.y * node.y + leg.to.z * node.z + node.w;
    const float square = fmaxf(leg.more.x + q, 1e-30f);
    return __fdividef(q, square * rsqrtf(square) + leg.to.w);
}

__device__ __forceinline__ double bins_from_first(double path, const Range &range) {
    return (path - range.first) * range.bins_per_m;
}

// One coefficient of a channel's polynomial: real and imaginary part of sum_j fit[j, d] bin[j].
__device__ __forceinline__ float2 coefficient(const float2 *bins, const float *fit, int d) {
    float2 sum = make_float2(0.0f, 0.0f);
    #pragma unroll
    for (int j = 0; j < TAPS; j++) add_scaled(sum, fit[8 * j + d], bins[j]);
    return sum;
}

// The elements of one pose: transmitters, then receivers.
__device__ __forceinline__ const double *element_of(const double *tx, const double *rx, size_t pose, int e) {
    return e < N_TX ? tx + 3 * (pose * N_TX + e) : rx + 3 * (pose * N_RX + e - N_TX);
}

extern "C" __global__ void __launch_bounds__(THREADS) bpa_project(
    const double *centres, const float4 *nodes, int n_pose, const double *tx, const double *rx, const float *weight,
    const float2 *table, int n_bins, double cycles_per_m, double per_m, double first, double bins_per_m,
    float carrier, float scale, const float *fit, float2 *out) {
    __shared__ Leg legs[POSES][LEGS];
    __shared__ double lengths[POSES][LEGS];
    __shared__ float4 rows[POSES][PAIRS][4];  // a0 a1 a2 a3 | a4 a5 a6 offset | b0 b1 b2 b3 | b4 b5 b6 -
    const Range range = {cycles_per_m, per_m, first, bins_per_m};
    const double *centre = centres + 3 * blockIdx.x;
    const int begin = (int)((long long)n_pose * blockIdx.y / gridDim.y);
    const int end = (int)((long long)n_pose * (blockIdx.y + 1) / gridDim.y);
    float4 node[PER];
    float2 total[PER];
    #pragma unroll
    for (int i = 0; i < PER; i++) {
        node[i] = nodes[threadIdx.x + i * THREADS];
        total[i] = make_float2(0.0f, 0.0f);
    }
    for (int p0 = begin; p0 < end; p0 += POSES) {
        const int count = min(POSES, end - p0);
        for (int i = threadIdx.x; i < count * LEGS; i += THREADS) {
            const int p = i / LEGS, e = i % LEGS;
            lengths[p][e] = leg_to(centre, element_of(tx, rx, p0 + p, e), cycles_per_m, &legs[p][e]);
        }
        __syncthreads();
        for (int i = threadIdx.x; i < count * PAIRS * 8; i += THREADS) {
            const int p = i / (PAIRS * 8), pair = i / 8 % PAIRS, d = i % 8;
            const double bins = bins_from_first(lengths[p][pair / N_RX] + lengths[p][N_TX + pair % N_RX], range);
            const double nearest = rint(bins);
            float *row = (float *)rows[p][pair];
            if (d == TAPS) {
                row[7] = (float)((bins - nearest) / bins_per_m * per_m);
            } else {
                const size_t channel = (size_t)(p0 + p) * PAIRS + pair;
                const float2 value = coefficient(table + channel * n_bins + (int)nearest - TAPS / 2, fit, d);
                row[d] = weight[channel] * value.x;
                row[8 + d] = weight[channel] * value.y;
            }
        }
        __syncthreads();
        for (int p = 0; p < count; p++) {
            float2 sum[PER];
            #pragma unroll
            for (int i = 0; i < PER; i++) sum[i] = make_float2(0.0f, 0.0f);
            for (int g0 = 0; g0 < N_RX; g0 += GROUP) {
                float v_rx[GROUP][PER];
                float2 c_rx[GROUP][PER];
                #pragma unroll
                for (int g = 0; g < GROUP; g++) {
                    const Leg leg = legs[p][N_TX + g0 + g];
                    #pragma unroll
                    for (int i = 0; i < PER; i++) {
                        const float d = further(leg, node[i]);
                        c_rx[g][i] = cis(leg.more.y + carrier * d);
                        v_rx[g][i] = d * scale;
                    }
                }
                for (int t = 0; t < N_TX; t++) {
                    const Leg leg = legs[p][t];
                    float v_tx[PER];
                    float2 c_tx[PER], of_tx[PER];
                    #pragma unroll
                    for (int i = 0; i < PER; i++) {
                        const float d = further(leg, node[i]);
                        c_tx[i] = cis(leg.more.y + carrier * d);
                        v_tx[i] = d * scale;
                        of_tx[i] = make_float2(0.0f, 0.0f);
                    }
                    #pragma unroll
                    for (int g = 0; g < GROUP; g++) {
                        const float4 *row = rows[p][t * N_RX + g0 + g];
                        const float4 a = row[0], b = row[1], c = row[2], e = row[3];
                        #pragma unroll
                        for (int i = 0; i < PER; i++) {
                            const float v = b.w + v_tx[i] + v_rx[g][i];
                            const float re = a.x + v * (a.y + v * (a.z + v * (a.w + v * (b.x + v * (b.y + v * b.z)))));
                            const float im = c.x + v * (c.y + v * (c.z + v * (c.w + v * (e.x + v * (e.y + v * e.z)))));
                            of_tx[i].x += re * c_rx[g][i].x + im * c_rx[g][i].y;
                            of_tx[i].y += im * c_rx[g][i].x - re * c_rx[g][i].y;
                        }
                    }
                    #pragma unroll
                    for (int i = 0; i < PER; i++) add_scaled(sum[i], 1.0f, times_conj(of_tx[i], c_tx[i]));
                }
            }
            #pragma unroll
            for (int i = 0; i < PER; i++) add_scaled(total[i], 1.0f, sum[i]);
        }
        __syncthreads();
    }
    float2 *mine = out + ((size_t)blockIdx.y * gridDim.x + blockIdx.x) * VOXELS;
    for (int i = 0; i < PER; i++)
        if (threadIdx.x + i * THREADS < VOXELS) mine[threadIdx.x + i * THREADS] = total[i];
}

// Half of 2 HALF values is summed with the thread 2 HALF further or nearer, which takes the other half.
template <int HALF> __device__ __forceinline__ void share_out(float *v, int lane) {
    const bool upper = lane & (2 * HALF);
    #pragma unroll
    for (int i = 0; i < HALF; i++) {
        const float sent = upper ? v[i] : v[i + HALF], kept = upper ? v[i + HALF] : v[i];
        v[i] = kept + __shfl_xor_sync(0xffffffffu, sent, 2 * HALF);
    }
}

// Sums 16 values over the 32 threads of a warp: thread l returns the sum of value l / 2.
__device__ __forceinline__ float warp_sums(float *v, int lane) {
    share_out<8>(v, lane);
    share_out<4>(v, lane);
    share_out<2>(v, lane);
    share_out<1>(v, lane);
    return v[0] + __shfl_xor_sync(0xffffffffu, v[0], 1);
}

// Block (pose, segment of tiles): voxel values to the range bins of the pose's channels.
extern "C" __global__ void __launch_bounds__(THREADS) bpa_spread(
    const double *centres, const float4 *nodes, int n_tiles, const double *tx, const double *rx, const float *weight,
    float2 *table, int n_bins, double cycles_per_m, double per_m, double first, double bins_per_m,
    float carrier, float scale, const float *fit, const float2 *in) {
    __shared__ Leg legs[LEGS];
    __shared__ double lengths[LEGS];
    __shared__ float offset[PAIRS];
    __shared__ int nearest[PAIRS];
    __shared__ float partial[THREADS / 32][GROUP][16];
    const Range range = {cycles_per_m, per_m, first, bins_per_m};
    const int pose = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int begin = (int)((long long)n_tiles * blockIdx.y / gridDim.y);
    const int end = (int)((long long)n_tiles * (blockIdx.y + 1) / gridDim.y);
    float2 *mine = table + ((size_t)blockIdx.y * gridDim.x + pose) * PAIRS * n_bins;
    float4 node[PER];
    for (int i = 0; i < PER; i++) node[i] = nodes[threadIdx.x + i * THREADS];
    for (int tile = begin; tile < end; tile++) {
        __syncthreads();
        for (int e = threadIdx.x; e < LEGS; e += THREADS)
            lengths[e] = leg_to(centres + 3 * tile, element_of(tx, rx, pose, e), cycles_per_m, &legs[e]);
        __syncthreads();
        for (int i = threadIdx.x; i < PAIRS; i += THREADS) {
            const double bins = bins_from_first(lengths[i / N_RX] + lengths[N_TX + i % N_RX], range);
            nearest[i] = (int)rint(bins);
            offset[i] = (float)((bins - rint(bins)) / bins_per_m * per_m);
        }
        __syncthreads();
        float2 value[PER];
        #pragma unroll
        for (int i = 0; i < PER; i++) {
            const int voxel = threadIdx.x + i * THREADS;
            value[i] = voxel < VOXELS ? in[(size_t)tile * VOXELS + voxel] : make_float2(0.0f, 0.0f);
        }
        for (int g0 = 0; g0 < N_RX; g0 += GROUP) {
            float v_rx[GROUP][PER];
            float2 c_rx[GROUP][PER];
            #pragma unroll
            for (int g = 0; g < GROUP; g++) {
                const Leg leg = legs[N_TX + g0 + g];
                #pragma unroll
                for (int i = 0; i < PER; i++) {
                    const float d = further(leg, node[i]);
                    c_rx[g][i] = cis(leg.more.y + carrier * d);
                    v_rx[g][i] = d * scale;
                }
            }
            for (int t = 0; t < N_TX; t++) {
                const Leg leg = legs[t];
                const int pair0 = t * N_RX + g0;
                float v_tx[PER];
                float2 of_tx[PER];
                #pragma unroll
                for (int i = 0; i < PER; i++) {
                    const float d = further(leg, node[i]);
                    of_tx[i] = times(value[i], cis(leg.more.y + carrier * d));
                    v_tx[i] = d * scale;
                }
                #pragma unroll
                for (int g = 0; g < GROUP; g++) {
                    float moment[16];
                    #pragma unroll
                    for (int k = 0; k < 16; k++) moment[k] = 0.0f;
                    #pragma unroll
                    for (int i = 0; i < PER; i++) {
                        const float v = offset[pair0 + g] + v_tx[i] + v_rx[g][i];
                        float2 power = times(of_tx[i], c_rx[g][i]);
                        #pragma unroll
                        for (int k = 0; k < TAPS; k++) {
                            moment[k] += power.x;
                            moment[8 + k] += power.y;
                            power.x *= v;
                            power.y *= v;
                        }
                    }
                    const float sum = warp_sums(moment, lane);
                    if (lane % 2 == 0) partial[warp][g][lane / 2] = sum;
                }
                __syncthreads();
                for (int i = threadIdx.x; i < GROUP * 16; i += THREADS) {
                    float sum = 0.0f;
                    for (int w = 0; w < THREADS / 32; w++) sum += partial[w][i / 16][i % 16];
                    partial[0][i / 16][i % 16] = sum;
                }
                __syncthreads();
                for (int i = threadIdx.x; i < GROUP * TAPS; i += THREADS) {
                    const int g = i / TAPS, j = i % TAPS, pair = pair0 + g;
                    float2 sum = make_float2(0.0f, 0.0f);
                    for (int d = 0; d < TAPS; d++)
                        add_scaled(sum, fit[8 * j + d], make_float2(partial[0][g][d], partial[0][g][8 + d]));
                    float2 *bin = mine + (size_t)pair * n_bins + nearest[pair] - TAPS / 2 + j;
                    add_scaled(*bin, weight[(size_t)pose * PAIRS + pair], sum);
                }
                __syncthreads();
            }
        }
    }
}
