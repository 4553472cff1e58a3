// The dense layer around its matrix products, which the runtime's gemm computes.
//   forward   bias, the saved pre-activation and the activation in one launch after the product
//   backward  the activation's derivative and the column sums for the bias in one launch
// Formulas: reference.py.
#include "../common.cuh"
#include "../activation.cuh"

template <int W, class F>
__device__ void add_bias_and_activate(F f, STORED* out, STORED* pre, const STORED* z,
                                      const STORED* bias, i64 rows, i64 columns, REAL alpha) {
    typedef Pack<STORED, W> Packed;
    FOR_EACH(i, rows * columns / W) {
        const Packed product = reinterpret_cast<const Packed*>(z)[i];
        REAL value[W];
        for (int k = 0; k < W; k++) value[k] = product.v[k];
        if (bias) {
            const Packed b = reinterpret_cast<const Packed*>(bias)[remainder(i, columns / W)];
            for (int k = 0; k < W; k++) value[k] += b.v[k];
        }
        Packed result;
        if (pre) {
            for (int k = 0; k < W; k++) result.v[k] = value[k];
            reinterpret_cast<Packed*>(pre)[i] = result;
        }
        for (int k = 0; k < W; k++) result.v[k] = f.value(value[k], alpha);
        reinterpret_cast<Packed*>(out)[i] = result;
    }
}

// z: (rows, columns), the product, which may be `out` or `pre` itself; pre and bias may be null.
extern "C" __global__ void bias_activation(STORED* out, STORED* pre, const STORED* z,
                                           const STORED* bias, i64 rows, i64 columns, int kind,
                                           REAL alpha) {
    with_activation(kind, [=](auto f) {
        // A pack must not reach over the end of a row of the bias.
        if (columns % PACK == 0 && aligned(out, pre, z, bias)) {
            add_bias_and_activate<PACK>(f, out, pre, z, bias, rows, columns, alpha);
        } else {
            add_bias_and_activate<1>(f, out, pre, z, bias, rows, columns, alpha);
        }
    });
}

// dz = dout * f'(saved), and the sums over each chunk of rows to partials (chunks, columns). dz is
// null for the identity, where it is dout. Blocks are (columns, rows) tiles; grid: (column tiles,
// chunks).
extern "C" __global__ void activation_backward_columns(STORED* dz, REAL* partials,
                                                       const STORED* dout, const STORED* saved,
                                                       i64 rows, i64 columns, int kind,
                                                       REAL alpha) {
    DYN_SHARED(REAL, tile);
    const i64 column = i64(blockIdx.x) * blockDim.x + threadIdx.x;
    const i64 length = (rows + gridDim.y - 1) / gridDim.y;
    const i64 begin = blockIdx.y * length;
    const i64 end = begin + length < rows ? begin + length : rows;
    with_activation(kind, [=](auto f) {
        REAL sum = 0;
        if (column < columns) {
            for (i64 row = begin + threadIdx.y; row < end; row += blockDim.y) {
                const i64 i = row * columns + column;
                REAL d = dout[i];
                if (dz) dz[i] = d *= f.slope(saved[i], alpha);
                sum += d;
            }
        }
        sum = reduce_columns_of_block<Sum<REAL>>(tile, sum);
        if (threadIdx.y == 0 && column < columns) partials[blockIdx.y * columns + column] = sum;
    });
}

// signs (rows, bytes): the bits of out (rows, columns) > 0, the first the lowest of its byte.
extern "C" __global__ void pack_signs(u8* signs, const STORED* out, i64 rows,
                                      i64 columns, i64 bytes) {
    FOR_EACH(i, rows * bytes) {
        const i64 row = quotient(i, bytes), first = (i - row * bytes) * 8;
        int bits = 0;
        for (int k = 0; k < 8; k++) {
            if (first + k < columns && REAL(out[row * columns + first + k]) > 0) bits |= 1 << k;
        }
        signs[i] = bits;
    }
}

// x (rows, columns) keeps its elements where the bit in signs (rows, bytes) is set.
extern "C" __global__ void where_signs(STORED* x, const u8* signs, i64 rows,
                                       i64 columns, i64 bytes) {
    FOR_EACH(i, rows * columns) {
        const i64 row = quotient(i, columns), column = i - row * columns;
        if (!(signs[row * bytes + column / 8] >> column % 8 & 1)) x[i] = 0;
    }
}
