"""The face of signalbus to Flask: the bus, and the mixin that gives a database one."""

from __future__ import annotations

import contextlib
import functools
import logging
import typing as t
import weakref
from collections import abc

import flask
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus import _discover
from signalbus import _send
from signalbus import _spelling
from signalbus import retry
from signalbus._flush import Flusher
from signalbus._record import Recorder
from signalbus._settings import read_switch
from signalbus.exceptions import SettingError
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import SignalModelError
from signalbus.exceptions import escape_controls
from signalbus.plugins import make_plugin_manager

if t.TYPE_CHECKING:
    import pluggy
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._record import Recorded
    from signalbus.typing import SignalModel

    MixinBase = SQLAlchemy
else:
    MixinBase = object

logger = logging.getLogger("signalbus")

EXTENSION = "signalbus"
AUTOFLUSH = "SIGNALBUS_AUTOFLUSH"
SYNCHRONOUS_COMMIT = "SIGNALBUS_SYNCHRONOUS_COMMIT"

#: The settings of the core itself.
SETTINGS = (AUTOFLUSH, SYNCHRONOUS_COMMIT)


class SignalBus:
    """Send the signals that transactions of *db* have recorded.

    A bus belongs to one ``SQLAlchemy`` object, which must have its app already::

        db = SQLAlchemy(app)
        signalbus = SignalBus(db)

    For an app that is made later, or for several, use :class:`SignalBusMixin`.

    Every method may be called inside or outside of an app context and in any thread.
    The bus works in sessions and transactions of its own: it never commits, rolls back,
    expires or closes ``db.session``.

    :raises RuntimeError: if *db* has no app yet, or its app has a bus already.
    """

    #: The database whose signals this bus sends.
    db: SQLAlchemy

    #: The plugins of this bus. Register objects of your own here.
    plugin_manager: pluggy.PluginManager

    def __init__(self, db: SQLAlchemy) -> None:
        apps = _apps_of(db)
        if not apps:
            raise RuntimeError(
                "The SQLAlchemy object has no Flask app yet. Call its init_app first,"
                " or subclass it with SignalBusMixin, which needs no app."
            )
        self._set_up(db)
        for app in apps:
            self._init_app(app)

    @classmethod
    def _without_app(cls, db: SQLAlchemy) -> SignalBus:
        """Make a bus that gets its apps later."""
        bus = cls.__new__(cls)
        bus._set_up(db)  # noqa: SLF001 its own
        return bus

    def _set_up(self, db: SQLAlchemy) -> None:
        self.db = db
        manager = self.plugin_manager = make_plugin_manager(
            {module.__name__: module for module in (_discover, _send, retry)}
        )
        self._apps: weakref.WeakSet[flask.Flask] = weakref.WeakSet()
        self._autoflush: bool | None = None
        self._announced: frozenset[type[t.Any]] = frozenset()
        self._configured: frozenset[type[t.Any]] = frozenset()
        self._flusher = Flusher(self)
        manager.on_broker = self._flusher.reset_breakers
        self._sendable: dict[type[t.Any], bool] = {}
        Recorder(self._is_autoflushed, self._on_commit).listen(db.session)
        _on_configured(self)

    def _init_app(self, app: flask.Flask) -> None:
        if EXTENSION in app.extensions:
            raise RuntimeError(
                "A signal bus has already been registered on this Flask app. Use that"
                " one: app.extensions['signalbus']."
            )
        self._warn_of_strange_settings(app)
        for name in SETTINGS:
            read_switch(app.config, name)
        app.extensions[EXTENSION] = self
        self._apps.add(app)
        with _settings_refused():
            self.plugin_manager.hook.signalbus_init_app.call_historic(
                kwargs={"bus": self, "app": app}
            )

    def _warn_of_strange_settings(self, app: flask.Flask) -> None:
        """Log the settings of *app* that are probably mistyped."""
        answers = self.plugin_manager.hook.signalbus_settings(bus=self)
        known = set(SETTINGS).union(*answers)
        for stranger in _spelling.find_strange_settings(app.config, known):
            logger.warning("%s", stranger)

    @property
    def autoflush(self) -> bool:
        """Whether signals are sent right after the commit that recorded them.

        ``True`` unless it was set otherwise, here or by ``SIGNALBUS_AUTOFLUSH`` in the
        app's configuration. What is set here rules, for all apps of this bus. A model
        can opt out with ``signalbus_autoflush = False``.
        """
        if self._autoflush is not None:
            return self._autoflush
        return self._configured_as(AUTOFLUSH)

    @autoflush.setter
    def autoflush(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"autoflush is {value!r}. Set it to True or False.")
        self._autoflush = value

    @property
    def synchronous_commit(self) -> bool:
        """Whether PostgreSQL writes a flush's commit to disk before it answers.

        ``True`` unless the app's configuration sets ``SIGNALBUS_SYNCHRONOUS_COMMIT`` to
        ``False``. Then flushes are faster, and a crash of the database server may bring
        back the rows of the last half second, whose signals are sent again. Nothing is
        lost, and the application's own transactions are as durable as ever.
        """
        return self._configured_as(SYNCHRONOUS_COMMIT)

    def get_signal_models(self) -> list[SignalModel]:
        """Return all signal models, in a stable order.

        :raises SignalModelError: if one of them is misdeclared.
        """
        _discover.registry_of(self.db.Model).configure()
        self._announce_models()
        return _discover.find_signal_models(self)

    def flush(
        self, models: t.Iterable[SignalModel] | None = None, wait: float = 3.0
    ) -> int:
        """Send the signals that are pending now, and return how many were sent.

        Signals recorded while it runs are left alone. Signals that others are sending
        at the moment, by autoflush or by another flush, are waited for: those that
        have not gone when the others let go of them are sent.

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
        chosen = self._choose(models)
        with self._app_context():
            return self._flusher.flush(chosen, wait)

    def flushmany(self, models: t.Iterable[SignalModel] | None = None) -> int:
        """Send all pending signals, maybe millions, and return how many were sent.

        Holds one burst in memory. Many processes can do this at the same time where
        the database has ``SKIP LOCKED``: none sends what another has locked. Walks the
        primary key once, so signals recorded meanwhile are sent if their keys come
        later.

        :param models: the signal models to flush; all, if not given.
        :raises: as :meth:`flush` does.
        """
        chosen = self._choose(models)
        with self._app_context():
            return self._flusher.flushmany(chosen)

    def flushordered(self, models: t.Iterable[SignalModel] | None = None) -> int:
        """Send the signals pending now in the order of ``signalbus_order_by``.

        Returns how many were sent. A signal that cannot be sent stops its model, since
        the order is the point; other models go on. Signals that another flush has
        locked are waited for. Turn autoflush off for models whose order matters.

        :param models: the signal models to flush; all, if not given.
        :raises: as :meth:`flush` does.
        """
        chosen = self._choose(models)
        with self._app_context():
            return self._flusher.flushordered(chosen)

    def count_pending(
        self, models: t.Iterable[SignalModel] | None = None
    ) -> dict[SignalModel, int]:
        """Return how many signals of each model are pending, sent ones not counted.

        :param models: the signal models to count; all, if not given.
        :raises SignalModelError: if one of *models* is not a signal model.
        """
        chosen = self._choose(models)
        with self._app_context():
            return {model: self._flusher.count_pending(model) for model in chosen}

    def reset_breakers(self) -> None:
        """Close the circuit breakers of all brokers in this process.

        A broker that could not be reached is left alone by autoflush for a while. After
        this, the next commit tries it again with full bursts: call it between tests, or
        when you know that the broker is back. A broker plugin that is registered on
        this bus does the same.
        """
        self._flusher.reset_breakers()

    def _choose(self, models: t.Iterable[SignalModel] | None) -> list[SignalModel]:
        """Return *models*, each once, or all; refuse what is not a signal model."""
        _check_models(models)
        known = self.get_signal_models()
        if models is None:
            return known
        chosen = list(dict.fromkeys(models))
        for model in chosen:
            if model not in known:
                raise SignalModelError(
                    f"{getattr(model, '__name__', repr(model))} is not a signal model"
                    " of this database, so it cannot be flushed. Pass mapped classes"
                    " that define send_signalbus_message or signalbus_broker."
                )
        return chosen

    def _is_autoflushed(self, model: type[t.Any]) -> bool:
        """Tell whether instances of *model* are sent after commit."""
        sendable = self._sendable.get(model)
        if sendable is None:
            sendable = self._sendable[model] = _discover.is_sendable(model)
        return (
            sendable and getattr(model, "signalbus_autoflush", True) and self.autoflush
        )

    def _on_commit(self, recorded: Recorded) -> None:
        """Send what was recorded. The commit is done, so nothing is raised into it."""
        try:
            if self.autoflush:
                with self._app_context():
                    self._flusher.autoflush(recorded)
        except Exception:
            names = ", ".join(model.__name__ for model in recorded)
            logger.exception("Signals could not be sent after commit (%s)", names)

    def _announce_models(self) -> None:
        """Tell the plugins of the database's models, if there are new ones."""
        models = _discover.mapped_models(self.db.Model)
        if not self._configured.issuperset(models):
            new_models = [model for model in models if model not in self._announced]
            self._announced = frozenset(models)
            self._warn_of_typos(new_models)
            try:
                self.plugin_manager.hook.signalbus_models_configured(
                    bus=self, models=models
                )
            finally:  # only now: plugins may have completed what models declare
                self._tell_of_misdeclared(new_models)
            self._configured = frozenset(models)

    def _warn_of_typos(self, models: t.Iterable[type[t.Any]]) -> None:
        """Log the attributes of *models* that are probably mistyped.

        They are not warnings of Python's: those would end the configuration of mappers
        where warnings are errors, and be hidden where they are filtered.
        """
        answers = self.plugin_manager.hook.signalbus_model_attributes(bus=self)
        known = set(_discover.MARKS).union(*answers)
        for model in models:
            for stranger in _spelling.find_strangers(model, known):
                logger.warning("%s", stranger)

    def _tell_of_misdeclared(self, models: t.Iterable[type[t.Any]]) -> None:
        """Log which of *models* cannot be sent as they are declared.

        A commit records their signals without a word. Whoever flushes gets the first of
        these as an error.
        """
        for error in _discover.refusals(models):
            says = escape_controls(str(error))
            logger.error("%s Until then, its signals stay pending.", says)

    def _has_new_models(self) -> bool:
        """Tell whether there are models of which no plugin has heard yet."""
        return not self._announced.issuperset(_discover.mapped_models(self.db.Model))

    def _configured_as(self, name: str) -> bool:
        """Return what the app at hand says of a setting."""
        app = self._current_app() or self._only_app()
        return True if app is None else read_switch(app.config, name)

    def _current_app(self) -> flask.Flask | None:
        """Return the app whose context this is, if it is one of this bus."""
        if not flask.has_app_context():
            return None
        app = flask.current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 documented by Flask
        return app if app in self._apps else None

    def _only_app(self) -> flask.Flask | None:
        """Return the app of this bus, if there is just one."""
        apps = list(self._apps)
        return apps[0] if len(apps) == 1 else None

    def _app_context(self) -> contextlib.AbstractContextManager[t.Any]:
        """Enter the context of an app of this bus, unless this is one."""
        if self._current_app() is not None:
            return contextlib.nullcontext()
        app = self._only_app()
        if app is None:
            raise RuntimeError(
                f"This signal bus has {len(self._apps)} apps, and none of them is the"
                " current one. Push the context of the app that you mean:"
                " 'with app.app_context():'."
            )
        return app.app_context()


class SignalBusMixin(MixinBase):
    """Give a ``SQLAlchemy`` class a signal bus, for one app or for many.

    Put it before ``SQLAlchemy``::

        class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
            pass

        db = CustomSQLAlchemy(app)  # or db.init_app(app), later
        db.signalbus.flush()
    """

    @functools.cached_property
    def signalbus(self) -> SignalBus:
        """The signal bus of this database."""
        return SignalBus._without_app(self)  # noqa: SLF001 made for this place

    def init_app(self, app: flask.Flask) -> None:
        """Prepare *app* for this database and its signal bus."""
        super().init_app(app)
        self.signalbus._init_app(app)  # noqa: SLF001 made for this place


def get_models_to_flush(bus: SignalBus, names: t.Iterable[str]) -> list[SignalModel]:
    """Return the signal models of *bus* that have one of *names*.

    Meant for commands. Unknown names are ignored, with a warning in the log.

    :raises TypeError: if *names* is a single name.
    """
    if isinstance(names, str):
        raise TypeError(
            f"names is {names!r}. Pass a list of names, such as [{names!r}]."
        )
    wanted = set(names)
    models = [model for model in bus.get_signal_models() if model.__name__ in wanted]
    for name in sorted(wanted - {model.__name__ for model in models}):
        logger.warning("There is no signal model named %r, it is ignored.", name)
    return models


def _check_models(models: object) -> None:
    """Refuse what is not a list of models; above all a model, or a name, alone."""
    if isinstance(models, type):
        given, example = f"the class {models.__name__}", models.__name__
    elif models is not None and (
        isinstance(models, (str, bytes)) or not isinstance(models, abc.Iterable)
    ):
        given, example = repr(models), "OrderPaid, OrderPlaced"
    else:
        return
    raise TypeError(
        f"models is {given}. Pass a list of signal models, such as [{example}]."
    )


def _apps_of(db: SQLAlchemy) -> list[flask.Flask]:
    """Return the apps that *db* has been initialised with."""
    return list(getattr(db, "_app_engines", ()))


@contextlib.contextmanager
def _settings_refused() -> t.Iterator[None]:
    """Take a plugin's :exc:`ValueError` for what it says of the configuration."""
    try:
        yield
    except SignalBusError:
        raise
    except ValueError as error:
        raise SettingError(str(error)) from error


def _on_configured(bus: SignalBus) -> None:
    """Tell *bus* of new models whenever mappers were configured, while it lives.

    Those may be the mappers of another database, so what a plugin refuses is logged
    here, once, and raised whenever this bus is asked for its models.
    """
    weak_bus = weakref.ref(bus)

    def announce() -> None:
        live_bus = weak_bus()
        if live_bus is None or not live_bus._has_new_models():  # noqa: SLF001 likewise
            return
        try:
            live_bus._announce_models()  # noqa: SLF001 made for this place
        except Exception as error:  # noqa: BLE001 raised again by get_signal_models
            says = escape_controls(str(error))
            logger.error("A plugin refuses the models: %s", says)  # noqa: TRY400 no fault of the code

    sa.event.listen(sa_orm.Mapper, "after_configured", announce)
