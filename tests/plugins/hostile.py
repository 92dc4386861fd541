"""A shop under attack, and all that is said of a secret: for tests/security.

Attackers choose names, values, URLs, messages and requests. What they must never get
to see has the word :data:`SECRET` in it.
"""

from __future__ import annotations

import gc
import typing as t
import warnings

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus.brokers import BrokerPlugin

if t.TYPE_CHECKING:
    from flask import Flask

#: In all passwords, whatever is done to their other characters.
SECRET: t.Final = "hunter2"  # noqa: S105 nobody's

#: How many errors are looked at: chains may be circles.
MAX_ERRORS: t.Final = 100


class Shop:
    """An app with one signal model, whose table exists."""

    def __init__(self, app: Flask, attributes: t.Mapping[str, t.Any]) -> None:
        self.app = app
        self.db = SQLAlchemy(app)
        self.bus = SignalBus(self.db)
        self.bus.autoflush = False
        declared = {
            "id": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
            "text": sa.Column(sa.Text, nullable=True),
            **attributes,
        }
        name = declared.pop("__name__", "OrderPaid")
        self.model: t.Any = type(name, (self.db.Model,), declared)
        with app.app_context():
            self.db.create_all()

    def record(self, *rows: t.Mapping[str, t.Any]) -> None:
        """Record signals with these columns."""
        with self.app.app_context():
            self.db.session.add_all(self.model(**row) for row in rows)
            self.db.session.commit()

    def flush(self) -> int:
        """Flush everything."""
        with self.app.app_context():
            return self.bus.flushmany()

    def flush_error(self) -> BaseException | None:
        """Flush everything, and return the error that is raised, if any."""
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 whatever it is
            return error
        return None

    def pending(self) -> list[t.Any]:
        """Return the keys of what is pending, sorted."""
        with self.app.app_context():
            return sorted(self.db.session.scalars(sa.select(self.model.id)))

    def run(self, *words: str) -> str:
        """Run ``flask signalbus``, and return all that it prints."""
        result = self.app.test_cli_runner().invoke(args=["signalbus", *words])
        said = [result.output, *texts_of(result.exception)]
        return "\n".join(said)

    def printed(self, *words: str) -> str:
        """Run ``flask signalbus``, and return what it prints on both outputs."""
        return self.app.test_cli_runner().invoke(args=["signalbus", *words]).output

    def close(self) -> None:
        """Close all connections."""
        for plugin in self.bus.plugin_manager.get_plugins():
            close = getattr(plugin, "close", None)
            if isinstance(plugin, BrokerPlugin) and close is not None:
                close(self.app)


def texts_of(error: BaseException | None) -> list[str]:
    """Return what *error*, its notes, its causes and its parts say."""
    found: list[str] = []
    left = [error]
    while left and len(found) < MAX_ERRORS:
        each = left.pop()
        if each is None:
            continue
        found += [str(each), repr(each), *getattr(each, "__notes__", ())]
        hidden = each.__suppress_context__
        left += [each.__cause__, None if hidden else each.__context__]
        left += [getattr(each, "orig", None)]
        left += getattr(each, "failures", {}).values()
    return found


def reprs_of_ours() -> list[str]:
    """Return the ``repr`` of every object of our classes that there is."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in gc.get_objects():
            module = getattr(type(each), "__module__", None)
            if isinstance(module, str) and module.startswith("signalbus"):
                found.append(f"{type(each)}: {each!r}")
    return found
