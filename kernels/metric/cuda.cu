// Running sums of training, one block each, so that they are added in one order. Formulas:
// reference.py.
#include "../common.cuh"

extern "C" __global__ void add_loss(double* total, const REAL* value, i64 count) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        total[0] += double(*value) * double(count);
        total[1] += double(count);
    }
}

__device__ inline i64 class_of(const REAL* row, i64 columns, REAL threshold) {
    if (columns == 1) return row[0] > threshold;
    i64 best = 0;
    for (i64 j = 1; j < columns; j++) {
        // The first largest, NaN being the largest.
        if (row[best] == row[best] && !(row[j] <= row[best])) best = j;
    }
    return best;
}

extern "C" __global__ void count_hits(double* total, const REAL* outputs, const i64* target,
                                      const REAL* weight, i64 rows, i64 columns, REAL threshold) {
    double hits = 0, whole = 0;
    for (i64 r = threadIdx.x; r < rows; r += blockDim.x) {
        const double w = weight ? double(weight[r]) : 1.0;
        whole += w;
        if (class_of(outputs + r * columns, columns, threshold) == target[r]) hits += w;
    }
    hits = reduce_block<Sum<double>>(hits);
    whole = reduce_block<Sum<double>>(whole);
    if (threadIdx.x == 0) {
        total[0] += hits;
        total[1] += whole;
    }
}
