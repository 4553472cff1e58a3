// Dropout in one launch each way: the mask is drawn where it is used and never stored.
// Formulas: reference.py.
#include "../common.cuh"
#include "../philox.cuh"

// The forward pass leaves the state in `key`, from which the backward pass (key null) draws again.
extern "C" __global__ void dropout(STORED* out, u32* key, const STORED* x, const u32* state, i64 n,
                                   i64 span, u32 stream, u32 threshold, REAL scale) {
    if (key && blockIdx.x == 0 && threadIdx.x < 4) key[threadIdx.x] = state[threadIdx.x];
    for_each_word(n, state, stream,
                  [=](i64 i, u32 word) { out[i] = word >= threshold ? x[i] * scale : REAL(0); });
}

// The same where `span` neighbours share one word.
extern "C" __global__ void dropout_spans(STORED* out, u32* key, const STORED* x, const u32* state,
                                         i64 n, i64 span, u32 stream, u32 threshold, REAL scale) {
    if (key && blockIdx.x == 0 && threadIdx.x < 4) key[threadIdx.x] = state[threadIdx.x];
    FOR_EACH(i, n) {
        const i64 number = quotient(i, span);
        u32 words[4];
        random_words(words, state, stream, number / 4);
        out[i] = words[number % 4] >= threshold ? x[i] * scale : REAL(0);
    }
}
