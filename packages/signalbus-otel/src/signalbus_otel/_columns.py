"""Mixins for signal models: the trace of a signal, and the time of its recording."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from opentelemetry import trace
from signalbus.tables import TIME

#: Keeps a column out of the bodies that the core and signalbus-marshmallow make.
_NOT_IN_BODY = {"signalbus_body": False}

#: The length that W3C Trace Context says should be supported.
_MAX_TRACESTATE = 512


def current_traceparent() -> str | None:
    """Return the current span as a W3C ``traceparent``, if there is a span.

    Use it as ``insert_default`` of a column that your model declares itself.
    """
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    trace_id = trace.format_trace_id(context.trace_id)
    span_id = trace.format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"


def current_tracestate() -> str | None:
    """Return the ``tracestate`` of the current span, unless it is too long."""
    state = trace.get_current_span().get_span_context().trace_state.to_header()
    return state if 0 < len(state) <= _MAX_TRACESTATE else None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


class Traced:
    """A signal model whose signals remember the trace in which they were recorded.

    It is a mixin: ``class OrderPaid(Traced, db.Model)``. It adds the nullable columns
    ``traceparent`` and ``tracestate``, in the format of W3C Trace Context. When the row
    is inserted, they are set from the current span; without one, they are null. Sending
    continues that trace, and the consumer may continue it, too. The columns are not
    part of the message's body.
    """

    @sa_orm.declared_attr
    def traceparent(cls) -> sa_orm.Mapped[str | None]:  # noqa: N805 a class method
        """Hold the trace and the span in which the signal was recorded."""
        return sa_orm.mapped_column(
            sa.String(55), insert_default=current_traceparent, info=_NOT_IN_BODY
        )

    @sa_orm.declared_attr
    def tracestate(cls) -> sa_orm.Mapped[str | None]:  # noqa: N805 a class method
        """Hold the data that vendors of tracing systems add."""
        return sa_orm.mapped_column(
            sa.String(_MAX_TRACESTATE),
            insert_default=current_tracestate,
            info=_NOT_IN_BODY,
        )


class Timed:
    """A signal model whose signals know when they were recorded.

    It is a mixin: ``class OrderPaid(Timed, db.Model)``. It adds the nullable column
    ``recorded_at``, which is set when the row is inserted, by the clock of that host.
    It makes known how old the oldest pending signal is, and how long each signal took
    to be confirmed. The column is not part of the message's body.
    """

    @sa_orm.declared_attr
    def recorded_at(cls) -> sa_orm.Mapped[dt.datetime | None]:  # noqa: N805 a class method
        """Hold the time at which the signal was recorded."""
        return sa_orm.mapped_column(TIME, insert_default=_now, info=_NOT_IN_BODY)
