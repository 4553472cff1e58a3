// Reductions of (outer, n, inner) over the middle axis, without atomics and always in one order.
//   inner = 1   a warp or a block takes a chunk of one row
//   inner > 1   a two-dimensional block takes a chunk of a tile of columns: threadIdx.x runs along
//               the contiguous axis, threadIdx.y down the columns
// Where rows or columns are few and long they are cut into chunks, and a second launch reduces the
// parts (outer, chunks, inner), which are REAL. Formulas: reference.py.
#include "../common.cuh"

// What is reduced: the values, or whether each equals the extremum of its row.
struct Value {
    template <class In>
    static __device__ REAL of(REAL x, const In* extremum, i64 row) {
        return x;
    }
};
struct IsExtremum {
    template <class In>
    static __device__ REAL of(REAL x, const In* extremum, i64 row) {
        return x == REAL(extremum[row]) ? REAL(1) : REAL(0);
    }
};

// use(operation, mapping), numbered in the order of OPERATIONS in cuda.py.
template <class Use>
__device__ void with_operation(int operation, Use use) {
    switch (operation) {
        case 0: return use(Sum<REAL>(), Value());
        case 1: return use(Max<REAL>(), Value());
        case 2: return use(Min<REAL>(), Value());
        case 3: return use(Sum<REAL>(), IsExtremum());
    }
}

__device__ inline i64 chunk_begin(i64 chunk, i64 chunks, i64 n) {
    const i64 begin = chunk * ((n + chunks - 1) / chunks);
    return begin < n ? begin : n;
}

// One of `out` and `parts` is null.
__device__ inline void put(STORED* out, REAL* parts, i64 i, REAL value) {
    if (parts)
        parts[i] = value;
    else
        out[i] = value;
}

template <class In>
__device__ void over_rows(STORED* out, REAL* parts, const In* x, const In* extremum, i64 rows,
                          i64 n, i64 chunks, int operation, REAL divisor, bool wide) {
    with_operation(operation, [=](auto op, auto mapping) {
        with_rows(wide, [=](auto group) {
            for (i64 part = group.first(); part < rows * chunks; part += group.step()) {
                const i64 row = part / chunks, chunk = part - row * chunks;
                const In* values = x + row * n;
                const REAL result = reduce_row<decltype(op)>(
                    group, chunk_begin(chunk, chunks, n), chunk_begin(chunk + 1, chunks, n),
                    [=](i64 j) { return mapping.of(values[j], extremum, row); });
                if (group.rank() == 0) put(out, parts, part, result / divisor);
            }
        });
    });
}

extern "C" __global__ void reduce_rows(STORED* out, REAL* parts, const STORED* x,
                                       const STORED* extremum, i64 rows, i64 n, i64 chunks,
                                       int operation, REAL divisor, bool wide) {
    over_rows(out, parts, x, extremum, rows, n, chunks, operation, divisor, wide);
}

extern "C" __global__ void reduce_parts_of_rows(STORED* out, const REAL* parts, i64 rows, i64 n,
                                                int operation, REAL divisor, bool wide) {
    over_rows<REAL>(out, nullptr, parts, nullptr, rows, n, 1, operation, divisor, wide);
}

template <class In>
__device__ void over_columns(STORED* out, REAL* parts, const In* x, const In* extremum, i64 outer,
                             i64 n, i64 inner, i64 chunks, int operation, REAL divisor) {
    DYN_SHARED(REAL, tile);
    const i64 tiles = (inner + blockDim.x - 1) / blockDim.x;
    with_operation(operation, [=](auto op, auto mapping) {
        typedef decltype(op) Op;
        for (i64 work = blockIdx.x; work < outer * chunks * tiles; work += gridDim.x) {
            const i64 part = work / tiles, o = part / chunks, chunk = part - o * chunks;
            const i64 i = (work - part * tiles) * blockDim.x + threadIdx.x;
            REAL result = Op::identity();
            if (i < inner) {
                const i64 end = chunk_begin(chunk + 1, chunks, n);
                for (i64 j = chunk_begin(chunk, chunks, n) + threadIdx.y; j < end;
                     j += blockDim.y) {
                    const REAL value = x[(o * n + j) * inner + i];
                    result = Op::combine(result, mapping.of(value, extremum, o * inner + i));
                }
            }
            result = reduce_columns_of_block<Op>(tile, result);
            if (threadIdx.y == 0 && i < inner) put(out, parts, part * inner + i, result / divisor);
        }
    });
}

extern "C" __global__ void reduce_columns(STORED* out, REAL* parts, const STORED* x,
                                          const STORED* extremum, i64 outer, i64 n, i64 inner,
                                          i64 chunks, int operation, REAL divisor) {
    over_columns(out, parts, x, extremum, outer, n, inner, chunks, operation, divisor);
}

extern "C" __global__ void reduce_parts_of_columns(STORED* out, const REAL* parts, i64 outer, i64 n,
                                                   i64 inner, int operation, REAL divisor) {
    over_columns<REAL>(out, nullptr, parts, nullptr, outer, n, inner, 1, operation, divisor);
}

// dx = dout / divisor; with `extremum`, dout / count where x is the extremum, else 0.
extern "C" __global__ void reduce_backward(STORED* dx, const STORED* dout, const STORED* x,
                                           const STORED* extremum, const REAL* count, i64 size,
                                           i64 n, i64 inner, REAL divisor) {
    FOR_EACH(i, size) {
        const i64 column = quotient(i, inner), o = quotient(column, n);
        const i64 result = o * inner + (i - column * inner);
        const REAL d = dout[result];
        if (!extremum)
            dx[i] = d / divisor;
        else
            dx[i] = REAL(x[i]) == REAL(extremum[result]) ? d / largest(count[result], REAL(1))
                                                         : REAL(0);
    }
}

// --- The place of the extremum; REAL may be an integer type here ---------------------------------

// A candidate: a value and where it stands; nowhere (-1) loses to all.
struct Place {
    REAL value;
    i64 index;
};
__device__ inline Place shuffle_xor(Place p, int mask) {
    return {__shfl_xor_sync(ALL_LANES, p.value, mask), __shfl_xor_sync(ALL_LANES, p.index, mask)};
}

// As NumPy orders them: a NaN beats every number, and among equals the first wins.
template <bool LARGEST>
struct Best {
    static __device__ Place identity() { return {REAL(0), -1}; }
    static __device__ Place combine(Place a, Place b) {
        if (a.index < 0) return b;
        if (b.index < 0) return a;
        const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
        if (a_nan != b_nan) return a_nan ? a : b;
        if (a_nan || a.value == b.value) return a.index < b.index ? a : b;
        return (LARGEST ? a.value > b.value : a.value < b.value) ? a : b;
    }
};

template <class Op>
__device__ void argreduce_by(i64* out, const STORED* x, i64 outer, i64 n, i64 inner, bool wide) {
    if (inner == 1) {
        with_rows(wide, [=](auto group) {
            for (i64 row = group.first(); row < outer; row += group.step()) {
                const STORED* values = x + row * n;
                const Place best =
                    reduce_row<Op>(group, 0, n, [=](i64 j) { return Place{values[j], j}; });
                if (group.rank() == 0) out[row] = best.index;
            }
        });
    } else {
        FOR_EACH(column, outer * inner) {
            const i64 o = quotient(column, inner), i = column - o * inner;
            Place best = Op::identity();
            for (i64 j = 0; j < n; j++)
                best = Op::combine(best, Place{x[(o * n + j) * inner + i], j});
            out[column] = best.index;
        }
    }
}

extern "C" __global__ void argreduce(i64* out, const STORED* x, i64 outer, i64 n, i64 inner,
                                     bool largest, bool wide) {
    if (largest)
        argreduce_by<Best<true>>(out, x, outer, n, inner, wide);
    else
        argreduce_by<Best<false>>(out, x, outer, n, inner, wide);
}
