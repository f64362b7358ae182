"""The compiled CPU module and what it says of its kernels."""

from __future__ import annotations

from berrante import _cpu

DTYPE_CODES = {"float32": 0, "int32": 1, "uint8": 2, "bool": 3}

# kernel -> its attributes' names
SCHEMA: dict[str, list[str]] = {name: [field for field, _ in fields] for name, fields in _cpu.schema().items()}
# micro-operation -> opcode
MICRO_OPS: dict[str, int] = {name: code for name, (code, *_) in _cpu.micro_ops().items()}

CpuProgram = _cpu.Program
divide_kernel = _cpu.divide_kernel
fma_loop = _cpu.fma_loop
isa = _cpu.isa
isas = _cpu.isas
lanes = _cpu.lanes
num_threads = _cpu.num_threads
set_num_threads = _cpu.set_num_threads
