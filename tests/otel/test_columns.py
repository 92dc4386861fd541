"""The columns that the mixins bring, and when they are filled."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from opentelemetry import trace
from signalbus.messages import MessageFactory
from signalbus_otel import Timed
from signalbus_otel import Traced
from signalbus_otel import current_traceparent

if t.TYPE_CHECKING:
    from conftest import Spans
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

CONTEXT = trace.SpanContext(0x11, 0x22, is_remote=True)
TRACEPARENT = f"00-{0x11:032x}-{0x22:016x}-00"


@pytest.mark.databases
def test_context_is_that_in_which_the_row_is_inserted(
    app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """Of the span that is current then, on each database."""
    with app.app_context():
        with trace.use_span(trace.NonRecordingSpan(CONTEXT)):
            db.session.add(model())
            db.session.commit()

        assert TRACEPARENT == db.session.scalar(sa.select(model.traceparent))


def test_without_a_span_there_is_no_context(
    app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """The columns are null."""
    with app.app_context():
        db.session.add(model())
        db.session.commit()
        row = db.session.execute(sa.select(model.traceparent, model.tracestate)).one()

    assert (None, None) == tuple(row)


def test_bulk_inserts_are_traced(
    app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """Whoever inserts, by SQLAlchemy."""
    with app.app_context(), trace.use_span(trace.NonRecordingSpan(CONTEXT)):
        db.session.execute(sa.insert(model), [{"text": "a"}, {"text": "b"}])
        db.session.commit()

        found = db.session.scalars(sa.select(model.traceparent)).all()

    assert [TRACEPARENT] * 2 == found


def test_long_state_of_vendors_is_left_out(
    app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """A signal is recorded whatever a vendor writes."""
    state = trace.TraceState([(f"v{number}", "x" * 200) for number in range(3)])
    context = trace.SpanContext(0x11, 0x22, is_remote=True, trace_state=state)
    with app.app_context(), trace.use_span(trace.NonRecordingSpan(context)):
        signal = model()
        db.session.add(signal)
        db.session.commit()

        assert (TRACEPARENT, None) == (signal.traceparent, signal.tracestate)


@pytest.mark.databases
def test_time_is_that_of_the_insert(
    app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """In UTC, with fractions of seconds."""
    before = dt.datetime.now(dt.timezone.utc)
    with app.app_context():
        db.session.add(model())
        db.session.commit()
        recorded = db.session.scalar(sa.select(model.recorded_at))
    if recorded.tzinfo is None:
        recorded = recorded.replace(tzinfo=dt.timezone.utc)

    assert before <= recorded <= dt.datetime.now(dt.timezone.utc)


@pytest.mark.parametrize("has_schemas", [False, True])
def test_columns_are_no_part_of_messages(
    has_schemas: bool,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """A mixin must not change what consumers get."""
    if has_schemas:
        pytest.importorskip("signalbus_marshmallow")
    else:
        monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "retry,marshmallow")
    model: SignalModel = request.getfixturevalue("model")
    bus: SignalBus = request.getfixturevalue("bus")
    bus.get_signal_models()

    body = json.loads(MessageFactory(model).body(model(id=1, text="a")))

    assert {"id": 1, "text": "a"} == body


def test_dataclass_declares_the_columns_itself(
    app: Flask,
) -> None:
    """SQLAlchemy takes no mixins into dataclasses that are none themselves."""

    class Base(sa_orm.DeclarativeBase):
        pass

    db = SQLAlchemy(app, model_class=Base)

    class Paid(sa_orm.MappedAsDataclass, db.Model):  # type: ignore[name-defined,misc]
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True, init=False)
        traceparent: sa_orm.Mapped[str | None] = sa_orm.mapped_column(
            insert_default=current_traceparent, init=False
        )

    with app.app_context(), trace.use_span(trace.NonRecordingSpan(CONTEXT)):
        db.create_all()
        db.session.add(Paid())
        db.session.commit()

        assert TRACEPARENT == db.session.scalar(sa.select(Paid.traceparent))


def test_models_may_inherit_them(app: Flask, db: SQLAlchemy, bus: SignalBus) -> None:
    """The columns are in the table of the base."""

    class Event(Traced, Timed, db.Model):  # type: ignore[name-defined,misc]
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        __mapper_args__: t.ClassVar = {
            "polymorphic_on": kind,
            "polymorphic_identity": "event",
        }

    class Paid(Event):
        id = sa.Column(sa.ForeignKey(Event.id), primary_key=True)
        __mapper_args__: t.ClassVar = {"polymorphic_identity": "paid"}

    assert {"id"} == set(Paid.__table__.c.keys())
    assert {"traceparent", "tracestate", "recorded_at"} < set(Event.__table__.c.keys())


def test_spans_of_an_sdk_are_recorded(
    spans: Spans, app: Flask, db: SQLAlchemy, model: SignalModel
) -> None:
    """Sampled ones say so."""
    with app.app_context(), spans.tracer.start_as_current_span("request") as span:
        signal = model()
        db.session.add(signal)
        db.session.commit()
        trace_id = f"{span.get_span_context().trace_id:032x}"

        assert trace_id == signal.traceparent.split("-")[1]
        assert int(signal.traceparent[-2:], 16) & trace.TraceFlags.SAMPLED
