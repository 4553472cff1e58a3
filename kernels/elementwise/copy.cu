// Copies to another dtype or layout, and constants. REAL is what is written, of every dtype.
#include "../common.cuh"
#include "../strided.cuh"

// use(x) with x as a pointer to its elements, numbered in the order of NUMBERS in spec.py.
template <class Use>
__device__ void with_elements(const void* x, int dtype, Use use) {
    switch (dtype) {
        case 0: return use(static_cast<const float*>(x));
        case 1: return use(static_cast<const double*>(x));
        case 2: return use(static_cast<const int*>(x));
        case 3: return use(static_cast<const i64*>(x));
        case 4: return use(static_cast<const u8*>(x));
        case 5: return use(static_cast<const u32*>(x));
        case 6: return use(static_cast<const bool*>(x));
    }
}

extern "C" __global__ void copy(REAL* out, const void* x, i64 n, int dtype) {
    with_elements(x, dtype, [=](auto x) { FOR_EACH(i, n) out[i] = REAL(x[i]); });
}

extern "C" __global__ void copy_strided(REAL* out, const void* x, i64 n, Broadcast shape,
                                        int dtype) {
    with_elements(x, dtype, [=, &shape](auto x) {
        FOR_EACH(i, n) {
            i64 at[1];
            offsets<1>(at, shape, i);
            out[i] = REAL(x[at[0]]);
        }
    });
}

extern "C" __global__ void fill(REAL* out, i64 n, REAL value) { FOR_EACH(i, n) out[i] = value; }
