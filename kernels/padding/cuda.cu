// Padding: every element of the result looks up its place, every element of a gradient gathers what
// it was repeated to. Formulas: reference.py.
#include "../common.cuh"

const int RANK = 6;

// Sizes of x, slowest first, and how many elements each axis gets before and after it.
struct Padding {
    i64 size[RANK], before[RANK], after[RANK];
};
enum Mode { ZEROS, REFLECT, REPLICATE, CIRCULAR };

// Where in x the element k - before of an axis comes from: -1 is nowhere.
__device__ inline i64 place(i64 k, i64 n, int mode) {
    if (k >= 0 && k < n) return k;
    switch (mode) {
        case REFLECT: return k < 0 ? -k : 2 * (n - 1) - k;
        case REPLICATE: return k < 0 ? 0 : n - 1;
        case CIRCULAR: return k < 0 ? k + n : k - n;
    }
    return -1;
}

extern "C" __global__ void pad_forward(STORED* out, const STORED* x, i64 n, Padding p, int mode,
                                       REAL value) {
    FOR_EACH(i, n) {
        i64 rest = i, at = 0, step = 1;
        bool inside = true;
        for (int d = RANK - 1; d >= 0; d--) {
            const i64 length = p.before[d] + p.size[d] + p.after[d];
            const i64 next = quotient(rest, length);
            const i64 k = place(rest - next * length - p.before[d], p.size[d], mode);
            inside = inside && k >= 0;
            at += k * step;
            step *= p.size[d];
            rest = next;
        }
        out[i] = inside ? REAL(x[at]) : value;
    }
}

// How often the element k of an axis is repeated, and the places (in the result) of that.
struct Repeats {
    i64 first, count;    // itself, then others
    i64 low, lows;       // those before: `lows` from `low` on
    i64 high;            // those after, from `high` on
};
__device__ inline Repeats repeats(i64 k, i64 n, i64 before, i64 after, int mode) {
    Repeats r = {k + before, 1, 0, 0, 0};
    i64 highs = 0;
    if (mode == REFLECT) {
        if (k >= 1 && k <= before) r.low = before - k, r.lows = 1;
        if (k < n - 1 && k >= n - 1 - after) r.high = before + 2 * (n - 1) - k, highs = 1;
    } else if (mode == REPLICATE) {
        if (k == 0) r.low = 0, r.lows = before;
        if (k == n - 1) r.high = before + n, highs = after;
    } else if (mode == CIRCULAR) {
        if (k >= n - before) r.low = k - (n - before), r.lows = 1;
        if (k < after) r.high = before + n + k, highs = 1;
    }
    r.count += r.lows + highs;
    return r;
}
__device__ inline i64 repeat(const Repeats& r, i64 number) {
    if (number == 0) return r.first;
    return number <= r.lows ? r.low + number - 1 : r.high + number - 1 - r.lows;
}

extern "C" __global__ void pad_backward(STORED* dx, const STORED* dout, i64 n, Padding p,
                                        int mode) {
    FOR_EACH(i, n) {
        REAL sum = 0;
        i64 combinations = 1;
        // The first turn finds how many there are. What an axis repeats is worked out again in
        // each, because to keep it for every axis would take more registers than there are.
        for (i64 c = 0; c < combinations; c++) {
            i64 rest = i, left = c, at = 0, step = 1, count = 1;
            for (int d = RANK - 1; d >= 0; d--) {
                const i64 size = p.size[d], next = quotient(rest, size);
                const Repeats r =
                    repeats(rest - next * size, size, p.before[d], p.after[d], mode);
                const i64 beyond = quotient(left, r.count);
                at += repeat(r, left - beyond * r.count) * step;
                step *= p.before[d] + size + p.after[d];
                count *= r.count;
                rest = next;
                left = beyond;
            }
            combinations = count;
            sum += REAL(dout[at]);
        }
        dx[i] = sum;
    }
}
