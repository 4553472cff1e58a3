// Philox 4x32-10 and tercet's use of its counter, bit for bit as random/philox.py defines them.
#ifndef TERCET_PHILOX_CUH
#define TERCET_PHILOX_CUH

// The four words of elements 4 block .. 4 block + 3. state: low and high word of
// the seed, step, streams drawn before.
__device__ inline void random_words(u32 words[4], const u32* state, u32 stream, i64 block) {
    u32 c0 = u32(block), c1 = u32(u64(block) >> 32), c2 = state[3] + stream, c3 = state[2];
    u32 key0 = state[0], key1 = state[1];
    for (int round = 0; round < 10; round++) {
        const u64 p0 = u64(0xD2511F53u) * c0, p1 = u64(0xCD9E8D57u) * c2;
        c0 = u32(p1 >> 32) ^ c1 ^ key0;
        c1 = u32(p1);
        c2 = u32(p0 >> 32) ^ c3 ^ key1;
        c3 = u32(p0);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// use(i, word) for each element i below n, by threads that each draw four neighbours at once.
template <class Use>
__device__ void for_each_word(i64 n, const u32* state, u32 stream, Use use) {
    FOR_EACH(block, (n + 3) / 4) {
        u32 words[4];
        random_words(words, state, stream, block);
        for (int k = 0; k < 4; k++) {
            if (4 * block + k < n) use(4 * block + k, words[k]);
        }
    }
}

#endif
