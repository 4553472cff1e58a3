// Resampling of (n, c, h, w): forward a thread for each element of out, backward one for each of x,
// which gathers from the elements that it is a neighbour of, in one order. Formulas: reference.py.
#include "../common.cuh"

// Index 0 is the vertical axis, 1 the horizontal one.
struct Sizes {
    i64 size[2], output[2], linear, align_corners;
};
struct Grid : Sizes {
    REAL scale[2];
    __device__ Grid(const Sizes& sizes, REAL down, REAL across)
        : Sizes(sizes), scale{down, across} {}
};

// The neighbours in x of an element of out along an axis, and the second one's weight.
struct Neighbours {
    i64 first, second;
    REAL weight;
    __device__ Neighbours(const Grid& g, int axis, i64 i) {
        const i64 last = g.size[axis] - 1;
        if (!g.linear) {
            first = i64(floorf(float(i) * float(g.scale[axis])));
            first = second = first < last ? first : last;
            weight = 0;
            return;
        }
        const REAL scale = g.scale[axis], half = REAL(0.5);
        REAL source = g.align_corners ? REAL(i) * scale : (REAL(i) + half) * scale - half;
        if (source < 0) source = 0;
        first = i64(source) < last ? i64(source) : last;
        second = first < last ? first + 1 : last;
        weight = smallest(source - REAL(first), REAL(1));
    }
    // What element p of x counts for.
    __device__ REAL of(i64 p) const {
        return (first == p ? 1 - weight : REAL(0)) + (second == p ? weight : REAL(0));
    }
};

// Elements [begin, end) of out that may have p for a neighbour: rather a few too many.
__device__ inline void range_of(const Grid& g, int axis, i64 p, i64& begin, i64& end) {
    begin = 0;
    end = g.output[axis];
    const REAL scale = g.scale[axis];
    if (scale <= 0) return;
    const i64 first = i64((REAL(p) - 1) / scale) - 3, last = i64((REAL(p) + 2) / scale) + 3;
    if (first > begin) begin = first;
    if (last < end && p < g.size[axis] - 1) end = last;  // the last one takes all that is beyond
}

extern "C" __global__ void upsample_forward(STORED* out, const STORED* x, i64 planes, Sizes sizes,
                                            REAL down_scale, REAL across_scale) {
    const Grid g(sizes, down_scale, across_scale);
    const i64 height = g.output[0], width = g.output[1];
    FOR_EACH(place, planes * height * width) {
        const i64 row = quotient(place, width), plane = quotient(row, height);
        const Neighbours down(g, 0, row - plane * height), across(g, 1, place - row * width);
        const STORED* top = x + (plane * g.size[0] + down.first) * g.size[1];
        const STORED* bottom = x + (plane * g.size[0] + down.second) * g.size[1];
        if (!g.linear) {
            out[place] = top[across.first];
            continue;
        }
        const REAL a = 1 - across.weight, b = across.weight;
        const REAL upper = a * top[across.first] + b * top[across.second];
        const REAL lower = a * bottom[across.first] + b * bottom[across.second];
        out[place] = (1 - down.weight) * upper + down.weight * lower;
    }
}

extern "C" __global__ void upsample_backward(STORED* dx, const STORED* dout, i64 planes,
                                             Sizes sizes, REAL down_scale, REAL across_scale) {
    const Grid g(sizes, down_scale, across_scale);
    const i64 height = g.size[0], width = g.size[1];
    FOR_EACH(place, planes * height * width) {
        const i64 row = quotient(place, width), plane = quotient(row, height);
        const i64 r = row - plane * height, s = place - row * width;
        i64 top, bottom, left, right;
        range_of(g, 0, r, top, bottom);
        range_of(g, 1, s, left, right);
        REAL sum = 0;
        for (i64 i = top; i < bottom; i++) {
            const REAL down = Neighbours(g, 0, i).of(r);
            if (down == 0) continue;
            const STORED* d = dout + (plane * g.output[0] + i) * g.output[1];
            for (i64 j = left; j < right; j++) {
                const REAL across = Neighbours(g, 1, j).of(s);
                if (across != 0) sum += down * across * d[j];
            }
        }
        dx[place] = sum;
    }
}
