// Activations by themselves: one launch forward, one backward, 16 bytes a thread and step.
// Formulas: reference.py.
#include "../common.cuh"
#include "../activation.cuh"

extern "C" __global__ void activation_forward(STORED* out, const STORED* x, i64 n, int kind,
                                              REAL alpha) {
    with_activation(kind,
                    [=](auto f) { map(out, n, [=](REAL x) { return f.value(x, alpha); }, x); });
}

extern "C" __global__ void activation_backward(STORED* dx, const STORED* dout, const STORED* saved,
                                               i64 n, int kind, REAL alpha) {
    with_activation(kind, [=](auto f) {
        map(dx, n, [=](REAL d, REAL s) { return d * f.slope(s, alpha); }, dout, saved);
    });
}
