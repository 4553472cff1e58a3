// Recurrent layers between their matrix products: one launch a step, a thread an element of a state.
//   forward   adds the input's part and the bias to the product h W, applies the gates' functions,
//             moves the state
//   backward  the gates' derivatives; what goes to the step before by way of W is the next product
// States that are added to from step to step are REAL. Formulas and shapes: reference.py.
#include "../common.cuh"
#include "../activation.cuh"

__device__ inline bool ended(const i64* lengths, i64 b, i64 step) {
    return lengths && step >= lengths[b];
}

// What the gates of one state's element are applied to: column `column` of x and of h W + b.
struct Inputs {
    const STORED *projected, *bias;
    const REAL* product;  // null where h is zero
    __device__ Inputs(const STORED* projected, const STORED* bias, const REAL* product, i64 step,
                      i64 batch, i64 b, i64 columns)
        : projected(projected + (step * batch + b) * columns),
          bias(bias),
          product(product ? product + b * columns : product) {}
    __device__ REAL by_input(i64 column) const { return projected[column]; }
    __device__ REAL by_state(i64 column) const {
        const REAL sum = product ? product[column] : REAL(0);
        return bias ? sum + REAL(bias[column]) : sum;
    }
    __device__ REAL operator()(i64 column) const { return by_input(column) + by_state(column); }
};

// The state before the step that follows step `step`, which the sequence may not have.
template <class T>
__device__ REAL state_before(const T* states, const T* first, const i64* lengths, i64 step,
                             i64 length, i64 batch, i64 hidden, i64 b, i64 j) {
    if (step >= 0 && step < length && !ended(lengths, b, step)) {
        return states[(step * batch + b) * hidden + j];
    }
    return first ? REAL(first[b * hidden + j]) : REAL(0);
}

// The gradient by a state, from the steps after: what passed by W, and what went around it.
__device__ inline REAL by_state(const REAL* dh, const REAL* passed, i64 i) {
    return passed ? dh[i] + passed[i] : dh[i];
}

extern "C" __global__ void state_gradient(STORED* out, const REAL* dh, const REAL* passed, i64 n) {
    FOR_EACH(i, n) out[i] = by_state(dh, passed, i);
}

// --- RNN -----------------------------------------------------------------------------------------

extern "C" __global__ void rnn_step(STORED* out, STORED* last, const REAL* product,
                                    const STORED* projected, const STORED* bias,
                                    const i64* lengths, i64 step, i64 batch, i64 hidden, int kind) {
    with_activation(kind, [=](auto f) {
        FOR_EACH(i, batch * hidden) {
            const i64 b = quotient(i, hidden), j = remainder(i, hidden);
            const i64 at = step * batch * hidden + i;
            if (ended(lengths, b, step)) {
                out[at] = REAL(0);
                continue;
            }
            const Inputs a(projected, bias, product, step, batch, b, hidden);
            out[at] = last[i] = f.value(a(j), REAL(0));
        }
    });
}

extern "C" __global__ void rnn_step_backward(STORED* dprojected, REAL* dh, STORED* before,
                                             const REAL* passed, const STORED* dout,
                                             const STORED* h0, const i64* lengths,
                                             const STORED* out, i64 step, i64 earlier, i64 length,
                                             i64 batch, i64 hidden, int kind) {
    with_activation(kind, [=](auto f) {
        FOR_EACH(i, batch * hidden) {
            const i64 b = quotient(i, hidden), j = remainder(i, hidden);
            const i64 at = step * batch * hidden + i;
            const REAL later = by_state(dh, passed, i);
            if (ended(lengths, b, step)) {
                dprojected[at] = before[at] = REAL(0);
                dh[i] = later;
                continue;
            }
            dprojected[at] = (later + dout[at]) * f.slope(out[at], REAL(0));
            before[at] = state_before(out, h0, lengths, earlier, length, batch, hidden, b, j);
            dh[i] = 0;
        }
    });
}

// --- LSTM ----------------------------------------------------------------------------------------

extern "C" __global__ void lstm_step(STORED* out, STORED* last, REAL* cell, STORED* gates,
                                     REAL* cells, const REAL* product, const STORED* projected,
                                     const STORED* bias, const i64* lengths, i64 step, i64 batch,
                                     i64 hidden) {
    FOR_EACH(n, batch * hidden) {
        const i64 b = quotient(n, hidden), j = remainder(n, hidden);
        const i64 at = step * batch * hidden + n;
        STORED* saved = gates + (step * batch + b) * 4 * hidden + j;
        if (ended(lengths, b, step)) {
            out[at] = REAL(0);
            cells[at] = 0;
            for (int k = 0; k < 4; k++) saved[k * hidden] = REAL(0);
            continue;
        }
        const Inputs a(projected, bias, product, step, batch, b, 4 * hidden);
        const REAL i = sigmoid_of(a(j)), f = sigmoid_of(a(hidden + j));
        const REAL g = tanh(a(2 * hidden + j)), o = sigmoid_of(a(3 * hidden + j));
        const REAL c = f * cell[n] + i * g;
        saved[0] = i;
        saved[hidden] = f;
        saved[2 * hidden] = g;
        saved[3 * hidden] = o;
        cells[at] = cell[n] = c;
        out[at] = last[n] = o * tanh(c);
    }
}

extern "C" __global__ void lstm_step_backward(STORED* dprojected, REAL* dh, REAL* dc,
                                              STORED* before, const REAL* passed,
                                              const STORED* dout, const STORED* h0, const REAL* c0,
                                              const i64* lengths, const STORED* out,
                                              const STORED* gates, const REAL* cells, i64 step,
                                              i64 earlier, i64 length, i64 batch, i64 hidden) {
    FOR_EACH(n, batch * hidden) {
        const i64 b = quotient(n, hidden), j = remainder(n, hidden);
        const i64 at = step * batch * hidden + n;
        const i64 row = (step * batch + b) * 4 * hidden + j;
        const STORED* saved = gates + row;
        STORED* d = dprojected + row;
        const REAL later = by_state(dh, passed, n);
        if (ended(lengths, b, step)) {
            for (int k = 0; k < 4; k++) d[k * hidden] = REAL(0);
            before[at] = REAL(0);
            dh[n] = later;
            continue;
        }
        const REAL i = saved[0], f = saved[hidden], g = saved[2 * hidden], o = saved[3 * hidden];
        const REAL whole = later + dout[at], squashed = tanh(cells[at]);
        const REAL inner = dc[n] + whole * o * (REAL(1) - squashed * squashed);
        const REAL c = state_before(cells, c0, lengths, earlier, length, batch, hidden, b, j);
        d[0] = inner * g * i * (REAL(1) - i);
        d[hidden] = inner * c * f * (REAL(1) - f);
        d[2 * hidden] = inner * i * (REAL(1) - g * g);
        d[3 * hidden] = whole * squashed * o * (REAL(1) - o);
        before[at] = state_before(out, h0, lengths, earlier, length, batch, hidden, b, j);
        dc[n] = inner * f;
        dh[n] = 0;
    }
}

// --- GRU -----------------------------------------------------------------------------------------

extern "C" __global__ void gru_step(STORED* out, STORED* last, STORED* gates, REAL* state,
                                    const REAL* product, const STORED* projected,
                                    const STORED* bias, const i64* lengths, i64 step, i64 batch,
                                    i64 hidden) {
    FOR_EACH(i, batch * hidden) {
        const i64 b = quotient(i, hidden), j = remainder(i, hidden);
        const i64 at = step * batch * hidden + i;
        STORED* saved = gates + (step * batch + b) * 4 * hidden + j;
        if (ended(lengths, b, step)) {
            out[at] = REAL(0);
            for (int k = 0; k < 4; k++) saved[k * hidden] = REAL(0);
            continue;
        }
        const Inputs a(projected, bias, product, step, batch, b, 3 * hidden);
        const REAL r = sigmoid_of(a(j)), z = sigmoid_of(a(hidden + j));
        const REAL q = a.by_state(2 * hidden + j), n = tanh(a.by_input(2 * hidden + j) + r * q);
        const REAL h = (REAL(1) - z) * n + z * state[i];
        saved[0] = r;
        saved[hidden] = z;
        saved[2 * hidden] = n;
        saved[3 * hidden] = q;
        state[i] = h;
        out[at] = last[i] = h;
    }
}

extern "C" __global__ void gru_step_backward(STORED* dprojected, STORED* da, REAL* dh,
                                             STORED* before, const REAL* passed,
                                             const STORED* dout, const STORED* h0,
                                             const i64* lengths, const STORED* out,
                                             const STORED* gates, i64 step, i64 earlier,
                                             i64 length, i64 batch, i64 hidden) {
    FOR_EACH(i, batch * hidden) {
        const i64 b = quotient(i, hidden), j = remainder(i, hidden);
        const i64 at = step * batch * hidden + i;
        const i64 row = (step * batch + b) * 3 * hidden + j;
        const STORED* saved = gates + (step * batch + b) * 4 * hidden + j;
        STORED *d = dprojected + row, *e = da + row;
        const REAL later = by_state(dh, passed, i);
        if (ended(lengths, b, step)) {
            for (int k = 0; k < 3; k++) d[k * hidden] = e[k * hidden] = REAL(0);
            before[at] = REAL(0);
            dh[i] = later;
            continue;
        }
        const REAL r = saved[0], z = saved[hidden], n = saved[2 * hidden], q = saved[3 * hidden];
        const REAL h = state_before(out, h0, lengths, earlier, length, batch, hidden, b, j);
        const REAL whole = later + dout[at];
        const REAL dn = whole * (REAL(1) - z) * (REAL(1) - n * n);
        d[0] = e[0] = dn * q * r * (REAL(1) - r);
        d[hidden] = e[hidden] = whole * (h - n) * z * (REAL(1) - z);
        d[2 * hidden] = dn;
        e[2 * hidden] = dn * r;
        before[at] = h;
        dh[i] = whole * z;
    }
}
