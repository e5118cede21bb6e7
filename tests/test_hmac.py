"""Sock.sphttp_hmac_sha256_hex: RFC 4231, Wycheproof, the standard library, any thread."""

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


# The same of Wycheproof, hmac_sha256_test.json, of whatever lengths it has for a key of 256 bits.
# Tests 28 and 29 have the tag with its first bit flipped.
WYCHEPROOF = [
    (
        "8159fd15133cd964c9a6964c94f0ea269a806fd9f43f0da58b6cd1b33d189b2a",
        "77",
        "dfc5105d5eecf7ae7b8b8de3930e7659e84c4172f2555142f1e568fc1872ad93",
    ),
    (
        "233e4fdee70bcc20235b6977ddfc05b0df66f5635d827c66e5a63cdb16a24938",
        "fdb2ee4b6d1a0ac2",
        "120b26ee1355c134c262513c7922deb6c4fd90303de4cd61b9f9cd08f22d6e18",
    ),
    (
        "9f3fd61a105202648ecff6074c95e502c1c51acd32ec538a5cce89ef841f7989",
        "2a76f2acdace42e3b779724946912c",
        "0226ee13cc05e2340135b3f4b27a9da1a160f6170fe805dadd98a3711ec9c421",
    ),
    (
        "6fa353868c82e5deeedac7f09471a61bf749ab5498239e947e012eee3c82d7c4",
        "aeed3e4d4cb9bbb60d482e98c126c0f5",
        "9ed7f0e73812a27a87a3808ee0c89a6456499e835974ba57c5aab2a0d8c69e93",
    ),
    (
        "186e248ad824e1eb93329a7fdcd565b6cb4eaf3f85b90b910777128d8c538d27",
        "92ef9ff52f46eccc7e38b9ee19fd2de3b37726c8e6ce9e1b96db5dda4c317902",
        "3fc1d73dd4a8858c1fc3d8c4a3f33ed5ad0c70210038394a5902cb26fe287348",
    ),
    (
        "69c50d5274358188cff4c0fae742243d4e8a5e5ba55d94ff40edd90f6a43dd10",
        "1ac5255aff052828d8ea21b376f1ebdd4bb879949913900405aebce83e48feb6"
        "813b5e9c89f94501a8ade41b26b815c521",
        "4b0b4d0416fa2e11586fbfa7fb11261e69991dfa34019b9893d69a2be8c1fc80",
    ),
    (
        "23209b7c5aadcbd13f7279af1a86d3c7ae8f179d1bcaaad0dff9a15302e78dbf",
        "84bdac37e1af35d9356404e2787d47ece58348dea76a4a46e8aade3463d4db8c94a051be3733b38d75698486"
        "5d56c60e8025f15e3f968f093e7fb7ebc7e31189c5692d15ed4256737b9b1894e5809503aaa1c9983fb096aa"
        "21916361eeb6ef455b129723a1a1ddf9deddea208529a648",
        "4a85c479d1650dbd73bc5248074a55ff50218bddaa8d1fddaaf44946dc19aefb",
    ),
    (
        "82314540564ea3ce30591e97f68b2602de40fa29f773c2508327471b8348e8c4",
        "6a6d2f45cebf2757ae16ea33c68617671d77f8fdf80bed8fc5cdc5c8b7086bd28e7eb3eecc7163491104e530"
        "9455e67f836579b82a1da3bf5991a8e2b2f189a49e05700e46c409ed5de77780a5f389e3f13dad406c9d5567"
        "5329c5c921f07034180937c0f6ef34a2308b6ff3e1a0e9dc1ea65f5632730e8744d1db2c40a6595b",
        "0900b3e6535d34f90e2c335775e86bf38ee7e3d26fb60cd9cdf639eb3496b94c",
    ),
    (
        "d115acc9a636915241795f48852052e07b51273ae2448251ec1d0d0f9807f3db",
        "696d2456de853fa028f486fef437b6b6d1b530a8475e299db3a9005ae9cef8401985b7d31e172e8f439ccd1a"
        "d1ec44c9b86b78f3f243c1305b53bc21abad7a8fc5256311bfd34c98e37dfdc649e7ae4bda08cf2994b063c0"
        "c7106ed0b02a1f48af9191cbfb0d6a953b7e04327dfe8c93779cb574ba9cba575d01674e83621aa0c5f400d6"
        "e6cd24b301e33c9f3303e73bf357408c1be86c2489c09de998ff2ef32df554f1247d9313ce1a7160115d06f4"
        "c18d6556ff7986ef8a55e2adcfa27e4c69c71cc2ff01639e9d49bd9ed0687f530ffeb0890132457df2088081"
        "bc4a2f7f0a9f4dcea2c80d991db7f3747a1803d7619aaf3dd382c69536a0bcdb931cbe",
        "82f92977f0b605eaada510ffceb53ad75fde16a8029f1b75b406a84270dbb8b7",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "",
        "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "000102030405060708090a0b0c0d0e0f",
        "d8b99f2709a3ca74172cbe93824c1f29b23a0c1e9c21bd851ff2d2c39dbef14e",
    ),
]


@pytest.mark.parametrize(("key", "message", "expected"), WYCHEPROOF)
def test_it_is_that_of_wycheproof(key: str, message: str, expected: str) -> None:
    assert digest(bytes.fromhex(key), bytes.fromhex(message)) == expected


def test_every_length_of_key_and_message_is_right() -> None:
    content = bytes(k * k % 251 for k in range(5000))
    for size in range(301):
        for key in (b"", b"k" * 63, b"k" * 64, b"k" * 65, content[: size % 200]):
            message = content[size : 2 * size]
            assert digest(key, message) == hmac.new(key, message, "sha256").hexdigest()
    for blocks in range(1, 70):
        for size in range(64 * blocks - 9, 64 * blocks + 2):
            expected = hmac.new(content[:64], content[:size], "sha256").hexdigest()
            assert digest(content[:64], content[:size]) == expected


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
