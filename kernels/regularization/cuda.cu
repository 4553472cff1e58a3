// Penalties: forward one partial sum a block (the reduction family adds them), backward one launch.
// Formulas: reference.py.
#include "../common.cuh"

extern "C" __global__ void penalty_partials(REAL* partials, const REAL* w, i64 n, REAL l1,
                                            REAL l2) {
    REAL sum = 0;
    FOR_EACH(i, n) sum += l1 * fabs(w[i]) + l2 * w[i] * w[i];
    write_partial(partials, sum);
}

extern "C" __global__ void penalty_backward(REAL* dw, const REAL* dout, const REAL* w, i64 n,
                                            REAL l1, REAL l2) {
    const REAL d = *dout;
    map(dw, n, [=](REAL w) { return (l1 * sign(w) + REAL(2) * l2 * w) * d; }, w);
}
