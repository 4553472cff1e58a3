// Optimizer updates: one launch over the flat buffer each. Learning rate, step count and whether
// the step is skipped are read from the device array `hyper`, so that a recorded launch follows
// them. Formulas: reference.py.
#include "../common.cuh"

// Values that every thread needs and that cost double precision, computed once a block.
struct Scales {
    REAL step_size, inverse_root, shrink;
};

__device__ inline REAL with_decay(REAL grad, REAL param, REAL weight_decay) {
    return weight_decay != 0 ? grad + weight_decay * param : grad;
}

extern "C" __global__ void advance(double* hyper) {
    if (blockIdx.x == 0 && threadIdx.x == 0 && hyper[2] == 0) hyper[1] += 1;
}

extern "C" __global__ void sgd_update(REAL* param, REAL* velocity, const REAL* grad,
                                      const double* hyper, i64 n, REAL momentum, REAL weight_decay,
                                      bool nesterov) {
    if (hyper[2] != 0) return;
    const REAL lr = REAL(hyper[0]);
    FOR_EACH(i, n) {
        const REAL w = param[i];
        REAL step = with_decay(grad[i], w, weight_decay);
        if (velocity) {
            const REAL v = velocity[i] = velocity[i] * momentum + step;
            step = nesterov ? step + momentum * v : v;
        }
        param[i] = w - lr * step;
    }
}

extern "C" __global__ void adam_update(REAL* param, REAL* m, REAL* v, const REAL* grad,
                                       const double* hyper, i64 n, double beta1, double beta2,
                                       REAL eps, double weight_decay, bool decoupled) {
    if (hyper[2] != 0) return;
    __shared__ Scales shared;
    if (threadIdx.x == 0) {
        const double lr = hyper[0], t = hyper[1];
        shared.step_size = REAL(lr / (1.0 - pow(beta1, t)));
        shared.inverse_root = REAL(1.0 / sqrt(1.0 - pow(beta2, t)));
        shared.shrink = REAL(decoupled ? 1.0 - lr * weight_decay : 1.0);
    }
    __syncthreads();
    const Scales s = shared;
    const REAL b1 = REAL(beta1), rest1 = REAL(1.0 - beta1);
    const REAL b2 = REAL(beta2), rest2 = REAL(1.0 - beta2);
    const REAL coupled_decay = decoupled ? REAL(0) : REAL(weight_decay);
    FOR_EACH(i, n) {
        const REAL w = param[i] * s.shrink;
        const REAL g = with_decay(grad[i], w, coupled_decay);
        const REAL first = m[i] = m[i] * b1 + rest1 * g;
        const REAL second = v[i] = v[i] * b2 + rest2 * g * g;
        param[i] = w - s.step_size * first / (sqrt(second) * s.inverse_root + eps);
    }
}

// `rest` is 1 - alpha, subtracted in double precision by the caller.
extern "C" __global__ void rmsprop_update(REAL* param, REAL* square, REAL* velocity, REAL* average,
                                          const REAL* grad, const double* hyper, i64 n, REAL alpha,
                                          REAL rest, REAL eps, REAL weight_decay, REAL momentum) {
    if (hyper[2] != 0) return;
    const REAL lr = REAL(hyper[0]);
    FOR_EACH(i, n) {
        const REAL w = param[i];
        const REAL g = with_decay(grad[i], w, weight_decay);
        REAL variance = square[i] = square[i] * alpha + rest * g * g;
        if (average) {
            const REAL mean = average[i] = average[i] * alpha + rest * g;
            variance = largest(variance - mean * mean, REAL(0));
        }
        REAL step = g / (sqrt(variance) + eps);
        if (velocity) velocity[i] = step = velocity[i] * momentum + step;
        param[i] = w - lr * step;
    }
}

extern "C" __global__ void adagrad_update(REAL* param, REAL* square, const REAL* grad,
                                          const double* hyper, i64 n, REAL eps, REAL weight_decay,
                                          double lr_decay) {
    if (hyper[2] != 0) return;
    const REAL lr = REAL(hyper[0] / (1.0 + (hyper[1] - 1.0) * lr_decay));
    FOR_EACH(i, n) {
        const REAL w = param[i];
        const REAL g = with_decay(grad[i], w, weight_decay);
        const REAL total = square[i] = square[i] + g * g;
        param[i] = w - lr * g / (sqrt(total) + eps);
    }
}

// One partial a block, added in double precision; the reduction family adds the partials.
extern "C" __global__ void square_partials(double* partials, const REAL* x, i64 n) {
    double sum = 0;
    FOR_EACH(i, n) sum += double(x[i]) * double(x[i]);
    write_partial(partials, sum);
}

extern "C" __global__ void clip_by_norm(REAL* grad, const double* total, i64 n, double max_norm,
                                        double epsilon) {
    const double wanted = max_norm / (sqrt(*total) + epsilon);
    const REAL scale = wanted < 1 ? REAL(wanted) : REAL(1);  // NaN, too, changes nothing
    map(grad, n, [=](REAL g) { return g * scale; }, grad);
}

extern "C" __global__ void clip_by_value(REAL* grad, i64 n, REAL limit) {
    map(grad, n, [=](REAL g) { return clipped(g, -limit, limit); }, grad);
}

// Threads that find a number that is not finite all write the same.
extern "C" __global__ void unscale(REAL* grad, double* scaling, i64 n) {
    const REAL inverse = REAL(1.0 / scaling[0]);
    bool finite = true;
    map(
        grad, n,
        [inverse, &finite](REAL g) {
            finite = finite && fabs(g) < REAL(INFINITY);
            return g * inverse;
        },
        grad);
    if (!finite) scaling[2] = 1;
}

extern "C" __global__ void update_scale(double* scaling, double growth, double backoff,
                                        i64 interval) {
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    const bool bad = scaling[2] != 0;
    const double good = bad ? 0 : scaling[1] + 1;
    const bool grown = good == double(interval);
    scaling[0] *= bad ? backoff : grown ? growth : 1.0;
    scaling[1] = grown ? 0 : good;
    scaling[2] = 0;
}
