"""The bus: what an application sees of signalbus. The only module that knows Flask."""

from __future__ import annotations

import typing as t

import flask

from signalbus import _apps
from signalbus import _check
from signalbus import _discover
from signalbus import _send
from signalbus import _settings
from signalbus import retry
from signalbus._announce import ModelAnnouncer
from signalbus._background import Background
from signalbus._bus_settings import BusSettings
from signalbus._committed import Committed
from signalbus._flush import Flusher
from signalbus._plugin_tables import PluginTables
from signalbus._record import Recorder
from signalbus.plugins import hooks_of
from signalbus.plugins import make_plugin_manager

if t.TYPE_CHECKING:
    import pluggy
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration
    from signalbus.breakers import CircuitBreakers
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


class SignalBus(BusSettings):
    """Send the signals that transactions of *db* have recorded.

    Create it for a ``SQLAlchemy`` object that has its app::

        db = SQLAlchemy(app)
        bus = SignalBus(db)

    or, in an application factory, initialize it later, as other Flask extensions::

        db = SQLAlchemy()
        bus = SignalBus(db)

        def create_app():
            app = Flask(__name__)
            db.init_app(app)
            bus.init_app(app)
            return app

    :class:`SignalBusMixin` makes a bus together with its database.

    Every method may be called inside or outside an app context and in any thread.
    The bus works in sessions and transactions of its own: it never commits, rolls back,
    expires or closes ``db.session``.

    :raises RuntimeError: if the app of *db* already has a bus; by all methods, if the
        bus has no app yet.
    """

    #: The database whose signals this bus sends.
    db: SQLAlchemy

    #: The plugins of this bus. Register objects of your own here.
    plugin_manager: pluggy.PluginManager

    def __init__(self, db: SQLAlchemy) -> None:
        _apps.check_database(db)
        super().__init__(_apps.Apps(_current_app, db))
        self.db = db
        self._flusher = Flusher(self, self._apps.at_hand)
        self._background = Background(self._flusher, self._apps.at_hand)
        manager = self.plugin_manager = make_plugin_manager(
            {
                **{each.__name__: each for each in (_check, _discover, _send, retry)},
                "signalbus.background": self._background,
                "signalbus.flush": self._flusher,
            }
        )
        manager.on_broker = self._flusher.reset_breakers
        self._declarations = _discover.Declarations(self)
        self._committed = Committed(self, self._declarations, self._apps.context)
        self._announcer = ModelAnnouncer(self)
        self._plugin_tables = PluginTables(self)
        manager.on_registered = self._introduce
        self._plugin_tables.look()
        for app in _apps.apps_of(db):
            self.init_app(app)
        # Last, so that nothing is left of a bus that cannot be made.
        _apps.claim(db, self)
        committed = self._committed
        self._recorder = Recorder(committed.is_recorded, committed.handle)
        self._recorder.listen(db.session)
        self._announcer.listen()
        self._plugin_tables.listen()

    def init_app(self, app: flask.Flask) -> None:
        """Prepare *app*, after ``db.init_app(app)``, for this bus.

        Not needed for an app that *db* had when the bus was made; there, it does
        nothing.

        :raises RuntimeError: if *app* has another bus, or *db* is not initialized for
            *app*.
        :raises SettingError: if a setting of *app* has a value that it cannot have.
        """
        if isinstance(app, flask.Flask) and app in self._apps:
            return
        _apps.check_app(app, self.db)
        _settings.check(app.config)
        _apps.log_unknown_settings(self, app)
        with _apps.registered(self, app, self._apps):
            self.plugin_manager.hook.signalbus_init_app(bus=self, app=app)

    @property
    def breakers(self) -> CircuitBreakers:
        """The circuit breakers of the brokers, which this process has found down."""
        return self._flusher.breakers

    def get_signal_models(self) -> list[SignalModel]:
        """Return all signal models, in a stable order.

        :raises SignalModelError: if one of them is misdeclared.
        """
        self._apps.require()
        self._plugin_tables.look()
        _discover.registry_of(self.db.Model).configure()
        self._announcer.announce()
        return _discover.find_signal_models(self)

    def is_signal_model(self, model: type[t.Any]) -> bool:
        """Return whether *model* has a send method or a broker, rightly or wrongly."""
        return self._declarations.is_sendable(model)

    def declaration(self, model: SignalModel) -> Declaration:
        """Return what *model* declares about its signals, checked and complete.

        It is read once, when it is first asked for: set the attributes of a model in
        its class body.

        :raises SignalModelError: if it is not a signal model, or is misdeclared.
        """
        return self._declarations.of(model)

    def flush(
        self, models: t.Iterable[SignalModel] | None = None, wait: float = 3.0
    ) -> int:
        """Send the signals that are pending now, and return how many were sent.

        Signals recorded while it runs are left alone. Signals that others are sending
        at the moment, by autoflush or by another flush, are waited for: those that
        have not gone when the others let go of them are sent. With an ordering key, so
        are the signals behind them that have the same one.

        The keys of all pending signals are held in memory; for very many signals use
        :meth:`flushmany`.

        :param models: the signal models to flush; all, if not given.
        :param wait: how long to wait for what others are sending, in seconds.
        :raises SignalModelError: if one of *models* is not a signal model; nothing was
            sent then.
        :raises TypeError: if *models* is a model, and not a list of models.
        :raises Exception: the first error that kept a signal from being sent, with the
            others attached as notes; all other signals were sent.
        """
        if not wait >= 0:
            raise ValueError(f"wait is {wait!r}. Pass seconds, 0 or more.")
        chosen = _discover.choose(self, models)
        with self._apps.context():
            return self._flusher.flush(chosen, wait)

    def flushmany(self, models: t.Iterable[SignalModel] | None = None) -> int:
        """Send all pending signals, maybe millions, and return how many were sent.

        Holds one burst in memory. Many processes can do this at the same time where
        the database has ``SKIP LOCKED``: none sends what another has locked. Walks the
        primary key once, so signals recorded meanwhile are sent if their keys come
        later.

        A model with an ordering key is sent key by key, each in its order. Keys that
        others are sending are passed over, and tried again while anything else is sent.

        :param models: the signal models to flush; all, if not given.
        :raises: as :meth:`flush` does.
        """
        chosen = _discover.choose(self, models)
        with self._apps.context():
            return self._flusher.flushmany(chosen)

    def flushordered(self, models: t.Iterable[SignalModel] | None = None) -> int:
        """Send the signals pending now in the order of ``signalbus_order_by``.

        Returns how many were sent. A signal that cannot be sent stops its model, since
        the order is the point; other models go on. Signals that another flush has
        locked are waited for. Turn autoflush off for models whose order matters.

        With an ordering key, a signal that cannot be sent stops its key only, and no
        other way of sending breaks the order.

        :param models: the signal models to flush; all, if not given.
        :raises: as :meth:`flush` does.
        """
        chosen = _discover.choose(self, models)
        with self._apps.context():
            return self._flusher.flushordered(chosen)

    def flushkeys(self, model: SignalModel, keys: t.Iterable[PrimaryKey]) -> int:
        """Send the signals of *model* that have these primary *keys*, in this order.

        Returns how many were sent. Keys without a row are passed over, and so are rows
        that another flush has locked. For plugins that see to autoflush themselves, and
        for programs that know what they have recorded.

        :raises: as :meth:`flush` does.
        """
        (chosen,) = _discover.choose(self, [model])
        with self._apps.context():
            return self._flusher.flushkeys({chosen: list(map(tuple, keys))})

    def drain_autoflush(self, timeout: float = 5.0) -> bool:
        """Wait until the background has sent, or given up, what was committed so far.

        Returns whether that is so: ``False`` if it takes longer than *timeout*, in
        seconds, or if this thread is told to stop. A signal that cannot be sent is
        given up, and stays pending. Call it in tests, and before a process ends in a
        way that skips ``atexit``. With any other autoflush, there is nothing to wait
        for. Each process waits for its own background only.
        """
        return self._background.drain(timeout)

    def count_pending(
        self, models: t.Iterable[SignalModel] | None = None
    ) -> dict[SignalModel, int]:
        """Return how many signals of each model are pending, sent ones not counted.

        :param models: the signal models to count; all, if not given.
        :raises SignalModelError: if one of *models* is not a signal model.
        """
        chosen = _discover.choose(self, models)
        with self._apps.context():
            return {model: self._flusher.count_pending(model) for model in chosen}

    def reset_breakers(self) -> None:
        """Close the circuit breakers of all brokers in this process.

        A broker that could not be reached is left alone by autoflush for a while. After
        this, the next commit tries it again with full bursts: call it between tests, or
        when you know that the broker is back. A broker plugin that is registered on
        this bus does the same.
        """
        self._flusher.reset_breakers()

    def _introduce(self, plugin: object) -> None:
        """Let a *plugin* that comes late know what others know by now."""
        hooks = hooks_of(plugin)
        self._plugin_tables.introduce(hooks)
        _apps.introduce(self, hooks, self._apps)


def _current_app() -> flask.Flask | None:
    """Return the app whose context this is, if there is one."""
    if not flask.has_app_context():
        return None
    return flask.current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 documented by Flask
