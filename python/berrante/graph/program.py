"""Programs: a traced function, compiled to one flat list of kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from berrante.graph.op import as_tensor
from berrante.graph.passes.contract import contract
from berrante.graph.passes.emit import emit
from berrante.graph.passes.fuse import fuse
from berrante.graph.passes.ir import Buffer, Plan, Ref
from berrante.graph.passes.layout import move_to_lanes
from berrante.graph.passes.lower import Lowering, lower
from berrante.graph.passes.memory import assign_arena, concat_in_place
from berrante.graph.passes.slabs import form_loops
from berrante.graph.passes.sums import sum_in_maps
from berrante.graph.passes.updates import place_updates
from berrante.graph.passes.winograd import use_winograd
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import DTYPES, TensorSpec
from berrante.graph.trace import Graph, tracing
from berrante.graph.variable import FlatVariable
from berrante.runtime.device_arrays import DeviceArray, for_device, is_on_device
from berrante.runtime.devices import current_device
from berrante.runtime.kernels import CpuProgram
from berrante.runtime.placement import Mirror, changes


class Program:
    """A function of tensors, traced once for fixed shapes and dtypes and compiled.

    Args:
        function: takes one symbolic tensor per spec; returns tensors in any nesting of lists, tuples and dicts
            (None is kept). Variables that it assigns are updated in place by every run.
        specs: the inputs' shapes and dtypes.
    """

    def __init__(self, function: Callable[..., Any], specs: Sequence[TensorSpec]) -> None:
        self.specs = [TensorSpec(tuple(spec[0]), spec[1]) for spec in specs]
        self.device = current_device()
        self._moved = False
        with tracing() as graph:
            inputs = [graph.add_input(spec) for spec in self.specs]
            self._structure = function(*inputs)
            outputs = [as_tensor(x) for x in flatten(self._structure) if x is not None]
        self.output_dtypes = [t.dtype for t in outputs]
        plan, lowering = lower(graph, outputs)
        optimize(plan, _updates(graph, lowering), lanes=self.device.is_cpu)
        places, size = assign_arena(plan)
        self.plan = plan
        self.steps = len(plan.steps)
        instructions, storages, ins, outs = emit(plan, places)
        variables = graph.leaves.keys() | graph.updates.keys()
        # Variables that a device holds the newer copy of are brought back before the CPU reads them.
        self._storages = list({id(v.storage): v.storage for v in variables}.values())
        self._program: Any
        if self.device.is_cpu:
            self._program = CpuProgram(instructions, size, storages, ins, outs)
        else:
            from berrante.runtime.cuda_program import CudaProgram

            known = {id(s.array): s for s in self._storages}
            mirrors = [known.get(id(array)) or Mirror(array) for array in storages]
            self._program = CudaProgram(self.device, instructions, size, mirrors, ins, outs)
        for variable in variables:
            variable.bind(self)

    @property
    def stale(self) -> bool:
        """Whether the program must be built again: a variable moved, or another device is the current one."""
        return self._moved or self.device is not current_device()

    @stale.setter
    def stale(self, moved: bool) -> None:
        self._moved = moved

    @property
    def arena_size(self) -> int:
        """Bytes of working memory."""
        return int(self._program.arena_size)

    def __call__(self, *arrays: Any) -> Any:
        """Runs on concrete arrays of exactly the program's shapes; gives arrays in the function's nesting.

        They are NumPy arrays, or DeviceArrays if one of the inputs lies in the program's device memory; those of 16-bit
        tensors are of float32 (graph/formats.py).
        """
        prepared: list[Any] = []
        for i, (array, spec) in enumerate(zip(arrays, self.specs, strict=True)):
            value = for_device(array, self.device) if is_on_device(array) else array
            if not isinstance(value, DeviceArray):
                value = np.ascontiguousarray(value, dtype=DTYPES[spec.dtype])
            if value.shape != spec.shape and value.size != spec.size:
                raise ValueError(f"input {i}: expected shape {spec.shape}; received {value.shape}")
            prepared.append(value)
        self._pull()
        results = iter(self._program.run(prepared))
        return map_structure(lambda x: None if x is None else next(results), self._structure)

    def run_batches(
        self,
        sources: list[np.ndarray],
        order: np.ndarray | None,
        first: int,
        count: int,
        budget: float | None = None,
    ) -> int:
        """Runs batches `first` to `first + count - 1` in one call; returns how many ran before the budget was spent.

        Batch k holds the rows `order[k * B : (k + 1) * B]` of every source, B being the inputs' first extent.
        """
        self._pull()
        return int(self._program.run_batches(sources, order, first, count, budget))

    def _pull(self) -> None:
        if self.device.is_cpu and changes():
            for storage in self._storages:
                storage.pull()
                storage.touched()  # the run may write it

    def profile(self, repeats: int = 10) -> list[tuple[str, float]]:
        """Kernel names and seconds (the fastest of the repeats), one per step, on one thread."""
        return list(self._program.profile(repeats))


def optimize(plan: Plan, updates: list[tuple[Ref, Ref]], lanes: bool = True) -> None:
    """All passes that change the plan, in their order. `lanes`: also those that choose the CPU's own kernels."""
    keep = list(plan.outputs)
    plan.outputs = keep + [source for _, source in updates]  # new values are needed at the end, too
    fuse(plan)
    if lanes:
        move_to_lanes(plan)
        use_winograd(plan)
        form_loops(plan)
    plan.outputs = plan.outputs[: len(keep)]
    place_updates(plan, updates)
    concat_in_place(plan)
    contract(plan)
    if lanes:
        sum_in_maps(plan)


def _updates(graph: Graph, lowering: Lowering) -> list[tuple[Ref, Ref]]:
    """Each updated variable's memory and its new value, flat variables first."""
    pairs = []
    for variable in sorted(graph.updates, key=lambda v: not isinstance(v, FlatVariable)):
        place = Buffer(variable.size, variable.dtype, "variable", variable.storage.array, variable.offset)
        value = graph.updates[variable]
        pairs.append((Ref(place, 0, variable.spec), lowering.ref(value)))
    return pairs
