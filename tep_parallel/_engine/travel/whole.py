"""What an exception consists of, and whether the pickling of its class keeps all of that."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator

from tep_parallel._engine.travel import pickles
from tep_parallel._engine.travel.pickles import ARGS, DICT, GROUP
from tep_parallel._errors import message_of
from tep_parallel._typing import Any

# The place of a value outside __dict__: the number of its class in the mro, and its name there.
Field = tuple[int, str]
Name = str | Field

ARGS_NAME: Field = (-1, "args")  # the name of the args


def is_makeable(error: BaseException) -> bool:
    """Whether a built-in base can make such an exception; not so if a C extension made it."""
    try:
        pickles.bare(type(error), *group_of(error))
    except TypeError:
        return False
    return True


def group_of(error: BaseException) -> tuple[Any, ...]:
    """The message and the members of a group of exceptions; () if it is no group."""
    if not pickles.is_group(type(error)):
        return ()
    return GROUP.message.__get__(error), GROUP.exceptions.__get__(error)


def fields_of(error: BaseException) -> Iterator[tuple[Field, Any]]:
    """The values outside __dict__, except for those that every exception has."""
    for at, owner in enumerate(type(error).__mro__):
        for name, found in vars(owner).items():
            if not pickles.is_field(owner, found):
                continue
            try:
                value = found.__get__(error)
            except (AttributeError, TypeError):
                continue  # the value was never set
            if value is not None:
                yield (at, name), value


def own_pickle(error: BaseException, *, makeable: bool) -> tuple[bytes | None, set[Name]]:
    """The class's own pickle of it, and the names that this keeps; None: it must not be used.

    Many classes pickle badly: they cannot be loaded, or they change. A class that leaves the
    pickling to its built-in base gets its __init__ called with whatever is in `args`. So an
    exception is made again from its parts if that is possible. Only a class with a rule of its
    own for pickling, or one that cannot be made, uses its pickle. That need not keep everything,
    since the rest can be set.
    """
    kind = type(error)
    if makeable and (pickles.is_group(kind) or not _pickles_itself(kind)):
        return None, set()
    try:
        pickled = pickles.dumps(error)
        copy = pickles.loads(pickled, pickles.node_at)
        if type(copy) is not kind or not _look_alike(message_of(copy), message_of(error)):
            return None, set()
        has = _names(copy)
        if _same_args(copy, error):
            has.add(ARGS_NAME)
        whole = has == _names(error) | {ARGS_NAME}
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # a __reduce__ may raise anything; then it is not used
        return None, set()
    return (pickled, has) if whole or not makeable else (None, set())


def _names(error: BaseException) -> set[Name]:
    """The names of an exception's attributes and fields."""
    return {*DICT.__get__(error), *(field for field, _ in fields_of(error))}


def _same_args(copy: BaseException, error: BaseException) -> bool:
    ours, theirs = ARGS.__get__(error), ARGS.__get__(copy)
    return [*map(type, ours)] == [*map(type, theirs)] and _look_alike(repr(ours), repr(theirs))


def _look_alike(one: str, other: str) -> bool:
    return pickles.without_addresses(one) == pickles.without_addresses(other)


def _pickles_itself(kind: type[BaseException]) -> bool:
    """Whether a class, or one of its bases, says how it is pickled."""
    if kind in copyreg.dispatch_table:
        return True
    for name in ("__reduce_ex__", "__reduce__", "__setstate__"):
        owner = next(owner for owner in kind.__mro__ if name in vars(owner))
        if not pickles.is_built_in(owner):
            return True
    return False
