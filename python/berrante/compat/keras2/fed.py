"""What Keras 2 does with the arrays that it is given: inputs and targets of a model's own, and modes of sample weights.

Input(tensor=variable) and compile(target_tensors=...) give the model arrays of its own. What fit, evaluate, predict and
the methods for one batch are given is completed by the values that the variables have at that time; a placeholder among
the target tensors is fed as any target.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.graph.keras_tensor import KerasTensor


def _value(x: Any) -> np.ndarray:
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


class Fed:
    """The half of Keras 2's Model that completes inputs and targets."""

    _targets: list[Any] | None = None

    def _set_targets(self, tensors: Any) -> None:
        """Takes compile's target_tensors; ValueError or TypeError unless they fit the outputs."""
        names: list[str] = self.output_names  # type: ignore[attr-defined]
        n = len(names)
        if tensors is None:
            object.__setattr__(self, "_targets", None)
            return
        if isinstance(tensors, (list, tuple)):
            if len(tensors) != n:
                raise ValueError(
                    "When passing a list as `target_tensors`, it should have one entry per model output. The model has "
                    f"{n} outputs, but you passed target_tensors={tensors}"
                )
            targets = list(tensors)
        elif isinstance(tensors, dict):
            unknown = [name for name in tensors if name not in names]
            if unknown:
                raise ValueError(
                    f"Unknown entry in `target_tensors` dictionary: {unknown[0]!r}; the outputs are {', '.join(names)}"
                )
            targets = [tensors.get(name) for name in names]
        elif hasattr(tensors, "shape"):
            if n != 1:
                raise ValueError(
                    f"The model has {n} outputs, but you passed a single tensor as `target_tensors`. Expected a list or "
                    "a dict of tensors."
                )
            targets = [tensors]
        else:
            raise TypeError(f"Expected `target_tensors` to be a list or dict or tensor; received {tensors!r}")
        object.__setattr__(self, "_targets", targets)

    def _own_inputs(self) -> list[Any]:
        """The variable behind each input, None for those that are fed."""
        graph = self._graph  # type: ignore[attr-defined]
        return [getattr(t, "_fed", None) for t in graph.inputs] if graph is not None else []

    def _complete_inputs(self, x: Any, repeats: int = 1) -> Any:
        own = self._own_inputs()
        if not any(v is not None for v in own):
            return x
        names: list[str] = self.input_names  # type: ignore[attr-defined]
        if isinstance(x, dict):
            given = [x[name] for name, v in zip(names, own) if v is None]
        else:
            given = list(x) if isinstance(x, (list, tuple)) else [] if x is None else [x]
        if len(given) != sum(v is None for v in own):
            fed = [name for name, v in zip(names, own) if v is None]
            raise ValueError(f"x: expected {len(fed)} arrays for the inputs {', '.join(fed)}; received {len(given)}")
        rest = iter(given)
        values = [next(rest) if v is None else np.concatenate([_value(v)] * repeats) for v in own]
        return values[0] if len(values) == 1 else values

    def _complete_targets(self, y: Any) -> Any:
        targets = self._targets
        own = [t is not None and not isinstance(t, KerasTensor) for t in targets or []]
        if targets is None or not any(own):
            return y
        names: list[str] = self.output_names  # type: ignore[attr-defined]
        if isinstance(y, dict):
            given = [y[name] for name, mine in zip(names, own) if not mine]
        else:
            given = list(y) if isinstance(y, (list, tuple)) else [] if y is None else [y]
        if len(given) != own.count(False):
            raise ValueError(
                f"y: expected {own.count(False)} arrays, as compile() was given target tensors for the other outputs; "
                f"received {len(given)}"
            )
        rest = iter(given)
        values = [_value(t) if mine else next(rest) for t, mine in zip(targets, own)]
        return values[0] if len(values) == 1 else values

    def _complete(self, args: tuple[Any, ...], kwargs: dict[str, Any], takes_y: bool = True) -> tuple[Any, Any]:
        """The arguments of fit and its like with x and y completed."""
        if self._targets is None and not any(v is not None for v in self._own_inputs()):
            return args, kwargs
        names = ("x", "y") if takes_y else ("x",)
        given = {**dict(zip(names, args)), **{k: kwargs[k] for k in names if k in kwargs}}
        rest = {k: v for k, v in kwargs.items() if k not in names}
        nothing = given.get("x") is None and self._own_inputs()
        repeats = int(rest.pop("steps", None) or 1) if nothing else 1
        x = self._complete_inputs(given.get("x"), repeats)
        completed = (x, self._complete_targets(given.get("y"))) if takes_y else (x,)
        return (*completed, *args[len(names) :]), rest

    # --- sample weights -----------------------------------------------------------------------------------------------

    def _set_weight_modes(self, modes: Any) -> None:
        """Takes compile's sample_weight_mode, None or "temporal" for each output; ValueError unless it fits them."""
        names: list[str] = self._known_output_names() or []  # type: ignore[attr-defined]
        if isinstance(modes, dict) and names and set(modes) != set(names):
            raise ValueError(f"sample_weight_mode: expected an entry for each of {', '.join(names)}; received {modes}")
        if isinstance(modes, (list, tuple)) and names and len(modes) != len(names):
            raise ValueError(f"sample_weight_mode: expected {len(names)} entries; received {modes}")
        object.__setattr__(self, "sample_weight_mode", modes)

    def _check_weights(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """sample_weight as a list or dict where there are several outputs, of fitting ranks; of a dict, what outputs have."""
        weights = kwargs.get("sample_weight")
        names: list[str] = self._known_output_names() or []  # type: ignore[attr-defined]
        if weights is None or not names:
            return kwargs
        if isinstance(weights, dict):
            weights = {k: w for k, w in weights.items() if k in names}
            kwargs = {**kwargs, "sample_weight": weights or None}
        elif len(names) > 1 and not isinstance(weights, list):
            raise TypeError(
                f"sample_weight: the model has {len(names)} outputs; expected a list or dict of arrays; received "
                f"{type(weights).__name__}"
            )
        y = args[1] if len(args) > 1 else kwargs.get("y")
        for i, name in enumerate(names):
            targets, own = _of_output(y, i, name, len(names)), _of_output(weights, i, name, len(names))
            if own is not None:
                self._check_rank(name, _of_output(self.sample_weight_mode, i, name, 2), targets, own)  # type: ignore[attr-defined]
        return kwargs

    def _check_rank(self, name: str, mode: Any, targets: Any, weights: Any) -> None:
        if mode == "temporal" and (np.ndim(weights) != 2 or (targets is not None and np.ndim(targets) < 3)):
            raise ValueError(
                f'sample_weight of "{name}": with sample_weight_mode="temporal" expected weights of 2 dimensions and '
                f"targets of at least 3; received {np.shape(weights)} and {np.shape(targets)}"
            )
        if np.ndim(weights) > max(2, np.ndim(targets) if targets is not None else 2):
            raise ValueError(f'sample_weight of "{name}": expected a weight a sample; received {np.shape(weights)}')


def _of_output(values: Any, i: int, name: str, outputs: int) -> Any:
    """An output's part of what is given for all."""
    if isinstance(values, dict):
        return values.get(name)
    if isinstance(values, (list, tuple)) and outputs > 1:
        return values[i] if i < len(values) else None
    return values if outputs == 1 or isinstance(values, str) else None
