"""What the documents of the old libraries promise, by the old names."""

from __future__ import annotations

import json
import typing as t

from flask_signalbus import AtomicProceduresMixin
from flask_signalbus import DBSerializationError
from flask_signalbus import SignalBus
from flask_signalbus import SignalBusMixin
from flask_signalbus import get_models_to_flush
from flask_sqlalchemy import SQLAlchemy

if t.TYPE_CHECKING:
    import pytest
    from flask import Flask
    from flask.ctx import AppContext


class CustomSQLAlchemy(AtomicProceduresMixin, SignalBusMixin, SQLAlchemy):
    """The class that the documents tell one to make."""


def define(db: SQLAlchemy, **body: t.Any) -> type[t.Any]:
    """Define the signal model of the documents, with *body*, and its table."""

    class MySignal(db.Model):
        id = db.Column(db.Integer, primary_key=True, autoincrement=True)
        message_text = db.Column(db.Text, nullable=False)
        vars().update(body)

    db.create_all()
    return MySignal


def print_instance(self: t.Any) -> None:
    """Send a signal as the documents of Flask-SignalBus do."""
    print(type(self).__marshmallow_schema__.dumps(self))  # noqa: T201 their way


@classmethod
def print_row(cls: t.Any, obj: t.Any) -> None:
    """Send a signal as the documents of swpt_pythonlib do."""
    print(obj.id)  # noqa: T201 their way
    print(obj.message_text)  # noqa: T201 their way


def record(db: SQLAlchemy, model: type[t.Any], *texts: str) -> None:
    """Record signals in one transaction."""
    for text in texts:
        db.session.add(model(message_text=text))
    db.session.commit()


def test_a_signal_is_sent_and_deleted_after_the_commit(
    app: Flask, app_ctx: AppContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """All this happens automatically."""
    db = SQLAlchemy(app)
    SignalBus(db)
    model = define(db, send_signalbus_message=print_instance)
    record(db, model, "Message in a Bottle")

    expected = {"id": 1, "message_text": "Message in a Bottle"}
    assert expected == json.loads(capsys.readouterr().out)
    assert model.query.count() == 0


def test_signals_are_sent_in_their_order(
    app: Flask, app_ctx: AppContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """``signalbus_order_by`` may have columns of the class body, and ``db.desc``."""
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    text = db.Column("message_text", db.Text)
    model = define(
        db,
        message_text=text,
        signalbus_autoflush=False,
        signalbus_order_by=(db.desc(text),),
        send_signalbus_message=print_instance,
    )
    record(db, model, "a", "c", "b")

    assert bus.flushordered() == 3
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["message_text"] for line in lines] == ["c", "b", "a"]


def test_a_class_method_gets_the_values_of_the_columns(
    app: Flask, app_ctx: AppContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of swpt_pythonlib is flushed explicitly, and gets rows."""
    app.config["SIGNALBUS_AUTOFLUSH"] = False
    db = CustomSQLAlchemy(app)
    record(db, define(db, send_signalbus_message=print_row), "hello")

    assert capsys.readouterr().out == ""
    assert db.signalbus.flushmany() == 1
    assert capsys.readouterr().out == "1\nhello\n"


def test_models_are_found_by_name(
    app: Flask, app_ctx: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Invalid names are ignored with a warning."""
    db = CustomSQLAlchemy(app)
    model = define(db, send_signalbus_message=print_instance)

    assert get_models_to_flush(db.signalbus, ["MySignal", "Nobody"]) == [model]
    assert "Nobody" in caplog.text


def test_a_block_returns_what_the_function_returns(
    app: Flask, app_ctx: AppContext
) -> None:
    """``atomic`` wraps a function, and ``execute_atomic`` calls it."""
    db = CustomSQLAlchemy()
    db.init_app(app)

    @db.atomic
    def f() -> str:
        return "OK"

    assert f() == "OK"
    assert db.execute_atomic(f) == "OK"


def test_a_function_is_executed_again_after_a_race(
    app: Flask, app_ctx: AppContext
) -> None:
    """``DBSerializationError`` is the old name of a race that was lost."""
    db = CustomSQLAlchemy(app)
    tries = iter([DBSerializationError(), None])

    @db.atomic
    def f() -> str:
        error = next(tries)
        if error:
            raise error
        return "OK"

    assert f() == "OK"


def test_objects_are_expunged_after_a_block(app: Flask, app_ctx: AppContext) -> None:
    """No lazy loading is performed on them."""
    db = CustomSQLAlchemy(app)
    model = define(db)

    @db.execute_atomic
    def instance() -> t.Any:
        db.session.add(model(message_text="kept"))
        return model.query.one()

    assert instance not in db.session
    assert instance.message_text == "kept"
