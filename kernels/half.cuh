// The 16-bit element types: they hold numbers and compute nothing. Reading one gives a float,
// writing one rounds a float to the nearest, ties to even. NVRTC has no cuda_bf16.h or cuda_fp16.h.
#ifndef TERCET_HALF_CUH
#define TERCET_HALF_CUH

// bfloat16: the upper half of a float.
struct bf16 {
    u16 bits;
    bf16() = default;
    __device__ bf16(float x) : bits(rounded(x)) {}
    __device__ operator float() const { return __uint_as_float(u32(bits) << 16); }

    static __device__ u16 rounded(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
        u16 result;
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
        return result;
#else
        const u32 word = __float_as_uint(x);
        // Rounding could carry a NaN's bits away: it is made quiet instead.
        if (x != x) return u16(word >> 16 | 0x40);
        return u16((word + 0x7fff + (word >> 16 & 1)) >> 16);
#endif
    }
};

// float16, IEEE 754 binary16: beyond 65504 infinite, below 2^-14 denormal.
struct f16 {
    u16 bits;
    f16() = default;
#ifdef TERCET_SIMULATION
    f16(float x) {
        const _Float16 half = x;
        memcpy(&bits, &half, sizeof bits);
    }
    operator float() const {
        _Float16 half;
        memcpy(&half, &bits, sizeof bits);
        return half;
    }
#else
    __device__ f16(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
    __device__ operator float() const {
        float x;
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
        return x;
    }
#endif
};

#endif
