"""What an exception consists of, and whether its own pickling brings all of that back."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from typing import Any

from tep_parallel._engine.travel import pickles
from tep_parallel._engine.travel.pickles import ARGS, DICT, GROUP
from tep_parallel._errors import message_of

# A place for a value outside __dict__: the number of its class in the mro, its name there.
Field = tuple[int, str]
Name = str | Field

ARGS_NAME: Field = (-1, "args")  # for them, among names


def is_makeable(error: BaseException) -> bool:
    """Whether its built-in base can make one like it; not what a C extension makes."""
    try:
        pickles.bare(type(error), *group_of(error))
    except TypeError:
        return False
    return True


def group_of(error: BaseException) -> tuple[Any, ...]:
    """The message and the members of a group; nothing of what is none."""
    if not pickles.is_group(type(error)):
        return ()
    return GROUP.message.__get__(error), GROUP.exceptions.__get__(error)


def fields_of(error: BaseException) -> Iterator[tuple[Field, Any]]:
    """What it holds outside __dict__, but for what is the same in each exception."""
    for at, owner in enumerate(type(error).__mro__):
        for name, found in vars(owner).items():
            if not pickles.is_field(owner, found):
                continue
            try:
                value = found.__get__(error)
            except (AttributeError, TypeError):
                continue  # it was never set
            if value is not None:
                yield (at, name), value


def own_pickle(error: BaseException, *, makeable: bool) -> tuple[bytes | None, set[Name]]:
    """Its own pickle where that is to be used, and the names of what it brings back.

    Many classes dump and do not load, or load with their message put into their message.
    One that leaves the pickling to its built-in base would have its __init__ run with what
    happens to be in `args`: it is made without, where it can be. Where it cannot, its own
    pickle need not bring back all, for the rest can be set.
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
    except BaseException:  # noqa: BLE001  # a __reduce__ may raise anything; it is made, then
        return None, set()
    return (pickled, has) if whole or not makeable else (None, set())


def _names(error: BaseException) -> set[Name]:
    """Those of its attributes and fields."""
    return {*DICT.__get__(error), *(field for field, _ in fields_of(error))}


def _same_args(copy: BaseException, error: BaseException) -> bool:
    ours, theirs = ARGS.__get__(error), ARGS.__get__(copy)
    return [*map(type, ours)] == [*map(type, theirs)] and _look_alike(repr(ours), repr(theirs))


def _look_alike(one: str, other: str) -> bool:
    return pickles.without_addresses(one) == pickles.without_addresses(other)


def _pickles_itself(kind: type[BaseException]) -> bool:
    """Whether its class, or one that it inherits from, says how it is pickled."""
    if kind in copyreg.dispatch_table:
        return True
    for name in ("__reduce_ex__", "__reduce__", "__setstate__"):
        owner = next(owner for owner in kind.__mro__ if name in vars(owner))
        if not pickles.is_built_in(owner):
            return True
    return False
