"""Without its table, flushing works as before, and one error says what to run."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import MissingTableError
from signalbus_retry import discard
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]
FORMS = ["instance", "row", "burst", "partial", "broker"]
REMEDIES = ("flask db migrate", "flask db upgrade", "db.create_all()")


@pytest.fixture
def tableless(new_model: t.Any, execute: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a model in a database that has no table of failures."""

    def make(**attributes: t.Any) -> SignalModel:
        model: SignalModel = new_model(**attributes)
        execute("DROP TABLE signalbus_failure")
        return model

    return make


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> t.Callable[[], list[str]]:
    """Return the errors in the plugin's log."""
    return lambda: [
        each.getMessage() for each in caplog.records if each.name == "signalbus.retry"
    ]


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("form", "count"), [*zip(FORMS, [1, 9, 1, 9, 9], strict=True)])
def test_healthy_signals_are_sent(
    bus: SignalBus,
    tableless: t.Any,
    record: t.Any,
    wire: t.Any,
    pending: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """All of them, once, by every way of flushing."""
    model = tableless(form=form, signalbus_burst_count=count)
    record(model, "a", "b", "c")

    assert 3 == getattr(bus, method)()
    assert ["a", "b", "c"] == wire.sent
    assert [] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("form", FORMS)
def test_failing_signals_are_tried_by_every_run(
    bus: SignalBus,
    tableless: t.Any,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    pending: t.Any,
    form: str,
) -> None:
    """As without the plugin; the others go out once."""
    model = tableless(form=form, signalbus_burst_count=9)
    record(model, "a", "bad", "b")
    for _ in range(3):
        with pytest.raises(ValueError, match="boom"):
            bus.flush()

    assert ["a", "b"] == wire.sent
    assert ["bad"] == pending(model)
    assert 3 <= sum("bad" in texts for texts in wire.attempts)


@pytest.mark.databases
def test_autoflush_works(
    db: SQLAlchemy, tableless: t.Any, boom: t.Any, wire: t.Any, pending: t.Any
) -> None:
    """Neither the commit nor what can be sent suffers."""
    model = tableless()
    db.session.add_all([model(text="a"), model(text="bad")])
    db.session.commit()

    assert ["a"] == wire.sent
    assert ["bad"] == pending(model)


@pytest.mark.databases
def test_error_says_what_to_run(
    tableless: t.Any, record: t.Any, boom: t.Any, run: t.Any, told: t.Any
) -> None:
    """Once, however many runs there are."""
    record(tableless(), "a", "bad")
    for _ in range(3):
        run()
    (line,) = told()

    assert all(remedy in line for remedy in (*REMEDIES, "signalbus_failure"))


def test_error_is_said_again_after_ten_minutes(
    tableless: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    told: t.Any,
    clock: t.Any,
) -> None:
    """Whoever looks at the log later finds it."""
    record(tableless(), "bad")
    run()
    clock.advance(540)
    run()

    assert 1 == len(told())

    clock.advance(120)
    run()

    assert 2 == len(told())


def test_error_is_no_noise_of_others(
    tableless: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing else complains of the missing table."""
    record(tableless(), "bad")
    run()
    others = [each for each in caplog.records if each.name != "signalbus.retry"]

    assert not any("signalbus_failure" in each.getMessage() for each in others)


@pytest.mark.databases
def test_table_that_is_made_is_used(
    bus: SignalBus,
    db: SQLAlchemy,
    tableless: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    attempts: t.Any,
    clock: t.Any,
) -> None:
    """By a process that runs, within ten minutes, and with no restart."""
    record(tableless(), "bad")
    run()
    db.create_all()
    clock.advance(601)
    run()

    assert {1: (1, "waits")} == attempts()


@pytest.mark.databases
def test_table_that_is_lost_is_reported(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    execute: t.Any,
    told: t.Any,
    clock: t.Any,
) -> None:
    """A process that has used it goes on without it, from the second run at latest."""
    record(greeting, "bad")
    run()
    execute("DROP TABLE signalbus_failure")
    clock.advance(61)
    record(greeting, "a")
    run()
    run()

    assert ["a"] == wire.sent
    assert 1 == len(told())


def test_table_that_cannot_be_written_is_reported_once(
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    execute: t.Any,
    told: t.Any,
) -> None:
    """With the reason, such as a missing privilege, and not in each run."""
    execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON signalbus_failure"
        " BEGIN SELECT RAISE(ABORT, 'permission denied'); END"
    )
    record(greeting, "bad")
    for _ in range(3):
        run()
    (line,) = told()

    assert "permission denied" in line
    assert "grant SELECT, INSERT and DELETE" in line


@pytest.mark.databases
@pytest.mark.parametrize(
    "operation",
    [
        lambda bus, model: list(failures(bus)),
        lambda bus, model: replay(bus, [model]),
        lambda bus, model: park(bus, model, [(1,)]),
        lambda bus, model: discard(bus, [model]),
    ],
)
def test_functions_raise(
    bus: SignalBus, tableless: t.Any, record: t.Any, operation: t.Any
) -> None:
    """They can do nothing without it, and say what to run."""
    model = tableless()
    record(model, "a")
    with pytest.raises(MissingTableError) as caught:
        operation(bus, model)

    assert all(remedy in str(caught.value) for remedy in REMEDIES)
    assert "signalbus_failure" in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("failures",),
        ("failures", "--list"),
        ("show", "Greeting", "1"),
        ("replay", "Greeting"),
        ("park", "Greeting", "--key", "1"),
        ("discard", "Greeting", "--yes"),
    ],
)
def test_commands_say_it_in_a_line(
    tableless: t.Any, record: t.Any, flask: t.Any, arguments: tuple[str, ...]
) -> None:
    """The exit status is 1, and there is no traceback."""
    record(tableless(), "a")
    outcome = flask(*arguments)

    assert 1 == outcome.status
    assert 1 == outcome.err.count("\n")
    assert all(remedy in outcome.err for remedy in REMEDIES)


@pytest.mark.databases
def test_missing_table_of_the_model_is_still_told(
    bus: SignalBus, greeting: t.Any, execute: t.Any
) -> None:
    """Where the signals' own table is missing, the error is about that one."""
    execute("DROP TABLE greeting")
    with pytest.raises(MissingTableError, match="table greeting of"):
        bus.flush()


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app that has two databases."""
    return t.cast("Flask", new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url}))


@pytest.mark.databases
def test_error_names_the_database(
    new_model: t.Any,
    execute: t.Any,
    record: t.Any,
    run: t.Any,
    told: t.Any,
) -> None:
    """By its bind key; the default one has no name."""
    record(new_model("Here"), "a")
    record(new_model("There", __bind_key__="other"), "a")
    for bind in (None, "other"):
        execute("DROP TABLE signalbus_failure", bind)
    run()
    here, there = told()

    assert here.startswith("The table signalbus_failure cannot be used: ")
    assert there.startswith(
        "The table signalbus_failure in the database 'other' cannot be used: "
    )
