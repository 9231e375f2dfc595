"""What goes between the grader and a sandbox: values whole, everything else refused."""

import json
import math
import socket
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from course_lib.checks.values import same_tensor
from course_lib.grading.inside import wire
from course_lib.grading.inside.wire import Malformed, decode, encode


def there_and_back(value):
    """The value after a journey as bytes."""
    frame = encode(value)
    text, data = wire.HEAD.unpack(frame[: wire.HEAD.size])
    body = frame[wire.HEAD.size :]
    assert len(body) == text + data
    return decode(body[:text], body[text:])


scalars = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
scalars |= st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(scalars, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
@settings(max_examples=300, deadline=None)
def test_plain_values_come_back_equal_and_of_the_same_kind(value):
    back = there_and_back(value)
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize("dtype", sorted(wire.TYPES, key=str), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3)])
def test_tensors_come_back_to_the_bit(dtype, shape):
    tensor = torch.randint(0, 2, shape).to(dtype)
    assert same_tensor(there_and_back((tensor,))[0], tensor)


def test_special_floats_come_back():
    inf, nan, zero = there_and_back((math.inf, math.nan, -0.0))
    assert inf == math.inf and math.isnan(nan)
    assert math.copysign(1, zero) == -1
    odd = torch.tensor([math.nan, -math.inf, -0.0])
    assert same_tensor(there_and_back(odd), odd)


def test_views_and_shared_memory_are_no_trouble():
    whole = torch.arange(12.0).view(3, 4)
    back = there_and_back([whole, whole, whole.T, whole[:, 1]])
    assert all(
        same_tensor(a, b) for a, b in zip(back, [whole, whole, whole.T, whole[:, 1]], strict=True)
    )


def nested(depth):
    value = 0
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "a set"),
        ({(1, 2): 3}, "a strange key"),
        (print, "a builtin_function"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (nested(wire.MAX_DEPTH + 1), "nested"),
        (10**5000, "cannot be sent"),
        ("x" * (wire.MAX_TEXT + 1), "the limits are"),
        (torch.zeros(wire.MAX_TENSORS // 4 + 1), "the limits are"),
    ],
    ids=[
        "set",
        "tuple for a key",
        "function",
        "complex",
        "deep",
        "long number",
        "long text",
        "large tensor",
    ],
)
def test_what_is_no_plain_value_is_not_sent(value, said):
    with pytest.raises(Malformed, match=said):
        encode(value)


TWO = save({"t0": torch.zeros(2)})
BAD = {
    "no json": (b"\xff\xfe", b""),
    "cut off": (b'{"tuple": [1', b""),
    "a million brackets": (b"[" * 10**6, b""),
    "deep": (b"[" * 30 + b"]" * 30, b""),
    "many parts": (b"[" + b"0," * wire.MAX_PARTS + b"0]", b""),
    "a number of 5000 digits": (b"1" * 5000, b""),
    "an object of two": (b'{"tuple": [], "dict": []}', b""),
    "an unknown object": (b'{"pickle": "gASVIAAAAAAAAACMBXBvc2l4"}', b""),
    "a tuple that is none": (b'{"tuple": 3}', b""),
    "a dict that is none": (b'{"dict": 3}', b""),
    "a dict of single keys": (b'{"dict": [[1]]}', b""),
    "a list for a key": (b'{"dict": [[[1], 2]]}', b""),
    "a dict for a key": (b'{"dict": [[{"dict": []}, 1]]}', b""),
    "a tensor for a key": (b'{"dict": [[{"tensor": "t0"}, 1]]}', TWO),
    "a tensor that did not come": (b'{"tensor": "t0"}', b""),
    "a tensor by a list": (b'{"tensor": ["t0"]}', TWO),
    "tensors cut off": (b"0", TWO[:-4]),
    "a header of gigabytes": (b"0", (2**33).to_bytes(8, "little") + b"{}"),
    "a header that lies": (b"0", TWO.replace(b"[2]", b"[9]")),
    "a tensor of many axes": (b'{"tensor": "t0"}', save({"t0": torch.zeros([1] * 9)})),
    "complex tensors": (b'{"tensor": "t0"}', save({"t0": torch.zeros(2, dtype=torch.complex64)})),
}


@pytest.mark.parametrize("text_and_data", BAD.values(), ids=BAD)
def test_bytes_that_are_no_frame_are_malformed(text_and_data):
    with pytest.raises(Malformed):
        decode(*text_and_data)


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_read_or_malformed(text, data):
    try:
        read = decode(text, data)
    except Malformed:
        return
    assert repr(there_and_back(read)) == repr(read)


def test_keys_that_all_hash_alike_are_stopped_by_their_number():
    keys = [[n * (2**61 - 1), 0] for n in range(wire.MAX_KEYS + 1)]
    assert len({hash(key) for key, _ in keys}) == 1
    with pytest.raises(Malformed, match="keys"):
        decode(json.dumps({"dict": keys}).encode())


def test_half_characters_are_replaced():
    assert decode(b'"a\\ud800b"') == "a?b"


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_closed_socket_gives_none(ends):
    ours, theirs = ends
    theirs.close()
    assert wire.receive(ours) is None


def test_a_frame_that_is_cut_off_gives_none(ends):
    ours, theirs = ends
    theirs.sendall(encode("hello")[:-1])
    theirs.close()
    assert wire.receive(ours) is None


def test_a_size_beyond_the_limit_is_refused_before_it_is_read(ends):
    ours, theirs = ends
    theirs.sendall(wire.HEAD.pack(2**32 - 1, 0))
    with pytest.raises(Malformed, match="4,294,967,295"):
        wire.receive(ours)


def test_a_silent_side_is_given_up_at_the_deadline(ends):
    with pytest.raises(TimeoutError):
        wire.receive(ends[0], time.monotonic() + 0.05)


def test_bytes_that_trickle_do_not_move_the_deadline(ends):
    ours, theirs = ends
    over = threading.Event()

    def trickle():
        theirs.sendall(wire.HEAD.pack(10**6, 0))
        while not over.wait(0.01):
            theirs.sendall(b" ")

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(TimeoutError):
        wire.receive(ours, time.monotonic() + 0.2)
    over.set()
    thread.join()


def test_a_side_that_takes_nothing_is_given_up_at_the_deadline(ends):
    with pytest.raises(TimeoutError):
        wire.send(ends[0], encode("x" * 2**22), time.monotonic() + 0.05)
