"""Codecs: how results travel that are more than text."""

from __future__ import annotations

from tep_parallel._typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tep_parallel._protocols import Codec

T_co = TypeVar("T_co", covariant=True)


def check_codec(codec: object) -> None:
    """Raise if `codec` is not a codec.

    Raises:
        TypeError: `codec` has no method `dumps` or no method `loads`.
    """
    for name in ("dumps", "loads"):
        if not callable(getattr(codec, name, None)):
            msg = f"codec: expected dumps and loads, got {type(codec).__name__} without {name}"
            raise TypeError(msg)


def encoded(codec: Codec[Any], value: object) -> tuple[bytes, bool]:
    """The bytes that travel for `value`, and whether they are the UTF-8 of a str.

    Raises:
        TypeError: `dumps` returned something other than str or bytes.
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
    """What `loads` made of what `dumps` had returned; or what `loads` raised."""
    try:
        return codec.loads(payload.decode("utf-8", "surrogatepass") if is_text else payload), None
    except BaseException as error:  # the item's failure, or what a signal handler raised
        from tep_parallel._engine import handlers  # importing this package must stay cheap
        from tep_parallel._engine.travel import raised  # importing this package must stay cheap

        if handlers.raised_by_handler(error):
            raise
        return None, raised.of_this_process(error, index=index, item=item)
