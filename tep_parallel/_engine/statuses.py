"""How a child says that it is through with its item, and what becomes of items.

The numbers are those of sphttp_status and sphttp_fate, for those who do without the extension.
"""

from __future__ import annotations

from tep_parallel._control import Kill
from tep_parallel._engine.codec import encoded
from tep_parallel._engine.travel import raised
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._protocols import Codec

RETURNED, ENCODED, ENCODED_TEXT, RAISED, RAISED_AS, NOT_TEXT, DISCARDED = range(1, 8)
BREAK, KILL = 16, 32
NOT_BEGUN, DIED, TAMPERED, CUT = 0, -1, -4, -6


_WELL = (RETURNED, ENCODED, ENCODED_TEXT, DISCARDED)


def is_failure(fate: int) -> bool:
    """Whether an item has failed by itself: nobody has ended the call, and it gave no Break."""
    return fate < BREAK and fate not in (*_WELL, NOT_BEGUN, CUT)


def break_value(end: Any, codec: Codec[Any] | None, *, rebuild: bool) -> tuple[int, bytes]:
    """The status and the payload for what Break or Kill gave."""
    how = KILL if isinstance(end, Kill) else BREAK
    value = end.value
    if codec is not None:
        try:
            payload, is_text = encoded(codec, value)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            return packed(error, rebuild=rebuild)
        return how | (ENCODED_TEXT if is_text else ENCODED), payload
    if value is None:
        return how | DISCARDED, b""
    if isinstance(value, str):
        return how | RETURNED, str.encode(value, "utf-8", "surrogatepass")
    return NOT_TEXT, type(value).__qualname__.encode()


def packed(error: BaseException, *, rebuild: bool) -> tuple[int, bytes]:
    """The status and the payload for what was raised."""
    payload, pickled = raised.pack(error, rebuild=rebuild)
    return RAISED_AS if pickled else RAISED, payload
