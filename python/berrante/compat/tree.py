"""keras.tree: functions over nested lists, tuples, named tuples and dicts; whatever else is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return isinstance(structure, (list, tuple, Mapping))


def _items(structure: Any) -> list[tuple[Any, Any]]:
    if isinstance(structure, Mapping):
        try:
            return [(k, structure[k]) for k in sorted(structure)]
        except TypeError:
            return list(structure.items())
    return list(enumerate(structure))


def _like(structure: Any, values: dict[Any, Any]) -> Any:
    if isinstance(structure, Mapping):
        return type(structure)((k, values[k]) for k in structure)  # type: ignore[call-arg]
    rows = [values[i] for i in range(len(structure))]
    return type(structure)(*rows) if hasattr(structure, "_fields") else type(structure)(rows)


def flatten(structure: Any) -> list[Any]:
    """The leaves in order; dicts by sorted keys."""
    return [leaf for _, leaf in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Pairs of a leaf's keys from the outside in, and the leaf."""

    def walk(x: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        if is_nested(x):
            for key, value in _items(x):
                yield from walk(value, (*path, key))
        else:
            yield path, x

    return list(walk(structure, ()))


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True, **_: Any) -> Any:
    """The first nesting with func of the leaves of all, which must have its shape."""
    if not callable(func):
        raise TypeError(f"`func` must be callable. Received: func={func}")
    if not structures:
        raise ValueError("Must provide at least one structure")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    return map_structure_up_to(structures[0], func if none_is_leaf else _skipping_none(func), *structures)


def _skipping_none(func: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: None if all(x is None for x in xs) else func(*xs)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """func of the parts of the structures that stand at the leaves of the shallow one."""
    if not is_nested(shallow_structure):
        return func(*structures)
    for s in structures:
        if not is_nested(s) or len(s) != len(shallow_structure):
            raise ValueError(f"the structures do not match: {shallow_structure} and {s}")
    values = {
        key: map_structure_up_to(value, func, *(s[key] for s in structures)) for key, value in _items(shallow_structure)
    }
    return _like(shallow_structure, values)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """map_structure whose leaves are shapes: tuples or lists of ints and Nones."""
    if isinstance(structure, (list, tuple)) and all(n is None or isinstance(n, int) for n in structure):
        return func(tuple(structure))
    if isinstance(structure, Mapping):
        return {k: map_shape_structure(func, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)([map_shape_structure(func, v) for v in structure])
    raise ValueError(f"expected a nesting of shapes; received {structure!r}")


def assert_same_structure(a: Any, b: Any, check_types: bool = True) -> None:
    """ValueError unless both are nested alike."""
    if is_nested(a) != is_nested(b):
        raise ValueError(
            f"the structures do not match: expected {type(a).__name__} {a}; received {type(b).__name__} {b}"
        )
    if not is_nested(a):
        return
    kinds = [Mapping if isinstance(x, Mapping) else type(x) for x in (a, b)]
    if kinds[0] is not kinds[1] or [k for k, _ in _items(a)] != [k for k, _ in _items(b)]:
        raise ValueError(
            f"the structures do not match: expected {type(a).__name__} {a}; received {type(b).__name__} {b}"
        )
    for (_, x), (_, y) in zip(_items(a), _items(b), strict=True):
        assert_same_structure(x, y)


def assert_same_paths(a: Any, b: Any) -> None:
    """ValueError unless both have leaves at the same places."""
    if [p for p, _ in flatten_with_path(a)] != [p for p, _ in flatten_with_path(b)]:
        raise ValueError(f"the paths do not match: {a} and {b}")


def pack_sequence_as(structure: Any, flat_sequence: Any, **_: Any) -> Any:
    """The nesting with leaves from a flat sequence; ValueError if their numbers differ."""
    if not is_nested(structure):
        if len(flat_sequence) != 1:
            raise ValueError(f"the structure is one leaf; received {len(flat_sequence)} values")
        return flat_sequence[0]
    if len(flatten(structure)) != len(flat_sequence):
        raise ValueError(f"expected {len(flatten(structure))} values; received {len(flat_sequence)}")
    rest = iter(flat_sequence)

    def fill(x: Any) -> Any:
        return _like(x, {k: fill(v) for k, v in _items(x)}) if is_nested(x) else next(rest)

    return fill(structure)


def lists_to_tuples(structure: Any) -> Any:
    """The same with tuples for lists."""
    if isinstance(structure, Mapping):
        return type(structure)((k, lists_to_tuples(v)) for k, v in structure.items())  # type: ignore[call-arg]
    if isinstance(structure, list):
        return tuple(lists_to_tuples(v) for v in structure)
    return (
        _like(structure, {i: lists_to_tuples(v) for i, v in enumerate(structure)})
        if is_nested(structure)
        else structure
    )


MAP_TO_NONE = object()


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """func of every node; where it gives None, its parts are visited (MAP_TO_NONE stands for None itself)."""
    if top_down:
        result = func(structure)
        if result is not None:
            return None if result is MAP_TO_NONE else result
    if is_nested(structure):
        structure = _like(structure, {k: traverse(func, v, top_down) for k, v in _items(structure)})
    if not top_down:
        result = func(structure)
        return structure if result is None else None if result is MAP_TO_NONE else result
    return structure
