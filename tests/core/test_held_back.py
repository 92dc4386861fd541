"""Signals that a plugin holds back stay pending, and stop no others."""

from __future__ import annotations

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


class Freezes(Holds):
    """Freezes a signal, in another connection, when it is asked about keys."""

    def __init__(self, engine: sa.Engine, model: SignalModel, key: int) -> None:
        """Freeze the signal of *model* that has this *key*."""
        super().__init__({})
        self.engine = engine
        self.signal = (model, key)

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Freeze it, the first time."""
        if not self.keys:
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
    """What another process commits after the first look is seen by the second."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a", "b", "c")
    freeze(model, 4711)  # so that the freezer does not return ``None``
    bus.plugin_manager.register(Freezes(db.engine, model, 1))

    assert 2 == getattr(bus, method)()
    assert ["b", "c"] == wire.sent
    assert ["a"] == pending(model)


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
def test_keys_are_asked_about_before_and_after_they_are_locked(
    bus: SignalBus, new_model: t.Any, record: t.Any, burst_count: int
) -> None:
    """Both times, each key is a tuple, and no key is missing."""
    plugin = Holds({})
    bus.plugin_manager.register(plugin)
    record(new_model(signalbus_burst_count=burst_count), "a", "b", "c")
    bus.flushmany()
    keys = [key for keys in plugin.keys for key in keys]

    assert {(1,): 2, (2,): 2, (3,): 2} == {key: keys.count(key) for key in keys}


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
    with pytest.raises(LookupError, match="no list"):
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
