# pyright: basic
# Code generation for numba: its types and llvmlite's are unknown to a type checker.
"""Matrix products in tiles that stay in registers; see `matrices` for their use in numba."""

import contextlib

from llvmlite import ir
from numba.core import cgutils, types

from sinernn.engines.fused.matrices import (
    SUMS,
    choose,
    emitted,
    integer,
    loop,
    outlined,
    splat,
    views_of,
)
from sinernn.engines.fused.simd import Lanes

BLOCK = 128  # inner indices in one block of a product


def emit_product(builder, out, base, a, b):
    """Write the code of out = base + a @ b."""
    if a.width is not None and a.width <= BLOCK:  # a step's product: inline, fully unrolled
        emit_tiles(builder, out, base, a, b)
    else:  # one shared function for each combination of widths
        name = f"product.{out.kind.dtype}.{out.width}.{a.width}.{a.kind.by_columns}"
        outlined(builder, name, [out, base, a, b], emit_tiles)


def _emit_product(context, builder, sig, args):
    emit_product(builder, *views_of(context, builder, sig, args))
    return context.get_dummy_value()


def emit_tiles(builder, out, base, a, b, finish=None):
    """Write out = base + a @ b in tiles that stay in registers during the inner loop.

    With at most BLOCK inner indices, `base` may be None (zero), and `finish(row, column, sums)` may
    replace the store.
    """
    lanes = out.lanes()
    vectors = out.width // lanes
    wide = next(n for n in (3, 2, 1) if vectors % n == 0)
    top = integer(0)
    for height in (min(8, SUMS // wide), 1):
        count = builder.udiv(builder.sub(out.rows, top), integer(height))
        bottom = builder.add(top, builder.mul(count, integer(height)))
        size = height, wide, lanes
        with (
            _blocks(builder, a, base, out) as (inner_range, begin),
            loop(builder, integer(0), integer(out.width), wide * lanes) as (column, _),
            loop(builder, top, bottom, height) as (row, _),
        ):
            _emit_tile(builder, (out, begin, a, b), (row, column), size, inner_range, finish)
        top = bottom


@contextlib.contextmanager
def _blocks(builder, a, base, out):
    """Write a loop over blocks of the inner index, to keep the second factor's panel in cache.

    Yields the range of the block, and the start value of its sums: `base` first, then `out`.
    """
    if a.width is not None and a.width <= BLOCK:
        # no loop here, so that LLVM unrolls the inner one
        yield (integer(0), integer(a.width)), base
    else:
        with loop(builder, integer(0), a.columns, BLOCK) as (first, _):
            last = builder.add(first, integer(BLOCK))
            over = builder.icmp_signed(">", last, a.columns)
            is_first = builder.icmp_signed("==", first, integer(0))
            yield (first, builder.select(over, a.columns, last)), choose(is_first, base, out)


def _emit_tile(builder, views, corner, size, inner_range, finish):
    """Write base + a @ b over a range of the inner index for one tile of `out`.

    `corner` is the tile's first row and column; `size` is its height in rows, its width in vectors,
    and the number of lanes of a vector.
    """
    out, base, a, b = views
    (row, column), (height, wide, lanes), (start, stop) = corner, size, inner_range
    # With few sums, latency dominates: split the inner index into up to four independent sums.
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
                base.load(rows[i], columns[j], lanes).value
                if s == 0 and base
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
        if finish and height == 1:
            finish(rows[i], columns[j], parts[0])
        else:
            out.store(rows[i], columns[j], parts[0], lanes)
    if finish and height > 1:  # a loop, to avoid one copy of the code for each row
        with loop(builder, row, builder.add(row, integer(height)), 1) as (one, _):
            for j in columns:
                finish(one, j, out.load(one, j, lanes))


@emitted(lambda out, base, a, b: types.void, _emit_product)
def product(out, base, a, b):
    """Compute out [rows, width] = base [rows, width] + a [rows, inner] @ b [inner, width].

    `base` may be `out`; with a row step of 0, its one row is added to every row.
    """
    out[...] = base + a @ b


def _emit_inner_products(context, builder, sig, args):
    out, base, a, b = views_of(context, builder, sig, args)
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
        before = base.scalar(row, column)
        after = builder.call(reduce, [before, builder.load(total)], fastmath=("reassoc",))
        builder.store(after, out.address(row, column), align=out.item_bytes)
    return context.get_dummy_value()


@emitted(lambda out, base, a, b: types.void, _emit_inner_products)
def inner_products(out, base, a, b):
    """Compute out = base + a @ b.T.

    Shapes:
        out, base: [rows, columns].
        a: [rows, width].
        b: [columns, width].
    """
    out[...] = base + a @ b.T
