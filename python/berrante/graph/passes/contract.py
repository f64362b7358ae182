"""Contraction: several micro-operations of a map as one, where what lies between them has no other use.

Each micro-operation is a loop over a tile in L1, so a map's time is close to the number of its loads and stores. An update of
Adam is twelve micro-operations, or six of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from berrante.graph.passes.ir import Loop, MapStep, Plan, Register

Code = tuple[str, Register, tuple[Register, ...]]
# The micro-operation that makes a register, if it is of the kind named and nothing else reads the register.
Maker = Callable[[Register, str], Code | None]


def contract(plan: Plan) -> None:
    """Runs the pass in place."""
    for step in plan.steps:
        for part in step.body if isinstance(step, Loop) else [step]:
            if isinstance(part, MapStep):
                part.code = _contracted(part)


def _contracted(step: MapStep) -> list[Code]:
    uses = Counter(operand for _, _, operands in step.code for operand in operands)
    uses.update(step.results)
    made: dict[Register, Code] = {}
    code: list[Code] = []

    def sole_maker(register: Register, micro: str) -> Code | None:
        maker = made.get(register)
        return maker if maker is not None and maker[0] == micro and uses[register] == 1 else None

    for micro, target, operands in step.code:
        item, used = _combined(micro, target, operands, sole_maker)
        for part in used:
            code.remove(part)
        code.append(item)
        made[target] = item
    return code


def _combined(micro: str, target: Register, operands: tuple[Register, ...], maker: Maker) -> tuple[Code, list[Code]]:
    """A micro-operation together with those it takes in, and which those are."""
    if micro == "add_f":
        for x, y in (operands, operands[::-1]):
            product = maker(y, "mul_f")
            if product is None:
                continue
            for step, factor in (product[2], product[2][::-1]):
                difference = maker(step, "sub_f")
                if difference is not None and difference[2][1] == x:
                    return ("blend_f", target, (x, difference[2][0], factor)), [product, difference]
            return ("multiply_add_f", target, (*product[2], x)), [product]
    if micro == "sub_f":
        product = maker(operands[1], "mul_f")
        if product is not None:
            return ("subtract_product_f", target, (*product[2], operands[0])), [product]
    if micro == "div_f":
        total = maker(operands[1], "add_f")
        for x, y in (total[2], total[2][::-1]) if total is not None else ():
            root = maker(x, "sqrt_f")
            if total is not None and root is not None:
                return ("root_ratio_f", target, (operands[0], root[2][0], y)), [total, root]
    return (micro, target, operands), []
