"""Frames between the grader and a sandbox: JSON for values, safetensors for tensors, no pickle.

Both sides use this module. The grader trusts nothing that it reads: sizes, depth, number of parts
and types of tensors are limited, and what breaks a limit raises :class:`Malformed`.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

HEAD = struct.Struct(">II")  # bytes of JSON, bytes of tensors
MAX_TEXT = 8 * 2**20  # bytes
MAX_TENSORS = 64 * 2**20  # bytes
MAX_DEPTH = 20
MAX_PARTS = 200_000  # values in one frame
MAX_KEYS = 1000  # of a dict: keys that all hash alike would take the square of that
MAX_AXES = 8  # of a tensor
MAX_HEADER = 2**20  # bytes that safetensors takes to name its tensors
TYPES = {
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
}


class Malformed(ValueError):
    """A message that is not one of ours, or too large; its text says what is wrong with it."""


def encode(message: Any) -> bytes:
    """A frame: the message as JSON, its tensors as safetensors.

    Args:
        message: None, numbers, strings, dense real tensors, and lists, tuples or dicts of them.

    Returns:
        The bytes to send.

    Raises:
        Malformed: for anything else, and for more than the limits allow.
    """
    tensors: dict[str, torch.Tensor] = {}
    try:
        text = json.dumps(_written(message, tensors, MAX_DEPTH)).encode()
        data = save(tensors) if tensors else b""
    except (TypeError, ValueError, RecursionError, RuntimeError, SafetensorError) as error:
        raise Malformed(f"cannot be sent as data: {error}") from error
    _check_sizes(len(text), len(data))
    return HEAD.pack(len(text), len(data)) + text + data


def _written(value: Any, tensors: dict[str, torch.Tensor], depth: int) -> Any:
    if depth < 0:
        raise Malformed(f"is nested more than {MAX_DEPTH} deep")
    if _is_scalar(value):
        return value
    if isinstance(value, torch.Tensor):
        if value.dtype not in TYPES:
            raise Malformed(f"is a tensor of {value.dtype}")
        if value.ndim > MAX_AXES:
            raise Malformed(f"has a tensor of {value.ndim} axes")
        tensors[f"t{len(tensors)}"] = value.clone(memory_format=torch.contiguous_format)
        return {"tensor": f"t{len(tensors) - 1}"}
    if isinstance(value, list):
        return [_written(part, tensors, depth - 1) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_written(part, tensors, depth - 1) for part in value]}
    if isinstance(value, dict):
        if not all(map(_is_scalar, value)):
            raise Malformed("has a dict with a strange key")
        return {"dict": [[k, _written(part, tensors, depth - 1)] for k, part in value.items()]}
    raise Malformed(f"has a {type(value).__name__} in it")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _check_sizes(text: int, tensors: int) -> None:
    if text > MAX_TEXT or tensors > MAX_TENSORS:
        limits = f"{MAX_TEXT:,} bytes of text and {MAX_TENSORS:,} of tensors"
        raise Malformed(f"has {text:,} and {tensors:,} bytes; the limits are {limits}")


def decode(text: bytes, data: bytes = b"") -> Any:
    """The message of a frame.

    Raises:
        Malformed: when these bytes are not what :func:`encode` makes.
    """
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise Malformed("has too many tensors")
    try:
        tensors = load(data) if data else {}
        tree = json.loads(text)
    except Exception as error:  # bytes of a stranger: whatever goes wrong, it is the same
        raise Malformed(f"is no frame: {type(error).__name__}") from error
    return _Reader(tensors).value(tree, MAX_DEPTH)


class _Reader:
    """Reads one tree of JSON and counts its parts."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors, self.parts = tensors, 0

    def value(self, tree: Any, depth: int) -> Any:
        self.parts += 1
        if depth < 0 or self.parts > MAX_PARTS:
            raise Malformed(f"is nested more than {MAX_DEPTH} deep or of {MAX_PARTS:,} parts")
        if isinstance(tree, str):
            return tree.encode("utf-8", "replace").decode()  # no half characters
        if isinstance(tree, list):
            return [self.value(part, depth - 1) for part in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) != 1:
            raise Malformed(f"has an object of {len(tree)} entries")
        ((kind, content),) = tree.items()
        read = {"tuple": self._tuple, "dict": self._dict, "tensor": self._tensor}.get(kind)
        if read is None:
            raise Malformed("has an object of an unknown kind")
        return read(content, depth)

    def _tuple(self, content: Any, depth: int) -> tuple:
        if not isinstance(content, list):
            raise Malformed("has a tuple that is no list")
        return tuple(self.value(part, depth - 1) for part in content)

    def _dict(self, content: Any, depth: int) -> dict:
        pairs = content if isinstance(content, list) else [None]
        if len(pairs) > MAX_KEYS:
            raise Malformed(f"has a dict of more than {MAX_KEYS:,} keys")
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise Malformed("has a dict that is no list of pairs")
        keys = [self.value(key, 0) for key, _ in pairs]
        if not all(map(_is_scalar, keys)):
            raise Malformed("has a dict with a strange key")
        values = [self.value(part, depth - 1) for _, part in pairs]
        return dict(zip(keys, values, strict=True))

    def _tensor(self, content: Any, depth: int) -> torch.Tensor:
        tensor = self.tensors.get(content) if isinstance(content, str) else None
        if tensor is None or tensor.dtype not in TYPES:
            raise Malformed("has a tensor that did not come, or of a strange type")
        if tensor.ndim > MAX_AXES:
            raise Malformed(f"has a tensor of {tensor.ndim} axes")
        return tensor


def receive(end: socket.socket, deadline: float | None = None) -> Any:
    """Wait for a message.

    Args:
        end: a stream socket.
        deadline: by time.monotonic().

    Returns:
        The message, or None where the other side has closed.

    Raises:
        Malformed: when it is no frame of ours.
        TimeoutError: when it is not complete at the deadline.
    """
    head = _exactly(end, HEAD.size, deadline)
    if head is None:
        return None
    sizes = HEAD.unpack(head)
    _check_sizes(*sizes)
    parts = [_exactly(end, size, deadline) for size in sizes]
    return None if None in parts else decode(*parts)


def send(end: socket.socket, frame: bytes, deadline: float | None = None) -> None:
    """Send what :func:`encode` gave.

    Raises:
        TimeoutError: when the other side has not taken it all at the deadline.
        OSError: when it is gone.
    """
    _wait_until(end, deadline)
    end.sendall(frame)


def _wait_until(end: socket.socket, deadline: float | None) -> None:
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    end.settimeout(left)


def _exactly(end: socket.socket, size: int, deadline: float | None) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        _wait_until(end, deadline)
        try:
            part = end.recv(min(size - len(got), 2**20))
        except ConnectionError:
            return None
        if not part:
            return None
        got += part
    return bytes(got)
