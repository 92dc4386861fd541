"""What plugins hold back: the signals that a run must leave alone."""

from __future__ import annotations

import typing as t
from collections import abc

import sqlalchemy.exc as sa_exc

from signalbus import plugins
from signalbus._sql import connections
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus.typing import Bus
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


class HoldingError(SignalBusError):
    """A plugin failed to return what is held back. Correct it."""


class Held:
    """What several plugins hold back of one model, together."""

    def __init__(self, parts: t.Sequence[HeldBack]) -> None:
        self._parts = parts

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Mapping[PrimaryKey, bool]:
        """Return those of *keys* that any plugin holds back."""
        if len(self._parts) == 1:
            return _among(self._parts[0], connection, keys)
        held: dict[PrimaryKey, bool] = {}
        for part in self._parts:
            for key, waits in _among(part, connection, keys).items():
                held[key] = waits or held.get(key, False)
        return held


def _among(
    part: HeldBack, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
) -> t.Mapping[PrimaryKey, bool]:
    """Ask a plugin. An error of the database is raised as it is: it may pass."""
    try:
        answer = part.among(connection, keys)
    except sa_exc.SQLAlchemyError:
        raise
    except Exception as error:
        raise HoldingError(
            f"{type(part).__name__}.among(), of a plugin that holds signals back,"
            f" failed: {describe_error(error)}"
        ) from error
    return _checked(part, answer, keys)


def _checked(
    part: HeldBack, answer: object, keys: t.Sequence[PrimaryKey]
) -> t.Mapping[PrimaryKey, bool]:
    """Return *answer*, or raise: a key in another form would hold nothing back."""
    if not isinstance(answer, abc.Mapping):
        raise HoldingError(
            f"{type(part).__name__}.among(), of a plugin that holds signals back,"
            f" returned {answer!r:.100}. It must return a mapping that has some of the"
            " primary keys it was given, which are tuples."
        )
    if answer and not set(keys).issuperset(answer):
        unknown = next(key for key in answer if key not in set(keys))
        raise HoldingError(
            f"{type(part).__name__}.among(), of a plugin that holds signals back,"
            f" returned {unknown!r:.100}, which is not one of the primary keys that it"
            " was given. It must return those, as they are."
        )
    return answer


def held_back(
    bus: Bus, model: SignalModel, connection: sa.Connection
) -> HeldBack | None:
    """Ask the plugins which signals of *model* must not be sent in this run."""
    hook = bus.plugin_manager.hook.signalbus_held_back
    if not plugins.is_implemented(hook):
        return None
    connections.renew(connection)
    try:
        parts = hook(bus=bus, model=model, connection=connection)
    except sa_exc.SQLAlchemyError:
        raise
    except Exception as error:
        raise HoldingError(
            f"A plugin failed in signalbus_held_back: {describe_error(error)}"
        ) from error
    finally:
        connection.rollback()
    for part in parts:
        if not callable(getattr(part, "among", None)):
            raise HoldingError(
                f"A plugin returned {part!r:.100} from signalbus_held_back. It must"
                " return an object with a method among(connection, keys), or None."
            )
    return Held(parts) if parts else None
