"""The base classes of broker plugins.

A broker plugin consists of a subclass of :class:`BrokerPlugin`, which implements the
hooks, and a :class:`Sender`, which talks to the server. ``docs/brokers.md`` shows how
to write one from scratch, and :mod:`signalbus.testing.conformance` tests it.
"""

from __future__ import annotations

import abc
import typing as t

import flask

from signalbus._app_sender import AppSender
from signalbus._broker_limit import WaitLimit
from signalbus._call_in_thread import call_in_thread
from signalbus._markers import hookimpl
from signalbus._message_attribute import COMMON
from signalbus._message_attribute import check_attributes
from signalbus._per_process import PerProcess
from signalbus._sender import CheckLine
from signalbus._sender import Sender
from signalbus.exceptions import SignalModelError
from signalbus.messages import MessageFactory
from signalbus.settings import read_seconds

if t.TYPE_CHECKING:
    from signalbus.messages import MessageAttribute
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

__all__ = [
    "BrokerPlugin",
    "CheckLine",
    "PerProcess",
    "Sender",
    "WaitLimit",
    "call_in_thread",
]

#: How long a broker may be silent by default, in seconds.
DEFAULT_TIMEOUT = 30.0


class BrokerPlugin(abc.ABC):
    """The base class of broker plugins.

    The signals of models that name the broker are sent by its :class:`Sender`.

    Subclass it, and register an instance, or let the entry point name one::

        class Pigeons(BrokerPlugin):
            name = "pigeons"

            def make_sender(self, app):
                return PigeonSender(app.config["SIGNALBUS_PIGEONS_URL"])

        broker = Pigeons()

    It adds the setting ``SIGNALBUS_{NAME}_TIMEOUT``: how many seconds the broker may
    be silent, 30 by default.
    """

    #: The name that models declare in ``signalbus_broker``.
    name: t.ClassVar[str]

    #: How many signals are sent and deleted in one transaction, unless the model says.
    burst_count: t.ClassVar[int] = 1000

    #: The names of the settings that it reads.
    settings: t.ClassVar[t.Sequence[str]] = ()

    #: The attributes that it reads from models, besides those that every broker reads.
    attributes: t.ClassVar[t.Sequence[MessageAttribute]] = ()

    #: Whether its messages have bodies. Otherwise, they consist of attributes alone,
    #: and no bodies are made.
    has_bodies: t.ClassVar[bool] = True

    @abc.abstractmethod
    def make_sender(self, app: flask.Flask) -> Sender:
        """Return the sender for *app*, made from its configuration.

        Called once for every app, whether or not a model names the broker, so a missing
        URL is not an error until something is sent. Do not connect, and do not keep a
        reference to *app*: the sender is closed when the app is garbage-collected.

        :raises SettingError: to reject a configuration that cannot work.
        """

    def check_model(self, bus: Bus, model: SignalModel) -> None:  # noqa: B027 as above
        """Raise an error if *model* names this broker and cannot be sent.

        Called after the mappers were configured and the attributes were checked.

        :raises SignalModelError: to reject the model. Name the model and the remedy.
        """

    @property
    def timeout_setting(self) -> str:
        """The name of the setting that says how long the broker may be silent."""
        return f"SIGNALBUS_{self.name.upper()}_TIMEOUT"

    @hookimpl
    def signalbus_init_app(self, app: flask.Flask) -> None:
        """Make the sender of *app*."""
        timeout = app.config.get(self.timeout_setting, DEFAULT_TIMEOUT)
        seconds = read_seconds(self.timeout_setting, timeout)
        sender = self.make_sender(app)
        if not isinstance(sender, Sender):
            raise TypeError(
                f"make_sender of {type(self).__name__} returned {sender!r}. It must"
                " return a signalbus.brokers.Sender."
            )
        app.extensions[self._extension] = AppSender(sender, seconds, self._factory)

    @hookimpl
    def signalbus_settings(self) -> t.Collection[str]:
        """Return the names of the settings that the broker reads."""
        return (self.timeout_setting, *self.settings)

    @hookimpl
    def signalbus_model_attributes(self) -> t.Collection[str]:
        """Return the attributes in which a model may describe its messages."""
        return (*COMMON, *(each.name for each in self.attributes))

    @hookimpl
    def signalbus_models_configured(self, bus: Bus, models: list[type[t.Any]]) -> None:
        """Reject models that cannot be sent as they are declared."""
        for model in models:
            if self._is_named_by(bus, model):
                self._refuse_misdeclared(bus, model)

    @hookimpl
    def signalbus_burst_count(self, bus: Bus, model: SignalModel) -> int | None:
        """Return a good burst count for the models that name this broker."""
        is_named = bus.declaration(model).broker == self.name
        return self.burst_count if is_named else None

    @hookimpl
    def signalbus_send_burst(
        self,
        bus: Bus,
        model: SignalModel,
        signals: t.Sequence[Signal],
        timeout: float | None,
    ) -> bool | None:
        """Send *signals* if their model names this broker."""
        if bus.declaration(model).broker != self.name:
            return None
        self._of_app().send(bus, model, signals, timeout)
        return True

    @hookimpl
    def signalbus_check(self, bus: Bus, models: t.Sequence[SignalModel]) -> list[str]:
        """Return the problems that :meth:`check` has found."""
        lines = self.check(bus, models)
        return [str(line) for line in lines if line.problem is not None]

    def check(self, bus: Bus, models: t.Sequence[SignalModel]) -> list[CheckLine]:
        """Check whether the broker has what the *models* that name it need.

        Must be called within an app context. Nothing is sent.
        """
        ours = [each for each in models if bus.declaration(each).broker == self.name]
        return self._of_app().check(ours) if ours else []

    def close(self, app: flask.Flask) -> None:
        """Close the connections of *app* in this process.

        The next send opens new ones. Called automatically when the app is
        garbage-collected, or when the interpreter exits.
        """
        app.extensions[self._extension].sender.close()

    def _factory(self, bus: Bus, model: SignalModel) -> MessageFactory:
        self._refuse_misdeclared(bus, model)
        return MessageFactory(model, self.attributes, has_bodies=self.has_bodies)

    def _refuse_misdeclared(self, bus: Bus, model: SignalModel) -> None:
        check_attributes(model, self.name)
        for attribute in self.attributes:
            attribute.check(model, self.name)
        self.check_model(bus, model)

    def _is_named_by(self, bus: Bus, model: type[t.Any]) -> bool:
        """Return whether *model*, which may be any class, names the broker."""
        try:
            return bus.declaration(model).broker == self.name
        except SignalModelError:  # the core reports it, if it is meant to be one
            return False

    def _of_app(self) -> AppSender:
        sender: AppSender = flask.current_app.extensions[self._extension]
        return sender

    @property
    def _extension(self) -> str:
        return f"signalbus_{self.name}"
