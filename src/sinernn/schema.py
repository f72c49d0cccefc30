"""What every section of a config shares: strict, frozen, and closed to unknown keys."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A section of the config."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # "12" is no number, and true is no 1
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def _whole_float_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole_float_to_int)]  # 1e5 is a fine way to write 100000
