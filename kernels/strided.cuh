// Operands that are read through their strides: views, and what broadcasts.
#ifndef TERCET_STRIDED_CUH
#define TERCET_STRIDED_CUH

const int RANK = 6;

// Sizes of the result, slowest first, and the strides (in elements) of up to four operands over it.
struct Broadcast {
    i64 size[RANK];
    i64 stride[4][RANK];
};

// Where element i of the result finds each of COUNT operands.
template <int COUNT>
__device__ void offsets(i64 result[COUNT], const Broadcast& shape, i64 i) {
    for (int k = 0; k < COUNT; k++) result[k] = 0;
    for (int d = RANK - 1; d >= 0; d--) {
        if (shape.size[d] == 1) continue;
        const i64 rest = quotient(i, shape.size[d]), place = i - rest * shape.size[d];
        for (int k = 0; k < COUNT; k++) result[k] += place * shape.stride[k][d];
        i = rest;
    }
}

// out[i] = f(a, b) for two operands that broadcast.
template <class F, class Result>
__device__ void map_strided(F f, Result* out, const STORED* a, const STORED* b, i64 n,
                            const Broadcast& shape) {
    FOR_EACH(i, n) {
        i64 at[2];
        offsets<2>(at, shape, i);
        out[i] = f.value(a[at[0]], b[at[1]]);
    }
}

#endif
