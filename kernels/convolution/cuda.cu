// Convolution as products that are never laid out: an element of an operand is found where it lies
// when it is loaded. A block computes a tile of a product; its threads load DEPTH of the numbers
// that are summed over, for every row and column of the tile, into shared memory, and then each
// adds up MINE x MINE results in registers. Formulas: reference.py.
//
//   convolution            rows: output channels   columns: output pixels    sum: a window's elements
//   convolution_by_input   rows: input channels    columns: input pixels     sum: channels, window
//   convolution_by_weight  rows: output channels   columns: window elements  sum: output pixels
#include "../common.cuh"
#include "../activation.cuh"

const int MINE = 4;    // results of a thread along each side of the tile
const int DEPTH = 8;   // numbers of a sum between two barriers

struct Geometry {
    i64 batch, channels, height, width;         // of x; channels of one group
    i64 outputs, out_height, out_width;         // outputs: channels of one group
    i64 rows, columns;                          // of a window
    i64 stride[2], padding[2], dilation[2];     // padding: before the first row and column
};

// The numbers n = (a size_b + b) size_c + c.
struct Three {
    i64 a, b, c;
    __device__ Three(i64 n, i64 size_b, i64 size_c) {
        const i64 ab = quotient(n, size_c);
        c = n - ab * size_c;
        a = quotient(ab, size_b);
        b = ab - a * size_b;
    }
};

// store(row, column, the sum of left(row, e) right(e, column) over e in [begin, end)) for every
// place of this block's tile, also those beyond the product's end.
template <class Left, class Right, class Store>
__device__ void product(i64 begin, i64 end, Left left, Right right, Store store) {
    DYN_SHARED(REAL, memory);
    const int across = blockDim.x * MINE, down = blockDim.y * MINE;
    REAL* theirs = memory;                  // (DEPTH, across)
    REAL* ours = memory + DEPTH * across;   // (DEPTH, down)
    const int rank = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    const i64 first_column = i64(blockIdx.x) * across, first_row = i64(blockIdx.y) * down;

    REAL sum[MINE][MINE];
    for (int i = 0; i < MINE; i++)
        for (int j = 0; j < MINE; j++) sum[i][j] = 0;
    for (i64 start = begin; start < end; start += DEPTH) {
        for (int n = rank; n < DEPTH * across; n += threads) {
            const i64 e = start + n / across;
            theirs[n] = e < end ? right(e, first_column + n % across) : REAL(0);
        }
        for (int n = rank; n < DEPTH * down; n += threads) {
            const i64 e = start + n / down;
            ours[n] = e < end ? left(first_row + n % down, e) : REAL(0);
        }
        __syncthreads();
        for (int d = 0; d < DEPTH; d++) {
            REAL mine[MINE], other[MINE];
            for (int i = 0; i < MINE; i++) mine[i] = ours[d * down + threadIdx.y * MINE + i];
            for (int j = 0; j < MINE; j++) other[j] = theirs[d * across + threadIdx.x * MINE + j];
            for (int i = 0; i < MINE; i++)
                for (int j = 0; j < MINE; j++) sum[i][j] += mine[i] * other[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < MINE; i++) {
        for (int j = 0; j < MINE; j++) {
            store(first_row + threadIdx.y * MINE + i, first_column + threadIdx.x * MINE + j,
                  sum[i][j]);
        }
    }
}

// x where element (c, r, s) of the window at output pixel (n, i, j) lies: zero in the padding.
__device__ inline REAL seen(const STORED* x, const Geometry& g, i64 group, i64 groups,
                            const Three& pixel, const Three& element) {
    const i64 row = pixel.b * g.stride[0] + element.b * g.dilation[0] - g.padding[0];
    const i64 column = pixel.c * g.stride[1] + element.c * g.dilation[1] - g.padding[1];
    if (row < 0 || row >= g.height || column < 0 || column >= g.width) return 0;
    const i64 channel = (pixel.a * groups + group) * g.channels + element.a;
    return x[(channel * g.height + row) * g.width + column];
}

// grid: (tiles of pixels, tiles of channels, groups); block: (pixels / MINE, channels / MINE).
extern "C" __global__ void convolution(STORED* out, const STORED* x, const STORED* weight,
                                       const STORED* bias, Geometry g, int kind, REAL alpha) {
    const i64 group = blockIdx.z, groups = gridDim.z;
    const i64 image = g.out_height * g.out_width, pixels = g.batch * image;
    const i64 size = g.channels * g.rows * g.columns;
    auto left = [&](i64 channel, i64 e) {
        if (channel >= g.outputs) return REAL(0);
        return REAL(weight[(group * g.outputs + channel) * size + e]);
    };
    auto right = [&](i64 e, i64 pixel) {
        if (pixel >= pixels) return REAL(0);
        return seen(x, g, group, groups, Three(pixel, g.out_height, g.out_width),
                    Three(e, g.rows, g.columns));
    };
    product(0, size, left, right, [&](i64 channel, i64 pixel, REAL value) {
        if (channel >= g.outputs || pixel >= pixels) return;
        const i64 filter = group * g.outputs + channel, n = quotient(pixel, image);
        if (bias) value += REAL(bias[filter]);
        with_activation(kind, [&](auto f) { value = f.value(value, alpha); });
        out[(n * groups * g.outputs + filter) * image + pixel - n * image] = value;
    });
}

// The output pixel, along one axis, whose window has its element `at` where x has `place`: -1 if
// there is none.
__device__ inline i64 window_at(const Geometry& g, int axis, i64 place, i64 at, i64 sizes) {
    const i64 distance = place + g.padding[axis] - at * g.dilation[axis];
    if (distance < 0) return -1;
    const i64 window = quotient(distance, g.stride[axis]);
    return window * g.stride[axis] == distance && window < sizes ? window : -1;
}

// dx, or out = f(dx + bias). grid: (tiles of input pixels, tiles of input channels, groups).
extern "C" __global__ void convolution_by_input(STORED* dx, const STORED* dz, const STORED* weight,
                                                const STORED* bias, Geometry g, int kind,
                                                REAL alpha) {
    const i64 group = blockIdx.z, groups = gridDim.z;
    const i64 image = g.height * g.width, pixels = g.batch * image;
    const i64 window = g.rows * g.columns;
    auto left = [&](i64 channel, i64 e) {
        if (channel >= g.channels) return REAL(0);
        const i64 k = quotient(e, window), inside = e - k * window;
        const i64 filter = group * g.outputs + k;
        return REAL(weight[(filter * g.channels + channel) * window + inside]);
    };
    auto right = [&](i64 e, i64 number) {
        if (number >= pixels) return REAL(0);
        const Three pixel(number, g.height, g.width), element(e, g.rows, g.columns);
        const i64 i = window_at(g, 0, pixel.b, element.b, g.out_height);
        const i64 j = window_at(g, 1, pixel.c, element.c, g.out_width);
        if (i < 0 || j < 0) return REAL(0);
        const i64 channel = (pixel.a * groups + group) * g.outputs + element.a;
        return REAL(dz[(channel * g.out_height + i) * g.out_width + j]);
    };
    product(0, g.outputs * window, left, right, [&](i64 channel, i64 pixel, REAL value) {
        if (channel >= g.channels || pixel >= pixels) return;
        const i64 all = group * g.channels + channel, n = quotient(pixel, image);
        if (bias) value += REAL(bias[all]);
        with_activation(kind, [&](auto f) { value = f.value(value, alpha); });
        dx[(n * groups * g.channels + all) * image + pixel - n * image] = value;
    });
}

// The sums over each chunk of pixels to partials (chunks, output channels, window elements).
// grid: (tiles of elements, tiles of channels, groups * chunks).
extern "C" __global__ void convolution_by_weight(REAL* partials, const STORED* dz, const STORED* x,
                                                 Geometry g, i64 groups, i64 length) {
    const i64 chunk = quotient(blockIdx.z, groups), group = blockIdx.z - chunk * groups;
    const i64 image = g.out_height * g.out_width, pixels = g.batch * image;
    const i64 size = g.channels * g.rows * g.columns;
    auto left = [&](i64 channel, i64 pixel) {
        if (channel >= g.outputs) return REAL(0);
        const i64 n = quotient(pixel, image);
        const i64 all = (n * groups + group) * g.outputs + channel;
        return REAL(dz[all * image + pixel - n * image]);
    };
    auto right = [&](i64 pixel, i64 e) {
        if (e >= size) return REAL(0);
        return seen(x, g, group, groups, Three(pixel, g.out_height, g.out_width),
                    Three(e, g.rows, g.columns));
    };
    const i64 begin = chunk * length, end = begin + length < pixels ? begin + length : pixels;
    product(begin, end, left, right, [&](i64 channel, i64 e, REAL value) {
        if (channel >= g.outputs || e >= size) return;
        partials[((chunk * groups + group) * g.outputs + channel) * size + e] = value;
    });
}

// The sums of dz (batch, channels, image) over the image and over each chunk of the batch, to
// partials (chunks, channels). grid: (channels, chunks).
extern "C" __global__ void channel_sums(REAL* partials, const STORED* dz, i64 batch, i64 image,
                                        i64 length) {
    const i64 channel = blockIdx.x, channels = gridDim.x, begin = blockIdx.y * length;
    const i64 images = begin + length < batch ? length : batch - begin;
    const REAL sum = reduce_row<Sum<REAL>>(BlockRows(), 0, images * image, [&](i64 e) {
        const i64 n = quotient(e, image);
        return REAL(dz[((begin + n) * channels + channel) * image + e - n * image]);
    });
    if (threadIdx.x == 0) partials[blockIdx.y * channels + channel] = sum;
}
