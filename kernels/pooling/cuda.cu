// Pooling of (n, c, h, w): forward a thread for each window, backward one for each element, which
// gathers from the windows that it is in, always in one order. Formulas: reference.py.
#include "../common.cuh"

// Index 0 is the vertical axis, 1 the horizontal one; a window of 0 is adaptive.
struct Windows {
    i64 size[2], output[2], window[2], stride[2], padding[2], dilation[2];

    // The first element of window i along an axis, and where it ends.
    __device__ void span(int axis, i64 i, i64& start, i64& end) const {
        const i64 n = size[axis];
        if (window[axis] == 0) {
            start = i * n / output[axis];
            end = ((i + 1) * n + output[axis] - 1) / output[axis];
            return;
        }
        const i64 step = dilation[axis];
        start = i * stride[axis] - padding[axis];
        end = start + step * (window[axis] - 1) + 1;
        if (end > n) end = n;
        if (start < 0) start += (step - 1 - start) / step * step;
    }

    // The windows [first, last) along an axis that reach over element p.
    __device__ void windows_of(int axis, i64 p, i64& first, i64& last) const {
        if (window[axis] == 0) {
            first = p * output[axis] / size[axis];
            last = ((p + 1) * output[axis] + size[axis] - 1) / size[axis];
            return;
        }
        const i64 place = p + padding[axis], before = place - dilation[axis] * (window[axis] - 1);
        first = before > 0 ? (before + stride[axis] - 1) / stride[axis] : 0;
        last = place / stride[axis] + 1;
        if (last > output[axis]) last = output[axis];
    }

    // By what the sum of window (i, j) is divided.
    __device__ REAL count(i64 i, i64 j, bool include_pad, i64 divisor) const {
        if (divisor) return divisor;
        i64 result = 1;
        for (int axis = 0; axis < 2; axis++) {
            i64 start, end;
            const i64 k = axis ? j : i;
            span(axis, k, start, end);
            if (include_pad) {
                start = k * stride[axis] - padding[axis];
                end = start + window[axis];
                if (end > size[axis] + padding[axis]) end = size[axis] + padding[axis];
            }
            result *= end - start;
        }
        return result;
    }
};

// use(plane, i, j, place): for every element of `planes` images of `shape`.
template <class Use>
__device__ void over_places(i64 planes, const i64* shape, Use use) {
    const i64 height = shape[0], width = shape[1];
    FOR_EACH(place, planes * height * width) {
        const i64 row = quotient(place, width), plane = quotient(row, height);
        use(plane, row - plane * height, place - row * width, place);
    }
}

extern "C" __global__ void max_pool_forward(STORED* out, int* index, const STORED* x, i64 planes,
                                            Windows w) {
    over_places(planes, w.output, [=](i64 plane, i64 i, i64 j, i64 place) {
        const STORED* image = x + plane * w.size[0] * w.size[1];
        i64 top, bottom, left, right, at = -1;
        w.span(0, i, top, bottom);
        w.span(1, j, left, right);
        REAL best = -infinity<REAL>();
        for (i64 r = top; r < bottom; r += w.dilation[0]) {
            for (i64 s = left; s < right; s += w.dilation[1]) {
                const REAL v = image[r * w.size[1] + s];
                if (at < 0 || v > best || (v != v && best == best)) {
                    best = v;
                    at = r * w.size[1] + s;
                }
            }
        }
        out[place] = best;
        index[place] = at;
    });
}

extern "C" __global__ void max_pool_backward(STORED* dx, const STORED* dout, const int* index,
                                             i64 planes, Windows w) {
    over_places(planes, w.size, [=](i64 plane, i64 r, i64 s, i64 place) {
        const i64 start = plane * w.output[0] * w.output[1], at = r * w.size[1] + s;
        i64 top, bottom, left, right;
        w.windows_of(0, r, top, bottom);
        w.windows_of(1, s, left, right);
        REAL sum = 0;
        for (i64 i = top; i < bottom; i++) {
            for (i64 j = left; j < right; j++) {
                const i64 k = start + i * w.output[1] + j;
                if (index[k] == at) sum += REAL(dout[k]);
            }
        }
        dx[place] = sum;
    });
}

extern "C" __global__ void avg_pool_forward(STORED* out, const STORED* x, i64 planes, Windows w,
                                            bool include_pad, i64 divisor) {
    over_places(planes, w.output, [=](i64 plane, i64 i, i64 j, i64 place) {
        const STORED* image = x + plane * w.size[0] * w.size[1];
        i64 top, bottom, left, right;
        w.span(0, i, top, bottom);
        w.span(1, j, left, right);
        REAL sum = 0;
        for (i64 r = top; r < bottom; r++)
            for (i64 s = left; s < right; s++) sum += REAL(image[r * w.size[1] + s]);
        out[place] = sum / w.count(i, j, include_pad, divisor);
    });
}

extern "C" __global__ void avg_pool_backward(STORED* dx, const STORED* dout, i64 planes, Windows w,
                                             bool include_pad, i64 divisor) {
    over_places(planes, w.size, [=](i64 plane, i64 r, i64 s, i64 place) {
        const STORED* image = dout + plane * w.output[0] * w.output[1];
        i64 top, bottom, left, right;
        w.windows_of(0, r, top, bottom);
        w.windows_of(1, s, left, right);
        REAL sum = 0;
        for (i64 i = top; i < bottom; i++)
            for (i64 j = left; j < right; j++)
                sum += image[i * w.output[1] + j] / w.count(i, j, include_pad, divisor);
        dx[place] = sum;
    });
}
