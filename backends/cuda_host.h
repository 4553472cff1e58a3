// CUDA C on the CPU: what a .cu file of tercet needs to be compiled by g++ and run there.
//
// Every CUDA thread is a fiber, with a stack of its own. Blocks run one after another; inside a
// block, the warps and the lanes of a warp run in an order that is drawn anew from a seed whenever
// there is a choice, each until its next barrier. Where a barrier is missing, some order shows it.
// What the GPU would hang or fail on ends the launch with a message: threads that leave before a
// barrier of their block or warp, or a warp split over two barriers. Dynamic shared memory starts
// as garbage. Not seen are races between blocks, and nothing here says how fast a GPU would be.
#ifndef TERCET_CUDA_HOST_H
#define TERCET_CUDA_HOST_H
#define TERCET_SIMULATION

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __shared__ static  // blocks run one after another, so one copy is enough

namespace simulation {

struct Index {
    unsigned x, y, z;
};

// As the Python side writes it (cuda_simulation.py).
struct Launch {
    unsigned grid[3], block[3];
    unsigned long long shared_bytes;
    unsigned seed;
};

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

const unsigned WARP_SIZE = 32;
const size_t STACK_BYTES = 64 << 10;
const size_t POISON_BYTE = 0x7f;  // 0x7f7f7f7f is 3.4e38 as a float

struct Fiber {
    std::unique_ptr<char[]> stack;
    ucontext_t start;
    jmp_buf resume;
    bool started;
    State state;
    Index thread;
    unsigned rank;
    void* saved;  // AddressSanitizer's
};

inline std::vector<Fiber> fibers;
inline std::vector<unsigned char> dynamic_shared;
typedef unsigned long long Slot;
inline std::vector<Slot> slots;  // one a thread, for exchange inside a warp
inline std::function<void()> kernel;
inline Fiber* current;
inline jmp_buf scheduler;
inline ucontext_t unused;
inline Index block_index, block_size, grid_size;
inline unsigned random_state;
inline char message[200];

inline unsigned random_below(unsigned n) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}
inline void shuffle(std::vector<unsigned>& order) {
    for (unsigned i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_below(i)]);
}

// AddressSanitizer has to be told of every change of stacks, before and after, and that a stack is
// used anew: what a thread that ended left poisoned there is no error.
#ifdef __SANITIZE_ADDRESS__
inline const void* scheduler_stack;
inline size_t scheduler_stack_bytes;
inline void* scheduler_saved;
inline void leaving_fiber() {
    void** saved = current->state == DONE ? nullptr : &current->saved;
    __sanitizer_start_switch_fiber(saved, scheduler_stack, scheduler_stack_bytes);
}
inline void entered_fiber(void* saved) {
    __sanitizer_finish_switch_fiber(saved, &scheduler_stack, &scheduler_stack_bytes);
}
inline void leaving_scheduler(Fiber& to) {
    __sanitizer_start_switch_fiber(&scheduler_saved, to.stack.get(), STACK_BYTES);
}
inline void entered_scheduler() {
    __sanitizer_finish_switch_fiber(scheduler_saved, nullptr, nullptr);
}
inline void new_stack(Fiber& f) { __asan_unpoison_memory_region(f.stack.get(), STACK_BYTES); }
#else
inline void leaving_fiber() {}
inline void entered_fiber(void*) {}
inline void leaving_scheduler(Fiber&) {}
inline void entered_scheduler() {}
inline void new_stack(Fiber&) {}
#endif

// ucontext makes the stacks; _setjmp and _longjmp switch between them without a system call.
inline void stop(State state) {
    current->state = state;
    leaving_fiber();
    if (_setjmp(current->resume) == 0) _longjmp(scheduler, 1);
    entered_fiber(current->saved);
}
inline void fiber_main() {
    entered_fiber(nullptr);
    kernel();
    stop(DONE);
}
inline void resume(Fiber& fiber) {
    current = &fiber;
    leaving_scheduler(fiber);
    if (_setjmp(scheduler) == 0) {
        if (fiber.started) _longjmp(fiber.resume, 1);
        fiber.started = true;
        setcontext(&fiber.start);
    }
    entered_scheduler();
}

inline void prepare(unsigned threads) {
    if (fibers.size() < threads) fibers.resize(threads);
    slots.resize((threads + WARP_SIZE - 1) / WARP_SIZE * WARP_SIZE);
    for (unsigned i = 0; i < threads; i++) {
        Fiber& f = fibers[i];
        if (!f.stack) f.stack.reset(new char[STACK_BYTES]);
        new_stack(f);
        f.started = false;
        f.state = READY;
        f.rank = i;
        f.thread = {i % block_size.x, i / block_size.x % block_size.y,
                    i / (block_size.x * block_size.y)};
        getcontext(&f.start);
        f.start.uc_stack.ss_sp = f.stack.get();
        f.start.uc_stack.ss_size = STACK_BYTES;
        f.start.uc_link = &unused;
        makecontext(&f.start, fiber_main, 0);
    }
}

inline bool fail(const char* what, unsigned count, const char* where) {
    snprintf(message, sizeof message, "%u %s %s in block (%u, %u, %u)", count, what, where,
             block_index.x, block_index.y, block_index.z);
    return false;
}

// Runs a warp until all its threads stand at a barrier of the block or are done.
inline bool run_warp(unsigned first, unsigned last, std::vector<unsigned>& lanes) {
    for (;;) {
        lanes.resize(last - first);
        std::iota(lanes.begin(), lanes.end(), first);
        shuffle(lanes);
        unsigned waiting = 0, elsewhere = 0;
        for (unsigned lane : lanes) {
            if (fibers[lane].state == READY) resume(fibers[lane]);
            if (fibers[lane].state == AT_WARP_BARRIER)
                waiting++;
            else
                elsewhere++;
        }
        if (waiting == 0) return true;
        if (elsewhere) return fail("threads", elsewhere, "are missing from a warp operation");
        for (unsigned lane : lanes) fibers[lane].state = READY;
    }
}

inline bool run_block(unsigned threads, std::vector<unsigned>& warps,
                      std::vector<unsigned>& lanes) {
    prepare(threads);
    std::fill(dynamic_shared.begin(), dynamic_shared.end(), POISON_BYTE);
    for (;;) {
        warps.resize((threads + WARP_SIZE - 1) / WARP_SIZE);
        std::iota(warps.begin(), warps.end(), 0u);
        shuffle(warps);
        for (unsigned warp : warps) {
            const unsigned first = warp * WARP_SIZE, last = first + WARP_SIZE;
            if (!run_warp(first, last < threads ? last : threads, lanes)) return false;
        }
        unsigned done = 0;
        for (unsigned i = 0; i < threads; i++) done += fibers[i].state == DONE;
        if (done == threads) return true;
        if (done) return fail("threads", done, "left before __syncthreads");
        for (unsigned i = 0; i < threads; i++) fibers[i].state = READY;
    }
}

// Null, or what went wrong.
inline const char* run(const Launch& launch, std::function<void()> body) {
    grid_size = {launch.grid[0], launch.grid[1], launch.grid[2]};
    block_size = {launch.block[0], launch.block[1], launch.block[2]};
    random_state = launch.seed;
    kernel = std::move(body);
    dynamic_shared.assign(launch.shared_bytes + 16, 0);
    std::vector<unsigned> warps, lanes;
    const unsigned threads = block_size.x * block_size.y * block_size.z;
    for (unsigned z = 0; z < grid_size.z; z++) {
        for (unsigned y = 0; y < grid_size.y; y++) {
            for (unsigned x = 0; x < grid_size.x; x++) {
                block_index = {x, y, z};
                if (!run_block(threads, warps, lanes)) return message;
            }
        }
    }
    return nullptr;
}

// Every lane of the warp gives a value; `read` sees those of all lanes, in their order.
template <class T, class Read>
auto exchange(T value, Read read) {
    static_assert(sizeof(T) <= sizeof(Slot), "a warp exchanges at most 8 bytes a lane");
    memcpy(&slots[current->rank], &value, sizeof value);
    stop(AT_WARP_BARRIER);
    const Slot* warp = &slots[current->rank / WARP_SIZE * WARP_SIZE];
    auto result = read([warp](unsigned lane) {
        T given;
        memcpy(&given, &warp[lane], sizeof given);
        return given;
    });
    stop(AT_WARP_BARRIER);
    return result;
}

}  // namespace simulation

#define threadIdx (simulation::current->thread)
#define blockIdx simulation::block_index
#define blockDim simulation::block_size
#define gridDim simulation::grid_size
#define DYN_SHARED(T, name) T* name = reinterpret_cast<T*>(simulation::dynamic_shared.data())

inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline void __syncthreads() { simulation::stop(simulation::AT_BLOCK_BARRIER); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    const unsigned source = simulation::current->rank % simulation::WARP_SIZE ^ mask;
    return simulation::exchange(value, [=](auto lane) { return lane(source); });
}
inline unsigned __ballot_sync(unsigned, bool vote) {
    return simulation::exchange(vote, [](auto lane) {
        unsigned votes = 0;
        for (unsigned i = 0; i < simulation::WARP_SIZE; i++) votes |= unsigned(lane(i)) << i;
        return votes;
    });
}
inline int __ffs(unsigned bits) { return __builtin_ffs(int(bits)); }

#endif
