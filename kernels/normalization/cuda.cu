// Normalization of x (n, c, s). Formulas: reference.py.
//   rows       layer and group normalization: a warp or a block works on a row and goes over it
//              three times, which the caches serve after the first
//   channels   batch normalization, and gradients by scale and shift: a block takes a chunk of all
//              that a tile of channels has. Its threads run along places (blockDim.x = 1), or with
//              s = 1 along channels. What the chunks give is put together in one order.
#include "../common.cuh"

// --- Rows: layer and group normalization ---------------------------------------------------------

// Of which scale and shift is element j of a row: rows take turns among groups of channels.
struct Channels {
    i64 first, places;
    __device__ Channels(i64 row, i64 groups, i64 columns, i64 places)
        : first(row % groups * (columns / places)), places(places) {}
    __device__ i64 operator()(i64 j) const { return first + (places == 1 ? j : quotient(j, places)); }
};

extern "C" __global__ void rows_forward(STORED* out, STORED* summed, REAL* stats, const STORED* x,
                                        const STORED* residual, const REAL* scale,
                                        const REAL* shift, i64 rows, i64 columns, i64 groups,
                                        i64 places, REAL eps, bool centered, bool wide) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const i64 start = row * columns;
            const Channels channel(row, groups, columns, places);
            const STORED* in = x + start;
            if (residual) {
                // Each thread reads again only what it has written itself.
                for (i64 j = group.rank(); j < columns; j += group.size())
                    summed[start + j] = REAL(x[start + j]) + REAL(residual[start + j]);
                in = summed + start;
            }
            const REAL sum = !centered ? REAL(0)
                                       : reduce_row<Sum<REAL>>(group, 0, columns,
                                                               [=](i64 j) { return REAL(in[j]); });
            const REAL mean = sum / columns;
            const REAL squares = reduce_row<Sum<REAL>>(group, 0, columns, [=](i64 j) {
                const REAL apart = in[j] - mean;
                return apart * apart;
            });
            const REAL variance = squares / columns, factor = 1 / sqrt(variance + eps);
            if (group.rank() == 0) stats[row] = mean, stats[rows + row] = variance;
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                const REAL normal = (in[j] - mean) * factor;
                const REAL scaled = scale ? normal * scale[channel(j)] : normal;
                out[start + j] = shift ? scaled + shift[channel(j)] : scaled;
            }
        }
    });
}

extern "C" __global__ void rows_backward(STORED* dx, const STORED* dout, const STORED* dsummed,
                                         const STORED* x, const REAL* stats, const REAL* scale,
                                         i64 rows, i64 columns, i64 groups, i64 places, REAL eps,
                                         bool centered, bool wide) {
    with_rows(wide, [=](auto group) {
        for (i64 row = group.first(); row < rows; row += group.step()) {
            const STORED *d = dout + row * columns, *in = x + row * columns;
            const Channels channel(row, groups, columns, places);
            const REAL mean = stats[row], factor = 1 / sqrt(stats[rows + row] + eps);
            auto slope = [=](i64 j) { return scale ? d[j] * scale[channel(j)] : REAL(d[j]); };
            const REAL sum =
                centered ? reduce_row<Sum<REAL>>(group, 0, columns, slope) : REAL(0);
            const REAL inner = reduce_row<Sum<REAL>>(
                group, 0, columns, [=](i64 j) { return slope(j) * (in[j] - mean); });
            const REAL level = sum / columns, tilt = factor * factor * inner / columns;
            for (i64 j = group.rank(); j < columns; j += group.size()) {
                const i64 i = row * columns + j;
                const REAL own = factor * (slope(j) - level - (in[j] - mean) * tilt);
                dx[i] = dsummed ? own + dsummed[i] : own;
            }
        }
    });
}

// --- Channels ------------------------------------------------------------------------------------

// use(channel, begin, end, chunk): for each chunk of channels' elements that this block takes, with
// channel < 0 where a tile is wider than what is left of the channels.
template <class Use>
__device__ void over_chunks(i64 channels, i64 size, i64 chunks, Use use) {
    const i64 tiles = (channels + blockDim.x - 1) / blockDim.x;
    const i64 length = (size + chunks - 1) / chunks;
    for (i64 work = blockIdx.x; work < chunks * tiles; work += gridDim.x) {
        const i64 chunk = work / tiles;
        const i64 channel = (work - chunk * tiles) * blockDim.x + threadIdx.x;
        const i64 begin = chunk * length, end = begin + length < size ? begin + length : size;
        use(channel < channels ? channel : -1, begin, end, chunk);
    }
}

// The sum of f(sample, place in x) over a chunk of a channel; valid where threadIdx.y is 0.
template <class F>
__device__ REAL sum_chunk(REAL* tile, i64 channel, i64 begin, i64 end, i64 channels, i64 places,
                          F f) {
    REAL sum = 0;
    if (channel >= 0) {
        for (i64 k = begin + threadIdx.y; k < end; k += blockDim.y) {
            const i64 sample = places == 1 ? k : quotient(k, places);
            sum += f(sample, (sample * channels + channel) * places + (k - sample * places));
        }
    }
    return reduce_columns_of_block<Sum<REAL>>(tile, sum);
}

// parts (2, chunks, channels): means and sums of squared deviations.
extern "C" __global__ void batch_moments(REAL* parts, const STORED* x, i64 samples, i64 channels,
                                         i64 places, i64 chunks) {
    DYN_SHARED(REAL, tile);
    over_chunks(channels, samples * places, chunks, [=](i64 channel, i64 begin, i64 end, i64 chunk) {
        const REAL sum = sum_chunk(tile, channel, begin, end, channels, places,
                                   [=](i64, i64 i) { return REAL(x[i]); });
        const REAL count = end > begin ? end - begin : 1;
        if (threadIdx.y == 0) tile[threadIdx.x] = sum / count;
        __syncthreads();
        const REAL mean = tile[threadIdx.x];
        __syncthreads();  // the tile is free again
        const REAL squares =
            sum_chunk(tile, channel, begin, end, channels, places, [=](i64, i64 i) {
                const REAL apart = x[i] - mean;
                return apart * apart;
            });
        if (threadIdx.y == 0 && channel >= 0) {
            parts[chunk * channels + channel] = mean;
            parts[(chunks + chunk) * channels + channel] = squares;
        }
    });
}

// Mean and sum of squared deviations of `count` numbers.
struct Moments {
    REAL count, mean, square;
};
__device__ inline Moments shuffle_xor(Moments m, int mask) {
    return {shuffle_xor(m.count, mask), shuffle_xor(m.mean, mask), shuffle_xor(m.square, mask)};
}
struct Join {
    static __device__ Moments identity() { return {0, 0, 0}; }
    static __device__ Moments combine(Moments a, Moments b) {
        const REAL count = a.count + b.count;
        if (count == 0) return a;
        const REAL apart = b.mean - a.mean, part = b.count / count;
        return {count, a.mean + apart * part, a.square + b.square + apart * apart * a.count * part};
    }
};

// A warp puts a channel's parts together.
extern "C" __global__ void batch_statistics(REAL* stats, const REAL* parts, i64 channels, i64 size,
                                            i64 chunks) {
    const i64 length = (size + chunks - 1) / chunks;
    const WarpRows warp;
    for (i64 channel = warp.first(); channel < channels; channel += warp.step()) {
        const Moments all = reduce_row<Join>(warp, 0, chunks, [=](i64 chunk) {
            const i64 begin = chunk * length, left = begin < size ? size - begin : 0;
            return Moments{REAL(left < length ? left : length), parts[chunk * channels + channel],
                           parts[(chunks + chunk) * channels + channel]};
        });
        if (warp.rank() == 0) {
            stats[channel] = all.mean;
            stats[channels + channel] = all.square / all.count;
        }
    }
}

// The statistics are `stats`, or where these are given the running ones, which become stats.
extern "C" __global__ void batch_normalize(STORED* out, REAL* stats, const STORED* x,
                                           const REAL* scale, const REAL* shift,
                                           const REAL* running_mean, const REAL* running_var,
                                           i64 size, i64 channels, i64 places, REAL eps,
                                           bool relu) {
    if (running_mean) {
        FOR_EACH(c, channels) {
            stats[c] = running_mean[c];
            stats[channels + c] = running_var[c];
        }
    }
    const REAL* means = running_mean ? running_mean : stats;
    const REAL* variances = running_mean ? running_var : stats + channels;
    FOR_EACH(i, size) {
        const i64 c = remainder(places == 1 ? i : quotient(i, places), channels);
        const REAL normal = (x[i] - means[c]) / sqrt(variances[c] + eps);
        const REAL scaled = scale ? normal * scale[c] : normal;
        const REAL value = shift ? scaled + shift[c] : scaled;
        out[i] = relu ? largest(value, REAL(0)) : value;
    }
}

// The gradient that comes through a ReLU: where `out` is given, 0 unless it is positive.
__device__ inline REAL through(const STORED* dout, const STORED* out, i64 i) {
    return !out || out[i] > 0 ? REAL(dout[i]) : REAL(0);
}

// dscales, dshifts (chunks, channels), either may be null: the sums of dout x' and of dout over
// chunks. A channel of a sample has the statistics number sample * a_sample + channel / width.
extern "C" __global__ void parameter_gradients(REAL* dscales, REAL* dshifts, const STORED* dout,
                                               const STORED* x, const STORED* out,
                                               const REAL* stats, i64 samples, i64 channels,
                                               i64 places, i64 a_sample, i64 width, i64 count,
                                               i64 chunks, REAL eps) {
    DYN_SHARED(REAL, tile);
    over_chunks(channels, samples * places, chunks, [=](i64 channel, i64 begin, i64 end, i64 chunk) {
        const i64 own = quotient(channel < 0 ? 0 : channel, width);
        const i64 place = chunk * channels + channel;
        if (dscales) {
            const REAL sum =
                sum_chunk(tile, channel, begin, end, channels, places, [=](i64 sample, i64 i) {
                    const i64 at = sample * a_sample + own;
                    return through(dout, out, i) * (x[i] - stats[at]) /
                           sqrt(stats[count + at] + eps);
                });
            if (threadIdx.y == 0 && channel >= 0) dscales[place] = sum;
        }
        if (dshifts) {
            const REAL sum = sum_chunk(tile, channel, begin, end, channels, places,
                                       [=](i64, i64 i) { return through(dout, out, i); });
            if (threadIdx.y == 0 && channel >= 0) dshifts[place] = sum;
        }
    });
}

// dscale, dshift: null unless training.
extern "C" __global__ void batch_backward(STORED* dx, const REAL* dscale, const REAL* dshift,
                                          const STORED* dout, const STORED* x, const STORED* out,
                                          const REAL* stats, const REAL* scale, i64 size,
                                          i64 channels, i64 places, REAL eps) {
    const REAL each = size / channels;
    FOR_EACH(i, size) {
        const i64 c = remainder(places == 1 ? i : quotient(i, places), channels);
        const REAL factor = 1 / sqrt(stats[channels + c] + eps);
        REAL d = through(dout, out, i);
        if (dscale) {
            const REAL normal = (x[i] - stats[c]) * factor;
            d -= dshift[c] / each + normal * (dscale[c] / each);
        }
        dx[i] = scale ? d * factor * scale[c] : d * factor;
    }
}

// One block, because all have to read `tracked` before it changes.
extern "C" __global__ void track_statistics(REAL* running_mean, REAL* running_var, i64* tracked,
                                            const REAL* stats, i64 channels, i64 batch,
                                            bool cumulative, REAL momentum, REAL unbiased) {
    const i64 updates = tracked ? *tracked + 1 : 1;
    __syncthreads();
    if (tracked && threadIdx.x == 0) *tracked = updates;
    const REAL factor = cumulative ? REAL(1) / updates : momentum;
    for (i64 c = threadIdx.x; c < channels; c += blockDim.x) {
        REAL mean = 0, var = 0;
        for (i64 b = 0; b < batch; b++) {
            mean += stats[b * channels + c];
            var += stats[(batch + b) * channels + c];
        }
        running_mean[c] += factor * (mean / batch - running_mean[c]);
        running_var[c] += factor * (var / batch * unbiased - running_var[c]);
    }
}
