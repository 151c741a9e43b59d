"""The compact forms ("ALTREP") in which `saveRDS` writes some vectors, made plain again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r.rdsvalues import Kind, RValue, RVector

_WRAPPED = frozenset(
    {"wrap_integer", "wrap_logical", "wrap_real", "wrap_string", "wrap_raw", "wrap_list"},
)


def expand(class_: str, state: RValue, attributes: dict[str, RValue], *, longest: int) -> RVector:
    """The vector that an object of ALTREP class `class_` with `state` stands for; `longest` bounds its elements.

    Raises:
        Invalid: another class, or a state that isn't one of that class.
    """
    if not isinstance(state, RVector):
        raise _damaged(class_)
    if class_ in _WRAPPED and len(state):
        # (the vector, what is known of its order)
        inner = state.values[0]
        if isinstance(inner, RVector):
            return RVector(inner.kind, inner.values, {**inner.attributes, **attributes})
    elif class_ == "compact_intseq":
        return RVector(Kind.INTEGER, _sequence(class_, state, longest=longest), attributes)
    elif class_ == "compact_realseq":
        return RVector(Kind.REAL, list(map(float, _sequence(class_, state, longest=longest))), attributes)
    elif class_ == "deferred_string":
        return RVector(Kind.STRING, _deferred(state), attributes)
    raise _damaged(class_)


def _damaged(class_: str) -> Invalid:
    return Invalid(f"the R data file holds a compact vector {class_[:40]!r} that can't be read")


def _sequence(class_: str, state: RVector, *, longest: int) -> Sequence[float]:
    """`state` is (how many, first, step of 1 or -1)."""
    if state.kind is not Kind.REAL or len(state) != 3:
        raise _damaged(class_)
    count, first, step = cast(Sequence[float], state.values)
    if not all(map(math.isfinite, (count, first, step))) or not 0 <= count <= longest or step not in (1.0, -1.0):
        raise _damaged(class_)
    if first.is_integer():
        return range(int(first), int(first) + int(count) * int(step), int(step))
    return [first + step * n for n in range(int(count))]


def _deferred(state: RVector) -> list[str | None]:
    """`state` is the pair of the numbers to write and R's `scipen` option at that time."""
    numbers = state.values[0] if len(state) else None
    if not isinstance(numbers, RVector):
        raise _damaged("deferred_string")
    scipen = state.values[1] if len(state) > 1 else None
    penalty = scipen.values[0] if isinstance(scipen, RVector) and len(scipen) else 0
    weight = penalty if isinstance(penalty, int) else 0
    match numbers.kind:
        case Kind.INTEGER:
            return [None if n is None else str(n) for n in numbers.values]
        case Kind.LOGICAL:
            return [None if n is None else str(n).upper() for n in numbers.values]
        case Kind.REAL:
            return [as_character(n, scipen=weight) for n in cast(Sequence[float], numbers.values)]
        case _:
            raise _damaged("deferred_string")


def as_character(number: float, *, scipen: int = 0) -> str | None:
    """`as.character(number)`: up to 15 significant digits, fixed unless scientific is shorter; NaN counts as NA."""
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "Inf" if number > 0 else "-Inf"
    mantissa, _, exponent = f"{number:.14e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    power = int(exponent)
    digits = len(mantissa.lstrip("-").replace(".", ""))
    fixed = f"{number:.{max(0, digits - 1 - power)}f}"
    scientific = f"{mantissa}e{power:+03d}"
    return fixed if len(fixed) <= len(scientific) + scipen else scientific
