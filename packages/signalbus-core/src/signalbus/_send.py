"""Step 5, send: give a burst to the sender of its model, and learn what got through."""

from __future__ import annotations

import difflib
import errno
import socket
import typing as t

from signalbus import plugins
from signalbus._markers import hookimpl
from signalbus._outcome import ALL_SENT
from signalbus._outcome import Outcome
from signalbus._send_waves import send_in_waves
from signalbus._waits import unlimited
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import NoBrokerError
from signalbus.exceptions import PartialDeliveryError
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._waits import Waiting
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: Errors that mean that a broker cannot be reached, whoever raises them.
UNAVAILABLE = (
    BrokerUnavailableError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    socket.herror,
)

#: The numbers of other ``OSError`` that mean the same.
UNREACHABLE = frozenset(
    number
    for number, name in errno.errorcode.items()
    if name.startswith("ECONN")
    or name
    in {
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETRESET",
        "ENETUNREACH",
        "ETIMEDOUT",
    }
)

#: The attribute of an exit, such as ``SystemExit``, that says how far the signals of a
#: burst had come that were sent one by one.
PROGRESS = "_signalbus_progress"


class Sender:
    """Give bursts of one model to its own methods, or to its broker.

    :param ordered: whether nothing may be sent behind a signal that failed. A burst
        method is trusted with the whole burst, since it gets the signals in order. The
        single form, and brokers, go on after a failure, so they get one at a time.
    :param waiting: makes the context in which the sender is waited for.
    """

    def __init__(
        self,
        bus: Bus,
        declaration: Declaration,
        *,
        ordered: bool,
        waiting: Waiting = unlimited,
    ) -> None:
        self._bus = bus
        self._declaration = declaration
        self._waiting = waiting
        self._call = _hook(bus, declaration)
        self._one_by_one = ordered and declaration.send_burst is None

    def send(
        self, signals: t.Sequence[Signal], queues: t.Sequence[int] = ()
    ) -> Outcome:
        """Send *signals* and return what became of them.

        :param queues: for each signal, the number of its queue, if they have any: none
            is sent before those of its queue in front of it are confirmed.
        :raises NoBrokerError: if no plugin sends this model.
        :raises SignalModelError: if its sender says that the model is misdeclared.
        """
        if queues:
            return send_in_waves(self._at_once, signals, queues)
        return (self._in_order if self._one_by_one else self._at_once)(signals)

    def _in_order(self, signals: t.Sequence[Signal]) -> Outcome:
        for position, signal in enumerate(signals):
            outcome = self._at_once([signal])
            if outcome is not ALL_SENT:
                return _cut_off(outcome, position, len(signals))
        return ALL_SENT

    def _at_once(self, signals: t.Sequence[Signal]) -> Outcome:
        try:
            answer = self._ask(signals)
        except PartialDeliveryError as error:
            return _partial(self._bus, error, len(signals))
        except SignalModelError:  # no signal of the model can be sent
            raise
        except Exception as error:  # noqa: BLE001 whatever a sender raises is its answer
            return _cut_short(error, signals) or _failed(self._bus, error, len(signals))
        if answer is None:
            raise no_broker(self._bus, self._declaration)
        if answer is not True:
            wrong = _bad_answer(self._declaration, answer)
            return _failed(self._bus, wrong, len(signals))
        return ALL_SENT

    def _ask(self, signals: t.Sequence[Signal]) -> object:
        """Call the sender, for as long as it may take."""
        with self._waiting(self._declaration.sender) as timeout:
            return self._call(
                bus=self._bus,
                model=self._declaration.model,
                signals=signals,
                timeout=timeout,
            )


def is_unavailable(bus: Bus, error: BaseException) -> bool:
    """Return whether *error* means that the broker is unavailable: ask the plugins."""
    if isinstance(error, PartialDeliveryError) and not isinstance(error, UNAVAILABLE):
        return any(is_unavailable(bus, reason) for reason in error.failures.values())
    hook = bus.plugin_manager.hook.signalbus_is_unavailable_error
    return hook(error=error) is True


@hookimpl(trylast=True)
def signalbus_is_unavailable_error(error: BaseException) -> bool | None:
    """Know the errors of signalbus, and those of the network.

    Not every ``OSError`` is one: a missing file is, and so is what HTTP libraries raise
    for a status of 400.
    """
    if isinstance(error, UNAVAILABLE):
        return True
    if not isinstance(error, OSError):
        return None
    reason = getattr(error, "reason", None)  # urllib wraps the network's error
    if isinstance(reason, OSError) and reason is not error:
        return signalbus_is_unavailable_error(reason)
    return True if error.errno in UNREACHABLE else None


@hookimpl(trylast=True)
def signalbus_send_burst(
    bus: Bus,
    model: SignalModel,
    signals: t.Sequence[Signal],
    timeout: float | None,  # noqa: ARG001 the methods do not take it
) -> bool | None:
    """Send by the model's own methods, if it has any."""
    declaration = bus.declaration(model)
    if declaration.send_one is None:
        return None
    if declaration.send_burst is None:
        _send_one_by_one(bus, declaration.send_one, signals)
    else:
        declaration.send_burst(signals)
    return True


def _send_one_by_one(
    bus: Bus,
    send_one: t.Callable[[Signal], object],
    signals: t.Sequence[Signal],
) -> None:
    """Send each signal, whatever happens to the others, while there is a broker."""
    failures: dict[int, Exception] = {}
    for position, signal in enumerate(signals):
        try:
            send_one(signal)
        except Exception as error:  # noqa: BLE001 one signal never stops the others
            failures[position] = error
            if is_unavailable(bus, error):
                failures.update(dict.fromkeys(range(position, len(signals)), error))
                break
        except BaseException as error:
            setattr(error, PROGRESS, (signals, position, failures))
            raise
    if failures:
        raise PartialDeliveryError(failures)


def _cut_short(error: Exception, signals: t.Sequence[Signal]) -> Outcome | None:
    """Return what became of *signals* that were sent one by one, up to an exit.

    In an autoflush, a sender that exits fails its own signal. Those in front of it are
    settled, and those behind it were not tried. ``None`` if *error* is something else.
    """
    progress = getattr(error.__cause__, PROGRESS, None)
    if progress is None:
        return None
    delattr(error.__cause__, PROGRESS)
    sent, position, failures = progress
    if sent is not signals:
        return None
    behind = range(position + 1, len(signals))
    return Outcome({**failures, position: error}, unknown=error, doubtful=behind)


def _hook(bus: Bus, declaration: Declaration) -> t.Callable[..., object]:
    """Return the hook; for a model that has send methods of its own, without brokers.

    So a plugin that sends everything cannot take such a model over, in whatever order
    plugins were registered. Wrappers see every burst; without any, nothing is left of
    the hook but the core's own implementation.
    """
    manager = bus.plugin_manager
    hook = manager.hook.signalbus_send_burst
    if declaration.broker is not None:
        return hook
    plain = plugins.plain_implementations(hook)
    if len(plain) == len(hook.get_hookimpls()):
        return signalbus_send_burst
    brokers = [
        each.plugin for each in plain if each.function is not signalbus_send_burst
    ]
    return manager.subset_hook_caller("signalbus_send_burst", brokers)


def _partial(bus: Bus, error: PartialDeliveryError, count: int) -> Outcome:
    """Believe a sender that names its failures, if they can be in the burst."""
    positions = error.failures.keys()
    if not positions or not all(position in range(count) for position in positions):
        return _failed(bus, error, count)
    failures = {at: _as_error(reason) for at, reason in error.failures.items()}
    untried = [at for at, each in failures.items() if is_unavailable(bus, each)]
    if not untried:
        return Outcome(failures=failures)
    unavailable = failures[untried[0]]
    for position in untried:
        del failures[position]
    return Outcome(failures, frozenset(untried), unavailable)


def _as_error(reason: object) -> Exception:
    """Return *reason*, which a sender may have given as a mere text."""
    return reason if isinstance(reason, Exception) else SignalBusError(str(reason))


def _cut_off(outcome: Outcome, position: int, count: int) -> Outcome:
    """Return the outcome of a burst that ended with its signal at *position*."""
    if outcome.unavailable:
        return Outcome({}, range(position, count), outcome.unavailable)
    return Outcome({position: outcome.failures[0]}, range(position + 1, count))


def _failed(bus: Bus, error: Exception, count: int) -> Outcome:
    if is_unavailable(bus, error):
        return Outcome(untried=range(count), unavailable=error)
    if count == 1:
        return Outcome(failures={0: error})
    return Outcome(unknown=error, doubtful=range(count))


def no_broker(bus: Bus, declaration: Declaration) -> NoBrokerError:
    """Return the error that no plugin is the broker which a model names."""
    names = plugins.broker_names(bus.plugin_manager)
    close = difflib.get_close_matches(declaration.broker or "", names, 1)
    remedy = (
        f"Did you mean {close[0]!r}?"
        if close
        else "Install the broker's plugin, or correct signalbus_broker."
    )
    return NoBrokerError(
        f"The signal model {declaration.model.__name__} names the broker"
        f" {declaration.broker!r}, but no installed plugin has that name. Installed"
        f" brokers: {', '.join(names) or 'none'}. {remedy}"
    )


def _bad_answer(declaration: Declaration, answer: object) -> SignalBusError:
    return SignalBusError(
        f"A plugin returned {answer!r} for a burst of {declaration.model.__name__}."
        " It must return True or None, or raise an error."
    )
