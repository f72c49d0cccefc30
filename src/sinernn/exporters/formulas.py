"""The formulas of a cell as text: from the source of `Cell.forward`, its one definition."""

import ast
import inspect
from dataclasses import dataclass
from textwrap import dedent

from sinernn.errors import UsageError
from sinernn.model.cells import CELLS, Cell

FUNCTIONS = ("tanh", "sigmoid", "relu")
"""Functions of `model.functions` that exported code defines where a formula calls them."""


@dataclass(frozen=True)
class Formula:
    """One step of a unit: statements that read `slots`, `h` and `c`, and its result."""

    statements: list[ast.Assign]
    h: ast.expr
    """h after the step."""

    c: ast.expr
    """c after the step."""

    functions: list[str]
    """Those of `FUNCTIONS` that it calls."""


def read_formula(name: str) -> Formula:
    """Return the formula of a cell.

    Args:
        name: One of `CELLS`.

    Raises:
        UsageError: The cell's `forward` is more than assignments, arithmetic and `FUNCTIONS`.
    """
    cell = CELLS[name]
    try:
        tree = ast.parse(dedent(inspect.getsource(type(cell).forward)))
    except OSError as error:
        raise UsageError(f"the source of the cell {name} is not in a file; use another") from error
    match tree.body:
        case [ast.FunctionDef(body=[*body, ast.Return(value=ast.Tuple(elts=[_, h, c]))])]:
            statements = [each for each in body if isinstance(each, ast.Assign)]
            others = [each for each in body if not isinstance(each, ast.Assign | ast.Expr)]
        case _:
            raise UsageError(f"forward of the cell {name} does not end in a tuple; export another")
    found = [node for each in (*statements, h, c) for node in ast.walk(each)]
    names = {node.id for node in found if isinstance(node, ast.Name)}
    own = {n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    unknown = sorted(names - own - {"slots", "h", "c"} - set(FUNCTIONS))
    unknown += [ast.unparse(each).splitlines()[0] for each in others]
    if unknown:
        raise UsageError(
            f"forward of the cell {name} uses {', '.join(unknown)}, which exported code lacks: it "
            f"has arithmetic, {', '.join(FUNCTIONS)}; write the cell with these"
        )
    return Formula(statements, h, c, [each for each in FUNCTIONS if each in names])


def slot_sums(cell: Cell) -> list[tuple[int | None, int | None]]:
    """Return for each slot the gates that it sums: that of the input, and that of the state.

    None where it has none: see `model.cells`. Gates are counted in torch's order.
    """
    first = cell.slots - cell.gates
    return [
        (
            cell.input_order[slot] if slot < cell.gates else None,
            cell.hidden_order[slot - first] if slot >= first else None,
        )
        for slot in range(cell.slots)
    ]


def slot_texts(cell: Cell) -> list[str]:
    """Return the slots as text: sums of the gates a[...] of the input and b[...] of the state."""
    return [
        " + ".join(
            f"{array}[{gate}]" for array, gate in zip("ab", gates, strict=True) if gate is not None
        )
        for gates in slot_sums(cell)
    ]
