// What every family's cuda.cu shares: types, loops, reductions.
//
// STORED is the type of arrays' elements and REAL the one that is computed in: float where elements
// are bf16 or f16 (half.cuh), else the same. Sums are kept as REAL from launch to launch. Both come
// on the compiler's command line (-DREAL=float -DSTORED=bf16). No system header may be included
// here: NVRTC has none. The host simulation defines TERCET_SIMULATION and the CUDA names before
// this file is read.
#ifndef TERCET_COMMON_CUH
#define TERCET_COMMON_CUH

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#ifndef TERCET_SIMULATION
// One name a kernel for the dynamic shared memory of its block, of whatever type it needs.
#define DYN_SHARED(T, name)                                    \
    extern __shared__ __align__(16) u8 tercet_shared_memory[]; \
    T* name = reinterpret_cast<T*>(tercet_shared_memory)
#endif
#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

#include "half.cuh"

const int WARP = 32;
#define ALL_LANES 0xffffffffu

// A loop over [begin, n) that all threads of a one-dimensional grid share.
#define FOR_EACH_FROM(i, begin, n)                                              \
    for (i64 i = (begin) + i64(blockIdx.x) * blockDim.x + threadIdx.x; i < (n); \
         i += i64(gridDim.x) * blockDim.x)
#define FOR_EACH(i, n) FOR_EACH_FROM(i, 0, n)

// Division is slow in 64 bits and most arrays need only 32.
__device__ inline bool fits_32_bits(i64 a, i64 b) { return ((a | b) >> 32) == 0; }
__device__ inline i64 quotient(i64 a, i64 b) {
    return fits_32_bits(a, b) ? u32(a) / u32(b) : a / b;
}
__device__ inline i64 remainder(i64 a, i64 b) {
    return fits_32_bits(a, b) ? u32(a) % u32(b) : a % b;
}

// --- Elementwise ---------------------------------------------------------------------------------

// W neighbours that are loaded and stored as one.
template <class T, int W>
struct alignas(W * sizeof(T)) Pack {
    T v[W];
};
const int PACK = sizeof(STORED) < 16 ? 16 / sizeof(STORED) : 1;
typedef Pack<STORED, PACK> StoredPack;

template <class... T>
__device__ bool aligned(const T*... pointers) {
    return ((reinterpret_cast<size_t>(pointers) | ...) & (sizeof(StoredPack) - 1)) == 0;
}

// out[i] = f(in[i], ...), by 16 bytes where every pointer allows it; f takes and gives REAL. out
// may be one of the inputs.
template <class F, class... In>
__device__ void map(STORED* out, i64 n, F f, const In*... in) {
    i64 packed = 0;
    if (aligned(out, in...)) {
        const i64 packs = n / PACK;
        packed = packs * PACK;
        FOR_EACH(i, packs) {
            StoredPack result;
            auto fill = [&](const auto&... x) {
                for (int k = 0; k < PACK; k++) result.v[k] = f(x.v[k]...);
            };
            fill(reinterpret_cast<const StoredPack*>(in)[i]...);
            reinterpret_cast<StoredPack*>(out)[i] = result;
        }
    }
    FOR_EACH_FROM(i, packed, n) out[i] = f(in[i]...);
}

// Unlike fmax and fmin these hand a NaN on, as NumPy does.
template <class T>
__device__ T largest(T a, T b) {
    return a > b || a != a ? a : b;
}
template <class T>
__device__ T smallest(T a, T b) {
    return a < b || a != a ? a : b;
}
__device__ inline REAL clipped(REAL x, REAL low, REAL high) {
    return smallest(largest(x, low), high);
}
template <class T>
__device__ T sign(T x) {
    return x > 0 ? T(1) : x < 0 ? T(-1) : x == 0 ? T(0) : x;
}

// Only floating types have halves. Integers meet no kernel in which their infinity or NaN counts.
template <class T>
constexpr bool FLOATING = T(0.5) + T(0.5) == T(1);
template <class T>
__device__ T infinity() {
    if constexpr (FLOATING<T>)
        return T(INFINITY);
    else
        return T(0);
}

// --- Reductions ----------------------------------------------------------------------------------

template <class T>
struct Sum {
    static __device__ T identity() { return T(0); }
    static __device__ T combine(T a, T b) { return a + b; }
};
template <class T>
struct Max {
    static __device__ T identity() { return -infinity<T>(); }
    static __device__ T combine(T a, T b) { return largest(a, b); }
};
template <class T>
struct Min {
    static __device__ T identity() { return infinity<T>(); }
    static __device__ T combine(T a, T b) { return smallest(a, b); }
};

template <class T>
__device__ T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(ALL_LANES, value, mask);
}

// Every lane gets the same bits: at each stage a pair adds the same two numbers.
template <class Op, class T>
__device__ T reduce_warp(T value) {
    for (int mask = WARP / 2; mask; mask /= 2) {
        value = Op::combine(value, shuffle_xor(value, mask));
    }
    return value;
}

// Every thread of the block gets the result. The block is one-dimensional and made of whole warps.
template <class Op, class T>
__device__ T reduce_block(T value) {
    __shared__ T slots[WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    value = reduce_warp<Op>(value);
    __syncthreads();  // an earlier reduction may still be reading the slots
    if (lane == 0) slots[warp] = value;
    __syncthreads();
    return reduce_warp<Op>(lane < int(blockDim.x) / WARP ? slots[lane] : Op::identity());
}

// Who works on one row: a warp where rows are short and many, a block where they are long.
struct WarpRows {
    static __device__ i64 first() { return (i64(blockIdx.x) * blockDim.x + threadIdx.x) / WARP; }
    static __device__ i64 step() { return i64(gridDim.x) * blockDim.x / WARP; }
    static __device__ int rank() { return threadIdx.x % WARP; }
    static __device__ int size() { return WARP; }
    template <class Op, class T>
    static __device__ T reduce(T value) {
        return reduce_warp<Op>(value);
    }
};
struct BlockRows {
    static __device__ i64 first() { return blockIdx.x; }
    static __device__ i64 step() { return gridDim.x; }
    static __device__ int rank() { return threadIdx.x; }
    static __device__ int size() { return blockDim.x; }
    template <class Op, class T>
    static __device__ T reduce(T value) {
        return reduce_block<Op>(value);
    }
};

// use(group): `wide` says that a row has a block, and not a warp.
template <class Use>
__device__ void with_rows(bool wide, Use use) {
    if (wide)
        use(BlockRows());
    else
        use(WarpRows());
}

// The reduction of f(j) over j in [begin, end) by one group; every thread of it gets the result.
template <class Op, class Group, class F>
__device__ auto reduce_row(Group group, i64 begin, i64 end, F f) {
    auto value = Op::identity();
    for (i64 j = begin + group.rank(); j < end; j += group.size()) value = Op::combine(value, f(j));
    return group.template reduce<Op>(value);
}

// The first stage of a sum over everything: each block adds its threads' values, always in one
// order, and leaves its part for the second stage. Atomic additions would add in any order.
template <class T>
__device__ void write_partial(T* partials, T value) {
    value = reduce_block<Sum<T>>(value);
    if (threadIdx.x == 0) partials[blockIdx.x] = value;
}

// The reduction over threadIdx.y of a two-dimensional block; valid where threadIdx.y is 0.
// blockDim.y is a power of two; `tile` is shared, a value a thread.
template <class Op, class T>
__device__ T reduce_columns_of_block(T* tile, T value) {
    T* mine = tile + threadIdx.y * blockDim.x + threadIdx.x;
    *mine = value;
    for (int half = blockDim.y / 2; half; half /= 2) {
        __syncthreads();
        if (int(threadIdx.y) < half) *mine = Op::combine(*mine, mine[half * blockDim.x]);
    }
    value = *mine;
    __syncthreads();  // the tile is free again
    return value;
}

#endif
