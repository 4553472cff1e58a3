// The activation functions and their derivatives; formulas and sources in activation/reference.py.
//
// value(x, alpha) is f(x). slope(saved, alpha) is f'(x) from what that kind saves: f(x) for the
// kinds in FROM_OUTPUT, x for those in FROM_INPUT.
#ifndef TERCET_ACTIVATION_CUH
#define TERCET_ACTIVATION_CUH

const double SELU_SCALE = 1.0507009873554804934;
const double SELU_ALPHA = 1.6732632423543772848;
const double SQRT_HALF = 0.70710678118654752440;
const double SQRT_2_OVER_PI = 0.79788456080286535588;
const double INV_SQRT_2PI = 0.39894228040143267794;
const double GELU_CUBIC = 0.044715;

// e^-|x| never overflows, and the small tail keeps its relative accuracy.
__device__ inline REAL sigmoid_of(REAL x) {
    const REAL e = exp(-fabs(x));
    return (x >= 0 ? REAL(1) : e) / (REAL(1) + e);
}
__device__ inline REAL softplus_of(REAL x) { return largest(x, REAL(0)) + log1p(exp(-fabs(x))); }
__device__ inline REAL elu_of(REAL x, REAL alpha) {
    return x > 0 ? x : alpha * expm1(smallest(x, REAL(0)));
}
__device__ inline REAL normal_cdf(REAL x) {
    return REAL(0.5) * (REAL(1) + erf(x * REAL(SQRT_HALF)));
}
__device__ inline REAL gelu_tanh_of(REAL x) {
    return tanh(REAL(SQRT_2_OVER_PI) * (x + REAL(GELU_CUBIC) * x * x * x));
}

#define ACTIVATION(Name, value_expression, saved_name, slope_expression)                       \
    struct Name {                                                                              \
        static __device__ REAL value(REAL x, REAL alpha) { return value_expression; }          \
        static __device__ REAL slope(REAL saved_name, REAL alpha) { return slope_expression; } \
    };

ACTIVATION(Identity, x, y, REAL(1))
ACTIVATION(Relu, largest(x, REAL(0)), y, y > 0 ? REAL(1) : REAL(0))
ACTIVATION(LeakyRelu, x > 0 ? x : alpha * x, y, y > 0 ? REAL(1) : alpha)
ACTIVATION(Elu, elu_of(x, alpha), y, y > 0 ? REAL(1) : y + alpha)
ACTIVATION(Selu, REAL(SELU_SCALE) * elu_of(x, REAL(SELU_ALPHA)), y,
           y > 0 ? REAL(SELU_SCALE) : y + REAL(SELU_SCALE * SELU_ALPHA))
ACTIVATION(Softplus, softplus_of(x), y, -expm1(-y))
ACTIVATION(Sigmoid, sigmoid_of(x), y, y*(REAL(1) - y))
ACTIVATION(Tanh, tanh(x), y, REAL(1) - y * y)
ACTIVATION(HardSigmoid, clipped(x + REAL(3), REAL(0), REAL(6)) / REAL(6), y,
           y > 0 && y < 1 ? REAL(1) / REAL(6) : REAL(0))
ACTIVATION(Relu6, clipped(x, REAL(0), REAL(6)), y, y > 0 && y < 6 ? REAL(1) : REAL(0))
ACTIVATION(Gelu, x* normal_cdf(x), x,
           normal_cdf(x) + x * (exp(REAL(-0.5) * x * x) * REAL(INV_SQRT_2PI)))
ACTIVATION(Silu, x* sigmoid_of(x), x, sigmoid_of(x) * (REAL(1) + x * (REAL(1) - sigmoid_of(x))))
ACTIVATION(HardSwish, x* clipped(x + REAL(3), REAL(0), REAL(6)) / REAL(6), x,
           x <= -3 ? REAL(0)
           : x < 3 ? x / REAL(3) + REAL(0.5)
                   : REAL(1))

struct GeluTanh {
    static __device__ REAL value(REAL x, REAL alpha) {
        return REAL(0.5) * x * (REAL(1) + gelu_tanh_of(x));
    }
    static __device__ REAL slope(REAL x, REAL alpha) {
        const REAL t = gelu_tanh_of(x);
        const REAL inner = REAL(SQRT_2_OVER_PI) * (REAL(1) + REAL(3 * GELU_CUBIC) * x * x);
        return REAL(0.5) * (REAL(1) + t) + REAL(0.5) * x * (REAL(1) - t * t) * inner;
    }
};
struct Mish {
    static __device__ REAL value(REAL x, REAL alpha) { return x * tanh(softplus_of(x)); }
    static __device__ REAL slope(REAL x, REAL alpha) {
        const REAL t = tanh(softplus_of(x));
        return t + x * sigmoid_of(x) * (REAL(1) - t * t);
    }
};

// use(f) with the functions of a kind, numbered in the order of KINDS in activation/reference.py.
// The branch is taken once a thread, outside its loop, and each kind has a loop of its own.
template <class Use>
__device__ void with_activation(int kind, Use use) {
    switch (kind) {
        case 0: return use(Identity());
        case 1: return use(Relu());
        case 2: return use(LeakyRelu());
        case 3: return use(Elu());
        case 4: return use(Selu());
        case 5: return use(Softplus());
        case 6: return use(Sigmoid());
        case 7: return use(Tanh());
        case 8: return use(HardSigmoid());
        case 9: return use(Relu6());
        case 10: return use(Gelu());
        case 11: return use(GeluTanh());
        case 12: return use(Silu());
        case 13: return use(HardSwish());
        case 14: return use(Mish());
    }
}

#endif
