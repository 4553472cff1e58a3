// Rotary position embedding in one pass, a thread an element. Formulas: reference.py.
#include "../common.cuh"

// The rows of x are (batch x length, all heads, width). direction: 1 forward, -1 backward.
extern "C" __global__ void rotary(STORED* out, const STORED* x, const REAL* table, const i64* start,
                                  i64 n, i64 length, i64 all, i64 width, i64 positions, i64 half,
                                  i64 heads, REAL direction) {
    FOR_EACH(e, n) {
        const i64 head = quotient(e, width), column = e - head * width;
        const i64 row = quotient(head, all);
        if (head - row * all >= heads || column >= 2 * half) {
            out[e] = x[e];
            continue;
        }
        const i64 place = remainder(row, length) + (start ? start[0] : 0);
        const bool first = column < half;
        const i64 angle = (place < positions ? place : positions - 1) * half +
                          (first ? column : column - half);
        const REAL turned = direction * table[positions * half + angle];
        out[e] = x[e] * table[angle] + (first ? -REAL(x[e + half]) : REAL(x[e - half])) * turned;
    }
}
