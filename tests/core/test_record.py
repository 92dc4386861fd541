"""A signal is recorded if, and only if, its transaction commits."""

from __future__ import annotations

import gc
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel


@pytest.mark.databases
def test_committed_signal_is_sent_and_deleted(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A commit sends the signals that it recorded, and deletes their rows."""
    db.session.add(greeting(text="hello"))
    db.session.commit()

    assert ["hello"] == wire.sent
    assert [] == pending(greeting)


def test_nothing_is_sent_before_the_commit(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A flush of the session sends nothing."""
    db.session.add(greeting(text="hello"))
    db.session.flush()

    assert [] == wire.attempts


def test_many_signals_of_many_models_are_sent(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any
) -> None:
    """A transaction may record any number of signals, of any number of models."""
    first, second = new_model("First"), new_model("Second", form="row")
    db.session.add_all([first(text="a"), second(text="b"), first(text="c")])
    db.session.commit()

    assert ["a", "b", "c"] == sorted(wire.sent)


@pytest.mark.databases
def test_rollback_takes_its_signals(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A transaction that is rolled back records nothing, for later commits neither."""
    db.session.add(greeting(text="lost"))
    db.session.flush()
    db.session.rollback()
    db.session.add(greeting(text="kept"))
    db.session.commit()

    assert ["kept"] == wire.sent
    assert [] == pending(greeting)


def test_closed_session_records_nothing(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A session that is closed before its commit takes its signals with it."""
    db.session.add(greeting(text="lost"))
    db.session.flush()
    db.session.remove()
    db.session.commit()

    assert [] == wire.attempts
    assert [] == pending(greeting)


def test_failed_flush_records_nothing(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """Signals that went down with an integrity error are forgotten."""
    db.session.add_all([greeting(id=1, text="x"), greeting(id=2, text="y")])
    db.session.flush()
    db.session.execute(sa.insert(greeting), {"id": 3, "text": "z"})
    db.session.add(greeting(id=3, text="clash"))
    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()
    db.session.rollback()
    db.session.commit()

    assert [] == wire.attempts
    assert [] == pending(greeting)


@pytest.mark.databases
def test_savepoint_rollback_takes_its_signals(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A savepoint that rolls back takes its signals, and no others, with it."""
    db.session.add(greeting(text="before"))
    with db.session.begin_nested() as savepoint:
        db.session.add(greeting(text="inside"))
        db.session.flush()
        savepoint.rollback()
    db.session.add(greeting(text="after"))
    db.session.commit()

    assert ["after", "before"] == sorted(wire.sent)
    assert [] == pending(greeting)


@pytest.mark.databases
def test_released_savepoint_keeps_its_signals(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """Signals of a savepoint that was released are sent at the outermost commit."""
    with db.session.begin_nested():
        db.session.add(greeting(text="inside"))
    assert [] == wire.attempts
    db.session.commit()

    assert ["inside"] == wire.sent


def test_outer_savepoint_rolls_inner_signals_back(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A released savepoint is undone when the savepoint around it rolls back."""
    db.session.add(greeting(text="kept"))
    with db.session.begin_nested() as outer:
        with db.session.begin_nested():
            db.session.add(greeting(text="inner"))
        outer.rollback()
    db.session.commit()

    assert ["kept"] == wire.sent


def test_inner_savepoint_rolls_back_alone(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A savepoint within a savepoint takes only its own signals."""
    with db.session.begin_nested():
        db.session.add(greeting(text="outer"))
        with db.session.begin_nested() as inner:
            db.session.add(greeting(text="inner"))
            inner.rollback()
    db.session.commit()

    assert ["outer"] == wire.sent


def test_exception_in_savepoint_takes_its_signals(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A savepoint block that raises is a savepoint that rolls back."""

    def fail_in_savepoint() -> None:
        with db.session.begin_nested():
            db.session.add(greeting(text="inside"))
            db.session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail_in_savepoint()
    db.session.commit()

    assert [] == wire.attempts


def test_deleted_signal_is_not_sent(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A signal that is deleted before the commit is not sent."""
    signal = greeting(text="hello")
    db.session.add(signal)
    db.session.flush()
    db.session.delete(signal)
    db.session.commit()

    assert [] == wire.attempts


def test_delete_in_rolled_back_savepoint_is_undone(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A signal whose deletion is rolled back with a savepoint is sent after all."""
    signal = greeting(text="hello")
    db.session.add(signal)
    db.session.flush()
    with db.session.begin_nested() as savepoint:
        db.session.delete(signal)
        db.session.flush()
        savepoint.rollback()
    db.session.commit()

    assert ["hello"] == wire.sent


def test_deleting_an_old_pending_signal_sends_nothing(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """A transaction that deletes a pending signal does not send it."""
    record(greeting, "old")
    db.session.delete(db.session.scalars(sa.select(greeting)).one())
    db.session.commit()

    assert [] == wire.attempts


def test_expunged_signal_is_never_recorded(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A signal that is expunged before it reached the database is gone."""
    signal = greeting(text="hello")
    db.session.add(signal)
    db.session.expunge(signal)
    db.session.commit()

    assert [] == wire.attempts
    assert [] == pending(greeting)


def test_signal_expunged_after_flush_is_not_flushed_automatically(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A commit does not send what was expunged, even if the row is there."""
    signal = greeting(text="hello")
    db.session.add(signal)
    db.session.flush()
    db.session.expunge(signal)
    db.session.commit()

    assert [] == wire.attempts
    assert ["hello"] == pending(greeting)


def test_merged_signal_is_sent(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A signal that comes into the session by a merge is sent, once."""
    db.session.merge(greeting(id=7, text="merged"))
    db.session.commit()

    assert ["merged"] == wire.sent


def test_changed_signal_is_sent_as_committed(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A signal that changes after it was flushed is sent as it was committed."""
    signal = greeting(text="draft")
    db.session.add(signal)
    db.session.flush()
    signal.text = "final"
    db.session.commit()

    assert ["final"] == wire.sent


def test_forgotten_instance_is_sent(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A signal is sent though nobody holds its instance at the commit."""
    db.session.add(greeting(text="hello"))
    db.session.flush()
    db.session.expire_all()
    gc.collect()
    db.session.commit()

    assert ["hello"] == wire.sent


def test_signal_added_while_the_session_flushes_is_sent(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """Signals that a listener of the session adds at the last moment count too."""

    def add_signal(session: sa_orm.Session, *rest: object) -> None:
        if not session.info.setdefault("added", False):
            session.info["added"] = True
            session.add(greeting(text="late"))

    sa.event.listen(db.session(), "before_commit", add_signal)
    db.session.commit()

    assert ["late"] == wire.sent


def test_second_commit_sends_nothing_again(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """Each commit sends only what it has recorded itself."""
    db.session.add(greeting(text="first"))
    db.session.commit()
    db.session.commit()
    db.session.add(greeting(text="second"))
    db.session.commit()

    assert [["first"], ["second"]] == wire.attempts


def test_sessions_do_not_mix(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """What one session rolls back does not touch what another one commits."""
    with db.session.session_factory() as kept, db.session.session_factory() as lost:
        lost.add(greeting(text="lost"))
        kept.add(greeting(text="kept"))
        lost.rollback()
        kept.commit()

    assert ["kept"] == wire.sent


def test_open_session_waits_for_its_own_commit(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """One session's commit does not send what another has not committed."""
    with db.session.session_factory() as early, db.session.session_factory() as late:
        late.add(greeting(text="late"))
        early.add(greeting(text="early"))
        early.commit()
        assert ["early"] == wire.sent
        late.commit()

    assert ["early", "late"] == wire.sent


@pytest.mark.databases
def test_threads_do_not_mix(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, background: t.Any
) -> None:
    """Every thread's commit sends its own signals, and nobody's are sent twice."""

    def work(number: int) -> None:
        for end in (db.session.rollback, db.session.commit):
            db.session.add(greeting(text=f"{number} {end.__name__}"))
            db.session.flush()
            end()

    for future in [background(work, number) for number in range(4)]:
        future.result()

    assert [f"{number} commit" for number in range(4)] == sorted(wire.sent)


def test_nested_app_contexts_do_not_mix(
    app: Flask, db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A commit in an inner app context leaves the outer context's signals alone."""
    db.session.add(greeting(text="outer"))
    with app.app_context():
        db.session.add(greeting(text="inner"))
        db.session.commit()
    assert ["inner"] == wire.sent
    db.session.commit()

    assert ["inner", "outer"] == wire.sent


def test_abandoned_app_context_records_nothing(
    app: Flask, db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """An app context that ends without a commit takes its signals with it."""
    with app.app_context():
        db.session.add(greeting(text="lost"))
        db.session.flush()
    db.session.commit()

    assert [] == wire.attempts
    assert [] == pending(greeting)


def test_request_records_like_any_context(
    app: Flask, db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """A view that commits has its signals sent when the response is there."""

    @app.post("/greetings")
    def greet() -> str:
        db.session.add(greeting(text="from a view"))
        db.session.commit()
        return "done"

    assert "done" == app.test_client().post("/greetings").text
    assert ["from a view"] == wire.sent


#: Ways to insert that the session's unit of work does not see.
PAST_THE_UNIT_OF_WORK: dict[str, t.Callable[[t.Any, SignalModel], object]] = {
    "bulk_save_objects": lambda session, model: session.bulk_save_objects(
        [model(text="a")]
    ),
    "bulk_insert_mappings": lambda session, model: session.bulk_insert_mappings(
        model, [{"text": "a"}]
    ),
    "insert": lambda session, model: session.execute(sa.insert(model), [{"text": "a"}]),
    "text": lambda session, model: session.execute(
        sa.text(f"INSERT INTO {model.__table__} (text) VALUES ('a')")  # noqa: S608 our own name
    ),
}


@pytest.mark.parametrize("way", PAST_THE_UNIT_OF_WORK)
def test_rows_inserted_past_the_unit_of_work_stay_for_a_flush(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, bus: t.Any, way: str
) -> None:
    """Autoflush does not see them; they are signals all the same, and a flush sends."""
    PAST_THE_UNIT_OF_WORK[way](db.session, greeting)
    db.session.commit()

    assert [] == wire.sent
    assert 1 == bus.flush()
    assert ["a"] == wire.sent
