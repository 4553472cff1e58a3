"""Vector code for matrix products, written as LLVM IR: what loops in Python would not become.

    panel      rows of c, some vectors wide: tile by tile of rows by vectors, which stays in
               registers while its rows of a meet its columns of b, a multiply-add a vector and step
    strip      the same for one row alone, and more vectors
    dots       one row of a meets several rows of b, the vectors lying along the sum
    copy       rows of a matrix into scratch
    move       short rows to where others lie, or onto them
    split      rows apart into what is at even and at odd places; `join` is the inverse
    transpose  a square of a matrix into scratch, its columns as rows

All take addresses, and steps in bytes; their first argument is a number of the dtype that they are
for. A vector is as wide as the CPU has them, of the features that Numba compiles for (the host's,
or NUMBA_CPU_FEATURES). Where a matrix ends inside a vector, loads and stores are masked: nothing
outside is read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

BYTE, INT32, INT64 = (ir.IntType(n) for n in (8, 32, 64))


def _vector_and_registers() -> tuple[int, int]:
    """Bytes of a vector register, and how many there are."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    features = features.split(",")
    if "+avx512f" in features:
        return 64, 32
    if "+avx2" in features and "+fma" in features:
        return 32, 16
    return 16, 32 if triple.startswith(("aarch64", "arm64")) else 16


VECTOR, REGISTERS = _vector_and_registers()
# Accumulators of a tile: its rows by its vectors. Two vectors of b and one of a lie beside them.
VECTORS = 2
ROWS = 8 if REGISTERS == 32 else 6
# Vectors of c in a strip of one row, and numbers of c in one call of dots.
STRIP = 8
DOTS = 8


class Code:
    """Emits operations on vectors of a dtype."""

    def __init__(self, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.scalar = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self.size = dtype.bitwidth // 8
        self.lanes = VECTOR // self.size
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def at(self, address: Any, offset: Any = 0) -> Any:
        if isinstance(offset, int):
            offset = INT64(offset)
        return self.builder.add(address, offset)

    def _pointer(self, address: Any, type_: Any) -> Any:
        return self.builder.inttoptr(address, type_.as_pointer())

    def load(self, address: Any, lanes: int | None = None) -> Any:
        vector = ir.VectorType(self.scalar, lanes or self.lanes)
        return self.builder.load(self._pointer(address, vector), align=self.size)

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self._pointer(address, value.type), align=self.size)

    def spread(self, address: Any) -> Any:
        """A vector of one number, from memory."""
        value = self.builder.load(self._pointer(address, self.scalar), align=self.size)
        return self._repeat(value, self.vector)

    def _repeat(self, value: Any, vector: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, INT32(0))
        return self.shuffle(first, undefined, [0] * vector.count)

    def shuffle(self, x: Any, y: Any, lanes: list[int]) -> Any:
        pattern = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
        return self.builder.shuffle_vector(x, y, pattern)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z, rounded once where the CPU can."""
        return self._call("llvm.fmuladd", self.vector, [x, y, z])

    def mask(self, width: Any, first: int, lanes: int | None = None) -> Any:
        """Which of the lanes from `first` on are below width."""
        integers = ir.VectorType(INT64, lanes or self.lanes)
        numbers = ir.Constant(integers, [first + i for i in range(integers.count)])
        return self.builder.icmp_signed("<", numbers, self._repeat(width, integers))

    def load_masked(self, address: Any, mask: Any) -> Any:
        vector = ir.VectorType(self.scalar, mask.type.count)
        pointer = self._pointer(address, vector)
        zero = ir.Constant(vector, [0.0] * vector.count)
        arguments = [pointer, INT32(self.size), mask, zero]
        return self._call("llvm.masked.load", vector, arguments, ".p0")

    def store_masked(self, value: Any, address: Any, mask: Any) -> None:
        pointer = self._pointer(address, value.type)
        arguments = [value, pointer, INT32(self.size), mask]
        self._call("llvm.masked.store", ir.VoidType(), arguments, ".p0", value.type)

    def _call(
        self, name: str, out: Any, arguments: list[Any], suffix: str = "", over: Any = None
    ) -> Any:
        vector = over or out
        element = "f32" if self.size == 4 else "f64"
        signature = ir.FunctionType(out, [x.type for x in arguments])
        name = f"{name}.v{vector.count}{element}{suffix}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, arguments)

    def variable(self, value: Any) -> Any:
        """Becomes a register: LLVM's mem2reg removes the memory."""
        return cgutils.alloca_once_value(self.builder, value)

    @contextmanager
    def steps(self, count: Any, *moving: tuple[Any, Any]) -> Iterator[list[Any]]:
        """A loop; the addresses of `moving`, (start, step), as they are in each turn."""
        addresses = [self.variable(start) for start, _ in moving]
        with cgutils.for_range(self.builder, count):
            yield [self.builder.load(address) for address in addresses]
            for address, (_, step) in zip(addresses, moving, strict=True):
                self.builder.store(self.at(self.builder.load(address), step), address)


def vector_intrinsic(emit: Callable[..., None]) -> Any:
    """An intrinsic f(number, (integers...)), of which emit(code, *integers) is the code."""

    @intrinsic
    def f(context: Any, dtype: Any, integers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            unpacked = [
                context.cast(builder, builder.extract_value(values[1], i), integer, types.intp)
                for i, integer in enumerate(integers)
            ]
            emit(Code(builder, dtype), *unpacked)
            return context.get_dummy_value()

        return types.void(dtype, integers), generate

    return f


def _tile(
    code: Code,
    rows: int,
    vectors: int,
    c: Any,
    c_row: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    b_step: Any,
    depth: Any,
    width: Any,
    fresh: Any,
) -> None:
    """c += a b for rows by vectors of c; columns of c from `width` on are left alone."""
    builder = code.builder
    whole = builder.icmp_signed(">=", width, INT64(vectors * code.lanes))
    masks = [code.mask(width, j * code.lanes) for j in range(vectors)]
    places = [(i, j) for i in range(rows) for j in range(vectors)]
    sums = {place: code.variable(code.zero) for place in places}
    targets = {
        (i, j): code.at(code.at(c, builder.mul(c_row, INT64(i))), j * VECTOR) for i, j in places
    }
    with builder.if_then(builder.icmp_signed("==", fresh, INT64(0))):
        for i, j in places:
            builder.store(code.load_masked(targets[i, j], masks[j]), sums[i, j])
    offsets = [builder.mul(a_row, INT64(i)) for i in range(rows)]
    with code.steps(depth, (a, a_step), (b, b_step)) as (a_now, b_now):
        right = [code.load(code.at(b_now, j * VECTOR)) for j in range(vectors)]
        for i in range(rows):
            left = code.spread(code.at(a_now, offsets[i]))
            for j in range(vectors):
                total = code.multiply_add(left, right[j], builder.load(sums[i, j]))
                builder.store(total, sums[i, j])
    with builder.if_else(whole) as (inside, edge):
        with inside:
            for place in places:
                code.store(builder.load(sums[place]), targets[place])
        with edge:
            for i, j in places:
                code.store_masked(builder.load(sums[i, j]), targets[i, j], masks[j])


@vector_intrinsic
def panel(
    code: Code,
    c: Any,
    c_row: Any,
    rows: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    b_step: Any,
    depth: Any,
    width: Any,
    fresh: Any,
) -> None:
    """panel(number, (c, c_row, rows, a, a_row, a_step, b, b_step, depth, width, fresh)): c += a b.

    For the columns of c below `width`, of VECTORS vectors at most; b is read in whole vectors, one
    if that holds the width. `fresh` sets c = a b.
    """
    builder = code.builder
    narrow = builder.icmp_signed("<=", width, INT64(code.lanes))
    with builder.if_else(narrow) as branches:
        for branch, vectors in zip(branches, (1, VECTORS), strict=True):
            with branch:
                c_left, a_left, left = c, a, rows
                for height in (ROWS, 4, 2, 1):
                    count = builder.sdiv(left, INT64(height))
                    c_next, a_next = (builder.mul(x, INT64(height)) for x in (c_row, a_row))
                    with code.steps(count, (c_left, c_next), (a_left, a_next)) as (c_now, a_now):
                        _tile(code, height, vectors, c_now, c_row, a_now, a_row, a_step,
                              b, b_step, depth, width, fresh)  # fmt: skip
                    c_left = code.at(c_left, builder.mul(count, c_next))
                    a_left = code.at(a_left, builder.mul(count, a_next))
                    left = builder.srem(left, INT64(height))


@vector_intrinsic
def strip(
    code: Code, c: Any, a: Any, a_step: Any, b: Any, b_step: Any, depth: Any, fresh: Any
) -> None:
    """strip(number, (c, a, a_step, b, b_step, depth, fresh)): one row's c += a b.

    For STRIP vectors of c.
    """
    row, width = INT64(0), INT64(STRIP * code.lanes)
    _tile(code, 1, STRIP, c, row, a, row, a_step, b, b_step, depth, width, fresh)


@vector_intrinsic
def dots(code: Code, c: Any, a: Any, b: Any, b_row: Any, depth: Any, width: Any) -> None:
    """dots(number, (c, a, b, b_row, depth, width)): c[j] = the sum of a[k] b[j, k] over k.

    For j below `width`, which is DOTS at most, and no more than a vector has lanes.
    """
    builder = code.builder
    count = min(DOTS, code.lanes)
    last = builder.sub(width, INT64(1))
    rows = []
    for j in range(count):
        near = builder.icmp_signed("<", INT64(j), last)
        rows.append(builder.mul(builder.select(near, INT64(j), last), b_row))
    sums = [code.variable(code.zero) for _ in rows]
    vectors = builder.sdiv(depth, INT64(code.lanes))
    whole = builder.mul(vectors, INT64(VECTOR))
    with code.steps(vectors, (a, INT64(VECTOR)), (b, INT64(VECTOR))) as (a_now, b_now):
        left = code.load(a_now)
        for row, total in zip(rows, sums, strict=True):
            right = code.load(code.at(b_now, row))
            builder.store(code.multiply_add(left, right, builder.load(total)), total)
    rest = code.mask(builder.srem(depth, INT64(code.lanes)), 0)
    left = code.load_masked(code.at(a, whole), rest)
    parts = []
    for row, total in zip(rows, sums, strict=True):
        right = code.load_masked(code.at(code.at(b, whole), row), rest)
        parts.append(code.multiply_add(left, right, builder.load(total)))
    # Neighbours are added until a number is left of each: of two vectors side by side at first.
    while len(parts) > 1:
        parts = [_neighbours(code, x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    result = parts[0]
    while result.type.count > count:
        result = _neighbours(code, result)
    code.store_masked(result, c, code.mask(width, 0, count))


def _neighbours(code: Code, x: Any, y: Any = None) -> Any:
    """x0 + x1, x2 + x3 and so on, then the same of y."""
    n = x.type.count if y is None else 2 * x.type.count
    even, odd = (code.shuffle(x, x if y is None else y, list(range(i, n, 2))) for i in (0, 1))
    return code.builder.fadd(even, odd)


@cache
def copy(vectors: int, masked: bool) -> Any:
    """copy(number, (to, to_row, x, x_row, rows, width)): rows of x into rows of whole vectors.

    Beyond `width`, which only a masked copy looks at, they are filled with zeros.
    """

    def emit(code: Code, to: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any) -> None:
        masks = [code.mask(width, j * code.lanes) for j in range(vectors)]
        with code.steps(rows, (to, to_row), (x, x_row)) as (to_now, x_now):
            for j in range(vectors):
                source = code.at(x_now, j * VECTOR)
                value = code.load_masked(source, masks[j]) if masked else code.load(source)
                code.store(value, code.at(to_now, j * VECTOR))

    return vector_intrinsic(emit)


def _for_width(code: Code, width: Any, emit: Callable[[int], None]) -> None:
    """emit(lanes) for the widest vector, of a power of two lanes, that `width` numbers fill."""
    builder = code.builder

    def choose(lanes: int) -> None:
        if lanes == 1:
            emit(1)
            return
        with builder.if_else(builder.icmp_signed(">=", width, INT64(lanes))) as (fits, narrow):
            with fits:
                emit(lanes)
            with narrow:
                choose(lanes // 2)

    choose(code.lanes)


@cache
def move(added: bool) -> Any:
    """move(number, (to, to_row, x, x_row, rows, width)): short rows of x, to others or onto them.

    For a width of two vectors at most, both of which lie inside of the row and may overlap: a mask
    would make stores slow. So the second is loaded before the first is stored.
    """

    def emit(code: Code, to: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any) -> None:
        builder = code.builder

        def with_lanes(lanes: int) -> None:
            behind = builder.mul(builder.sub(width, INT64(lanes)), INT64(code.size))
            with code.steps(rows, (to, to_row), (x, x_row)) as (to_now, x_now):
                targets = [to_now, code.at(to_now, behind)]
                values = [code.load(at, lanes) for at in (x_now, code.at(x_now, behind))]
                if added:
                    held = [code.load(at, lanes) for at in targets]
                    values = [builder.fadd(a, b) for a, b in zip(held, values, strict=True)]
                for value, at in zip(values, targets, strict=True):
                    code.store(value, at)

        _for_width(code, width, with_lanes)

    return vector_intrinsic(emit)


@vector_intrinsic
def transpose(code: Code, to: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any) -> None:
    """transpose(number, (to, to_row, x, x_row, rows, width)): a square of one vector a side.

    The rows of x from `rows` on repeat the last one; beyond `width` it counts as zero.
    """
    builder, n = code.builder, code.lanes
    mask = code.mask(width, 0)
    last = builder.sub(rows, INT64(1))
    square = []
    for i in range(n):
        near = builder.icmp_signed("<", INT64(i), last)
        row = builder.mul(builder.select(near, INT64(i), last), x_row)
        square.append(code.load_masked(code.at(x, row), mask))
    # Shuffling like a pack of cards, log2(n) times, moves lane j of row i to lane i of row j.
    low = [lane for i in range(n // 2) for lane in (i, n + i)]
    high = [lane + n // 2 for lane in low]
    for _ in range(n.bit_length() - 1):
        pairs = list(zip(square[: n // 2], square[n // 2 :], strict=True))
        square = [code.shuffle(x, y, half) for x, y in pairs for half in (low, high)]
    for j in range(n):
        code.store(square[j], code.at(to, builder.mul(to_row, INT64(j))))


def halves(code: Code, x: Any, y: Any) -> list[Any]:
    """What is at even and at odd places of x and then y."""
    n = 2 * x.type.count
    return [code.shuffle(x, y, list(range(i, n, 2))) for i in (0, 1)]


def _by_pairs(code: Code, rows: Any, width: Any, moving: list[tuple[Any, Any]], emit: Any) -> None:
    """emit(addresses, lanes) for vectors that cover `width` pairs of each row and no more.

    The last one ends where the row does, and may overlap the one before.
    """
    builder = code.builder

    def with_lanes(lanes: int) -> None:
        turns = builder.sdiv(builder.add(width, INT64(lanes - 1)), INT64(lanes))
        rest = builder.sub(width, INT64(lanes))
        with code.steps(rows, *moving) as starts:
            index = code.variable(INT64(0))
            with code.steps(turns):
                at = builder.load(index)
                last = builder.icmp_signed(">", at, rest)
                emit(starts, builder.select(last, rest, at), lanes)
                builder.store(builder.add(at, INT64(lanes)), index)

    _for_width(code, width, with_lanes)


@vector_intrinsic
def split(
    code: Code, left: Any, right: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any
) -> None:
    """split(number, (left, right, to_row, x, x_row, rows, width)): rows of `width` pairs."""
    builder = code.builder

    def emit(starts: list[Any], at: Any, lanes: int) -> None:
        to_left, to_right, source = starts
        one = builder.mul(at, INT64(code.size))
        x_now = code.at(source, builder.add(one, one))
        pair = [code.load(code.at(x_now, v * lanes * code.size), lanes) for v in (0, 1)]
        for value, to in zip(halves(code, *pair), (to_left, to_right), strict=True):
            code.store(value, code.at(to, one))

    _by_pairs(code, rows, width, [(left, to_row), (right, to_row), (x, x_row)], emit)


@vector_intrinsic
def join(
    code: Code, to: Any, to_row: Any, left: Any, right: Any, x_row: Any, rows: Any, width: Any
) -> None:
    """join(number, (to, to_row, left, right, x_row, rows, width)): rows of `width` pairs."""
    builder = code.builder

    def emit(starts: list[Any], at: Any, lanes: int) -> None:
        target, from_left, from_right = starts
        one = builder.mul(at, INT64(code.size))
        x, y = (code.load(code.at(start, one), lanes) for start in (from_left, from_right))
        to_now = code.at(target, builder.add(one, one))
        order = [lane for i in range(lanes) for lane in (i, lanes + i)]
        for v in range(2):
            value = code.shuffle(x, y, order[v * lanes : (v + 1) * lanes])
            code.store(value, code.at(to_now, v * lanes * code.size))

    _by_pairs(code, rows, width, [(to, to_row), (left, x_row), (right, x_row)], emit)


def _size_of(context: Any, dtype: Any) -> Any:
    """size_of(number): its bytes, a constant to LLVM."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return INT64(dtype.bitwidth // 8)

    return types.intp(dtype), generate


size_of: Any = intrinsic(_size_of)


def scratch(count: int) -> Any:
    """An intrinsic scratch(): the address of `count` bytes on the stack, aligned to vectors."""

    @intrinsic
    def f(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            memory = cgutils.alloca_once(builder, BYTE, count)
            memory.align = VECTOR
            return builder.ptrtoint(memory, INT64)

        return types.intp(), generate

    return f
