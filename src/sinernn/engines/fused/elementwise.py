# pyright: basic, reportCallIssue=false
# Code generation for numba: its types and llvmlite's are unknown to a type checker.
"""Vectorised copies, sums, cell steps and Adam steps; see `matrices` for their use in numba."""

import functools
import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from sinernn.engines.fused.gemm import BLOCK, emit_product, emit_tiles
from sinernn.engines.fused.matrices import (
    VECTOR_BYTES,
    choose,
    emitted,
    integer,
    loop,
    outlined,
    splat,
    views_of,
)
from sinernn.engines.fused.simd import CONTRACT, Lanes
from sinernn.model.cells import CELLS
from sinernn.model.functions import sqrt


def _emit_copy(context, builder, sig, args):
    out, a = views_of(context, builder, sig, args)
    columns, lanes = (out.columns, 1) if out.width is None else (integer(out.width), out.lanes())
    with (
        loop(builder, integer(0), out.rows, 1) as (row, _),
        loop(builder, integer(0), columns, lanes) as (column, _),
    ):
        out.store(row, column, a.load(row, column, lanes), lanes)
    return context.get_dummy_value()


@emitted(lambda out, a: types.void, _emit_copy)
def copy(out, a):
    """Compute out [rows, columns] = a; a row step of 0 in `a` repeats one row."""
    out[...] = a


def _emit_column_sums(context, builder, sig, args):
    out, a = views_of(context, builder, sig, args)
    total = cgutils.alloca_once(builder, a.element)
    with loop(builder, integer(0), a.columns, 1) as (column, _):
        builder.store(ir.Constant(a.element, 0.0), total)
        with loop(builder, integer(0), a.rows, 1) as (row, _):
            more = builder.fadd(builder.load(total), a.scalar(row, column), flags=CONTRACT)
            builder.store(more, total)
        builder.store(builder.load(total), out.address(integer(0), column), align=out.item_bytes)
    return context.get_dummy_value()


@emitted(lambda out, a: types.void, _emit_column_sums)
def column_sums(out, a):
    """Compute out [1, columns] = sums of the columns of a [rows, columns], in the order of rows."""
    out[...] = np.add.accumulate(a)[-1:]


def _emit_square_errors(context, builder, sig, args):
    outputs, targets = views_of(context, builder, sig, args)
    share = context.cast(builder, args[2], sig.args[2], sig.args[0].dtype)
    total = cgutils.alloca_once_value(builder, ir.Constant(ir.DoubleType(), 0.0))
    with (
        loop(builder, integer(0), outputs.rows, 1) as (row, _),
        loop(builder, integer(0), outputs.columns, 1) as (column, _),
    ):
        place = outputs.address(row, column)
        error = builder.fsub(
            outputs.scalar(row, column), targets.scalar(row, column), flags=CONTRACT
        )
        square = builder.fmul(error, error, flags=CONTRACT)
        if square.type != ir.DoubleType():
            square = builder.fpext(square, ir.DoubleType())
        builder.store(builder.fadd(builder.load(total), square, flags=CONTRACT), total)
        builder.store(builder.fmul(error, share, flags=CONTRACT), place, align=outputs.item_bytes)
    return builder.load(total)


@emitted(lambda outputs, targets, share: types.float64, _emit_square_errors)
def square_errors(outputs, targets, share):
    """Return the sum of squared errors, added in order; outputs become the errors times `share`.

    Shapes:
        outputs, targets: [rows, columns].
    """
    errors = outputs - targets
    outputs[...] = errors * outputs.dtype.type(share)
    return float(np.add.accumulate((errors * errors).ravel(), dtype=np.float64)[-1])


def _emit_copy_transposed(context, builder, sig, args):
    """Transpose square blocks in registers: exchange halves, quarters, ... of their rows."""
    out, a = views_of(context, builder, sig, args)
    lanes = math.gcd(out.lanes(), a.lanes())
    mask_type = ir.VectorType(ir.IntType(32), lanes)
    with (
        loop(builder, integer(0), a.rows, lanes) as (row, _),
        loop(builder, integer(0), integer(a.width), lanes) as (column, _),
    ):
        block = [a.load(builder.add(row, integer(i)), column, lanes).value for i in range(lanes)]
        step = 1
        while step < lanes:
            low = [j if not j & step else lanes + j - step for j in range(lanes)]
            high = [j + step if not j & step else lanes + j for j in range(lanes)]
            for i in range(lanes):
                if not i & step:
                    pair = block[i], block[i + step]
                    block[i] = builder.shuffle_vector(*pair, ir.Constant(mask_type, low))
                    block[i + step] = builder.shuffle_vector(*pair, ir.Constant(mask_type, high))
            step *= 2
        for i in range(lanes):
            out.store(builder.add(column, integer(i)), row, Lanes(builder, block[i]), lanes)
    return context.get_dummy_value()


@emitted(lambda out, a: types.void, _emit_copy_transposed)
def copy_transposed(out, a):
    """Compute out [columns, rows] = a [rows, columns].T; both widths are known and padded."""
    out[...] = a.T


def _emit_formula(shape, slots, states, gradients=()):
    """Return a function that writes a step's code for one vector; with `gradients`, backward.

    It takes (row, column) and, in the backward pass, the recurrent product if it is in registers.
    """
    cell, builder, lanes = CELLS[shape.cell], slots.builder, states[0].lanes()

    def load(views, row, column):
        return [view.load(row, column, lanes) for view in views]

    def emit(row, column, product=None):
        places = [builder.add(column, integer(s * shape.hidden)) for s in range(cell.slots)]
        kept = [slots.load(row, place, lanes) for place in places]
        h, h_after, c, c_after = load(states, row, column)
        if gradients:
            upper, later, dc = load(gradients, row, column)
            upper = upper + (later if product is None else product)
            new, *results = cell.backward(kept, h, h_after, c, c_after, upper, dc)
            targets = gradients[1:] if product is None else ()  # else dh is not stored
        else:
            new, *results = cell.forward(kept, h, c)
            targets = states[1], states[3]
        for place, value in zip(places, new, strict=False):
            slots.store(row, place, value, lanes)
        for target, value in zip(targets[: cell.states], results, strict=False):
            target.store(row, column, value, lanes)

    return emit


def _emit_rows(builder, shape, batch, states, formula):
    """Write the loops over the vectors of a step."""
    with (
        loop(builder, integer(0), batch, 1) as (row, _),
        loop(builder, integer(0), integer(shape.hidden), states[0].lanes()) as (column, _),
    ):
        formula(row, column)


def _emit_steps_forward(shape, builder, slots, recurrent, h, c):
    batch = builder.sub(h.rows, slots.rows)  # states have one step more than slots
    with loop(builder, integer(0), builder.udiv(slots.rows, batch), 1) as (t, _):
        row = builder.mul(t, batch)
        states = [view.part(at, batch) for view in (h, c) for at in (row, builder.add(row, batch))]
        fed = slots.part(row, batch, shape.recurrent, shape.gates)
        emit_product(builder, fed, fed, states[0], recurrent)
        formula = _emit_formula(shape, slots.part(row, batch), states)
        _emit_rows(builder, shape, batch, states, formula)


def _emit_steps_backward(shape, builder, slots, recurrent, h, c, upper, dh, dc, none):
    batch = builder.sub(h.rows, slots.rows)
    steps = builder.udiv(slots.rows, batch)
    with loop(builder, integer(0), steps, 1) as (done, _):
        row = builder.mul(builder.sub(builder.sub(steps, integer(1)), done), batch)
        after = builder.add(row, batch)
        states = [view.part(at, batch) for view in (h, c) for at in (row, after)]
        is_last = builder.icmp_signed("==", done, integer(0))
        later = choose(is_last, none, slots.part(after, batch, shape.recurrent, shape.gates))
        now = slots.part(row, batch)
        formula = _emit_formula(shape, now, states, (upper.part(row, batch), dh, dc))
        if CELLS[shape.cell].slots == 1 and shape.hidden <= BLOCK:
            # dh is only this product, so the formula takes it from registers
            emit_tiles(builder, now, None, later, recurrent, formula)
        else:
            emit_product(builder, dh, dh, later, recurrent)
            _emit_rows(builder, shape, batch, states, formula)


def _outlined_steps(emit):
    """Return an emitter that writes all steps of a layer as one function."""

    def emit_call(context, builder, sig, args):
        shape, views = sig.args[0].value, views_of(context, builder, sig, args)
        name = f"{emit.__name__}.{views[0].kind.dtype}.{shape.cell}.{shape.hidden}"
        outlined(builder, name, views, functools.partial(emit, shape))
        return context.get_dummy_value()

    return emit_call


@emitted(lambda shape, slots, recurrent, h, c: types.void, _outlined_steps(_emit_steps_forward))
def steps_forward(shape, slots, recurrent, h, c):
    """Run all steps of a layer: compute the states from the inputs' part of `slots`.

    Shapes:
        shape: Cell and width (`Shape`).
        slots: [T * B, S] pre-activations without the recurrent part; replaced by the values that
            `steps_backward` needs.
        recurrent: [H, G] weights.
        h, c: [(T + 1) * B, H] states. Those before the first step are read (c only if the cell has
            it), and those after each step are written.
    """
    cell, batch = CELLS[shape.cell], len(h) - len(slots)
    for row in range(0, len(slots), batch):
        before, after = slice(row, row + batch), slice(row + batch, row + 2 * batch)
        slots[before, shape.recurrent :] += h[before] @ recurrent
        kept = np.split(slots[before], cell.slots, axis=1)
        new, *states = cell.forward(kept, h[before], c[before])
        targets = [h[after], c[after]][: cell.states]
        for target, value in zip([*kept[: len(new)], *targets], [*new, *states], strict=False):
            target[...] = value


@emitted(
    lambda shape, slots, recurrent, h, c, upper, dh, dc, none: types.void,
    _outlined_steps(_emit_steps_backward),
)
def steps_backward(shape, slots, recurrent, h, c, upper, dh, dc, none):
    """Back-propagate through all steps of a layer.

    Shapes:
        slots: [T * B, S] values from `steps_forward`; replaced by the gradients of the slots.
        recurrent: [G, H] transposed weights.
        h, c: [(T + 1) * B, H] states.
        upper: [T * B, H] gradient of the loss with respect to the states, from the layer above.
        dh, dc: [B, H] zeros; working memory.
        none: [B, G] zeros.
    """
    cell, batch = CELLS[shape.cell], len(h) - len(slots)
    later = none
    for row in range(len(slots) - batch, -1, -batch):
        before, after = slice(row, row + batch), slice(row + batch, row + 2 * batch)
        dh += later @ recurrent
        kept = np.split(slots[before], cell.slots, axis=1)
        states = h[before], h[after], c[before], c[after]
        new, *results = cell.backward(kept, *states, upper[before] + dh, dc)
        slots[before] = np.concatenate(new, axis=1)
        for target, value in zip([dh, dc][: cell.states], results, strict=False):
            target[...] = value
        later = slots[before, shape.recurrent :]


def _emit_differentiate_steps(context, builder, sig, args):
    shape = sig.args[0].value
    cell, width = CELLS[shape.cell], shape.hidden
    slots, h, h_after, c, c_after, out = views_of(context, builder, sig, args)
    lanes = h.lanes()
    with (
        loop(builder, integer(0), slots.rows, 1) as (row, _),
        loop(builder, integer(0), integer(width), lanes) as (column, _),
    ):
        kept = tuple(
            slots.load(row, builder.add(column, integer(s * width)), lanes)
            for s in range(cell.slots)
        )
        values = [view.load(row, column, lanes) for view in (h, h_after, c, c_after)]
        kind = values[0].type
        one, zero = (Lanes(builder, ir.Constant(kind, [x] * lanes)) for x in (1.0, 0.0))
        by_h, by_c = cell.slopes(kept, *values, one, zero)
        for place, value in enumerate((*by_h, *by_c)):
            out.store(row, builder.add(column, integer(place * width)), value, lanes)
    return context.get_dummy_value()


@emitted(lambda shape, slots, h, h_after, c, c_after, out: types.void, _emit_differentiate_steps)
def differentiate_steps(shape, slots, h, h_after, c, c_after, out):
    """Compute the derivatives of the state after each step, for each unit.

    Shapes:
        slots: [T, slots * H] values from `steps_forward`.
        h, h_after, c, c_after: [T, H] states before and after the steps.
        out: [T, 2 * (slots + 2) * H] written: derivatives of h, then of c, with respect to every
            slot, the previous h (without the recurrent weights' part) and the previous c.
    """
    cell = CELLS[shape.cell]
    kept = np.split(slots, cell.slots, axis=1)
    one, zero = np.ones_like(h), np.zeros_like(h)
    by_h, by_c = cell.slopes(kept, h, h_after, c, c_after, one, zero)
    out[...] = np.concatenate([zero + value for value in (*by_h, *by_c)], axis=1)


def _adam(p, g, m, v, scale, rate, root):
    g = g * scale
    m = m + (g - m) * (1 - 0.9)
    v = v * 0.999 + g * g * (1 - 0.999)
    return p - m * rate / (sqrt(v) * root + 1e-8), m, v


def _emit_adam(context, builder, sig, args):
    arrays = [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(sig.args[:4], args[:4], strict=True)
    ]
    element = context.get_value_type(sig.args[0].dtype)
    item_bytes = sig.args[0].dtype.bitwidth // 8
    lanes = VECTOR_BYTES // item_bytes
    kind = ir.VectorType(element, lanes)
    scalars = [
        splat(builder, context.cast(builder, value, t, sig.args[0].dtype), lanes)
        for value, t in zip(args[4:], sig.args[4:], strict=True)
    ]
    with loop(builder, integer(0), arrays[0].nitems, lanes) as (index, _):
        pointers = [
            builder.bitcast(builder.gep(a.data, [index]), kind.as_pointer()) for a in arrays
        ]
        values = [Lanes(builder, builder.load(p, align=item_bytes)) for p in pointers]
        p, m, v = _adam(*values, *scalars)
        for value, pointer in zip((p, m, v), (pointers[0], *pointers[2:]), strict=True):
            builder.store(value.value, pointer, align=item_bytes)
    return context.get_dummy_value()


@emitted(lambda p, g, m, v, scale, rate, root: types.void, _emit_adam)
def adam(p, g, m, v, scale, rate, root):
    """Take one Adam step with betas 0.9 and 0.999, eps 1e-8, in place.

    Shapes:
        p, g, m, v: [P] parameters, gradient, first and second moment, padded to whole vectors.
        scale: Factor for the gradient, from clipping.
        rate: learning rate / (1 - 0.9**k) at step k.
        root: 1 / sqrt(1 - 0.999**k).

    Source:
        Kingma and Ba (2015), Adam, algorithm 1, in the order of operations of
        torch.optim.Adam.
    """
    cast = p.dtype.type
    p[...], m[...], v[...] = _adam(p, g, m, v, cast(scale), cast(rate), cast(root))
