// Normalization. Of rows: a warp or a block works on a row and goes over it three times (twice
// backward), which the caches serve after the first. Sums over a column of rows are left as parts
// of chunks, and added in one order by reduction/cuda.cu. Formulas: reference.py.
#include "../common.cuh"

// --- Rows: layer normalization -------------------------------------------------------------------

extern "C" __global__ void layer_norm_forward(STORED* out, STORED* summed, REAL* stats,
                                              const STORED* x, const STORED* residual,
                                              const REAL* scale, const REAL* shift, i64 rows,
                                              i64 columns, REAL eps, bool centered, bool wide) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const i64 start = row * columns;
            const STORED* in = x + start;
            if (residual) {
                // Each thread reads again only what it has written itself.
                for (i64 j = group.rank(); j < columns; j += group.size())
                    summed[start + j] = REAL(x[start + j]) + REAL(residual[start + j]);
                in = summed + start;
            }
            const REAL sum = !centered ? REAL(0)
                                       : reduce_row<Sum<REAL>>(group, 0, columns,
                                                               [=](i64 j) { return REAL(in[j]); });
            const REAL mean = sum / columns;
            const REAL squares = reduce_row<Sum<REAL>>(group, 0, columns, [=](i64 j) {
                const REAL apart = in[j] - mean;
                return apart * apart;
            });
            const REAL variance = squares / columns, factor = 1 / sqrt(variance + eps);
            if (group.rank() == 0) stats[row] = mean, stats[rows + row] = variance;
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                const REAL normal = (in[j] - mean) * factor;
                const REAL scaled = scale ? normal * scale[j] : normal;
                out[start + j] = shift ? scaled + shift[j] : scaled;
            }
        }
    });
}

extern "C" __global__ void layer_norm_backward(STORED* dx, const STORED* dout, const STORED* dsummed,
                                               const STORED* summed, const REAL* stats,
                                               const REAL* scale, i64 rows, i64 columns, REAL eps,
                                               bool centered, bool wide) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const STORED *d = dout + row * columns, *in = summed + row * columns;
            const REAL mean = stats[row], factor = 1 / sqrt(stats[rows + row] + eps);
            auto slope = [=](i64 j) { return scale ? d[j] * scale[j] : REAL(d[j]); };
            const REAL sum =
                centered ? reduce_row<Sum<REAL>>(group, 0, columns, slope) : REAL(0);
            const REAL inner = reduce_row<Sum<REAL>>(
                group, 0, columns, [=](i64 j) { return slope(j) * (in[j] - mean); });
            const REAL level = sum / columns, tilt = factor * factor * inner / columns;
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                const i64 i = row * columns + j;
                const REAL own = factor * (slope(j) - level - (in[j] - mean) * tilt);
                dx[i] = dsummed ? own + dsummed[i] : own;
            }
        }
    });
}

// --- Gradients by scale and shift ----------------------------------------------------------------

// Parts (chunks, columns) of sum dout x' and of sum dout over rows; either may be null. A
// two-dimensional block takes a chunk of a tile of columns, as reduce_columns of reduction/cuda.cu.
extern "C" __global__ void layer_norm_parameters(REAL* dscales, REAL* dshifts, const STORED* dout,
                                                 const STORED* summed, const REAL* stats, i64 rows,
                                                 i64 columns, i64 chunks, REAL eps) {
    DYN_SHARED(REAL, tile);
    const i64 tiles = (columns + blockDim.x - 1) / blockDim.x, length = (rows + chunks - 1) / chunks;
    for (i64 work = blockIdx.x; work < chunks * tiles; work += gridDim.x) {
        const i64 chunk = work / tiles, j = (work - chunk * tiles) * blockDim.x + threadIdx.x;
        const i64 end = (chunk + 1) * length < rows ? (chunk + 1) * length : rows;
        REAL dscale = 0, dshift = 0;
        if (j < columns) {
            for (i64 row = chunk * length + threadIdx.y; row < end; row += blockDim.y) {
                const REAL d = dout[row * columns + j];
                const REAL apart = summed[row * columns + j] - stats[row];
                dscale += d * apart / sqrt(stats[rows + row] + eps);
                dshift += d;
            }
        }
        dscale = reduce_columns_of_block<Sum<REAL>>(tile, dscale);
        dshift = reduce_columns_of_block<Sum<REAL>>(tile, dshift);
        if (threadIdx.y == 0 && j < columns) {
            if (dscales) dscales[chunk * columns + j] = dscale;
            if (dshifts) dshifts[chunk * columns + j] = dshift;
        }
    }
}
