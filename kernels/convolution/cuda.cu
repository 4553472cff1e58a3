// Convolution as a product that is never laid out: rows are output channels, columns output pixels,
// and what is summed over are a window's elements. A block computes a tile of it; its threads load
// DEPTH elements of every window and of every channel's weights into shared memory, and then each
// adds up MINE x MINE outputs in registers. Bias and ReLU on the way out. Formulas: reference.py.
#include "../common.cuh"

const int MINE = 4;    // outputs of a thread along each side of the tile
const int DEPTH = 8;   // elements of a window between two barriers

struct Geometry {
    i64 batch, channels, height, width;         // of x; channels of one group
    i64 outputs, out_height, out_width;         // outputs: channels of one group
    i64 rows, columns;                          // of a window
    i64 stride[2], padding[2], dilation[2];
};

// grid: (tiles of pixels, tiles of channels, groups); block: (pixels / MINE, channels / MINE).
extern "C" __global__ void convolution(STORED* out, const STORED* x, const STORED* weight,
                                       const STORED* bias, Geometry g, bool relu) {
    DYN_SHARED(REAL, memory);
    const int across = blockDim.x * MINE, down = blockDim.y * MINE;
    REAL* pixels = memory;                    // (DEPTH, across)
    REAL* weights = memory + DEPTH * across;  // (DEPTH, down)
    const int rank = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    const i64 first_pixel = i64(blockIdx.x) * across, first_channel = i64(blockIdx.y) * down;
    const i64 image = g.out_height * g.out_width, window = g.rows * g.columns;
    const i64 size = g.channels * window, most = g.batch * image;
    const i64 group = blockIdx.z, groups = gridDim.z;

    REAL sum[MINE][MINE];
    for (int i = 0; i < MINE; i++)
        for (int j = 0; j < MINE; j++) sum[i][j] = 0;
    for (i64 start = 0; start < size; start += DEPTH) {
        for (int e = rank; e < DEPTH * across; e += threads) {
            const i64 element = start + e / across, pixel = first_pixel + e % across;
            REAL value = 0;
            if (element < size && pixel < most) {
                const i64 n = quotient(pixel, image), place = pixel - n * image;
                const i64 i = quotient(place, g.out_width), j = place - i * g.out_width;
                const i64 c = quotient(element, window), inside = element - c * window;
                const i64 r = quotient(inside, g.columns), s = inside - r * g.columns;
                const i64 row = i * g.stride[0] + r * g.dilation[0] - g.padding[0];
                const i64 column = j * g.stride[1] + s * g.dilation[1] - g.padding[1];
                if (row >= 0 && row < g.height && column >= 0 && column < g.width) {
                    const i64 channel = (n * groups + group) * g.channels + c;
                    value = x[(channel * g.height + row) * g.width + column];
                }
            }
            pixels[e] = value;
        }
        for (int e = rank; e < DEPTH * down; e += threads) {
            const i64 element = start + e / down, channel = first_channel + e % down;
            weights[e] = element < size && channel < g.outputs
                             ? REAL(weight[(group * g.outputs + channel) * size + element])
                             : REAL(0);
        }
        __syncthreads();
        for (int d = 0; d < DEPTH; d++) {
            REAL mine[MINE], theirs[MINE];
            for (int i = 0; i < MINE; i++) mine[i] = weights[d * down + threadIdx.y * MINE + i];
            for (int j = 0; j < MINE; j++) theirs[j] = pixels[d * across + threadIdx.x * MINE + j];
            for (int i = 0; i < MINE; i++)
                for (int j = 0; j < MINE; j++) sum[i][j] += mine[i] * theirs[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < MINE; i++) {
        const i64 channel = first_channel + threadIdx.y * MINE + i;
        if (channel >= g.outputs) continue;
        const i64 filter = group * g.outputs + channel;
        for (int j = 0; j < MINE; j++) {
            const i64 pixel = first_pixel + threadIdx.x * MINE + j;
            if (pixel >= most) continue;
            const i64 n = quotient(pixel, image), place = pixel - n * image;
            const REAL value = sum[i][j] + (bias ? REAL(bias[filter]) : REAL(0));
            out[(n * groups * g.outputs + filter) * image + place] =
                relu ? largest(value, REAL(0)) : value;
        }
    }
}
