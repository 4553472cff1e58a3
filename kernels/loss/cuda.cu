// Losses.
//   pointwise       one launch with the reduction's first stage in it (a partial sum a block), then
//                   the second stage; backward one launch
//   cross-entropy   a warp or a block takes a row: maximum, logarithm of the sum and loss in one
//                   launch with the first stage of the reduction; a second launch finishes both
//                   sums (of losses and of weights); backward one launch
// Formulas: reference.py.
#include "../common.cuh"

// --- Pointwise losses ----------------------------------------------------------------------------

const double LOG_FLOOR = -100.0;
const double BCE_EPSILON = 1e-12;

struct SquaredError {
    static __device__ REAL value(REAL x, REAL t, REAL delta) { return (x - t) * (x - t); }
    static __device__ REAL slope(REAL x, REAL t, REAL delta) { return REAL(2) * (x - t); }
};
struct AbsoluteError {
    static __device__ REAL value(REAL x, REAL t, REAL delta) { return fabs(x - t); }
    static __device__ REAL slope(REAL x, REAL t, REAL delta) { return sign(x - t); }
};
struct Huber {
    static __device__ REAL value(REAL x, REAL t, REAL delta) {
        const REAL error = fabs(x - t), near = smallest(error, delta);
        return near * (error - REAL(0.5) * near);
    }
    static __device__ REAL slope(REAL x, REAL t, REAL delta) {
        return clipped(x - t, -delta, delta);
    }
};
struct BinaryFromLogits {
    static __device__ REAL value(REAL x, REAL t, REAL delta) {
        return largest(x, REAL(0)) - x * t + log1p(exp(-fabs(x)));
    }
    static __device__ REAL slope(REAL x, REAL t, REAL delta) {
        const REAL e = exp(-fabs(x));
        return (x >= 0 ? REAL(1) : e) / (REAL(1) + e) - t;
    }
};
struct Binary {
    static __device__ REAL value(REAL x, REAL t, REAL delta) {
        const REAL log_x = largest(log(x), REAL(LOG_FLOOR));
        const REAL log_rest = largest(log1p(-x), REAL(LOG_FLOOR));
        return -(t * log_x + (REAL(1) - t) * log_rest);
    }
    static __device__ REAL slope(REAL x, REAL t, REAL delta) {
        return (x - t) / largest(x * (REAL(1) - x), REAL(BCE_EPSILON));
    }
};

// use(loss), numbered in the order of POINTWISE in spec.py.
template <class Use>
__device__ void with_loss(int kind, Use use) {
    switch (kind) {
        case 0: return use(SquaredError());
        case 1: return use(AbsoluteError());
        case 2: return use(Huber());
        case 3: return use(BinaryFromLogits());
        case 4: return use(Binary());
    }
}

// Fills `out` (n, m) or, where that is null, one partial sum a block.
extern "C" __global__ void pointwise_loss_forward(STORED* out, REAL* partials, const STORED* x,
                                                  const STORED* target, const STORED* weight, i64 n,
                                                  i64 m, int kind, REAL delta) {
    with_loss(kind, [=](auto loss) {
        REAL sum = 0;
        FOR_EACH(i, n * m) {
            REAL value = loss.value(x[i], target[i], delta);
            if (weight) value *= weight[quotient(i, m)];
            if (out)
                out[i] = value;
            else
                sum += value;
        }
        if (!out) write_partial(partials, sum);
    });
}

// dout has one element for each of dx, or with `single` one for all.
extern "C" __global__ void pointwise_loss_backward(STORED* dx, const STORED* dout, const STORED* x,
                                                   const STORED* target, const STORED* weight,
                                                   i64 n, i64 m, int kind, REAL delta, REAL divisor,
                                                   bool single) {
    with_loss(kind, [=](auto loss) {
        FOR_EACH(i, n * m) {
            REAL slope = loss.slope(x[i], target[i], delta);
            if (weight) slope *= weight[quotient(i, m)];
            dx[i] = slope / divisor * dout[single ? 0 : i];
        }
    });
}

// --- Cross-entropy -------------------------------------------------------------------------------

// A row of targets, weighted and smoothed. at(k) is its entry k; where only one entry differs from
// zero, [begin, end) is that one. A row that does not count is not `valid`.
struct Row {
    const STORED* class_weight;
    REAL keep, spread;  // 1 - smoothing and smoothing / classes
    __device__ REAL weighted(REAL t, i64 k) const {
        const REAL smooth = t * keep + spread;
        return class_weight ? smooth * class_weight[k] : smooth;
    }
};
struct IndexRow : Row {
    i64 target, begin, end;
    bool valid, inside;
    __device__ IndexRow(const i64* targets, i64 row, i64 columns, i64 ignored,
                        const STORED* weights, REAL smoothing)
        : Row{weights, REAL(1) - smoothing, smoothing / REAL(columns)},
          target(targets[row]),
          valid(target != ignored),
          inside(target >= 0 && target < columns) {
        const bool sparse = smoothing == 0 && inside;
        begin = sparse ? target : 0;
        end = sparse ? target + 1 : columns;
    }
    __device__ REAL at(i64 k) const {
        return inside ? weighted(k == target ? REAL(1) : REAL(0), k) : REAL(NAN);
    }
    // The row's part of what a mean is divided by.
    __device__ REAL weight(i64 columns) const {
        const i64 nearest = target < 0 ? 0 : target < columns ? target : columns - 1;
        return !valid ? REAL(0) : class_weight ? REAL(class_weight[nearest]) : REAL(1);
    }
};
struct ProbabilityRow : Row {
    const STORED* target;
    i64 begin, end;
    bool valid;
    __device__ ProbabilityRow(const STORED* targets, i64 row, i64 columns, i64,
                              const STORED* weights, REAL smoothing)
        : Row{weights, REAL(1) - smoothing, smoothing / REAL(columns)},
          target(targets + row * columns),
          begin(0),
          end(columns),
          valid(true) {}
    __device__ REAL at(i64 k) const { return weighted(target[k], k); }
    __device__ REAL weight(i64) const { return REAL(1); }
};

// Fills stats (2, rows) and either `out` (rows,) or, where that is null, partials (2, blocks): the
// sums of losses and of weights.
template <class TargetRow, class Target>
__device__ void cross_entropy_rows(STORED* out, REAL* stats, REAL* partials, const STORED* logits,
                                   const Target* target, const STORED* class_weight,
                                   const STORED* sample_weight, i64 rows, i64 columns,
                                   REAL smoothing, i64 ignored, bool wide) {
    with_rows(wide, [=](auto group) {
        REAL losses = 0, weights = 0;
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const STORED* z = logits + row * columns;
            const REAL top = reduce_row<Max<REAL>>(group, 0, columns, [=](i64 k) { return z[k]; });
            const REAL log_sum = log(
                reduce_row<Sum<REAL>>(group, 0, columns, [=](i64 k) { return exp(z[k] - top); }));
            const TargetRow t(target, row, columns, ignored, class_weight, smoothing);
            REAL loss = -reduce_row<Sum<REAL>>(
                group, t.begin, t.end, [=](i64 k) { return t.at(k) * ((z[k] - top) - log_sum); });
            if (!t.valid) loss = 0;
            if (sample_weight) loss *= sample_weight[row];
            if (group.rank() == 0) {
                stats[row] = top;
                stats[rows + row] = log_sum;
                if (out) out[row] = loss;
                losses += loss;
                weights += t.weight(columns);
            }
        }
        if (!out) {
            write_partial(partials, losses);
            write_partial(partials + gridDim.x, weights);
        }
    });
}

template <class TargetRow, class Target>
__device__ void cross_entropy_gradient_rows(STORED* dlogits, const STORED* dout,
                                            const STORED* logits, const Target* target,
                                            const STORED* class_weight, const STORED* sample_weight,
                                            const REAL* stats, REAL divisor, i64 rows, i64 columns,
                                            REAL smoothing, i64 ignored, bool single, bool wide) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const TargetRow t(target, row, columns, ignored, class_weight, smoothing);
            const REAL total =
                reduce_row<Sum<REAL>>(group, t.begin, t.end, [=](i64 k) { return t.at(k); });
            REAL factor = dout[single ? 0 : row] / divisor;
            if (sample_weight) factor *= sample_weight[row];
            const REAL top = stats[row], log_sum = stats[rows + row];
            for (i64 k = group.rank(); k < columns; k += group.size()) {
                const i64 i = row * columns + k;
                const REAL p = exp((logits[i] - top) - log_sum);
                dlogits[i] = t.valid ? (p * total - t.at(k)) * factor : REAL(0);
            }
        }
    });
}

// Without a mean the norm is 1 and there is no second launch that could write it.
extern "C" __global__ void cross_entropy_forward(STORED* out, REAL* stats, REAL* norm,
                                                 REAL* partials, const STORED* logits,
                                                 const i64* target, const STORED* class_weight,
                                                 const STORED* sample_weight, i64 rows, i64 columns,
                                                 REAL smoothing, i64 ignored, bool wide) {
    if (out && blockIdx.x == 0 && threadIdx.x == 0) *norm = 1;
    cross_entropy_rows<IndexRow>(out, stats, partials, logits, target, class_weight, sample_weight,
                                 rows, columns, smoothing, ignored, wide);
}

extern "C" __global__ void soft_cross_entropy_forward(STORED* out, REAL* stats, REAL* partials,
                                                      const STORED* logits, const STORED* target,
                                                      const STORED* class_weight,
                                                      const STORED* sample_weight, i64 rows,
                                                      i64 columns, REAL smoothing, bool wide) {
    cross_entropy_rows<ProbabilityRow>(out, stats, partials, logits, target, class_weight,
                                       sample_weight, rows, columns, smoothing, 0, wide);
}

// One block: norm = the sum of the weights (or 1 unless `mean`), out = the sum of losses / norm.
extern "C" __global__ void finish_cross_entropy(STORED* out, REAL* norm, const REAL* partials,
                                                i64 blocks, bool mean) {
    const BlockRows block;
    const REAL losses = reduce_row<Sum<REAL>>(block, 0, blocks, [=](i64 i) { return partials[i]; });
    const REAL weights =
        reduce_row<Sum<REAL>>(block, blocks, 2 * blocks, [=](i64 i) { return partials[i]; });
    if (threadIdx.x == 0) {
        const REAL divisor = mean ? weights : REAL(1);
        if (norm) *norm = divisor;
        *out = losses / divisor;
    }
}

extern "C" __global__ void cross_entropy_backward(
    STORED* dlogits, const STORED* dout, const STORED* logits, const i64* target,
    const STORED* class_weight, const STORED* sample_weight, const REAL* stats, const REAL* norm,
    i64 rows, i64 columns, REAL smoothing, i64 ignored, bool single, bool wide) {
    cross_entropy_gradient_rows<IndexRow>(dlogits, dout, logits, target, class_weight,
                                          sample_weight, stats, *norm, rows, columns, smoothing,
                                          ignored, single, wide);
}

extern "C" __global__ void soft_cross_entropy_backward(
    STORED* dlogits, const STORED* dout, const STORED* logits, const STORED* target,
    const STORED* class_weight, const STORED* sample_weight, const REAL* stats, REAL divisor,
    i64 rows, i64 columns, REAL smoothing, bool single, bool wide) {
    cross_entropy_gradient_rows<ProbabilityRow>(dlogits, dout, logits, target, class_weight,
                                                sample_weight, stats, divisor, rows, columns,
                                                smoothing, 0, single, wide);
}
