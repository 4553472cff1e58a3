// Attention in four kernels of one form. A block has some rows: a warp ROWS of them, a lane the
// columns lane, lane + 32 and so on of their sums. It goes through the other side in tiles of a
// warp's width: each lane takes the products of its rows with one row of the tile (`dots`, by way
// of shared memory), makes weights of these, and all lanes add up the weighted rows of a third
// array (`add`).
//
//                rows      tile      weights     added up
//     forward    queries   keys      e^s         values
//     dq         queries   keys      dS          keys
//     dk         keys      queries   dS          queries
//     dv         keys      queries   D           gradients of out
//
// Every sum is one thread's, in one order. Formulas: reference.py.
#include "../common.cuh"
#include "../philox.cuh"

const int DEPTH = 32;                        // numbers of a product between two barriers
const int QUAD = 16 / sizeof(REAL);          // numbers that are loaded as one
const int MOST = sizeof(REAL) == 8 ? 4 : 8;  // rows of a warp
const int PITCH = DEPTH + QUAD;              // of rows in shared memory: lanes meet no bank twice
typedef Pack<REAL, QUAD> Quad;

// Steps in elements: to the next batch, head, row.
struct Geometry {
    i64 batch, heads, groups, queries, keys, width, other;
    i64 mask[4];
    i64 q[3], k[3], v[3], out[3], dout[3], dq[3], dk[3], dv[3];
};

template <int R, int C>
struct Tile {
    static const int ROWS = R;     // of a warp
    static const int COLUMNS = C;  // of a lane
};

// use(tile) for sums of up to 32 columns a lane's column; wider ones have fewer rows.
template <class Use>
__device__ void with_tile(i64 columns, Use use) {
    if (columns == 1)
        use(Tile<MOST, 1>());
    else if (columns == 2)
        use(Tile<MOST, 2>());
    else if (columns == 4)
        use(Tile<MOST / 2, 4>());
    else
        use(Tile<MOST / 4, 8>());
}

__device__ inline int warp_of_block() { return threadIdx.x / WARP; }
__device__ inline int lane_of_warp() { return threadIdx.x % WARP; }
__device__ inline i64 least(i64 a, i64 b) { return a < b ? a : b; }

template <class T>
__device__ T* head_of(T* x, const i64 step[3], i64 batch, i64 head) {
    return x + batch * step[0] + head * step[1];
}

// Which keys a query sees, and what is added to its scores.
struct Sight {
    const STORED* added;
    const bool* seen;
    const bool* padding;
    const i64* lengths;
    const i64* start;
    bool causal;
    REAL scale;

    // Keys from here on are seen by no query up to i.
    __device__ i64 end(const Geometry& g, i64 batch, i64 i) const {
        i64 most = lengths ? least(g.keys, lengths[batch]) : g.keys;
        if (causal) most = least(most, i + 1 + (start ? start[0] : 0));
        return most;
    }
    // Queries before this one see no key from j on.
    __device__ i64 begin(i64 j) const {
        const i64 first = causal ? j - (start ? start[0] : 0) : 0;
        return first > 0 ? first : 0;
    }
    __device__ REAL score(const Geometry& g, i64 batch, i64 head, i64 i, i64 j, REAL dot) const {
        if (i >= g.queries || j >= end(g, batch, i)) return -INFINITY;
        const i64 at = batch * g.mask[0] + head * g.mask[1] + i * g.mask[2] + j * g.mask[3];
        if (seen && !seen[at]) return -INFINITY;
        if (padding && !padding[batch * g.keys + j]) return -INFINITY;
        const REAL score = scale * dot;
        return added ? score + added[at] : score;
    }
};

struct Dropout {
    const u32* state;
    u32 stream, threshold;
    REAL kept;

    // What element j of a row of weights is multiplied by.
    __device__ REAL factor(const Geometry& g, i64 row, i64 j) const {
        if (!state) return 1;
        u32 words[4];
        random_words(words, state, stream, row * ((g.keys + 3) / 4) + j / 4);
        const u32 low = j & 1 ? words[1] : words[0], high = j & 1 ? words[3] : words[2];
        return (j & 2 ? high : low) >= threshold ? kept : REAL(0);
    }
};

// Shared memory: DEPTH numbers of the block's rows, of the tile's rows, and the weights.
template <class T>
struct Memory {
    REAL *mine, *theirs, *weights;
    __device__ explicit Memory(REAL* memory) {
        const int rows = blockDim.x / WARP * T::ROWS;
        mine = memory;
        theirs = mine + rows * PITCH;
        weights = theirs + WARP * PITCH + warp_of_block() * T::ROWS * WARP;  // of this warp's rows
    }
};

// `count` rows of x, DEPTH numbers each from d on, into shared memory; zeros beyond the edges.
__device__ inline void fetch(REAL* to, int rows, const STORED* x, i64 step, i64 count, i64 d,
                             i64 width) {
#pragma unroll 1
    for (int e = threadIdx.x; e < rows * DEPTH; e += blockDim.x) {
        const int row = e / DEPTH, column = e % DEPTH;
        const bool inside = row < count && d + column < width;
        to[row * PITCH + column] = inside ? REAL(x[row * step + d + column]) : REAL(0);
    }
}

// dot[r] = the product of this warp's row r, of the block's rows x, and of the tile's row `lane`.
template <class T>
__device__ void dots(REAL dot[T::ROWS], const Memory<T>& memory, const STORED* x, i64 x_step,
                     i64 x_rows, const STORED* tile, i64 tile_step, i64 tile_rows, i64 width) {
    const REAL* mine = memory.mine + warp_of_block() * T::ROWS * PITCH;
    const REAL* theirs = memory.theirs + lane_of_warp() * PITCH;
    REAL sum[T::ROWS];
    for (int r = 0; r < T::ROWS; r++) sum[r] = 0;
    for (i64 d = 0; d < width; d += DEPTH) {
        __syncthreads();  // the numbers before these may still be read
        fetch(memory.mine, blockDim.x / WARP * T::ROWS, x, x_step, x_rows, d, width);
        fetch(memory.theirs, WARP, tile, tile_step, tile_rows, d, width);
        __syncthreads();
#pragma unroll 1
        for (int c = 0; c < DEPTH; c += QUAD) {
            const Quad b = *reinterpret_cast<const Quad*>(theirs + c);
            for (int r = 0; r < T::ROWS; r++) {
                const Quad a = *reinterpret_cast<const Quad*>(mine + r * PITCH + c);
                for (int e = 0; e < QUAD; e++) sum[r] += a.v[e] * b.v[e];
            }
        }
    }
    for (int r = 0; r < T::ROWS; r++) dot[r] = sum[r];
}

// sum[r][c] += the weighted rows of the tile; x begins at this lane's first column.
template <class T>
__device__ void add(REAL sum[T::ROWS][T::COLUMNS], const Memory<T>& memory, const STORED* x,
                    i64 step, i64 count, i64 columns) {
#pragma unroll 1
    for (i64 row = 0; row < count; row++) {
        REAL weight[T::ROWS];
        for (int r = 0; r < T::ROWS; r++) weight[r] = memory.weights[r * WARP + row];
        for (int c = 0; c < T::COLUMNS; c++) {
            const REAL value = c * WARP < columns ? REAL(x[row * step + c * WARP]) : REAL(0);
            for (int r = 0; r < T::ROWS; r++) sum[r][c] += weight[r] * value;
        }
    }
}

// Which rows and columns are whose. Blocks of x: tiles of `rows` rows for each head of each batch.
template <class T>
struct Place {
    i64 batch, head, first, mine, column;
    __device__ Place(i64 rows, i64 heads) {
        const i64 some = blockDim.x / WARP * T::ROWS, tiles = (rows + some - 1) / some;
        const i64 block = blockIdx.x, pair = quotient(block, tiles);
        first = (block - pair * tiles) * some;         // row of the block
        mine = first + warp_of_block() * T::ROWS;      // row of the warp
        batch = quotient(pair, heads), head = pair - batch * heads;
        column = i64(blockIdx.y) * T::COLUMNS * WARP + lane_of_warp();
    }
};

template <class T>
__device__ void clear(REAL sum[T::ROWS][T::COLUMNS]) {
    for (int r = 0; r < T::ROWS; r++)
        for (int c = 0; c < T::COLUMNS; c++) sum[r][c] = 0;
}

template <class T>
__device__ void write(STORED* x, i64 step, const Place<T>& place, i64 rows, i64 columns,
                      const REAL sum[T::ROWS][T::COLUMNS]) {
    for (int r = 0; r < T::ROWS; r++) {
        if (place.mine + r >= rows) continue;
        for (int c = 0; c < T::COLUMNS; c++) {
            const i64 column = place.column + c * WARP;
            if (column < columns) x[(place.mine + r) * step + column] = sum[r][c];
        }
    }
}

// grid: (tiles of queries x heads x batch, tiles of columns). The forward pass leaves the random
// state in `key`, from which the backward pass draws again.
extern "C" __global__ void attention_forward(STORED* out, REAL* stats, u32* key, const STORED* q,
                                             const STORED* k, const STORED* v, const STORED* added,
                                             const bool* seen, const bool* padding,
                                             const i64* lengths, const i64* start,
                                             const u32* state, Geometry g, bool causal, REAL scale,
                                             u32 stream, u32 threshold, REAL kept, i64 columns) {
    DYN_SHARED(REAL, shared);
    if (key && blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x < 4) {
        key[threadIdx.x] = state[threadIdx.x];
    }
    const Sight sight = {added, seen, padding, lengths, start, causal, scale};
    const Dropout dropout = {state, stream, threshold, kept};
    with_tile(columns, [=](auto tile) {
        typedef decltype(tile) T;
        const Memory<T> memory(shared);
        const Place<T> place(g.queries, g.heads);
        const i64 b = place.batch, h = place.head, group = quotient(h * g.groups, g.heads);
        const i64 rows = blockDim.x / WARP * T::ROWS, left = g.queries - place.first;
        const int lane = lane_of_warp();
        const STORED* queries = head_of(q, g.q, b, h) + place.first * g.q[2];
        const STORED* keys = head_of(k, g.k, b, group);
        const STORED* values = head_of(v, g.v, b, group) + place.column;
        const i64 most = sight.end(g, b, place.first + least(rows, left) - 1);

        REAL top[T::ROWS], total[T::ROWS], before[T::ROWS], sum[T::ROWS][T::COLUMNS];
        clear<T>(sum);
        for (int r = 0; r < T::ROWS; r++) top[r] = -INFINITY, total[r] = 0;
        for (i64 j = 0; j < most; j += WARP) {
            REAL dot[T::ROWS];
            dots<T>(dot, memory, queries, g.q[2], left, keys + j * g.k[2], g.k[2], most - j,
                    g.width);
#pragma unroll 1  // registers are for the sums
            for (int r = 0; r < T::ROWS; r++) {
                const i64 i = place.mine + r;
                const REAL score = sight.score(g, b, h, i, j + lane, dot[r]);
                const REAL highest = largest(top[r], reduce_warp<Max<REAL>>(score));
                const REAL base = highest == -INFINITY ? REAL(0) : highest;
                const REAL weight = exp(score - base);
                before[r] = exp(top[r] - base);
                total[r] = total[r] * before[r] + reduce_warp<Sum<REAL>>(weight);
                top[r] = highest;
                const i64 row = (b * g.heads + h) * g.queries + i;
                memory.weights[r * WARP + lane] = weight * dropout.factor(g, row, j + lane);
            }
            for (int r = 0; r < T::ROWS; r++)
                for (int c = 0; c < T::COLUMNS; c++) sum[r][c] *= before[r];
            __syncthreads();
            add<T>(sum, memory, values + j * g.v[2], g.v[2], least(WARP, most - j),
                   g.other - place.column);
        }
        for (int r = 0; r < T::ROWS; r++) {
            const i64 i = place.mine + r;
            for (int c = 0; c < T::COLUMNS; c++) {
                sum[r][c] = total[r] == 0 ? REAL(0) : sum[r][c] / total[r];
            }
            if (i < g.queries && lane == 0 && blockIdx.y == 0) {
                stats[(b * g.heads + h) * g.queries + i] =
                    total[r] == 0 ? REAL(-INFINITY) : top[r] + log(total[r]);
            }
        }
        write<T>(head_of(out, g.out, b, h), g.out[2], place, g.queries, g.other, sum);
    });
}

// deltas_i = dout_i . out_i: a warp a query.
extern "C" __global__ void attention_deltas(REAL* deltas, const STORED* dout, const STORED* out,
                                            Geometry g) {
    const i64 rows = g.batch * g.heads * g.queries;
    for (i64 row = WarpRows::first(); row < rows; row += WarpRows::step()) {
        const i64 pair = quotient(row, g.queries), i = row - pair * g.queries;
        const i64 b = quotient(pair, g.heads), h = pair - b * g.heads;
        const STORED* a = head_of(dout, g.dout, b, h) + i * g.dout[2];
        const STORED* o = head_of(out, g.out, b, h) + i * g.out[2];
        const REAL delta = reduce_row<Sum<REAL>>(WarpRows(), 0, g.other,
                                                 [=](i64 c) { return REAL(a[c]) * o[c]; });
        if (WarpRows::rank() == 0) deltas[row] = delta;
    }
}

// P_ij, from the score.
__device__ inline REAL probability(REAL score, REAL stats) {
    return exp(score - (stats == -INFINITY ? REAL(0) : stats));
}

// grid: as forward, over the columns of q.
extern "C" __global__ void attention_dq(STORED* dq, const STORED* dout, const STORED* q,
                                        const STORED* k, const STORED* v, const STORED* added,
                                        const bool* seen, const bool* padding, const i64* lengths,
                                        const i64* start, const REAL* stats, const REAL* deltas,
                                        const u32* key, Geometry g, bool causal, REAL scale,
                                        u32 stream, u32 threshold, REAL kept, i64 columns) {
    DYN_SHARED(REAL, shared);
    const Sight sight = {added, seen, padding, lengths, start, causal, scale};
    const Dropout dropout = {key, stream, threshold, kept};
    with_tile(columns, [=](auto tile) {
        typedef decltype(tile) T;
        const Memory<T> memory(shared);
        const Place<T> place(g.queries, g.heads);
        const i64 b = place.batch, h = place.head, group = quotient(h * g.groups, g.heads);
        const i64 rows = blockDim.x / WARP * T::ROWS, left = g.queries - place.first;
        const int lane = lane_of_warp();
        const STORED* queries = head_of(q, g.q, b, h) + place.first * g.q[2];
        const STORED* slopes = head_of(dout, g.dout, b, h) + place.first * g.dout[2];
        const STORED* keys = head_of(k, g.k, b, group);
        const STORED* values = head_of(v, g.v, b, group);
        const i64 most = sight.end(g, b, place.first + least(rows, left) - 1);

        REAL sum[T::ROWS][T::COLUMNS];
        clear<T>(sum);
        for (i64 j = 0; j < most; j += WARP) {
            REAL dot[T::ROWS], slope[T::ROWS];
            dots<T>(dot, memory, queries, g.q[2], left, keys + j * g.k[2], g.k[2], most - j,
                    g.width);
            dots<T>(slope, memory, slopes, g.dout[2], left, values + j * g.v[2], g.v[2], most - j,
                    g.other);
#pragma unroll 1
            for (int r = 0; r < T::ROWS; r++) {
                const i64 i = place.mine + r, row = (b * g.heads + h) * g.queries + i;
                REAL weight = 0;
                if (i < g.queries) {
                    const REAL score = sight.score(g, b, h, i, j + lane, dot[r]);
                    const REAL factor = dropout.factor(g, row, j + lane);
                    weight = probability(score, stats[row]) * (slope[r] * factor - deltas[row]);
                }
                memory.weights[r * WARP + lane] = weight * scale;
            }
            __syncthreads();
            add<T>(sum, memory, keys + place.column + j * g.k[2], g.k[2], least(WARP, most - j),
                   g.width - place.column);
        }
        write<T>(head_of(dq, g.dq, b, h), g.dq[2], place, g.queries, g.width, sum);
    });
}

// The gradient by keys, or by values if `of_values`. grid: (tiles of keys x groups x batch, tiles
// of columns).
extern "C" __global__ void attention_dkv(STORED* out, const STORED* dout, const STORED* q,
                                         const STORED* k, const STORED* v, const STORED* added,
                                         const bool* seen, const bool* padding, const i64* lengths,
                                         const i64* start, const REAL* stats, const REAL* deltas,
                                         const u32* key, Geometry g, bool causal, REAL scale,
                                         u32 stream, u32 threshold, REAL kept, i64 columns,
                                         bool of_values) {
    DYN_SHARED(REAL, shared);
    const Sight sight = {added, seen, padding, lengths, start, causal, scale};
    const Dropout dropout = {key, stream, threshold, kept};
    with_tile(columns, [=](auto tile) {
        typedef decltype(tile) T;
        const Memory<T> memory(shared);
        const Place<T> place(g.keys, g.groups);
        const i64 b = place.batch, group = place.head, heads = quotient(g.heads, g.groups);
        const i64 left = g.keys - place.first, first_query = sight.begin(place.first);
        const int lane = lane_of_warp();
        const STORED* keys = head_of(k, g.k, b, group) + place.first * g.k[2];
        const STORED* values = head_of(v, g.v, b, group) + place.first * g.v[2];
        // Of the rows that are added up.
        const i64 width = of_values ? g.other : g.width, step = of_values ? g.dout[2] : g.q[2];

        REAL sum[T::ROWS][T::COLUMNS];
        clear<T>(sum);
        for (i64 h = group * heads; h < (group + 1) * heads; h++) {
            const STORED* queries = head_of(q, g.q, b, h);
            const STORED* slopes = head_of(dout, g.dout, b, h);
            for (i64 i = first_query; i < g.queries; i += WARP) {
                const i64 count = least(WARP, g.queries - i);
                REAL dot[T::ROWS], slope[T::ROWS];
                dots<T>(dot, memory, keys, g.k[2], left, queries + i * g.q[2], g.q[2], count,
                        g.width);
                if (!of_values) {
                    dots<T>(slope, memory, values, g.v[2], left, slopes + i * g.dout[2], g.dout[2],
                            count, g.other);
                }
                const i64 row = (b * g.heads + h) * g.queries + i + lane;
#pragma unroll 1
                for (int r = 0; r < T::ROWS; r++) {
                    const i64 j = place.mine + r;
                    REAL weight = 0;
                    if (lane < count) {
                        const REAL score = sight.score(g, b, h, i + lane, j, dot[r]);
                        const REAL factor = dropout.factor(g, row, j);
                        weight = probability(score, stats[row]) *
                                 (of_values ? factor : (slope[r] * factor - deltas[row]) * scale);
                    }
                    memory.weights[r * WARP + lane] = weight;
                }
                __syncthreads();
                const STORED* rows = of_values ? slopes : queries;
                add<T>(sum, memory, rows + place.column + i * step, step, count,
                       width - place.column);
            }
        }
        STORED* to = of_values ? head_of(out, g.dv, b, group) : head_of(out, g.dk, b, group);
        write<T>(to, of_values ? g.dv[2] : g.dk[2], place, g.keys, width, sum);
    });
}

// A thread an element of x. steps: those of x in elements; the cache lies without gaps.
extern "C" __global__ void append_rows(STORED* cache, const STORED* x, const i64* start, i64 n,
                                       i64 heads, i64 length, i64 width, i64 capacity,
                                       i64 batch_step, i64 head_step, i64 row_step) {
    FOR_EACH(e, n) {
        const i64 row = quotient(e, width), pair = quotient(row, length);
        const i64 l = row - pair * length, place = l + start[0];
        if (place >= capacity) continue;
        const i64 b = quotient(pair, heads), h = pair - b * heads, column = e - row * width;
        cache[(pair * capacity + place) * width + column] =
            x[b * batch_step + h * head_step + l * row_step + column];
    }
}
