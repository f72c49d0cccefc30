"""Array types that name the shape, as in `Float[np.ndarray, "B T D"]`.

They are jaxtyping's for type checkers and for the tests, which check every call with them. Commands
do without: to import jaxtyping takes a tenth of the time of `sinernn eval`.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
else:

    class _Unchecked:
        """An annotation that only knows its `dim_str`, such as "B T D"."""

        def __class_getitem__(cls, item: tuple[Any, str]) -> type:
            return type("Array", (), {"dim_str": item[1].strip()})

    Bool = Float = Int = _Unchecked
