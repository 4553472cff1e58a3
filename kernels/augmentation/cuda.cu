// Random flips and shifts of images in one launch each way. Formulas: reference.py.
#include "../common.cuh"
#include "../philox.cuh"

// The place from which element `at` of an axis is taken, or to which it goes back.
__device__ inline i64 place(i64 at, i64 size, int most, bool flip, u32 shift, u32 turn, bool back) {
    const i64 moved = i64(u64(shift) * (2 * most + 1) >> 32) - most;
    const bool turned = flip && turn >> 31;
    if (back) at -= moved;
    if (turned) at = size - 1 - at;
    return back ? at : at + moved;
}

// x, out: (n, planes, height, width, channels). The forward pass leaves the state in `key`, from
// which the backward pass (key null) draws again.
extern "C" __global__ void augment(STORED* out, u32* key, const STORED* x, const u32* state, i64 n,
                                   i64 planes, i64 height, i64 width, i64 channels, int down,
                                   int right, bool flip_rows, bool flip_columns, u32 stream,
                                   bool back) {
    if (key && blockIdx.x == 0 && threadIdx.x < 4) key[threadIdx.x] = state[threadIdx.x];
    FOR_EACH(i, n * planes * height * width) {
        const i64 line = quotient(i, width), c = i - line * width;
        const i64 plane = quotient(line, height), r = line - plane * height;
        u32 words[4];
        random_words(words, state, stream, quotient(plane, planes));
        const i64 row = place(r, height, down, flip_rows, words[0], words[2], back);
        const i64 column = place(c, width, right, flip_columns, words[1], words[3], back);
        const bool there = row >= 0 && row < height && column >= 0 && column < width;
        const i64 from = ((plane * height + row) * width + column) * channels;
        for (i64 k = 0; k < channels; k++) {
            out[i * channels + k] = there ? REAL(x[from + k]) : REAL(0);
        }
    }
}
