"""The types of signalbus: what its terms stand for, and what plugins may rely on."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import pluggy
    import sqlalchemy as sa
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration

__all__ = [
    "Autoflush",
    "Bus",
    "HeldBack",
    "NextAttempts",
    "PrimaryKey",
    "Recorded",
    "Signal",
    "SignalModel",
]

#: Whether signals are sent right after the commit that recorded them: by the committing
#: thread, by a thread in the background, or not.
Autoflush: t.TypeAlias = t.Literal[True, False, "background"]

#: A mapped class that declares how its instances are sent.
SignalModel: t.TypeAlias = type[t.Any]

#: What a sender receives: an instance of the model, or a row that has the values of the
#: model's columns as attributes, named as on the model.
Signal: t.TypeAlias = t.Any

#: The values of a primary key, in the order of the table's primary key columns.
PrimaryKey: t.TypeAlias = tuple[t.Any, ...]

#: The primary keys of the signals that a transaction recorded, by model. Models and
#: keys are in the order in which the signals were added to the session.
Recorded: t.TypeAlias = t.Mapping[SignalModel, t.Sequence[PrimaryKey]]


#: In how many seconds signals that failed are tried again, by primary key; ``None`` for
#: one that is parked: there is no further attempt.
NextAttempts: t.TypeAlias = t.Mapping[PrimaryKey, float | None]


class Bus(t.Protocol):
    """What hooks, and the steps of a flush, need of a :class:`~signalbus.SignalBus`.

    Hook specifications use this type, so that they do not depend on Flask. Your own
    hook implementations may declare :class:`~signalbus.SignalBus` instead.
    """

    #: The database whose signals the bus sends.
    db: SQLAlchemy

    @property
    def plugin_manager(self) -> pluggy.PluginManager:
        """The plugins of the bus."""

    @property
    def autoflush(self) -> Autoflush:
        """Whether, and how, signals are sent right after the commit."""

    @property
    def autoflush_timeout(self) -> float:
        """How long an autoflush in the committing thread waits, in seconds."""

    @property
    def synchronous_commit(self) -> bool:
        """Whether PostgreSQL writes the commit of a flush to disk before it returns."""

    def get_signal_models(self) -> list[SignalModel]:
        """Return all signal models, in a stable order."""

    def is_signal_model(self, model: type[t.Any]) -> bool:
        """Return whether *model* declares how its instances are sent."""

    def declaration(self, model: SignalModel) -> Declaration:
        """Return what *model* declares about its signals."""


class HeldBack(t.Protocol):
    """The signals of one model that must not be sent in this run.

    Returned by implementations of :func:`~signalbus.hookspecs.signalbus_held_back`.
    """

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Mapping[PrimaryKey, bool]:
        """Return those of *keys* that are held back, as they are given.

        Any other key is an error, and nothing of the model is sent.

        The value is ``True`` if the signal also holds back the signals behind it that
        have the same ordering key, and ``False`` if those may pass.

        Called for each burst, with the keys of its rows, inside the transaction that
        holds the locks, just before the signals are sent. So what another process has
        just committed is seen. While some signals are held back, also called for up to
        a thousand keys that are read ahead, without locks, in another transaction.
        """
