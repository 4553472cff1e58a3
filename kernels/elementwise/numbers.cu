// What elements of every dtype have: copies to another dtype or layout, constants, comparison,
// choice; and the arithmetic of whole numbers and booleans. Formulas: reference.py.
#include "../common.cuh"
#include "../strided.cuh"

// --- Copies and constants ------------------------------------------------------------------------

// use(x) with x as a pointer to its elements, numbered in the order of NUMBERS in spec.py.
template <class Use>
__device__ void with_elements(const void* x, int dtype, Use use) {
    switch (dtype) {
        case 0: return use(static_cast<const float*>(x));
        case 1: return use(static_cast<const double*>(x));
        case 2: return use(static_cast<const bf16*>(x));
        case 3: return use(static_cast<const f16*>(x));
        case 4: return use(static_cast<const int*>(x));
        case 5: return use(static_cast<const i64*>(x));
        case 6: return use(static_cast<const u8*>(x));
        case 7: return use(static_cast<const u32*>(x));
        case 8: return use(static_cast<const bool*>(x));
    }
}

extern "C" __global__ void copy(STORED* out, const void* x, i64 n, int dtype) {
    with_elements(x, dtype, [=](auto x) { FOR_EACH(i, n) out[i] = STORED(x[i]); });
}

// Operands: out, x.
extern "C" __global__ void copy_strided(STORED* out, const void* x, i64 n, Broadcast shape,
                                        int dtype) {
    with_elements(x, dtype, [=, &shape](auto x) {
        FOR_EACH(i, n) {
            i64 at[2];
            offsets<2>(at, shape, i);
            out[at[0]] = STORED(x[at[1]]);
        }
    });
}

extern "C" __global__ void fill(STORED* out, i64 n, REAL value) { FOR_EACH(i, n) out[i] = value; }

// --- Comparison and choice -----------------------------------------------------------------------

#define OPERATION(Name, Result, expression)                                   \
    struct Name {                                                             \
        static __device__ Result value(REAL a, REAL b) { return expression; } \
    };

OPERATION(Equal, bool, a == b)
OPERATION(NotEqual, bool, a != b)
OPERATION(Less, bool, a < b)
OPERATION(LessEqual, bool, a <= b)
OPERATION(Greater, bool, a > b)
OPERATION(GreaterEqual, bool, a >= b)

// use(f), numbered in the order of COMPARISON in reference.py.
template <class Use>
__device__ void with_comparison(int kind, Use use) {
    switch (kind) {
        case 0: return use(Equal());
        case 1: return use(NotEqual());
        case 2: return use(Less());
        case 3: return use(LessEqual());
        case 4: return use(Greater());
        case 5: return use(GreaterEqual());
    }
}

extern "C" __global__ void comparison_strided(bool* out, const STORED* a, const STORED* b, i64 n,
                                              Broadcast shape, int kind) {
    with_comparison(kind, [=, &shape](auto f) { map_strided(f, out, a, b, n, shape); });
}

extern "C" __global__ void where_strided(STORED* out, const bool* condition, const STORED* a,
                                         const STORED* b, i64 n, Broadcast shape) {
    FOR_EACH(i, n) {
        i64 at[3];
        offsets<3>(at, shape, i);
        out[i] = condition[at[0]] ? a[at[1]] : b[at[2]];
    }
}

// --- Whole numbers and booleans ------------------------------------------------------------------

__device__ inline REAL power_of(REAL a, REAL b) {
    REAL result = 1;
    for (; b > REAL(0); b = REAL(b - REAL(1))) result = REAL(result * a);
    return result;
}

OPERATION(Add, REAL, REAL(a + b))
OPERATION(Subtract, REAL, REAL(a - b))
OPERATION(Multiply, REAL, REAL(a* b))
OPERATION(Power, REAL, power_of(a, b))
OPERATION(Maximum, REAL, a < b ? b : a)
OPERATION(Minimum, REAL, b < a ? b : a)

// use(f), numbered in the order of ARITHMETIC in reference.py; a quotient is no whole number.
template <class Use>
__device__ void with_arithmetic(int kind, Use use) {
    switch (kind) {
        case 0: return use(Add());
        case 1: return use(Subtract());
        case 2: return use(Multiply());
        case 4: return use(Power());
        case 5: return use(Maximum());
        case 6: return use(Minimum());
    }
}

extern "C" __global__ void whole_arithmetic(STORED* out, const STORED* a, const STORED* b, i64 n,
                                            Broadcast shape, int kind) {
    with_arithmetic(kind, [=, &shape](auto f) { map_strided(f, out, a, b, n, shape); });
}
