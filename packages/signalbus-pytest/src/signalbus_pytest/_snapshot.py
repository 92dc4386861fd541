"""The values of signals, as their sessions see them, and copies of signals."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

Values: t.TypeAlias = dict[str, t.Any]


def column_names(model: SignalModel) -> tuple[str, ...]:
    """Return the names that *model* gives to the columns of its tables."""
    return tuple(
        attribute.key
        for attribute in sa_orm.class_mapper(model).column_attrs
        if isinstance(attribute.columns[0], sa.Column)
    )


def loaded_values(instance: object) -> Values:
    """Return those values of *instance* that are loaded."""
    loaded = vars(instance)
    return {
        name: loaded[name] for name in column_names(type(instance)) if name in loaded
    }


def missing_values(instance: object) -> Values:
    """Load the other values, such as those that the database has generated."""
    loaded, missing = vars(instance).copy(), {}
    for name in column_names(type(instance)):
        if name not in loaded:
            # SQL may have deleted the row; or the column may refuse to be loaded.
            with contextlib.suppress(sa.exc.InvalidRequestError):
                missing[name] = getattr(instance, name)
    return missing


@dataclasses.dataclass(eq=False)
class Entry:
    """What is known about one signal.

    :ivar added: when it was added: the number of the session's flush, and the position
        in it.
    :ivar instance: the signal, while its session may still change it.
    :ivar is_deleted: whether its transaction has deleted it.
    """

    model: SignalModel
    values: Values
    key: PrimaryKey | None = None
    added: tuple[int, int] = (0, 0)
    instance: object | None = None
    is_deleted: bool = False

    @classmethod
    def of(cls, instance: object, flushes: int = 0) -> Entry:
        """Make the entry of an *instance* that is in a session."""
        state: t.Any = sa.inspect(instance, raiseerr=True)
        return cls(
            type(instance),
            loaded_values(instance),
            key=state.identity,
            added=(flushes, state.insert_order or 0),
            instance=instance,
        )

    def complete(self) -> None:
        """Copy the current values of the signal, and load those that are missing."""
        if self.instance is not None:
            self.values.update(missing_values(self.instance))
            self.update()

    def update(self) -> None:
        """Copy the current values of the signal."""
        if self.instance is not None:
            self.values.update(loaded_values(self.instance))

    def close(self) -> Entry:
        """Copy the values for the last time, and release the signal."""
        self.update()
        self.instance = None
        return self

    def copy(self) -> t.Any:
        """Return an instance with these values that belongs to no session."""
        made = sa_orm.class_mapper(self.model).class_manager.new_instance()
        for name, value in self.values.items():
            sa_orm.attributes.set_committed_value(made, name, value)
        if self.key is not None:
            sa_orm.make_transient_to_detached(made)
        return made
