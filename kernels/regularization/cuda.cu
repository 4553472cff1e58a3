// Penalties: forward one partial sum a block (the reduction family adds them), backward one launch.
// Formulas: reference.py.
#include "../common.cuh"

extern "C" __global__ void penalty_partials(REAL* partials, const STORED* w, i64 n, REAL l1,
                                            REAL l2) {
    REAL sum = 0;
    FOR_EACH(i, n) {
        const REAL value = w[i];
        sum += l1 * fabs(value) + l2 * value * value;
    }
    write_partial(partials, sum);
}

extern "C" __global__ void penalty_backward(STORED* dw, const STORED* dout, const STORED* w, i64 n,
                                            REAL l1, REAL l2) {
    const REAL d = *dout;
    map(dw, n, [=](REAL w) { return (l1 * sign(w) + REAL(2) * l2 * w) * d; }, w);
}
