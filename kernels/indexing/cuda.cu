// Rows by index. Gathering: one thread an element. Scattering: one warp for some columns of a row
// of the result, which looks through the index 32 entries at a time and adds the rows that are meant
// for it in their order, so that no addition is atomic and equal inputs give equal bits. Rules: reference.py.
// REAL may be any number type for take_rows.
#include "../common.cuh"

// A row outside the matrix reads as NaN, and as zero where the type has no NaN.
template <class T>
__device__ T missing() {
    if constexpr (FLOATING<T>)
        return T(NAN);
    else
        return T(0);
}

extern "C" __global__ void take_rows(STORED* out, const STORED* x, const i64* index, i64 rows,
                                     i64 count, i64 columns) {
    FOR_EACH(i, count * columns) {
        const i64 row = quotient(i, columns), source = index[row];
        const bool inside = source >= 0 && source < rows;
        out[i] = inside ? REAL(x[source * columns + (i - row * columns)]) : missing<REAL>();
    }
}

const int KEPT = 4;  // columns of a lane

extern "C" __global__ void scatter_add_rows(STORED* dx, const STORED* dout, const i64* index,
                                            i64 rows, i64 count, i64 columns, i64 skip) {
    const WarpRows group;
    const int lane = group.rank();
    const i64 pieces = (columns + KEPT * WARP - 1) / (KEPT * WARP);
    for (i64 piece = group.first(); piece < rows * pieces; piece += group.step()) {
        const i64 row = quotient(piece, pieces), first = (piece - row * pieces) * KEPT * WARP;
        REAL sums[KEPT] = {};
        for (i64 begin = 0; begin < count && row != skip; begin += WARP) {
            const bool hit = begin + lane < count && index[begin + lane] == row;
            for (u32 hits = __ballot_sync(ALL_LANES, hit); hits; hits &= hits - 1) {
                const STORED* source = dout + (begin + __ffs(hits) - 1) * columns;
                for (int k = 0; k < KEPT; k++) {
                    const i64 j = first + k * WARP + lane;
                    if (j < columns) sums[k] += source[j];
                }
            }
        }
        for (int k = 0; k < KEPT; k++) {
            const i64 j = first + k * WARP + lane;
            if (j < columns) dx[row * columns + j] = sums[k];
        }
    }
}
