"""`pending`: what is not sent yet, for people, for programs and for alarms."""

from __future__ import annotations

import json
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl
from signalbus.plugins import make_plugin_manager
from signalbus_cli import plugin

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

TABLE = """\
PENDING  WAITING  PARKED  MODEL
  1,234    1,100       1  Letter
      2        0       2  Parcel
  1,236    1,100       3  total
"""


class Counter:
    """A plugin that counts what it is told to, by the name of the model.

    :ivar asked: the models that it was asked about, at each call.
    """

    name = "counter"

    def __init__(self, **counts: t.Any) -> None:
        self._counts = counts
        self.asked: list[list[str]] = []

    @hookimpl(optionalhook=True)
    def signalbus_count_signals(
        self, bus: SignalBus, models: t.Sequence[SignalModel]
    ) -> t.Mapping[str, t.Mapping[SignalModel, int]]:
        """Count, for all models of the bus, whichever are asked for."""
        bus.db.session.execute(sa.select(1))  # needs an app context
        self.asked.append([model.__name__ for model in models])
        by_name = {model.__name__: model for model in bus.get_signal_models()}
        return {
            title: {by_name[name]: count for name, count in counts.items()}
            for title, counts in self._counts.items()
        }


class BrokenCounter:
    """A plugin that cannot count."""

    name = "broken"

    @hookimpl(optionalhook=True)
    def signalbus_count_signals(self, bus: SignalBus) -> t.Any:
        """Ask for a table that nobody has made."""
        bus.db.session.execute(sa.text("SELECT * FROM nowhere"))


@pytest.fixture
def busy(office: Office) -> Office:
    """Give a post office in which 1,234 letters and 2 parcels are pending."""
    office.record(office.Letter, *map(str, range(1234)))
    office.record(office.Parcel, "a", "b")
    return office


@pytest.fixture
def counter(busy: Office) -> Counter:
    """Give the busy office's plugin that counts what waits and what is parked."""
    counter = Counter(waiting={"Letter": 1100}, parked={"Letter": 1, "Parcel": 2})
    busy.bus.plugin_manager.register(counter)
    return counter


def test_pending_counts_each_model(busy: Office, flask: Flask) -> None:
    """The count, then the name, and the sum in the end; nothing is sent."""
    outcome = flask("pending")

    assert "    1,234  Letter\n        2  Parcel\n    1,236  total\n" == outcome.out
    assert (0, "", []) == (outcome.status, outcome.err, busy.sent)


def test_names_choose_what_is_counted(busy: Office, flask: Flask) -> None:
    """As those of flush do, and `--exclude`; the total is that of the chosen."""
    for arguments in (["Parcel"], ["-e", "Letter"], ["Letter", "Parcel", "-eLetter"]):
        assert "        2  Parcel\n        2  total\n" == (
            flask("pending", *arguments).out
        )


def test_excluding_all_counts_nothing(busy: Office, flask: Flask) -> None:
    """No model left is not the same as all models, nor as an app without any."""
    outcome = flask("pending", "-e", "Letter", "-e", "Parcel")

    assert (0, "        0  total\n", "") == (outcome.status, outcome.out, outcome.err)


def test_unknown_names_are_ignored_with_a_warning(
    busy: Office, unlogged: Flask
) -> None:
    """As by flush."""
    outcome = unlogged("pending", "Parcel", "Lettre")

    assert (0, "        2  Parcel\n        2  total\n") == (outcome.status, outcome.out)
    assert "Warning: No signal model is named 'Lettre'. The name is ignored.\n" == (
        outcome.err
    )


def test_only_unknown_names_are_an_error(busy: Office, flask: Flask) -> None:
    """What is not counted must not look like zero."""
    outcome = flask("pending", "Lettre", "--json")

    assert (2, "") == (outcome.status, outcome.out)
    assert "No signal model is called Lettre. Did you mean Letter?" in outcome.err


@pytest.mark.usefixtures("counter")
def test_plugins_add_columns(flask: Flask) -> None:
    """A table with aligned numbers; a model that a plugin leaves out has none."""
    outcome = flask("pending")

    assert (0, TABLE, "") == (outcome.status, outcome.out, outcome.err)


def test_plugins_count_the_chosen_models(counter: Counter, flask: Flask) -> None:
    """They are asked once, for these; counts of others are not in the total."""
    assert ["2", "0", "2", "total"] == (
        flask("pending", "Parcel").out.splitlines()[-1].split()
    )
    assert [["Parcel"]] == counter.asked


def test_plugins_are_not_asked_for_nothing(counter: Counter, flask: Flask) -> None:
    """Where no model is left, there is nothing to count."""
    flask("pending", "-e", "Letter", "-e", "Parcel")

    assert [] == counter.asked


def test_the_counts_of_several_plugins_are_merged(
    counter: Counter, busy: Office, flask: Flask
) -> None:
    """Other titles make other columns; counts with the same title are added."""
    other = Counter(held={"Parcel": 1}, parked={"Letter": 10})
    busy.bus.plugin_manager.register(other, "other")

    counts = json.loads(flask("pending", "--json").out)

    assert [
        {"model": "Letter", "pending": 1234, "held": 0, "parked": 11, "waiting": 1100},
        {"model": "Parcel", "pending": 2, "held": 1, "parked": 2, "waiting": 0},
    ] == counts


@pytest.mark.usefixtures("counter")
def test_a_plugin_that_fails_fails_alone(busy: Office, flask: Flask) -> None:
    """A line on stderr names it; everything else is shown."""
    busy.bus.plugin_manager.register(BrokenCounter())

    outcome = flask("pending")

    assert (0, TABLE) == (outcome.status, outcome.out)
    assert (
        "Warning: The signalbus plugin 'broken' cannot count its signals:"
        " OperationalError: no such table: nowhere\n"
    ) == outcome.err


@pytest.mark.parametrize(
    "answer",
    [3, {"waiting": 3}, {3: {}}, {"waiting": {"Letter": "many"}}, {"pending": {}}],
    ids=["no mapping", "no models", "no title", "no number", "taken"],
)
@pytest.mark.usefixtures("counter")
def test_an_answer_that_is_wrong_is_left_out(
    busy: Office, flask: Flask, answer: object
) -> None:
    """A line on stderr shows it; everything else is shown."""

    class Confused:
        @hookimpl(optionalhook=True)
        def signalbus_count_signals(self) -> object:
            return answer

    busy.bus.plugin_manager.register(Confused())

    outcome = flask("pending")

    assert (0, TABLE) == (outcome.status, outcome.out)
    assert outcome.err.startswith(f"Warning: A plugin returned {answer!r} from ")


@pytest.mark.usefixtures("counter")
def test_json_is_one_array_and_nothing_else(unlogged: Flask) -> None:
    """In the order of the models, without a total; warnings are on stderr."""
    outcome = unlogged("pending", "--json", "Parcel", "Letter", "Lettre")

    assert [
        {"model": "Letter", "pending": 1234, "waiting": 1100, "parked": 1},
        {"model": "Parcel", "pending": 2, "waiting": 0, "parked": 2},
    ] == json.loads(outcome.out)
    assert "Lettre" in outcome.err


@pytest.mark.usefixtures("busy")
def test_json_without_plugins_has_what_is_pending(flask: Flask) -> None:
    """The names and the counts."""
    assert '[{"model": "Parcel", "pending": 2}]\n' == (
        flask("pending", "--json", "Parcel").out
    )


def test_json_of_an_app_without_signal_models_is_empty(
    bus: object, flask: Flask
) -> None:
    """An empty array; how to define signal models is on stderr."""
    outcome = flask("pending", "--json")

    assert (0, "[]\n") == (outcome.status, outcome.out)
    assert outcome.err.startswith("There are no signal models.")


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["1235"], 1, "Error: 1,236 signals are pending, more than 1,235.\n"),
        (["1236"], 0, ""),
        (["1", "Parcel"], 1, "Error: 2 signals are pending, more than 1.\n"),
        (["2", "-e", "Letter"], 0, ""),
        (["0", "--json"], 1, "Error: 1,236 signals are pending, more than 0.\n"),
    ],
)
def test_fail_over_fails_if_more_signals_are_pending(
    busy: Office, flask: Flask, arguments: list[str], status: int, error: str
) -> None:
    """The total of the chosen models counts; the output is the same as without."""
    outcome = flask("pending", "--fail-over", *arguments)

    assert (status, error) == (outcome.status, outcome.err)
    assert flask("pending", *arguments[1:]).out == outcome.out


def test_one_signal_is_one_too_many(office: Office, flask: Flask) -> None:
    """One signal is not "1 signals"."""
    office.record(office.Letter, "a")

    assert "Error: 1 signal is pending, more than 0.\n" == (
        flask("pending", "--fail-over=0").err
    )


@pytest.mark.parametrize("number", ["-1", "many"])
def test_fail_over_takes_a_count(busy: Office, flask: Flask, number: str) -> None:
    """Anything else is refused before anything is counted."""
    outcome = flask("pending", f"--fail-over={number}")

    assert (2, "") == (outcome.status, outcome.out)
    assert "'--fail-over'" in outcome.err


def test_a_table_that_is_missing_is_no_zero(
    office: Office, db: SQLAlchemy, flask: Flask
) -> None:
    """What cannot be counted is an error, which an alarm notices, too."""
    db.drop_all()

    outcome = flask("pending", "--json", "--fail-over=0")

    assert (1, "", 1) == (outcome.status, outcome.out, outcome.err.count("\n"))


def test_hook_signalbus_count_signals(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every bus knows it; a plugin that fails does so alone, whenever it came."""
    manager = make_plugin_manager({"cli": plugin, "early": BrokenCounter()})
    manager.register(BrokenCounter())
    manager.register(Counter(parked={}))
    hook = manager.hook.signalbus_count_signals

    assert hook.spec is not None
    assert [{"parked": {}}] == hook(bus=office.bus, models=[])
    assert 2 == capsys.readouterr().err.count("Warning: The signalbus plugin 'broken'")
