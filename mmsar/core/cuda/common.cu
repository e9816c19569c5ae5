// What the kernels share: complex numbers as float2, exp(j 2 pi t), and the taps of a gridding kernel.
// Phases are formed in turns: in double where they are long, reduced to one turn, and only then in float.

__device__ __forceinline__ float2 cis(float turns) {  // (cos, sin) of 2 pi turns, absolute error below 1e-6
    const float whole = (turns + 12582912.0f) - 12582912.0f;  // rounds below 2^22, cheaper than rintf
    float s, c;
    __sincosf(6.28318530718f * (turns - whole), &s, &c);
    return make_float2(c, s);
}

__device__ __forceinline__ float2 cis_double(double turns) { return cis((float)(turns - rint(turns))); }

__device__ __forceinline__ float2 times(float2 a, float2 b) {  // a b
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

__device__ __forceinline__ float2 times_conj(float2 a, float2 b) {  // a conj(b)
    return make_float2(a.x * b.x + a.y * b.y, a.y * b.x - a.x * b.y);
}

__device__ __forceinline__ void add_scaled(float2 &sum, float weight, float2 a) {
    sum.x += weight * a.x;
    sum.y += weight * a.y;
}
