"""A mixin that gives a database its bus."""

from __future__ import annotations

import functools
import typing as t

from signalbus.extension import SignalBus

if t.TYPE_CHECKING:
    import flask
    from flask_sqlalchemy import SQLAlchemy

    MixinBase = SQLAlchemy
else:
    MixinBase = object


class SignalBusMixin(MixinBase):
    """Give a ``SQLAlchemy`` class a signal bus, for one app or for several.

    Put it before ``SQLAlchemy``::

        class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
            pass

        db = CustomSQLAlchemy(app)  # or db.init_app(app), later
        db.signalbus.flush()
    """

    @functools.cached_property
    def signalbus(self) -> SignalBus:
        """The signal bus of this database."""
        return SignalBus(self)

    def init_app(self, app: flask.Flask) -> None:
        """Prepare *app* for this database and its signal bus."""
        super().init_app(app)
        self.signalbus.init_app(app)
