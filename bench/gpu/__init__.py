"""One command for a machine with a GPU: tests, replay, compute-sanitizer, times, limits.

    python -m tercet.bench.gpu [--minutes 9] [--folder bench/results]

Parts run one after another, each within its share of the time, and each in processes of its own: a
fault of the device ends a process, not the run. The result, `<date>-<card>.json` with a `.md` page
beside it, is written after every part; what failed, what did not fit and what is not there is
written into it as such.

With --simulate the same code runs in miniature over the simulation of CUDA on the CPU. It shows
that the command works; no time in its result means anything.
"""
