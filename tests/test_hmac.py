"""Sock.sphttp_hmac_sha256_hex: RFC 4231, the standard library, any input, any thread."""

from __future__ import annotations

import array
import hmac
import mmap
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tep_parallel import Sock

digest = Sock.sphttp_hmac_sha256_hex

# Key, message, HMAC-SHA-256: RFC 4231, sections 4.2 to 4.8; test case 5 is truncated there.
RFC_4231 = [
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "message", "expected"), RFC_4231)
def test_it_is_that_of_rfc_4231(key: bytes, message: bytes, expected: str) -> None:
    assert digest(key, message).startswith(expected)


@given(st.binary(max_size=300), st.binary(max_size=5000))
def test_it_is_that_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert digest(key, message) == hmac.new(key, message, "sha256").hexdigest()


@given(st.text(max_size=50), st.text(max_size=50))
def test_str_is_taken_as_utf8(key: str, message: str) -> None:
    try:
        expected = hmac.new(key.encode(), message.encode(), "sha256").hexdigest()
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            digest(key, message)
    else:
        assert digest(key, message) == expected


def test_an_empty_key_and_nul_bytes_are_allowed() -> None:
    expected = hmac.new(b"", b"a\0b", "sha256").hexdigest()
    assert digest(b"", b"a\0b") == digest("", "a\0b") == expected
    assert digest(b"k\0", b"") != digest(b"k\0l", b"")


def test_anything_bytes_like_is_taken_as_it_is(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    path = tmp_path / "content"
    path.write_bytes(content)
    expected = hmac.new(content[:5], content, "sha256").hexdigest()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for form in (content, bytearray(content), memoryview(content), mapped):
            assert digest(bytearray(content[:5]), form) == expected
    numbers = array.array("I", [1, 2, 3])
    assert digest("k", numbers) == hmac.new(b"k", numbers.tobytes(), "sha256").hexdigest()


@pytest.mark.parametrize("wrong", [None, 3, ["a"], object()])
def test_what_is_neither_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(TypeError, match="message: expected str or a bytes-like object"):
        digest(b"k", wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key: expected str or a bytes-like object"):
        digest(wrong, b"m")  # type: ignore[arg-type]


def test_a_view_that_is_not_contiguous_is_refused() -> None:
    with pytest.raises((TypeError, ValueError, BufferError)):
        digest(b"k", memoryview(b"abcdef")[::2])


def test_it_is_right_from_many_threads_at_once() -> None:
    wrong: list[int] = []

    def compute(number: int) -> None:
        for k in range(300):
            key, message = bytes([number]) * (k % 100), bytes([k % 256]) * (k * 37 % 6000)
            if digest(key, message) != hmac.new(key, message, "sha256").hexdigest():
                wrong.append(k)

    threads = [threading.Thread(target=compute, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
