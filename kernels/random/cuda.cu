// Random arrays: a thread draws four elements with one call of Philox; the state stays on the
// device. Formulas: reference.py and philox.py.
#include "../common.cuh"
#include "../philox.cuh"

extern "C" __global__ void next_step(u32* state) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        state[2] += 1;
        state[3] = 0;
    }
}

extern "C" __global__ void skip_streams(u32* state, u32 count) {
    if (blockIdx.x == 0 && threadIdx.x == 0) state[3] += count;
}

extern "C" __global__ void random_bits(u32* out, const u32* state, i64 n, u32 stream) {
    for_each_word(n, state, stream, [=](i64 i, u32 word) { out[i] = word; });
}

extern "C" __global__ void random_uniform(REAL* out, const u32* state, i64 n, u32 stream, REAL low,
                                          REAL range) {
    for_each_word(n, state, stream, [=](i64 i, u32 word) {
        out[i] = low + range * (REAL(word >> 8) * REAL(1.0 / 16777216.0));
    });
}
