"""Reads the pickled lists and arrays in data set files without pickle: nothing is imported, called or constructed by name.

Keras' imdb and reuters hold object arrays, and the CIFAR batches are pickles; such a stream is a program for a stack machine
that can name any function and call it. This machine has only the instructions for data: numbers, strings, bytes, lists,
tuples, dicts and references to earlier ones. Of names it knows a few words, which stand for themselves, and of calls the
shapes in which NumPy writes an array; it recognises them and builds the array from its shape, its dtype (booleans, integers,
floats, objects) and its bytes or list, whose length must fit. Everything else is refused.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np

from berrante.saving.guard import RefusedFile

_NAMES = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    # How Python 3 writes bytes for Python 2.
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
}
_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|O8?)")
# Numbers in a row: one byte, two bytes, four bytes with a sign. Most of a text data set is these.
_NUMBERS = re.compile(rb"(?:K.|M..|J....)+", re.DOTALL)
_NUMBER_LENGTH = {ord("K"): 2, ord("M"): 3, ord("J"): 5}
_MAX_DIMENSIONS = 8


class _Name(str):
    """One of the words of _NAMES."""


class _Dtype:
    """A dtype that is being described."""

    def __init__(self, code: str) -> None:
        if not _DTYPE.fullmatch(code):
            raise ValueError(f"an array of dtype {code!r}")
        self.is_object = "O" in code
        self.dtype = np.dtype(object if self.is_object else code)


class _Array:
    """An array that is being described; `value` once it is."""

    value: np.ndarray | None = None


def _numbers(run: bytes) -> list[int]:
    """The numbers of a run that _NUMBERS matched."""
    starts, position, end = [], 0, len(run)
    while position < end:
        starts.append(position)
        position += _NUMBER_LENGTH[run[position]]
    data = np.frombuffer(run + bytes(4), np.uint8)
    at = np.array(starts)
    kind = data[at]
    value = data[at + 1].astype(np.int64)
    two = kind != ord("K")
    value[two] |= data[at[two] + 2].astype(np.int64) << 8
    four = kind == ord("J")
    value[four] |= data[at[four] + 3].astype(np.int64) << 16
    value[four] |= data[at[four] + 4].view(np.int8).astype(np.int64) << 24
    return value.tolist()


def _text(x: Any) -> str:
    if not isinstance(x, (str, bytes)):
        raise ValueError("a word was expected")
    return x if isinstance(x, str) else x.decode("ascii")


def _array(state: Any) -> np.ndarray:
    """The array of (1, shape, dtype, is_fortran, content)."""
    version, shape, dtype, fortran, content = state
    extents = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 40 for n in shape)
    if version != 1 or not extents or len(shape) > _MAX_DIMENSIONS or not isinstance(dtype, _Dtype):
        raise ValueError("an array of an unknown kind")
    size = math.prod(shape)
    order: Any = "F" if fortran else "C"
    if dtype.is_object:
        if not isinstance(content, list) or len(content) != size:
            raise ValueError(f"an array of shape {shape} whose content does not fit")
        array = np.empty(size, object)
        for i, element in enumerate(content):
            array[i] = element
        return array.reshape(shape, order=order)
    if not isinstance(content, bytes) or len(content) != size * dtype.dtype.itemsize:
        raise ValueError(f"an array of shape {shape} whose content does not fit")
    return np.frombuffer(bytearray(content), dtype.dtype).reshape(shape, order=order)


class _Machine:
    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = 2 * len(data)  # bytes that Python 3 wrote for Python 2 are copied twice

    def spend(self, size: int) -> None:
        """Copies are made of what the stream holds once: all of them together are not much larger than it."""
        self.budget -= size
        if self.budget < 0:
            raise ValueError("it repeats itself")

    def take(self, count: int) -> bytes:
        part = self.data[self.position : self.position + count]
        if count < 0 or len(part) != count:
            raise ValueError("the end comes too early")
        self.position += count
        return part

    def number(self, code: str) -> int:
        return struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]

    def line(self) -> str:
        end = self.data.index(b"\n", self.position, self.position + 200)
        text = self.data[self.position : end].decode("ascii")
        self.position = end + 1
        return text

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) - count < (self.marks[-1] if self.marks else 0):
            raise ValueError("an instruction without its operands")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def since_mark(self) -> list[Any]:
        items = self.pop(len(self.stack) - self.marks[-1])
        self.marks.pop()
        return items

    def name(self, module: str, name: str) -> None:
        word = _NAMES.get((module, name))
        if word is None:
            raise ValueError(f"it names {module}.{name}")
        self.stack.append(_Name(word))

    def call(self) -> None:
        word, arguments = self.pop(2)
        if not isinstance(word, _Name) or not isinstance(arguments, tuple):
            raise ValueError("it calls something")
        if word == "array" and len(arguments) == 3 and arguments[0] == "ndarray" and isinstance(arguments[0], _Name):
            self.stack.append(_Array())
        elif word == "dtype" and 1 <= len(arguments) <= 3:
            self.stack.append(_Dtype(_text(arguments[0])))
        elif word == "encode" and len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1":
            self.spend(len(arguments[0]))
            self.stack.append(arguments[0].encode("latin1"))
        elif word == "bytes" and not arguments:
            self.stack.append(b"")
        else:
            raise ValueError(f"it calls {word} with {len(arguments)} arguments")

    def build(self) -> None:
        thing, state = self.pop(2)
        if isinstance(thing, _Array) and isinstance(state, tuple) and len(state) == 5:
            self.spend(len(state[4]))
            thing.value = _array(state)
            self.stack.append(thing.value)
        elif isinstance(thing, _Dtype) and isinstance(state, tuple) and len(state) >= 2:
            order = _text(state[1])
            if order not in ("<", ">", "|", "="):
                raise ValueError(f"a byte order {order!r}")
            if order in "<>" and not thing.is_object:
                thing.dtype = thing.dtype.newbyteorder(order)  # type: ignore[arg-type]
            self.stack.append(thing)
        else:
            raise ValueError("it sets the state of something")

    def get(self, index: int) -> None:
        thing = self.memo[index]
        if isinstance(thing, _Array) and thing.value is not None:
            thing = thing.value
        self.stack.append(thing)

    def put(self, index: int) -> None:
        self.memo[index] = self.top(object)

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError("an instruction without its operands")
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (str, bytes, int)):
                raise ValueError("a dict with odd keys")
            target[key] = value

    def integer(self) -> int:
        return int.from_bytes(self.take(self.number("B")), "little", signed=True)

    def run(self) -> Any:
        """The object of the stream."""
        data, size = self.data, len(self.data)
        while self.position < size:
            code = data[self.position]
            if code in _NUMBER_LENGTH:
                run = _NUMBERS.match(data, self.position)
                if run is None:
                    raise ValueError("the end comes too early")
                self.stack += _numbers(run.group())
                self.position = run.end()
                continue
            self.position += 1
            if code == ord("."):
                (result,) = self.pop(1)
                if self.stack or self.marks:
                    raise ValueError("more than one object")
                return result
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise ValueError(f"the instruction {bytes([code])!r}")
            instruction(self)
        raise ValueError("the end comes too early")


def _push(make: Any) -> Any:
    return lambda m: m.stack.append(make(m))


_INSTRUCTIONS: dict[int, Any] = {
    ord(code): instruction
    for code, instruction in {
        "\x80": lambda m: m.take(1),  # the protocol's number
        "\x95": lambda m: m.take(8),  # the length of a frame
        "(": lambda m: m.marks.append(len(m.stack)),
        "N": _push(lambda m: None),
        "\x88": _push(lambda m: True),
        "\x89": _push(lambda m: False),
        "\x8a": _push(lambda m: m.integer()),
        "G": _push(lambda m: struct.unpack(">d", m.take(8))[0]),
        "U": _push(lambda m: m.take(m.number("B"))),
        "T": _push(lambda m: m.take(m.number("i"))),
        "C": _push(lambda m: m.take(m.number("B"))),
        "B": _push(lambda m: m.take(m.number("I"))),
        "\x8e": _push(lambda m: m.take(m.number("Q"))),
        "X": _push(lambda m: m.take(m.number("I")).decode("utf-8")),
        "\x8c": _push(lambda m: m.take(m.number("B")).decode("utf-8")),
        "]": _push(lambda m: []),
        "}": _push(lambda m: {}),
        ")": _push(lambda m: ()),
        "\x85": _push(lambda m: tuple(m.pop(1))),
        "\x86": _push(lambda m: tuple(m.pop(2))),
        "\x87": _push(lambda m: tuple(m.pop(3))),
        "t": _push(lambda m: tuple(m.since_mark())),
        "l": _push(lambda m: m.since_mark()),
        "a": lambda m: m.extend(m.pop(1)),
        "e": lambda m: m.extend(m.since_mark()),
        "s": lambda m: m.update(m.pop(2)),
        "u": lambda m: m.update(m.since_mark()),
        "q": lambda m: m.put(m.number("B")),
        "r": lambda m: m.put(m.number("I")),
        "\x94": lambda m: m.put(len(m.memo)),
        "h": lambda m: m.get(m.number("B")),
        "j": lambda m: m.get(m.number("I")),
        "c": lambda m: m.name(m.line(), m.line()),
        "\x93": lambda m: m.name(*map(_text, m.pop(2))),
        "R": lambda m: m.call(),
        "b": lambda m: m.build(),
    }.items()
}


def read_objects(data: bytes, what: str) -> Any:
    """The lists, dicts, numbers, bytes and arrays of a stream; `what` names it in the error if it is refused."""
    try:
        return _Machine(data).run()
    except (ValueError, TypeError, KeyError, IndexError, UnicodeError, struct.error, OverflowError) as error:
        raise RefusedFile(f"{what}: not a stream of plain data ({error})") from error
