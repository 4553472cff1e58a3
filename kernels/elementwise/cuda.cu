// Elementwise basics: one launch each. Operands of one shape are read 16 bytes at a time; broadcast
// or strided ones through their strides, which cuda.py has collapsed to at most RANK dimensions.
// Formulas: reference.py.
#include "../common.cuh"
#include "../strided.cuh"

// --- One operand ---------------------------------------------------------------------------------

#define UNARY(Name, value_expression, slope_expression)                             \
    struct Name {                                                                   \
        static __device__ REAL value(REAL x) { return value_expression; }           \
        static __device__ REAL slope(REAL x, REAL out) { return slope_expression; } \
    };

UNARY(Negative, -x, REAL(-1))
UNARY(Exp, exp(x), out)
UNARY(Log, log(x), REAL(1) / x)
UNARY(Log1p, log1p(x), REAL(1) / (REAL(1) + x))
UNARY(Expm1, expm1(x), out + REAL(1))
UNARY(Sqrt, sqrt(x), REAL(0.5) / out)
UNARY(Square, x* x, REAL(2) * x)
UNARY(Reciprocal, REAL(1) / x, -out* out)
UNARY(Absolute, fabs(x), sign(x))
UNARY(Sign, sign(x), REAL(0))
UNARY(Sin, sin(x), cos(x))
UNARY(Cos, cos(x), -sin(x))

// use(f), numbered in the order of UNARY in reference.py.
template <class Use>
__device__ void with_unary(int kind, Use use) {
    switch (kind) {
        case 0: return use(Negative());
        case 1: return use(Exp());
        case 2: return use(Log());
        case 3: return use(Log1p());
        case 4: return use(Expm1());
        case 5: return use(Sqrt());
        case 6: return use(Square());
        case 7: return use(Reciprocal());
        case 8: return use(Absolute());
        case 9: return use(Sign());
        case 10: return use(Sin());
        case 11: return use(Cos());
    }
}

extern "C" __global__ void unary_forward(STORED* out, const STORED* x, i64 n, int kind) {
    with_unary(kind, [=](auto f) { map(out, n, [=](REAL x) { return f.value(x); }, x); });
}

extern "C" __global__ void unary_backward(STORED* dx, const STORED* dout, const STORED* x,
                                          const STORED* out, i64 n, int kind) {
    with_unary(kind, [=](auto f) {
        map(dx, n, [=](REAL d, REAL x, REAL y) { return d * f.slope(x, y); }, dout, x, out);
    });
}

extern "C" __global__ void clip_forward(STORED* out, const STORED* x, i64 n, REAL low, REAL high) {
    map(out, n, [=](REAL x) { return clipped(x, low, high); }, x);
}

extern "C" __global__ void clip_backward(STORED* dx, const STORED* dout, const STORED* x, i64 n,
                                         REAL low, REAL high) {
    map(dx, n, [=](REAL d, REAL x) { return x >= low && x <= high ? d : REAL(0); }, dout, x);
}

extern "C" __global__ void accumulate(STORED* acc, const STORED* x, i64 n) {
    map(acc, n, [=](REAL sum, REAL x) { return sum + x; }, acc, x);
}

// --- Two and three operands ----------------------------------------------------------------------

#define BINARY(Name, value_expression, slope_a_expression, slope_b_expression)                  \
    struct Name {                                                                               \
        static __device__ REAL value(REAL a, REAL b) { return value_expression; }               \
        static __device__ REAL slope_a(REAL a, REAL b, REAL out) { return slope_a_expression; } \
        static __device__ REAL slope_b(REAL a, REAL b, REAL out) { return slope_b_expression; } \
    };

// The share of a tie is one half each.
__device__ inline REAL share(bool first, REAL a, REAL b) {
    return first ? REAL(1) : a == b ? REAL(0.5) : REAL(0);
}

BINARY(Add, a + b, REAL(1), REAL(1))
BINARY(Subtract, a - b, REAL(1), REAL(-1))
BINARY(Multiply, a* b, b, a)
BINARY(Divide, a / b, REAL(1) / b, -out / b)
BINARY(Power, pow(a, b), b == 0 ? REAL(0) : b * pow(a, b - REAL(1)),
       a == 0 ? REAL(0) : out * log(a))
BINARY(Maximum, largest(a, b), share(a > b, a, b), REAL(1) - share(a > b, a, b))
BINARY(Minimum, smallest(a, b), share(a < b, a, b), REAL(1) - share(a < b, a, b))

// use(f), numbered in the order of ARITHMETIC in reference.py.
template <class Use>
__device__ void with_arithmetic(int kind, Use use) {
    switch (kind) {
        case 0: return use(Add());
        case 1: return use(Subtract());
        case 2: return use(Multiply());
        case 3: return use(Divide());
        case 4: return use(Power());
        case 5: return use(Maximum());
        case 6: return use(Minimum());
    }
}

extern "C" __global__ void arithmetic(STORED* out, const STORED* a, const STORED* b, i64 n,
                                      int kind) {
    with_arithmetic(
        kind, [=](auto f) { map(out, n, [=](REAL a, REAL b) { return f.value(a, b); }, a, b); });
}

extern "C" __global__ void arithmetic_strided(STORED* out, const STORED* a, const STORED* b, i64 n,
                                              Broadcast shape, int kind) {
    with_arithmetic(kind, [=, &shape](auto f) { map_strided(f, out, a, b, n, shape); });
}

// da and db have the shape of the result; either may be null. Operands: dout, a, b, out.
extern "C" __global__ void arithmetic_backward(STORED* da, STORED* db, const STORED* dout,
                                               const STORED* a, const STORED* b, const STORED* out,
                                               i64 n, Broadcast shape, int kind) {
    with_arithmetic(kind, [=, &shape](auto f) {
        FOR_EACH(i, n) {
            i64 at[4];
            offsets<4>(at, shape, i);
            const REAL d = dout[at[0]], x = a[at[1]], y = b[at[2]], result = out[at[3]];
            if (da) da[i] = d * f.slope_a(x, y, result);
            if (db) db[i] = d * f.slope_b(x, y, result);
        }
    });
}
