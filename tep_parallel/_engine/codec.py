"""Codecs: results that are more than text."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Codec(Protocol[T_co]):
    """What has `dumps` and `loads`: json, pickle, orjson, or an object of your own.

    `dumps` makes a str or bytes of a result, in the child; `loads` is given it here.
    """

    def dumps(self, value: Any, /) -> str | bytes: ...

    def loads(self, data: Any, /) -> T_co: ...


def check_codec(codec: object) -> None:
    """Refuse what is no codec.

    Raises:
        TypeError: It lacks `dumps` or `loads`.
    """
    for name in ("dumps", "loads"):
        if not callable(getattr(codec, name, None)):
            msg = f"codec: expected dumps and loads, got {type(codec).__name__} without {name}"
            raise TypeError(msg)


def encoded(codec: Codec[Any], value: object) -> tuple[bytes, bool]:
    """What travels for `value`, and whether it is a str's UTF-8.

    Raises:
        TypeError: `dumps` returned something else than str or bytes.
        Exception: What `dumps` raised.
    """
    data = codec.dumps(value)
    if isinstance(data, str):
        return str.encode(data, "utf-8", "surrogatepass"), True
    if isinstance(data, bytes | bytearray):
        return bytes(data), False
    msg = f"codec: dumps returned {type(data).__name__}, expected str or bytes"
    raise TypeError(msg)


def decoded(
    codec: Codec[T_co], payload: bytes, *, is_text: bool, index: int, item: object
) -> tuple[T_co | None, Exception | None]:
    """The object, or what `loads` raised; `loads` is given what `dumps` returned."""
    try:
        return codec.loads(payload.decode("utf-8", "surrogatepass") if is_text else payload), None
    except BaseException as error:  # it is the item's outcome, or a signal handler's
        from tep_parallel._engine import handlers  # importing this package must stay cheap
        from tep_parallel._engine.travel import raised  # importing this package must stay cheap

        if handlers.raised_by_handler(error):
            raise
        return None, raised.of_this_process(error, index=index, item=item)
