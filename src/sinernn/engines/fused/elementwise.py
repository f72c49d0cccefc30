# pyright: basic, reportCallIssue=false
# Code generation for numba: its types and llvmlite's are unknown to a type checker.
"""Copies, and the steps of a cell and of Adam, a vector at a time; `views` tells how it is done."""

import math

import numpy as np
from llvmlite import ir
from numba.core import types

from sinernn.engines.fused.lanes import Lanes
from sinernn.engines.fused.views import VECTOR_BYTES, emitted, integer, loop, splat, views_of
from sinernn.model.cells import CELLS
from sinernn.model.functions import sqrt


def _emit_copy(context, builder, sig, args):
    out, a = views_of(context, builder, sig, args)
    lanes = out.lanes()
    with (
        loop(builder, integer(0), out.rows, 1) as (row, _),
        loop(builder, integer(0), integer(out.width), lanes) as (column, _),
    ):
        out.store(row, column, a.load(row, column, lanes), lanes)
    return context.get_dummy_value()


@emitted(lambda out, a: types.void, _emit_copy)
def copy(out, a):
    """Out [rows, width] = a; a row step of 0 in `a` repeats one row."""
    out[...] = a


def _emit_copy_transposed(context, builder, sig, args):
    """Square blocks: exchange halves, quarters, ... of the rows held in registers."""
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
    """Out [columns, rows] = a [rows, columns].T; both widths known and padded."""
    out[...] = a.T


def _emit_step(context, builder, sig, args, loads: str):
    """Loop over rows and vectors; hand the loaded lanes to the cell's formula."""
    shape = sig.args[0].value
    cell = CELLS[shape.cell]
    slots, *others = views_of(context, builder, sig, args)
    lanes = others[0].lanes()
    width = shape.hidden
    with (
        loop(builder, integer(0), slots.rows, 1) as (row, _),
        loop(builder, integer(0), integer(width), lanes) as (column, _),
    ):
        places = [builder.add(column, integer(s * width)) for s in range(cell.slots)]
        kept = tuple(slots.load(row, place, lanes) for place in places)
        if loads == "forward":
            h, h_after, c, c_after = others
            new, *results = cell.forward(
                kept, h.load(row, column, lanes), c.load(row, column, lanes)
            )
            targets = [h_after, c_after][: cell.states]
        else:
            *_, dh, dc = others
            values = [view.load(row, column, lanes) for view in others]
            total = values[4] + values[5]
            new, *results = cell.backward(kept, *values[:4], total, values[6])
            targets = [dh, dc][: cell.states]
        for place, value in zip(places, new, strict=True):
            slots.store(row, place, value, lanes)
        for target, value in zip(targets, results, strict=False):
            target.store(row, column, value, lanes)
    return context.get_dummy_value()


def _emit_step_forward(context, builder, sig, args):
    return _emit_step(context, builder, sig, args, "forward")


@emitted(lambda shape, slots, h, h_after, c, c_after: types.void, _emit_step_forward)
def step_forward(shape, slots, h, h_after, c, c_after):
    """One step of the cell: from pre-activations in `slots` to the state after it.

    Shapes:
        shape: names the cell.
        slots: [B, slots * H] pre-activations; replaced by what `step_backward` needs.
        h, c: [B, H] state before the step (for a cell without c, c is not read).
        h_after, c_after: [B, H] written.
    """
    cell = CELLS[shape.cell]
    new, *states = cell.forward(np.split(slots, cell.slots, axis=1), h, c)
    slots[...] = np.concatenate(new, axis=1)
    for target, value in zip([h_after, c_after][: cell.states], states, strict=False):
        target[...] = value


def _emit_step_backward(context, builder, sig, args):
    return _emit_step(context, builder, sig, args, "backward")


@emitted(
    lambda shape, slots, h, h_after, c, c_after, upper, dh, dc: types.void, _emit_step_backward
)
def step_backward(shape, slots, h, h_after, c, c_after, upper, dh, dc):
    """One step of the cell, backwards.

    Shapes:
        slots: [B, slots * H] what `step_forward` left; replaced by its gradients.
        h, h_after, c, c_after: [B, H] state before and after the step.
        upper: [B, H] gradient of the loss by h_after that comes from above.
        dh, dc: [B, H] gradient by the state after the step that comes from later steps;
            replaced by that by the state before, without the recurrent weights' part.
    """
    cell = CELLS[shape.cell]
    kept = np.split(slots, cell.slots, axis=1)
    new, *states = cell.backward(kept, h, h_after, c, c_after, upper + dh, dc)
    slots[...] = np.concatenate(new, axis=1)
    for target, value in zip([dh, dc][: cell.states], states, strict=False):
        target[...] = value


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
        place = 0
        for direction in ((one, zero), (zero, one)):
            gradients, *before = cell.backward(kept, *values, *direction)
            for value in (*gradients, *before):
                out.store(row, builder.add(column, integer(place * width)), value, lanes)
                place += 1
    return context.get_dummy_value()


@emitted(lambda shape, slots, h, h_after, c, c_after, out: types.void, _emit_differentiate_steps)
def differentiate_steps(shape, slots, h, h_after, c, c_after, out):
    """Derivatives of the state after each step, unit by unit.

    Shapes:
        slots: [T, slots * H] what `step_forward` left.
        h, h_after, c, c_after: [T, H] state before and after the steps.
        out: [T, 2 * (slots + 2) * H] written: of h, then of c, by every slot, by the h before
            (past the recurrent weights) and by the c before.
    """
    cell = CELLS[shape.cell]
    kept = np.split(slots, cell.slots, axis=1)
    one, zero = np.ones_like(h), np.zeros_like(h)
    parts = []
    for direction in ((one, zero), (zero, one)):
        gradients, *before = cell.backward(kept, h, h_after, c, c_after, *direction)
        parts += [zero + value for value in (*gradients, *before)]
    out[...] = np.concatenate(parts, axis=1)


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
    """One Adam step with betas 0.9 and 0.999, eps 1e-8, in place.

    Shapes:
        p, g, m, v: [P] parameters, gradient, first and second moment; P whole vectors.
        scale: Factor of the gradient, from clipping.
        rate: learning rate / (1 - 0.9**k) at step k.
        root: 1 / sqrt(1 - 0.999**k).

    Source:
        Kingma and Ba (2015), Adam, algorithm 1, in the order of operations of
        torch.optim.Adam.
    """
    cast = p.dtype.type
    p[...], m[...], v[...] = _adam(p, g, m, v, cast(scale), cast(rate), cast(root))
