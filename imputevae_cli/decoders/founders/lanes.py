"""Sixteen samples at a time: a vector type for compiled code.

A `Lanes` value holds one float32 for each of WIDTH samples. `load` and `store` move rows of WIDTH floats between it and
an array; `+ - * /` work lane by lane, with a plain number standing for the same in every lane. The compiler turns each
into one or two machine instructions on any processor, where a loop over a row of an array costs far more in checks.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 16
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_INT = ir.IntType(32)
_intrinsic: Any = intrinsic  # for compiled code alone, which calls what it makes without the typing context


class Lanes(types.Type):
    """Numba's type of WIDTH floats."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{WIDTH}")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    """Where row `row` of an array float32 (..., WIDTH) begins, its first axes counted as one."""
    data = context.make_array(array_type)(context, builder, array).data
    at = builder.gep(data, [builder.mul(row, ir.Constant(row.type, WIDTH))])
    return builder.bitcast(at, ir.PointerType(_VECTOR))


def _check(array: Any) -> None:
    if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != types.float32:
        raise TypingError(f"rows of lanes are read from contiguous arrays of float32, not {array}")


def _splat(context: Any, builder: Any, value: Any, value_type: Any) -> Any:
    number = context.cast(builder, value, value_type, types.float32)
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_INT, WIDTH), [0] * WIDTH))


@_intrinsic
def load(typing_context: Any, array: Any, row: Any) -> Any:
    """Row `row` of a contiguous array float32 (..., WIDTH), its first axes counted as one."""
    _check(array)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = context.cast(builder, args[1], sig.args[1], types.intp)
        return builder.load(_pointer(context, builder, sig.args[0], args[0], row), align=4)

    return LANES(array, row), generate


@_intrinsic
def store(typing_context: Any, array: Any, row: Any, value: Any) -> Any:
    """Write `value` to a row, see `load`."""
    _check(array)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = context.cast(builder, args[1], sig.args[1], types.intp)
        builder.store(args[2], _pointer(context, builder, sig.args[0], args[0], row), align=4)
        return context.get_dummy_value()

    return types.void(array, row, LANES), generate


@_intrinsic
def fill(typing_context: Any, number: Any) -> Any:
    """`number` in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(context, builder, args[0], sig.args[0])

    return LANES(number), generate


@_intrinsic
def total(typing_context: Any, value: Any) -> Any:
    """The sum over the lanes, always in the same order."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = [builder.extract_element(args[0], ir.Constant(_INT, i)) for i in range(WIDTH)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[i], parts[i + half]) for i in range(half)]
        return parts[0]

    return types.float32(LANES), generate


def _define(function: Any, instruction: str) -> None:
    """Teach compiled code what an operator does to Lanes."""
    pairs = [(LANES, LANES), (LANES, types.float32), (types.float32, LANES)]

    class Template(ConcreteTemplate):
        key = function
        cases = [signature(LANES, *pair) for pair in pairs]  # noqa: RUF012

    infer_global(function)(Template)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vectors = [
            value if kind == LANES else _splat(context, builder, value, kind)
            for value, kind in zip(args, sig.args, strict=True)
        ]
        return getattr(builder, instruction)(*vectors, flags=("fast",))

    for pair in pairs:
        lower_builtin(function, *pair)(generate)


for _names, _instruction in (
    (("add", "iadd"), "fadd"),
    (("sub", "isub"), "fsub"),
    (("mul", "imul"), "fmul"),
    (("truediv", "itruediv"), "fdiv"),
):
    for _name in _names:
        _define(getattr(operator, _name), _instruction)
