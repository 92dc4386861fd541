"""`check`: what is wrong with the set-up of signal models, and what to do."""

from __future__ import annotations

import typing as t

import journal
import pytest
import sqlalchemy as sa
from signalbus import hookimpl
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

NO_TABLE = (
    "The table {} of the signal model {} is missing."
    " Run `flask db migrate` and `flask db upgrade`, or call db.create_all().\n"
)


NO_PLUGIN_TABLE = (
    "The table {}, which a plugin of signalbus keeps, is missing."
    " Run `flask db migrate` and `flask db upgrade`, or call db.create_all().\n"
)


@pytest.fixture(autouse=True)
def _without_tables_of_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off what has tables of its own, and is the subject of one test only."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "relay,retry")


class Checker:
    """A plugin that gives *answer* for each model, and keeps what it was asked."""

    name = "checker"

    def __init__(self, answer: t.Any) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []

    @hookimpl
    def signalbus_check(self, models: t.Sequence[SignalModel]) -> t.Any:
        """Answer, or raise the answer."""
        self.asked.append([model.__name__ for model in models])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_check_is_silent_if_nothing_is_wrong(office: Office, flask: Flask) -> None:
    """Then the exit status is 0, and nothing was sent."""
    office.record(office.Letter, "a")
    outcome = flask("check")

    assert (0, "", "") == (outcome.status, outcome.out, outcome.err)
    assert [] == office.sent


def test_check_prints_a_line_for_each_problem(office: Office, flask: Flask) -> None:
    """The exit status is 1, and nothing else is printed."""
    office.db.drop_all()
    outcome = flask("check")

    assert (1, "") == (outcome.status, outcome.err)
    assert outcome.out == "".join(
        NO_TABLE.format(name.lower(), name) for name in ("Letter", "Parcel")
    )


@pytest.mark.parametrize("arguments", [["Parcel"], ["-e", "Letter"]], ids=" ".join)
def test_names_choose_what_is_checked(
    office: Office, flask: Flask, arguments: list[str]
) -> None:
    """As those of flush do, and `--exclude`: plugins are asked about these."""
    checker = Checker([])
    office.bus.plugin_manager.register(checker)
    office.db.drop_all()

    assert NO_TABLE.format("parcel", "Parcel") == flask("check", *arguments).out
    assert [["Parcel"]] == checker.asked


def test_excluding_all_checks_nothing(office: Office, flask: Flask) -> None:
    """No model left is not the same as all models, nor as an app without any."""
    checker = Checker(["never asked"])
    office.bus.plugin_manager.register(checker)
    outcome = flask("check", "-e", "Letter", "-e", "Parcel")

    assert (0, "", "") == (outcome.status, outcome.out, outcome.err)
    assert [] == checker.asked


def test_only_unknown_names_are_an_error(office: Office, flask: Flask) -> None:
    """What is not checked must not look as if it were well."""
    outcome = flask("check", "Lettre")

    assert (2, "") == (outcome.status, outcome.out)
    assert "No signal model is called Lettre. Did you mean Letter?" in outcome.err


def test_plugins_add_problems(office: Office, flask: Flask) -> None:
    """Each is a line, once, whatever it has in it."""
    problems = ["Letter is torn.\nMend it.", "Parcel is wet. Dry it."]
    office.bus.plugin_manager.register(Checker([*problems, problems[0]]))
    outcome = flask("check")

    assert 1 == outcome.status
    assert "Letter is torn.\\nMend it.\nParcel is wet. Dry it.\n" == outcome.out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            LookupError("no such pigeon"),
            (
                "The plugin 'checker' failed in signalbus_check: LookupError: no such"
                " pigeon. Repair it, or uninstall its distribution.\n"
            ),
        ),
        (
            "wet",
            (
                "A plugin returned 'wet' from signalbus_check, so its problems are not"
                " known. It must return a list of texts.\n"
            ),
        ),
    ],
    ids=["error", "text"],
)
def test_broken_plugins_are_problems(
    office: Office, flask: Flask, answer: t.Any, says: str
) -> None:
    """What the others find is there all the same."""
    office.bus.plugin_manager.register(Checker(answer))
    office.db.drop_all()
    outcome = flask("check", "Letter")

    assert (1, "") == (outcome.status, outcome.err)
    assert says + NO_TABLE.format("letter", "Letter") == outcome.out


@pytest.mark.usefixtures("office")
def test_check_tells_a_missing_index_until_it_is_there(
    db: SQLAlchemy, flask: Flask
) -> None:
    """The line has what to paste."""

    class Moved(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        account: Mapped[int] = mapped_column("account_id")
        signalbus_broker = "memory"
        signalbus_ordering_key = "account"

        def send_signalbus_message(self) -> None:
            """Send nothing."""

    db.create_all()
    outcome = flask("check")

    assert 1 == outcome.status
    assert outcome.out.startswith("The table moved of the signal model Moved has no")
    assert (
        '`__table_args__ = (sa.Index("ix_moved_account_id", "account_id", "id"),)`'
        in outcome.out
    )

    sa.Index("ix_any", Moved.account, Moved.id).create(db.engine)

    assert (0, "") == (flask("check").status, flask("check").out)


@pytest.mark.databases
def test_check_tells_a_missing_table_of_a_plugin_until_it_is_there(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, flask: Flask
) -> None:
    """Signals are sent without it, so nobody else may notice."""
    bus.plugin_manager.register(journal)

    class Moved(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)

        def send_signalbus_message(self) -> None:
            """Send nothing."""

    Moved.__table__.create(db.engine)
    before = flask("check")
    db.create_all()
    after = flask("check")

    assert (1, NO_PLUGIN_TABLE.format("journal")) == (before.status, before.out)
    assert (0, "") == (after.status, after.out)


@pytest.mark.databases
def test_check_tells_a_missing_table_of_a_plugin_that_came_late(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, flask: Flask
) -> None:
    """Models have been mapped before it was registered."""

    class Moved(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)

        def send_signalbus_message(self) -> None:
            """Send nothing."""

    db.create_all()
    bus.plugin_manager.register(journal)

    assert NO_PLUGIN_TABLE.format("journal") == flask("check").out


class TestSecondDatabase:
    """Where the app has two."""

    @pytest.fixture
    def app(self, new_app: t.Any, engine_url: str, other_url: str) -> t.Any:
        """Give an app with a second database."""
        return new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})

    def test_tables_of_plugins_are_looked_for_in_each_database(
        self, db: SQLAlchemy, bus: SignalBus, app_ctx: object, flask: Flask
    ) -> None:
        """The line names it."""
        bus.plugin_manager.register(journal)

        class Moved(db.Model):
            __bind_key__ = "other"
            id: Mapped[int] = mapped_column(primary_key=True)

            def send_signalbus_message(self) -> None:
                """Send nothing."""

        Moved.__table__.create(db.engines["other"])

        assert flask("check").out.startswith(
            "The table journal of the database 'other', which a plugin of signalbus"
        )
