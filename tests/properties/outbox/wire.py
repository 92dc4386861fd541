"""Where the signals are sent to: it fails as it is told, and remembers every call."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.testing import MemoryBroker
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The name of the broker plugin that uses the wire.
BROKER = "wire"


#: What is no ``Exception``: what a user types in the midst of it, and a sender that
#: ends the process.
ENDINGS = {"interrupt": KeyboardInterrupt, "exit": SystemExit}

#: The endings that an autoflush does not let out: then a signal has failed.
CONTAINED = {True: {"exit"}, "background": {"exit", "interrupt"}, False: set()}


@dataclasses.dataclass
class Call:
    """One call of a sender, and what it answered."""

    model: str
    numbers: list[int]
    texts: list[str]
    #: How many signals the broker has got, from the first one on, if it says nothing.
    delivered: set[int] = dataclasses.field(default_factory=set)
    confirmed: set[int] = dataclasses.field(default_factory=set)
    #: The signals that failed, as far as the sender said so.
    failed: set[int] = dataclasses.field(default_factory=set)
    is_unavailable: bool = False
    is_interrupted: bool = False

    @property
    def is_blind(self) -> bool:
        """Whether it failed without saying which of its signals got through."""
        said = self.confirmed | self.failed
        return not (self.is_unavailable or self.is_interrupted or said)


class Wire:
    """Where the models send to."""

    def __init__(self) -> None:
        """Begin with a wire that carries everything."""
        self.calls: list[Call] = []
        #: Signals whose number has one of these remainders fail.
        self.bad: set[int] = set()
        #: The senders that cannot be reached.
        self.cut: set[str] = set()
        #: What shall happen in some of the next calls, and at which position.
        self.plans: dict[int, tuple[str, int]] = {}
        #: The endings that do not come out.
        self.contained: set[str] = set()

    def clear(self) -> None:
        """Forget the calls, and the plans that have not come true."""
        self.calls = []
        self.plans = {}

    def repair(self) -> None:
        """Carry everything again."""
        self.clear()
        self.bad = set()
        self.cut = set()

    def is_bad(self, number: int) -> bool:
        """Return whether a signal with this number fails."""
        return number % 7 in self.bad

    def carry(self, model: str, sender: str, signals: t.Sequence[Signal]) -> Call:
        """Send *signals*, and return what became of them; raise if there is no wire."""
        call = self._begin(model, signals)
        kind, position = self.plans.get(len(self.calls), ("", 0))
        bad = {number for number in call.numbers if self.is_bad(number)}
        if kind == "fails":
            bad.add(call.numbers[position % len(signals)])
        if sender in self.cut:
            kind, position = "unavailable", 0
        if kind == "unavailable" or kind in ENDINGS:
            some = call.numbers[: position % (len(signals) + 1)]
            self._break(call, kind, some)
        call.confirmed = set(call.numbers) - bad
        call.failed = bad
        return call

    def carry_one(self, model: str, sender: str, signal: Signal) -> None:
        """Send a signal, or raise."""
        self.carry_blindly(model, sender, [signal])

    def carry_some(self, model: str, sender: str, signals: t.Sequence[Signal]) -> None:
        """Send what does not fail, and say what does."""
        call = self.carry(model, sender, signals)
        errors: dict[int, Exception] = {
            at: ValueError(f"{number} is bad")
            for at, number in enumerate(call.numbers)
            if number in call.failed
        }
        kind, position = self.plans.get(len(self.calls), ("", 0))
        if kind == "ends":
            first = position % len(signals)
            error = BrokerUnavailableError("cut off")
            errors.update(dict.fromkeys(range(first, len(signals)), error))
            call.confirmed -= set(call.numbers[first:])
            call.failed -= set(call.numbers[first:])
            call.is_unavailable = True
        call.delivered = set(call.confirmed)
        if errors:
            raise PartialDeliveryError(errors)

    def carry_blindly(
        self, model: str, sender: str, signals: t.Sequence[Signal]
    ) -> None:
        """Send up to the first that fails, and do not say which that is."""
        call = self.carry(model, sender, signals)
        if not call.failed:
            call.delivered = set(call.confirmed)
            return
        first = next(at for at, n in enumerate(call.numbers) if n in call.failed)
        call.delivered = set(call.numbers[:first])
        call.confirmed = set()
        if len(signals) > 1:
            call.failed = set()
        raise ValueError(f"{call.numbers[first]} is bad")

    def refuses(self, model: str, signal: Signal) -> bool:
        """Tell the memory broker whether it refuses *signal*, which it gets alone."""
        call = self._begin(model, [signal])
        kind, _ = self.plans.get(len(self.calls), ("", 0))
        if kind in ENDINGS and kind not in self.contained:
            self._break(call, kind, [])
        if kind == "fails" or self.is_bad(signal.number):
            call.failed = {signal.number}
        else:
            call.confirmed = call.delivered = {signal.number}
        return bool(call.failed)

    def _begin(self, model: str, signals: t.Sequence[Signal]) -> Call:
        numbers = [signal.number for signal in signals]
        call = Call(model, numbers, [signal.text for signal in signals])
        self.calls.append(call)
        return call

    def _break(self, call: Call, kind: str, delivered: list[int]) -> t.NoReturn:
        """Lose the confirms, and some of the messages."""
        call.delivered = set(delivered)
        if kind in ENDINGS:
            call.is_interrupted = kind not in self.contained
            if kind in self.contained and len(call.numbers) == 1:
                call.failed = set(call.numbers)
            raise ENDINGS[kind]
        call.is_unavailable = True
        raise BrokerUnavailableError("no wire")


class WireBroker:
    """A broker plugin that reports what fails, or does not, as the model says."""

    name = BROKER

    def __init__(self, wire: Wire) -> None:
        """Carry over *wire* what is meant for this broker."""
        self._wire = wire

    @hookimpl
    def signalbus_send_burst(
        self, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Send over the wire what is meant for this broker."""
        if getattr(model, "signalbus_broker", None) != self.name:
            return None
        carry = self._wire.carry_blindly if model.is_blind else self._wire.carry_some
        carry(model.__name__, self.name, signals)
        return True


def connect_memory(broker: MemoryBroker, wire: Wire, model: str) -> None:
    """Let *broker* refuse what *wire* refuses, and log there what it is given."""
    broker.refuse(lambda signal: wire.refuses(model, signal))
    broker.available = broker.name not in wire.cut
