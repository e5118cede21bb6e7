"""Workers and items as bytes: what cannot be shipped is refused by name, before it is sent."""

from __future__ import annotations

import hashlib
import io
import pickle
from typing import Any, NamedTuple

from tep_parallel._errors import message_of, shown

try:
    import cloudpickle
except ImportError as error:
    _MSG = "executor= needs cloudpickle, here and on the executor's workers: "
    _MSG += "pip install 'tep-parallel[cluster]'"
    raise ImportError(_MSG) from error

_PROTOCOL = 5  # of pickle
# Their pickles name no class and no module.
_PLAIN = (int, float, bool, bytes, type(None))


class Bundle(NamedTuple):
    """A worker and its codec.

    Attributes:
        hash: Of the bytes.
        data: Their pickle.
    """

    hash: bytes
    data: bytes


def bundled(worker: object, codec: object) -> Bundle:
    """Pickle a worker and its codec.

    Raises:
        TypeError: One of them cannot be pickled.
    """
    try:
        data = cloudpickle.dumps((worker, codec), _PROTOCOL)
    except Exception as error:
        kind = type(worker).__qualname__
        name = getattr(worker, "__qualname__", kind)
        msg = f"worker: {name} cannot be shipped to an executor: {_why(error)}"
        raise TypeError(msg) from error
    return Bundle(hashlib.sha256(data).digest(), data)


class Shipper:
    """Pickles items, one after the other."""

    def __init__(self) -> None:
        self._file = io.BytesIO()

    def ship(self, index: int, item: object) -> str | bytes:
        """What travels for an item: text as it is, a pickle of anything else.

        Raises:
            TypeError: The item cannot be pickled.
        """
        kind = type(item)
        if kind is str:
            return item  # type: ignore[return-value]
        if kind in _PLAIN:
            return pickle.dumps(item, _PROTOCOL)
        try:
            return self._pickled(item)
        except Exception as error:
            msg = f"item {index} ({shown(item)}) cannot be shipped to an executor: {_why(error)}"
            raise TypeError(msg) from error

    def _pickled(self, item: object) -> bytes:
        file = self._file
        file.seek(0)
        file.truncate()
        cloudpickle.Pickler(file, _PROTOCOL).dump(item)
        return file.getvalue()


def unbundled(data: bytes) -> tuple[Any, Any]:
    """The worker and its codec."""
    worker, codec = pickle.loads(data)  # noqa: S301  # the caller has made it
    return worker, codec


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {message_of(error)}"
