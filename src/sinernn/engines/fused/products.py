# pyright: basic
# Code generation for numba: its types and llvmlite's are unknown to a type checker.
"""Matrix products in tiles that stay in registers; see `views` for how they reach numba."""

import contextlib

from llvmlite import ir
from numba.core import cgutils, types

from sinernn.engines.fused.lanes import Lanes
from sinernn.engines.fused.views import SUMS, emitted, integer, loop, splat, views_of

BLOCK = 128  # inner indices of a product that are worked off before the next ones


def _emit_add_product(context, builder, sig, args):
    out, a, _ = sig.args
    if a.width is not None and a.width <= BLOCK:  # a step's product: alone, fully unrolled
        _emit_tiles(builder, *views_of(context, builder, sig, args))
        return context.get_dummy_value()
    # products over all rows share one function for each width, which saves compiling them
    kinds = [context.get_value_type(kind) for kind in sig.args]
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), kinds),
        f"sinernn.add_product.{out.dtype}.{out.width}.{a.width}.{a.by_columns}",
    )
    if not function.blocks:
        function.linkage = "internal"
        function.attributes.add("noinline")
        inner = ir.IRBuilder(function.append_basic_block())
        _emit_tiles(inner, *views_of(context, inner, sig, function.args))
        inner.ret_void()
    builder.call(function, args)
    return context.get_dummy_value()


def _emit_tiles(builder, out, a, b):
    """Out += a @ b in tiles that stay in registers while the inner index runs."""
    lanes = out.lanes()
    vectors = out.width // lanes
    wide = next(n for n in (3, 2, 1) if vectors % n == 0)
    start = integer(0)
    for height in (min(8, SUMS // wide), 1):
        count = builder.udiv(builder.sub(out.rows, start), integer(height))
        stop = builder.add(start, builder.mul(count, integer(height)))
        with (
            _blocks(builder, a) as inner_range,
            loop(builder, integer(0), integer(out.width), wide * lanes) as (column, _),
            loop(builder, start, stop, height) as (row, _),
        ):
            _emit_tile(builder, out, a, b, (row, column), (height, wide, lanes), inner_range)
        start = stop


@contextlib.contextmanager
def _blocks(builder, a):
    """A loop over ranges of the inner index that keep the second factor's panel in cache."""
    if a.width is not None and a.width <= BLOCK:
        yield integer(0), integer(a.width)  # no loop, so that LLVM unrolls the one within
    else:
        with loop(builder, integer(0), a.columns, BLOCK) as (first, _):
            last = builder.add(first, integer(BLOCK))
            over = builder.icmp_signed(">", last, a.columns)
            yield first, builder.select(over, a.columns, last)


def _emit_tile(builder, out, a, b, corner, size, inner_range):
    """A tile of `out` from its corner (row, column): += a @ b there, inner index in a range.

    `size` is the height in rows, the width in vectors, and the lanes of a vector.
    """
    (row, column), (height, wide, lanes), (start, stop) = corner, size, inner_range
    # few sums wait for each other's latency: split the inner index in up to four
    split = max(1, min(4, 8 // (height * wide)))
    rows = [builder.add(row, integer(i)) for i in range(height)]
    columns = [builder.add(column, integer(j * lanes)) for j in range(wide)]
    kind = ir.VectorType(out.element, lanes)
    tiles = [(i, j) for i in range(height) for j in range(wide)]
    sums = {}
    for s in range(split):
        for i, j in tiles:
            sums[s, i, j] = cgutils.alloca_once(builder, kind)
            first = (
                out.load(rows[i], columns[j], lanes).value
                if s == 0
                else ir.Constant(kind, [0.0] * lanes)
            )
            builder.store(first, sums[s, i, j])

    def add(inner, s):
        factors = [b.load(inner, columns[j], lanes) for j in range(wide)]
        for i in range(height):
            factor = splat(builder, a.scalar(rows[i], inner), lanes)
            for j in range(wide):
                total = Lanes(builder, builder.load(sums[s, i, j])) + factor * factors[j]
                builder.store(total.value, sums[s, i, j])

    count = builder.sub(stop, start)
    whole = builder.add(start, builder.mul(builder.udiv(count, integer(split)), integer(split)))
    with loop(builder, start, whole, split) as (inner, _):
        for s in range(split):
            add(builder.add(inner, integer(s)), s)
    if split > 1:
        with loop(builder, whole, stop, 1) as (inner, _):
            add(inner, 0)
    for i, j in tiles:
        parts = [Lanes(builder, builder.load(sums[s, i, j])) for s in range(split)]
        while len(parts) > 1:
            parts = [sum(parts[k + 1 : k + 2], parts[k]) for k in range(0, len(parts), 2)]
        out.store(rows[i], columns[j], parts[0], lanes)


@emitted(lambda out, a, b: types.void, _emit_add_product)
def add_product(out, a, b):
    """Out [rows, width] += a [rows, inner] @ b [inner, width]."""
    out += a @ b


def _emit_add_inner_products(context, builder, sig, args):
    out, a, b = views_of(context, builder, sig, args)
    lanes = a.lanes()
    kind = ir.VectorType(out.element, lanes)
    suffix = f"v{lanes}{'f32' if out.element == ir.FloatType() else 'f64'}"
    reduce = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(out.element, [out.element, kind]),
        f"llvm.vector.reduce.fadd.{suffix}",
    )
    total = cgutils.alloca_once(builder, kind)
    with (
        loop(builder, integer(0), out.rows, 1) as (row, _),
        loop(builder, integer(0), out.columns, 1) as (column, _),
    ):
        builder.store(ir.Constant(kind, [0.0] * lanes), total)
        with loop(builder, integer(0), integer(a.width), lanes) as (k, _):
            more = a.load(row, k, lanes) * b.load(column, k, lanes)
            builder.store((Lanes(builder, builder.load(total)) + more).value, total)
        # reassoc: sum the lanes as a tree, not one after the other
        before = out.scalar(row, column)
        after = builder.call(reduce, [before, builder.load(total)], fastmath=("reassoc",))
        builder.store(after, out.address(row, column), align=out.item_bytes)
    return context.get_dummy_value()


@emitted(lambda out, a, b: types.void, _emit_add_inner_products)
def add_inner_products(out, a, b):
    """Out [rows, columns] += a [rows, width] @ b [columns, width].T."""
    out += a @ b.T
