// Softmax and log-softmax of rows: one launch each; a warp or a block works on a row and goes over
// it three times (twice backward), which the caches serve after the first. Formulas: reference.py.
#include "../common.cuh"

extern "C" __global__ void softmax_forward(STORED* out, const STORED* x, i64 rows, i64 columns,
                                           bool wide, bool logarithm) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const STORED* in = x + row * columns;
            STORED* result = out + row * columns;
            const REAL top = reduce_row<Max<REAL>>(group, 0, columns, [=](i64 j) { return in[j]; });
            const REAL sum =
                reduce_row<Sum<REAL>>(group, 0, columns, [=](i64 j) { return exp(in[j] - top); });
            const REAL log_sum = log(sum);
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                const REAL shifted = in[j] - top;
                result[j] = logarithm ? shifted - log_sum : exp(shifted) / sum;
            }
        }
    });
}

extern "C" __global__ void softmax_backward(STORED* dx, const STORED* dout, const STORED* out,
                                            i64 rows, i64 columns, bool wide, bool logarithm) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const i64 start = row * columns;
            const STORED *d = dout + start, *y = out + start;
            const REAL sum = reduce_row<Sum<REAL>>(group, 0, columns, [=](i64 j) {
                return logarithm ? REAL(d[j]) : REAL(d[j]) * y[j];
            });
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                dx[start + j] = logarithm ? d[j] - exp(REAL(y[j])) * sum : y[j] * (d[j] - sum);
            }
        }
    });
}
