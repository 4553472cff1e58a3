// Rows by index. Gathering: one thread an element. Scattering: one warp a row of the result, which
// looks through the index 32 entries at a time and adds the rows that are meant for it in their
// order, so that no addition is atomic and equal inputs give equal bits. Rules: reference.py.
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

extern "C" __global__ void take_rows(REAL* out, const REAL* x, const i64* index, i64 rows,
                                     i64 count, i64 columns) {
    FOR_EACH(i, count * columns) {
        const i64 row = quotient(i, columns), source = index[row];
        const bool inside = source >= 0 && source < rows;
        out[i] = inside ? x[source * columns + (i - row * columns)] : missing<REAL>();
    }
}

extern "C" __global__ void scatter_add_rows(REAL* dx, const REAL* dout, const i64* index, i64 rows,
                                            i64 count, i64 columns) {
    const WarpRows group;
    const int lane = group.rank();
    for (i64 row = group.first(); row < rows; row += group.step()) {
        REAL* target = dx + row * columns;
        for (i64 j = lane; j < columns; j += WARP) target[j] = 0;
        for (i64 begin = 0; begin < count; begin += WARP) {
            u32 hits = __ballot_sync(ALL_LANES, begin + lane < count && index[begin + lane] == row);
            for (; hits; hits &= hits - 1) {
                const REAL* source = dout + (begin + __ffs(hits) - 1) * columns;
                for (i64 j = lane; j < columns; j += WARP) target[j] += source[j];
            }
        }
    }
}
