"""Damage drawn at random, for test_fuzz.py: odd texts, altered bytes, altered JSON, and what counts as an answer."""

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minillm.errors import UserError

MINUTES = float(os.environ.get("MINILLM_FUZZ", "0"))  # for all targets together; 0: some examples of each
BRIEF, LONG = 20, 100  # examples a round

ODD = ["\0", "\ufeff", "\ud800", "\udcff", "\r", "\r\n", "\n", "\x85", "\u2028", "\x1b[2J", "\u202e", "e\u0301", "Ａ"]
ODD += [
    "<eos>",
    "&amp;lt;",
    "&#8203;",
    "<b>",
    "</p>",
    "<!--",
    "<script>",
    "\t",
    " ",
    "　",
    "。",
    "北京",
    "我爱",
    "a",
    "9",
]
TEXT = (
    st.text(st.characters(exclude_categories=()), max_size=20)
    | st.lists(st.sampled_from(ODD), max_size=12).map("".join)
    | st.text("我爱北京天安门，。\n", max_size=30)
    | st.tuples(st.sampled_from(ODD), st.sampled_from([50, 999])).map(lambda pair: pair[0] * pair[1])
)
ENCODINGS = (
    st.none()
    | st.sampled_from(
        ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030", "gbk", "big5", "latin-1", "hz"]
    )
    | st.sampled_from(["ascii", "utf-7", "iso2022_jp", "idna", "punycode", "unicode_escape", "undefined", "hex"])
    | st.sampled_from(["", "a\0", "\ud800", "utf-8\n"])
)
TOKENS = [b"\0", b"\r", b"\n", b'"', b"'", b",", b"\t", b"{", b"}", b"[", b"]", b":", b"\\", b"\\ud800", b"null", b"-"]
TOKENS += [
    b"NaN",
    b"1e999",
    b"9" * 5000,
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
]
INTEGERS = st.sampled_from([-1, 0, 1, 2, 16, 255, 2**16, 2**31, 2**63, 2**64, 10**30]) | st.integers()
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def altered_bytes(draw: Any, good: bytes) -> bytes:
    """The bytes with up to four changes: some replaced, put in, taken out, said twice, or cut off."""
    data = good
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 400)) | st.integers(0, len(data)))  # heads are where things go wrong
        length = draw(st.sampled_from([0, 1, 1, 1, 2, 8, 64]))
        put = draw(st.binary(max_size=8) | st.sampled_from(TOKENS) | st.just(data[at : at + 64]))
        data = draw(
            st.sampled_from([data[:at] + put + data[at + length :], data[:at] + data[at + length :], data[:at]])
        )
    return data


@st.composite
def altered_json(draw: Any, good: Any) -> Any:
    """The JSON value with up to three changes: anywhere in it, a value is another, is gone, or has come."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(value, dict | list) or not value:
            return draw(JSON)
        node = value
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
                node = node[key]
                continue
            break
        what = draw(st.sampled_from(["replace", "replace", "near", "remove", "add"]))
        if what == "replace":
            node[key] = draw(JSON)
        elif what == "near":
            node[key] = draw(st.sampled_from([str(node[key]), [node[key]], {"a": node[key]}, -1, 1e300, True]))
        elif what == "remove":
            del node[key]
        elif isinstance(node, dict):
            node[draw(TEXT)] = draw(JSON)
        else:
            node.insert(key, draw(JSON))
    return value


def altered_file(good: bytes) -> st.SearchStrategy[bytes]:
    """A JSON file with its bytes altered, or its values."""
    return altered_bytes(good) | altered_json(json.loads(good)).map(lambda value: json.dumps(value).encode())


@contextmanager
def answered() -> Iterator[None]:
    """What is inside may give a result or a UserError of one line that any terminal shows; nothing else."""
    try:
        yield
    except UserError as error:
        message = str(error)
        assert message and message.isprintable(), f"not one printable line: {message!r}"
        message.encode()


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], seconds: float) -> int:
    """Run the check on drawn values, again and again until the seconds are over; how many values there were."""
    count, end = 0, time.perf_counter() + seconds

    @settings(max_examples=LONG if seconds else BRIEF, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def one(value: Any) -> None:
        nonlocal count
        count += 1
        check(value)

    one()
    while time.perf_counter() < end:
        one()
    return count
