"""Signals that a plugin holds back stay pending, and stop no others."""

from __future__ import annotations

import sqlite3
import threading
import typing as t

import freezer
import pytest
import sqlalchemy as sa
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]


class Freeze(t.Protocol):
    """What freezes the signals of a model that have some keys."""

    def __call__(self, model: SignalModel, *keys: int, blocks: bool = True) -> None:
        """Freeze them."""


class Holds:
    """Holds back some keys of every model, and keeps what it was asked."""

    def __init__(self, held: dict[PrimaryKey, bool] | None = None) -> None:
        """Hold back *held*; ``None`` if nothing is."""
        self.held = held
        self.models: list[SignalModel] = []
        self.keys: list[list[PrimaryKey]] = []

    @hookimpl
    def signalbus_held_back(
        self, bus: SignalBus, model: SignalModel, connection: sa.Connection
    ) -> t.Any:
        """Keep the model."""
        self.models.append(model)
        return None if self.held is None else self

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Keep the keys."""
        self.keys.append(list(keys))
        return {key: self.held[key] for key in keys if key in (self.held or {})}


@pytest.fixture
def freeze(bus: SignalBus, db: SQLAlchemy, app_ctx: object) -> Freeze:
    """Register the freezer, and freeze signals with ``freeze(model, *keys)``."""
    freezer.metadata.create_all(db.engine)
    bus.plugin_manager.register(freezer)

    def freeze_in_a_transaction(
        model: SignalModel, *keys: int, blocks: bool = True
    ) -> None:
        with db.engine.begin() as connection:
            for key in keys:
                freezer.freeze(connection, model, key, blocks=blocks)

    return freeze_in_a_transaction


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 2, 100])
@pytest.mark.parametrize("method", METHODS)
def test_hook_signalbus_held_back(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """What is held back stays; what is before, between and behind it is sent."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, *"abcdef")
    freeze(model, 2, 3, 6, blocks=False)

    assert 3 == getattr(bus, method)()
    assert ["a", "d", "e"] == wire.sent
    assert ["b", "c", "f"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 100])
def test_autoflush_leaves_what_is_held_back(
    db: SQLAlchemy,
    new_model: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """A commit does not send what is held back."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    freeze(model, 2)
    db.session.add_all(
        [model(id=1, text="a"), model(id=2, text="b"), model(id=3, text="c")]
    )
    db.session.commit()

    assert ["a", "c"] == wire.sent
    assert ["b"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_all_may_be_held_back(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    method: str,
) -> None:
    """A run that may send nothing sends nothing."""
    record(greeting, "a", "b")
    freeze(greeting, 1, 2)

    assert 0 == getattr(bus, method)()
    assert [] == wire.attempts


@pytest.mark.parametrize("method", METHODS)
def test_what_is_let_go_is_sent(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    method: str,
) -> None:
    """Each run asks again: what is no longer held back is sent."""
    record(greeting, "a", "b")
    freeze(greeting, 1)
    getattr(bus, method)()
    with db.engine.begin() as connection:
        freezer.thaw(connection, greeting)
    getattr(bus, method)()

    assert {greeting: 0} == bus.count_pending()


def test_what_is_held_back_is_counted(
    bus: SignalBus, greeting: SignalModel, record: t.Any, freeze: Freeze
) -> None:
    """A signal that is held back is pending."""
    record(greeting, "a", "b")
    freeze(greeting, 1)

    assert {greeting: 2} == bus.count_pending()


class Bells:
    """Rings when a burst failed."""

    def __init__(self) -> None:
        """Begin in silence."""
        self.rung: list[object] = []

    @hookimpl
    def signalbus_burst_failed(self, error: BaseException) -> None:
        """Keep the error."""
        self.rung.append(error)


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_what_is_held_back_is_not_an_error(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """Nothing is raised, reported or logged because of it."""
    bells = Bells()
    bus.plugin_manager.register(bells)
    record(greeting, "a", "b", "c")
    freeze(greeting, 2)
    caplog.clear()  # of what mappers of other tests say when all are configured
    getattr(bus, method)()

    assert [] == bells.rung
    assert [] == caplog.records


@pytest.mark.databases
def test_flush_does_not_wait_for_what_is_held_back(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    background: t.Any,
) -> None:
    """``wait`` is for signals that others are sending."""
    record(greeting, "a", "b")
    freeze(greeting, 1)
    token = StopToken()

    def flush() -> int:
        with token.active():
            return bus.flush(wait=3600)

    flushed = background(flush)
    try:
        assert 1 == flushed.result(timeout=30)
    finally:
        token.stop()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 5])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_held_back_costs_nothing(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    statements: list[tuple[str, str]],
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """A plugin that returns ``None`` adds no statement, but for its own."""

    class Asks(Holds):
        @hookimpl
        def signalbus_held_back(self, connection: sa.Connection) -> None:
            connection.execute(sa.text("SELECT 4711"))

    model = new_model(form=form, signalbus_burst_count=burst_count)

    def executed() -> list[str]:
        record(model, *"abcdefg")
        statements.clear()
        getattr(bus, method)()
        return [text for text, _ in statements]

    executed()  # for the first time, which may differ
    without = executed()
    bus.plugin_manager.register(Asks())
    with_it = executed()

    assert ["SELECT 4711"] == [text for text in with_it if "4711" in text]
    assert without == [text for text in with_it if "4711" not in text]


@pytest.mark.databases
def test_nothing_held_back_costs_a_commit_nothing(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    statements: list[tuple[str, str]],
) -> None:
    """Autoflush executes what it executes without the plugin."""
    model = new_model(form="row")

    def executed() -> list[str]:
        db.session.add(model(text="a"))
        db.session.flush()
        statements.clear()
        db.session.commit()
        return [text for text, _ in statements]

    executed()  # for the first time, which may differ
    without = executed()
    bus.plugin_manager.register(Holds())

    assert without == executed()


class Settles:
    """Lets no row be deleted before it is settled, as plugins do that hold back."""

    @hookimpl
    def signalbus_burst_settled(self) -> None:
        """Write nothing."""


class Looks(Holds):
    """Holds nothing back, and executes a statement to find that out."""

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Execute it."""
        connection.execute(sa.text("SELECT 4711"))
        return super().among(connection, keys)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize(("burst_count", "bursts"), [(1, 7), (5, 2)])
@pytest.mark.parametrize("method", METHODS)
def test_plugin_that_finds_nothing_costs_what_it_executes(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    statements: list[tuple[str, str]],
    form: str,
    burst_count: int,
    bursts: int,
    method: str,
) -> None:
    """It is asked once for each burst, and everything else is as without it."""
    bus.plugin_manager.register(Settles())
    model = new_model(form=form, signalbus_burst_count=burst_count)

    def executed() -> list[str]:
        record(model, *"abcdefg")
        statements.clear()
        getattr(bus, method)()
        return [text for text, _ in statements]

    executed()  # for the first time, which may differ
    without = executed()
    bus.plugin_manager.register(Looks({}))
    with_it = executed()

    assert bursts == sum("4711" in text for text in with_it)
    assert without == [text for text in with_it if "4711" not in text]


@pytest.mark.databases
def test_plugin_that_finds_nothing_costs_a_commit_what_it_executes(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    statements: list[tuple[str, str]],
) -> None:
    """Autoflush of one signal asks once."""
    bus.plugin_manager.register(Settles())
    model = new_model(form="row")

    def executed() -> list[str]:
        db.session.add(model(text="a"))
        db.session.flush()
        statements.clear()
        db.session.commit()
        return [text for text, _ in statements]

    executed()  # for the first time, which may differ
    without = executed()
    bus.plugin_manager.register(Looks({}))
    with_it = executed()

    assert 1 == sum("4711" in text for text in with_it)
    assert without == [text for text in with_it if "4711" not in text]


class Freezes(Holds):
    """Freezes a signal, in another connection, when it is asked about keys."""

    def __init__(
        self, engine: sa.Engine, model: SignalModel, key: int, *, asked: int = 0
    ) -> None:
        """Freeze the signal of *model* that has this *key* when *asked* so often."""
        super().__init__({})
        self.engine = engine
        self.signal = (model, key)
        self.asked = asked

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Freeze it, once."""
        if len(self.keys) == self.asked:
            with self.engine.begin() as other:
                freezer.freeze(other, *self.signal, blocks=False)
        return super().among(connection, keys)


@pytest.mark.databases("postgresql", "mariadb")  # SQLite lets nobody in between
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_held_back_just_before_it_is_locked_is_not_sent(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """The plugins see what another process commits before they are asked."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a", "b", "c")
    freeze(model, 4711)  # so that the freezer does not return ``None``
    bus.plugin_manager.register(Freezes(db.engine, model, 1))

    assert 2 == getattr(bus, method)()
    assert ["b", "c"] == wire.sent
    assert ["a"] == pending(model)


class FreezesLate(Freezes):
    """Does so after the other plugins were asked."""

    @hookimpl(trylast=True)
    def signalbus_held_back(self) -> t.Any:
        """Return itself, as the last one."""
        return self


@pytest.mark.databases("postgresql", "mariadb")  # SQLite lets nobody in between
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_held_back_after_keys_were_read_ahead_is_not_sent(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """The plugins are asked again, now that the rows are locked."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "held", "a", "b", "c")
    freeze(model, 1, blocks=False)
    late = FreezesLate(db.engine, model, 3, asked=1)
    bus.plugin_manager.register(late)

    assert 2 == getattr(bus, method)()
    assert ["a", "c"] == wire.sent
    assert (3,) in late.keys[1]


@pytest.fixture
def begun() -> t.Iterator[list[sa.Connection]]:
    """Keep the connection of every transaction that any engine begins."""
    kept: list[sa.Connection] = []

    def keep(connection: sa.Connection) -> None:
        kept.append(connection)

    sa.event.listen(sa.Engine, "begin", keep)
    yield kept
    sa.event.remove(sa.Engine, "begin", keep)


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_signals_that_are_held_back_have_no_transactions_of_their_own(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    begun: list[sa.Connection],
    method: str,
) -> None:
    """A burst finds one, and its followers are passed over 1,000 at a time."""
    bus.plugin_manager.register(Holds({(key,): False for key in range(1, 3001)}))
    record(greeting, *["a"] * 3001)
    begun.clear()

    assert 1 == getattr(bus, method)()
    assert len(begun) < 12


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_keys_are_read_ahead_only_while_some_are_held_back(
    bus: SignalBus, new_model: t.Any, record: t.Any, method: str
) -> None:
    """Behind a window without any, a burst is asked about when it is locked."""
    plugin = Holds({(7,): False})
    bus.plugin_manager.register(plugin)
    record(new_model(form="row", signalbus_burst_count=100), *["a"] * 2500)

    assert 2499 == getattr(bus, method)()
    assert [100, 1000, *[100] * 24] == [len(keys) for keys in plugin.keys]


@pytest.mark.parametrize("method", METHODS)
def test_windows_are_larger_while_all_of_their_signals_are_held_back(
    bus: SignalBus, greeting: SignalModel, record: t.Any, method: str
) -> None:
    """Behind a window that has a signal to send, they are small again."""
    plugin = Holds({(key,): False for key in range(1, 9002) if key != 3001})
    bus.plugin_manager.register(plugin)
    record(greeting, *["a"] * 9001)

    assert 1 == getattr(bus, method)()
    assert [1, 1000, 4000, 1, 1000, 3000] == [len(keys) for keys in plugin.keys]


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("burst_count", [1, 10])
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("method", ["flush", "flushordered"])
def test_nobody_waits_for_what_is_locked_and_held_back(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    held: t.Any,
    background: t.Any,
    wire: t.Any,
    burst_count: int,
    blocks: bool,
    method: str,
) -> None:
    """Somebody who keeps a row locked that is held back stops nobody."""
    model = new_model(signalbus_burst_count=burst_count)
    record(model, *"abcd")
    freeze(model, 3, blocks=blocks)
    token = StopToken()

    def flush() -> int:
        with token.active():
            return bus.flush(wait=3600) if method == "flush" else bus.flushordered()

    with held(model, "c"):
        flushed = background(flush)
        try:
            flushed.result(timeout=30)
        finally:
            token.stop()

    ends = blocks and method == "flushordered"
    assert (["a", "b"] if ends else ["a", "b", "d"]) == wire.sent


class Rings:
    """Rings when some bursts have been sent."""

    def __init__(self, bursts: int) -> None:
        """Ring after so many *bursts*."""
        self.left = bursts
        self.rung = threading.Event()

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Count down."""
        self.left -= 1
        if not self.left:
            self.rung.set()


@pytest.mark.databases("postgresql", "mariadb")
def test_flush_waits_for_what_others_send_among_keys_that_were_read_ahead(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    held: t.Any,
    background: t.Any,
    wire: t.Any,
) -> None:
    """A signal that is locked, and not held back, is sent when it is free."""
    record(greeting, *"abcd")
    freeze(greeting, 1)
    rings = Rings(2)
    bus.plugin_manager.register(rings)
    with held(greeting, "c"):
        flushed = background(bus.flush, wait=60)
        assert rings.rung.wait(30)

    assert 3 == flushed.result(timeout=30)
    assert ["b", "d", "c"] == wire.sent


def test_passing_over_signals_that_are_held_back_can_be_stopped(
    bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """A process that is told to stop reads no further window."""
    token = StopToken()

    class Stops(Holds):
        def among(self, connection: sa.Connection, keys: t.Any) -> t.Any:
            if len(keys) > 1:
                token.stop()
            return super().among(connection, keys)

    plugin = Stops({(key,): False for key in range(1, 5001)})
    bus.plugin_manager.register(plugin)
    record(greeting, *["a"] * 5000)
    with token.active():
        bus.flushmany()

    assert [1, 1000] == [len(keys) for keys in plugin.keys]


def test_window_is_read_again_if_the_database_fails_in_passing(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """No key of it is lost."""

    class Unlucky(Holds):
        def among(self, connection: sa.Connection, keys: t.Any) -> t.Any:
            held = super().among(connection, keys)
            if len(self.keys) == 2:
                locked = sqlite3.OperationalError("database is locked")
                raise sa.exc.OperationalError("SELECT", {}, locked)
            return held

    plugin = Unlucky({(1,): False})
    bus.plugin_manager.register(plugin)
    record(greeting, "held", "a", "b")

    assert 2 == bus.flushmany()
    assert ["a", "b"] == wire.sent
    assert [[(1,)], [(2,), (3,)], [(2,), (3,)]] == plugin.keys[:3]


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 2, 100])
def test_flushordered_ends_at_a_signal_that_holds_back_others(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
    burst_count: int,
) -> None:
    """Nothing overtakes it: what is behind it in the order stays."""
    model = new_model(signalbus_burst_count=burst_count)
    record(model, *"abcde")
    freeze(model, 3, blocks=True)

    assert 2 == bus.flushordered()
    assert ["a", "b"] == wire.sent
    assert ["c", "d", "e"] == pending(model)


def test_flushordered_ends_at_a_key_that_was_read_ahead(
    bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """It reads no further keys."""
    plugin = Holds({(1,): False, (5,): True})
    bus.plugin_manager.register(plugin)
    record(greeting, *["a"] * 1500)

    assert 3 == bus.flushordered()
    assert [1, 1000, 1, 1, 1] == [len(keys) for keys in plugin.keys]


def test_flushordered_ends_amid_keys_that_were_read_ahead(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """Nothing is sent behind a signal that has been held back since."""

    class Late(Holds):
        def among(self, connection: sa.Connection, keys: t.Any) -> t.Any:
            held = super().among(connection, keys)
            if len(keys) > 1:
                self.held = {(1,): False, (3,): True}
            return held

    bus.plugin_manager.register(Late({(1,): False}))
    record(greeting, *"abcde")

    assert 1 == bus.flushordered()
    assert ["b"] == wire.sent


@pytest.mark.parametrize("burst_count", [1, 100])
def test_flushordered_goes_on_with_other_models(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    burst_count: int,
) -> None:
    """A signal that is held back ends its own model."""
    first = new_model("First", signalbus_burst_count=burst_count)
    second = new_model("Second")
    record(first, "a", "b")
    record(second, "c")
    freeze(first, 1, blocks=True)

    assert 1 == bus.flushordered()
    assert ["c"] == wire.sent


@pytest.mark.parametrize("descending", [True, False])
def test_flushordered_ends_in_its_own_order(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    descending: bool,
) -> None:
    """What is behind a signal is so by ``signalbus_order_by``."""
    key = sa.Column(sa.Integer, primary_key=True)
    order = key.desc() if descending else key.asc()
    model = new_model(id=key, signalbus_order_by=(order,), signalbus_burst_count=2)
    record(model, *"abcde")
    freeze(model, 4, blocks=True)
    bus.flushordered()

    assert (["e"] if descending else ["a", "b", "c"]) == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 100])
@pytest.mark.parametrize("method", METHODS)
def test_many_in_front_are_passed_over(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    burst_count: int,
    method: str,
) -> None:
    """However many are held back, what is behind them is sent."""
    model = new_model(form="row", signalbus_burst_count=burst_count)
    record(model, *["held"] * 1200, "a", "b", "c")
    freeze(model, *range(1, 1201), blocks=False)

    assert 3 == getattr(bus, method)()
    assert ["a", "b", "c"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_several_plugins_hold_back(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any, method: str
) -> None:
    """What any plugin holds back is held back; some may hold back nothing."""
    for held in [{(1,): False}, None, {(3,): False}, {}]:
        bus.plugin_manager.register(Holds(held))
    record(greeting, *"abcd")

    assert 2 == getattr(bus, method)()
    assert ["b", "d"] == wire.sent


@pytest.mark.parametrize("first", [True, False])
def test_signal_blocks_if_any_plugin_says_so(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any, first: bool
) -> None:
    """Of two plugins that hold back a signal, the stricter one decides."""
    for blocks in [first, not first]:
        bus.plugin_manager.register(Holds({(2,): blocks}))
    record(greeting, *"abc")
    bus.flushordered()

    assert ["a"] == wire.sent


@pytest.mark.parametrize("method", METHODS)
def test_plugin_is_asked_once_for_each_model_of_a_run(
    bus: SignalBus, new_model: t.Any, record: t.Any, method: str
) -> None:
    """What it returns holds for the run; models that are not flushed are left out."""
    plugin = Holds({})
    bus.plugin_manager.register(plugin)
    first, second, _ = new_model("First"), new_model("Second"), new_model("Third")
    for model in [first, second]:
        record(model, *"abcde")
    getattr(bus, method)([first, second])

    assert [first, second] == plugin.models


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_keys_are_asked_about_when_they_are_locked(
    bus: SignalBus, new_model: t.Any, record: t.Any, burst_count: int, method: str
) -> None:
    """Each key is a tuple, no key is missing, and none is asked about twice."""
    plugin = Holds({})
    bus.plugin_manager.register(plugin)
    record(new_model(signalbus_burst_count=burst_count), "a", "b", "c")
    getattr(bus, method)()

    assert [(1,), (2,), (3,)] == [key for keys in plugin.keys for key in keys]


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", METHODS)
def test_composite_keys_are_held_back(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    form: str,
    method: str,
) -> None:
    """A key has the values of all columns of the primary key, in their order."""
    model = new_model(
        form=form,
        signalbus_burst_count=10,
        signalbus_autoflush=False,
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        part=sa.Column(sa.String(10), primary_key=True),
    )
    db.session.add_all([model(id=1, part=part, text=part) for part in "abc"])
    db.session.commit()
    bus.plugin_manager.register(Holds({(1, "b"): False}))

    assert 2 == getattr(bus, method)()
    assert ["a", "c"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_models_that_are_deleted_by_the_session_are_held_back(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
    method: str,
) -> None:
    """It makes no difference how the rows of a model are deleted."""
    model = new_model(signalbus_burst_count=10)
    sa.event.listen(model, "before_delete", lambda *_: None)
    record(model, "a", "b", "c")
    freeze(model, 2, blocks=False)

    assert 2 == getattr(bus, method)()
    assert ["a", "c"] == wire.sent
    assert ["b"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_what_a_plugin_writes_when_asked_is_rolled_back(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    record: t.Any,
    freeze: Freeze,
    method: str,
) -> None:
    """The connection is for looking things up."""

    class Writes(Holds):
        @hookimpl
        def signalbus_held_back(
            self, model: SignalModel, connection: sa.Connection
        ) -> None:
            freezer.freeze(connection, model, 4711)

    bus.plugin_manager.register(Writes())
    record(greeting, "a", "b")

    assert 2 == getattr(bus, method)()
    with db.engine.connect() as connection:
        assert [] == connection.execute(sa.select(freezer.frozen)).all()


@pytest.mark.databases
def test_one_by_one_leaves_what_is_held_back(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    freeze: Freeze,
    wire: t.Any,
    pending: t.Any,
) -> None:
    """A burst that failed is sent again without what is held back."""
    model = new_model(burst=True, signalbus_burst_count=10)
    record(model, "a", "bad", "held", "b")
    freeze(model, 3)
    wire.failures["bad"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["a", "b"] == sorted(wire.sent)
    assert ["bad", "held"] == pending(model)


class Fails(Holds):
    """Fails at once, or when it is asked about keys, for one model."""

    def __init__(self, model: SignalModel, *, at_once: bool) -> None:
        """Fail for *model*."""
        super().__init__({})
        self.model = model
        self.at_once = at_once

    @hookimpl
    def signalbus_held_back(self, model: SignalModel) -> t.Any:
        """Raise at once, or return itself."""
        if model is self.model and self.at_once:
            raise LookupError("no list")
        return self if model is self.model else None

    def among(self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> t.Any:
        """Raise."""
        raise LookupError("no list")


@pytest.mark.databases
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_plugin_that_raises_keeps_its_model(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    pending: t.Any,
    at_once: bool,
    method: str,
) -> None:
    """Nothing of the model is sent, the other models are, and the error is raised."""
    first, second = new_model("First", signalbus_burst_count=2), new_model("Second")
    bus.plugin_manager.register(Fails(first, at_once=at_once))
    record(first, "a", "b")
    record(second, "c")
    with pytest.raises(SignalBusError, match="LookupError: no list"):
        getattr(bus, method)()

    assert ["c"] == wire.sent
    assert ["a", "b"] == pending(first)


@pytest.mark.parametrize("at_once", [True, False])
def test_plugin_that_raises_fails_no_commit(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
    at_once: bool,
) -> None:
    """Autoflush logs the error, and leaves the signals."""
    bus.plugin_manager.register(Fails(greeting, at_once=at_once))
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert ["a"] == pending(greeting)
    assert "no list" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_broker_that_is_back_is_tried_with_what_may_be_sent(
    bus: SignalBus,
    new_model: t.Any,
    new_broker: t.Any,
    record: t.Any,
    freeze: Freeze,
    method: str,
) -> None:
    """The one signal that tries a broker is not one that is held back."""
    wire = new_broker("pigeons").wire
    wire.cut = ConnectionError("reset")
    model = new_model(form="pigeons", signalbus_burst_count=10)
    record(model, *"abcd")
    freeze(model, 1, blocks=False)
    with pytest.raises(ConnectionError):
        getattr(bus, method)()
    wire.cut = None

    assert 3 == getattr(bus, method)()
    assert ["b", "c", "d"] == wire.sent


def test_autoflush_tries_a_broker_with_what_may_be_sent(
    db: SQLAlchemy,
    new_model: t.Any,
    new_broker: t.Any,
    freeze: Freeze,
    clock: t.Any,
) -> None:
    """So it is for a commit."""
    wire = new_broker("pigeons").wire
    wire.cut = ConnectionError("reset")
    model = new_model(form="pigeons", signalbus_burst_count=10)
    freeze(model, 2)
    db.session.add(model(id=1, text="a"))
    db.session.commit()
    clock.advance(31)
    wire.cut = None
    db.session.add_all([model(id=key, text=str(key)) for key in (2, 3, 4)])
    db.session.commit()

    assert ["3", "4"] == wire.sent


@pytest.mark.parametrize("answer", [None, [(1,)], {1: True}, {(99,): True}])
def test_junk_from_a_plugin_is_an_error(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any, answer: t.Any
) -> None:
    """What is not a mapping of the given keys holds everything back, and is named."""

    class Junk:
        @hookimpl
        def signalbus_held_back(self) -> t.Any:
            return self

        def among(self, connection: t.Any, keys: t.Any) -> t.Any:
            return answer

    bus.plugin_manager.register(Junk())
    record(greeting, "a")

    with pytest.raises(SignalBusError, match=r"Junk\.among\(\)"):
        bus.flushmany()
    assert ["a"] == pending(greeting)


def test_answer_that_holds_nothing_back_is_an_error(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """The error says what to return."""

    class Wrong:
        @hookimpl
        def signalbus_held_back(self) -> t.Any:
            return True

    bus.plugin_manager.register(Wrong())
    record(greeting, "a")

    with pytest.raises(SignalBusError, match="signalbus_held_back"):
        bus.flush()
    assert ["a"] == pending(greeting)


def test_plugin_that_fails_is_not_the_signals_fault(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """The model is left, and no signal of it counts as failed."""
    settled: list[object] = []

    class Broken:
        @hookimpl
        def signalbus_held_back(self) -> t.Any:
            return self

        def among(self, connection: t.Any, keys: t.Any) -> t.Any:
            raise KeyError("held")

        @hookimpl
        def signalbus_burst_settled(self, failed: t.Any) -> None:
            settled.append(failed)

    bus.plugin_manager.register(Broken())
    record(greeting, "a")
    for method in METHODS:
        with pytest.raises(
            SignalBusError, match=r"Broken\.among\(\).* failed: KeyError"
        ):
            getattr(bus, method)()

    assert [] == settled
    assert ["a"] == pending(greeting)
