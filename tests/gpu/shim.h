// CUDA C on the host: enough of it to compile the kernels of mmsar/core/cuda with g++ and run them block by block.
// The threads of a block are fibers that take turns at every barrier and shuffle, so the very same source runs, with
// its shared memory and its synchronisation. Slow, and only for tests.
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __shared__ static

struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct dim { int x, y, z; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static dim blockIdx, blockDim, gridDim, threadIdx;

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
#define __sincosf fast_sincosf  // glibc has a function of that name
static inline void fast_sincosf(float x, float *s, float *c) { *s = sinf(x); *c = cosf(x); }

namespace host {
constexpr int MOST = 1024, STACK = 1 << 15;
static ucontext_t scheduler_start;
static jmp_buf scheduler, fiber[MOST];
static bool finished[MOST];
static char *stacks = nullptr;
static int current = 0;
static void (*body)() = nullptr;
static uint64_t slot[2][MOST];
static int turn[MOST];

static void yield() {
    if (_setjmp(fiber[current]) == 0) _longjmp(scheduler, 1);
    threadIdx.x = current;
}

static void enter() {
    body();
    finished[current] = true;
    _longjmp(scheduler, 1);
}

// Run body once per thread of a block; all of them reach every barrier.
static void run_fibers(int n) {
    if (!stacks) stacks = (char *)malloc((size_t)MOST * STACK);
    for (int i = 0; i < n; i++) { finished[i] = false; turn[i] = 0; }
    static volatile int i, left;
    static volatile bool started;
    started = false;
    do {
        left = 0;
        for (i = 0; i < n; i++) {
            if (finished[i]) continue;
            current = i;
            threadIdx.x = i;
            if (_setjmp(scheduler) == 0) {
                if (started) _longjmp(fiber[i], 1);
                static ucontext_t context;
                getcontext(&context);
                context.uc_stack.ss_sp = stacks + (size_t)i * STACK;
                context.uc_stack.ss_size = STACK;
                context.uc_link = nullptr;
                makecontext(&context, enter, 0);
                setcontext(&context);
            }
            if (!finished[i]) left++;
        }
        started = true;
    } while (left > 0);
}

template <int... I> struct Indices {};
template <int N, int... I> struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I> struct UpTo<0, I...> { using Type = Indices<I...>; };

template <typename... A, int... I>
static void launch(void (*kernel)(A...), void **args, Indices<I...>, const int *grid, int threads, bool sync) {
    static void (*k)(A...);
    static void **values;
    k = kernel;
    values = args;
    body = [] { k(*static_cast<A *>(values[I])...); };
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    for (int z = 0; z < grid[2]; z++)
        for (int y = 0; y < grid[1]; y++)
            for (int x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                if (sync) run_fibers(threads);
                else
                    for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) body();
            }
}

template <typename... A> static void start(void (*kernel)(A...), void **args, const int *grid, int threads, bool sync) {
    launch(kernel, args, typename UpTo<sizeof...(A)>::Type{}, grid, threads, sync);
}
}  // namespace host

static inline void __syncthreads() { host::yield(); }

static inline float __shfl_xor_sync(unsigned, float value, int mask) {
    const int me = host::current, side = host::turn[me]++ & 1;
    float got;
    __builtin_memcpy(&host::slot[side][me], &value, 4);
    host::yield();
    __builtin_memcpy(&got, &host::slot[side][me ^ mask], 4);
    return got;
}
