"""The commands for a person at night: what they take, what they say, how they end."""

from __future__ import annotations

import datetime as dt
import json
import logging
import typing as t
import uuid

import pytest
import sqlalchemy as sa
from signalbus_retry import Park
from signalbus_retry import park

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

pytest.importorskip("signalbus_cli")

COMMANDS = ["failures", "show", "replay", "park", "discard"]

#: Commands that work on the orchard, one for each.
CALLS: dict[str, tuple[str, ...]] = {
    "failures": ("failures", "Apple"),
    "show": ("show", "Apple", "1"),
    "replay": ("replay", "Apple"),
    "park": ("park", "Apple", "--key", "1"),
    "discard": ("discard", "Apple", "--yes"),
}

every_call = pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS)


class Orchard(t.NamedTuple):
    """Two models: three apples and a pear have failed, and an apple has not."""

    apple: SignalModel
    pear: SignalModel


@pytest.fixture
def orchard(new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any) -> Orchard:
    """Let signals fail."""
    wire.failures = {
        "bad": ValueError("boom"),
        "worse": Park("No such customer"),
        "also bad": ValueError("boom"),
    }
    orchard = Orchard(new_model("Apple"), new_model("Pear"))
    record(orchard.apple, "bad", "worse", "also bad")
    record(orchard.pear, "bad")
    run()
    record(orchard.apple, "healthy")
    return orchard


@pytest.fixture
def ask(flask: t.Any) -> t.Callable[..., t.Any]:
    """Return what a command prints with ``--json``, if it ends well."""

    def call(*arguments: str) -> t.Any:
        outcome = flask(*arguments, "--json")
        assert 0 == outcome.status, outcome.err
        return json.loads(outcome.out)

    return call


def _words(outcome: t.Any) -> list[list[str]]:
    return [line.split() for line in outcome.out.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_given(flask: t.Any, command: str) -> None:
    """Each command says what it does, and what each option means; no line is long."""
    outcome = flask(command, "--help")

    assert 0 == outcome.status
    assert f"Usage: flask signalbus {command} [OPTIONS] " in outcome.out
    assert "NAME" in outcome.out.splitlines()[0]
    assert "--json" in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines())


def test_commands_are_listed(flask: t.Any) -> None:
    """With a line each."""
    lines = flask("--help").out.splitlines()

    assert COMMANDS == [
        name for name in COMMANDS if any(line.split()[:1] == [name] for line in lines)
    ]


@pytest.mark.parametrize(
    "arguments",
    [("show", "Plum", "1"), ("park", "Plum", "--key", "1")]
    + [(name, "Plum", "--key", "1") for name in ("replay", "discard")],
)
def test_key_of_models_that_share_a_name_is_refused(
    new_model: t.Any, flask: t.Any, arguments: tuple[str, ...]
) -> None:
    """Each may have it. The modules of the models are named."""
    for module in ("garden", "market"):
        new_model("Plum", __module__=module, __tablename__=module)
    outcome = flask(*arguments)

    assert 2 == outcome.status
    assert "2 signal models are called Plum" in outcome.err
    assert "garden, market" in outcome.err


@pytest.mark.usefixtures("orchard")
@every_call
def test_unknown_models_are_refused(
    flask: t.Any, arguments: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """With the names that there are; nothing is done, and no name is ignored."""
    caplog.set_level(logging.WARNING)
    caplog.clear()
    command, _, *rest = arguments
    outcome = flask(command, "Aple", *rest)

    assert 2 == outcome.status
    assert "Aple" in outcome.err
    assert "Apple, Pear" in outcome.err
    assert [] == caplog.records


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize("key", ["x", "", "1.5", "[1, 2]", "[]", "{", "null", "1 OR 1"])
@pytest.mark.parametrize(
    "command", [("show",), ("replay", "--key"), ("park", "--key"), ("discard", "--key")]
)
def test_bad_keys_are_refused(
    flask: t.Any, attempts: t.Any, command: tuple[str, ...], key: str
) -> None:
    """The key, the model and what is expected are named, in a line; nothing is done."""
    before = attempts()
    name, *option = command
    yes = ["--yes"] if name == "discard" else []
    outcome = flask(name, "Apple", *option, key, *yes)

    assert outcome.status in {1, 2}
    assert "primary key of Apple" in outcome.err
    assert "id" in outcome.err.splitlines()[-1]
    assert before == attempts()


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize("command", ["show", "replay", "park", "discard"])
def test_keys_without_a_signal_are_told(flask: t.Any, command: str) -> None:
    """A typo is not taken for success: the exit status is 1."""
    option = [] if command == "show" else ["--key"]
    yes = ["--yes"] if command == "discard" else []
    outcome = flask(command, "Apple", *option, "99", *yes)

    assert 1 == outcome.status
    assert outcome.err.splitlines()[-1].startswith("Error: ")
    assert "Apple(id=99)" in outcome.err.splitlines()[-1]


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize("command", ["replay", "park", "discard"])
def test_only_keys_without_a_signal_are_told(flask: t.Any, command: str) -> None:
    """Of many keys, those that matched nothing are named; the rest is done."""
    keys = [word for key in ("1", "99", "98", "99") for word in ("--key", key)]
    yes = ["--yes"] if command == "discard" else []
    outcome = flask(command, "Apple", *keys, *yes)

    assert 1 == outcome.status
    assert ": Apple(id=99), Apple(id=98)." in outcome.err.splitlines()[-1]
    assert "1 signal " in outcome.out + outcome.err


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize("option", [("--error", "boom"), ("--parked",)])
def test_keys_that_another_option_excludes_are_told(
    flask: t.Any, option: tuple[str, ...]
) -> None:
    """The signal has failed, so the error does not deny it."""
    key = "2" if option[0] == "--error" else "1"
    outcome = flask("replay", "Apple", "--key", key, *option)

    assert (
        f"Error: Not among the failed signals that were chosen: Apple(id={key})."
    ) == outcome.err.splitlines()[-1]


@pytest.mark.usefixtures("orchard")
def test_failures_are_grouped(flask: t.Any) -> None:
    """By model and error, the largest group of a model first."""
    outcome = flask("failures")
    head, *lines = _words(outcome)

    assert 0 == outcome.status
    assert ["MODEL", "ERROR", "SIGNALS", "PARKED", "FIRST", "LAST", "NEXT"] == head
    assert [
        ["Apple", "ValueError:", "boom", "2", "0"],
        ["Apple", "Park:", "No", "such", "customer", "1", "1"],
        ["Pear", "ValueError:", "boom", "1", "0"],
    ] == [words[: words.index("s") - 1] for words in lines]
    assert "ago" in outcome.out
    assert " in " in outcome.out


@pytest.mark.usefixtures("orchard")
def test_failures_are_listed(flask: t.Any) -> None:
    """One by one, with their keys and what is to come."""
    head, *lines = _words(flask("failures", "--list"))

    assert ["MODEL", "KEY"] == head[:2]
    assert [
        ["Apple", "1", "1"],
        ["Apple", "2", "1"],
        ["Apple", "3", "1"],
        ["Pear", "1", "1"],
    ] == [words[:3] for words in lines]
    assert ["parked" in words for words in lines] == [False, True, False, False]


def test_columns_are_straight(orchard: Orchard, flask: t.Any) -> None:
    """Each column begins, or ends, where its head does."""
    for option in ((), ("--list",)):
        head, *lines = flask("failures", *option).out.splitlines()

        assert all(line[head.index("ERROR") - 1] == " " for line in lines)
        assert not any(line != line.rstrip() for line in [head, *lines])


#: Options, and the keys of the apples that they choose.
CHOICES: list[tuple[tuple[str, ...], list[int]]] = [
    ((), [1, 2, 3]),
    (("--parked",), [2]),
    (("--retrying",), [1, 3]),
    (("--error", "BOOM"), [1, 3]),
    (("--error", "boom", "--parked"), []),
]


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize(("options", "chosen"), CHOICES)
def test_failures_are_chosen(
    ask: t.Any, options: tuple[str, ...], chosen: list[int]
) -> None:
    """By what is to come, and by the error, in groups as one by one."""
    listed = ask("failures", "Apple", "--list", *options)
    groups = ask("failures", "Apple", *options)

    assert chosen == [each["key"][0] for each in listed]
    assert len(chosen) == sum(each["count"] for each in groups)


@pytest.mark.usefixtures("orchard")
def test_parked_and_retrying_exclude_each_other(flask: t.Any) -> None:
    """A signal is one or the other."""
    assert 2 == flask("failures", "--parked", "--retrying").status


def test_json_of_groups(orchard: Orchard, ask: t.Any) -> None:
    """All that is printed for people, with times in ISO 8601."""
    group, *_ = ask("failures")
    times = [group.pop(name) for name in list(group) if name.endswith("_at")]

    assert {
        "model": "Apple",
        "error_type": "ValueError",
        "error_text": "boom",
        "count": 2,
        "waiting": 2,
        "parked": 0,
    } == group
    assert 3 == len([dt.datetime.fromisoformat(each) for each in times])


def test_json_of_failures(orchard: Orchard, ask: t.Any) -> None:
    """Likewise; keys are arrays, and parked signals have no next attempt."""
    _, parked, *_ = ask("failures", "--list")

    assert ("Apple", [2], "parked", 1) == (
        parked["model"],
        parked["key"],
        parked["state"],
        parked["attempts"],
    )
    assert parked["next_attempt_at"] is None
    assert ("Park", "No such customer") == (parked["error_type"], parked["error_text"])


@pytest.mark.parametrize("options", [(), ("--list",), ("--parked",)])
def test_nothing_failed_is_said(
    greeting: SignalModel, flask: t.Any, ask: t.Any, options: tuple[str, ...]
) -> None:
    """On stderr, so that a pipe gets nothing; as JSON it is an empty array."""
    outcome = flask("failures", *options)

    assert (0, "") == (outcome.status, outcome.out)
    assert 1 == outcome.err.count("\n")
    assert [] == ask("failures", *options)


@pytest.mark.usefixtures("orchard")
def test_nothing_matched_is_not_nothing_failed(flask: t.Any) -> None:
    """What was not looked at may have failed."""
    assert "No failed signal matches.\n" == flask("failures", "--error", "none").err


def test_errors_cannot_forge_lines(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, flask: t.Any
) -> None:
    """Line breaks and control characters of an error are escaped in tables."""
    wire.failures["bad"] = ValueError("boom\nApple  2 \x1b[2J")
    record(new_model(), "bad")
    run()
    for options in ((), ("--list",)):
        out = flask("failures", *options).out

        assert 2 == out.count("\n")
        assert "\x1b" not in out


def test_errors_do_nothing_to_a_terminal(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, flask: t.Any
) -> None:
    """What a signal and its error say is shown, and is not obeyed."""
    wire.failures["bad \x1b[2J"] = ValueError("boom\nmore\x1b[2J\x9b31m")
    record(new_model(), "bad \x1b[2J")
    run()
    out = flask("show", "Greeting", "1").out

    assert "boom" in out
    assert "more" in out
    assert not {"\x1b", "\x9b"} & set(out)


def test_long_errors_are_cut_in_tables_and_whole_when_shown(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, flask: t.Any
) -> None:
    """A table is to be read at a glance; `show` has it all."""
    wire.failures["bad"] = ValueError("boom " + "x" * 500 + " end")
    record(new_model(), "bad")
    run()

    assert "x" * 500 not in flask("failures").out
    assert f"{'x' * 500} end" in flask("show", "Greeting", "1").out


@pytest.mark.databases
def test_show_has_all(orchard: Orchard, flask: t.Any) -> None:
    """The columns, the attempts, what is to come, and the error."""
    lines = flask("show", "Apple", "1").out.splitlines()

    assert "Apple(id=1)" == lines[0]
    assert ["text", "bad"] in [line.split() for line in lines]
    assert any(line.startswith("attempts") and "1" in line for line in lines)
    assert any("next attempt" in line and "in " in line for line in lines)
    assert "ValueError: boom" in lines


def test_show_says_that_a_signal_is_parked(orchard: Orchard, flask: t.Any) -> None:
    """In place of its next attempt."""
    assert "parked" in flask("show", "Apple", "2").out


def test_show_says_that_a_signal_has_not_failed(orchard: Orchard, flask: t.Any) -> None:
    """It is shown all the same."""
    outcome = flask("show", "Apple", "4")

    assert 0 == outcome.status
    assert "healthy" in outcome.out
    assert "not failed" in outcome.out


def test_json_of_a_signal(orchard: Orchard, ask: t.Any) -> None:
    """What is listed of a failure, and the columns."""
    listed = ask("failures", "Apple", "--list")[0]

    assert {**listed, "columns": {"id": 1, "text": "bad"}} == ask("show", "Apple", "1")


def test_json_of_a_healthy_signal_says_which_it_is(
    orchard: Orchard, ask: t.Any
) -> None:
    """It has the names that a failed one has, too."""
    shown = ask("show", "Apple", "4")

    assert ("Apple", [4]) == (shown["model"], shown["key"])
    assert {"id": 4, "text": "healthy"} == shown["columns"]


#: Commands that change something, with what they count; the last word is the key.
CHANGES: dict[str, tuple[tuple[str, ...], str, int]] = {
    "replay": (("replay", "Apple"), "3 signals", 3),
    "replay one": (("replay", "Apple", "--key", "1"), "1 signal ", 1),
    "replay two": (("replay", "Apple", "--key", "1", "--key", "2"), "2 signals", 2),
    "replay error": (("replay", "Apple", "--error", "boom"), "2 signals", 2),
    "replay parked": (("replay", "Apple", "--parked"), "1 signal ", 1),
    "park": (("park", "Apple", "--key", "4", "--key", "1"), "2 signals", 2),
    "discard": (("discard", "Apple", "--yes"), "3 signals", 3),
    "discard one": (("discard", "Apple", "--yes", "--key", "1"), "1 signal ", 1),
    "discard error": (("discard", "Apple", "--yes", "--error", "boom"), "2 signals", 2),
    "discard parked": (("discard", "Apple", "--yes", "--parked"), "1 signal ", 1),
}

every_change = pytest.mark.parametrize(
    ("arguments", "said", "count"), CHANGES.values(), ids=CHANGES
)


@every_change
def test_changes_are_counted(
    orchard: Orchard,
    flask: t.Any,
    arguments: tuple[str, ...],
    said: str,
    count: int,
) -> None:
    """A command says what it did, of which model."""
    outcome = flask(*arguments)
    lines = [*outcome.out.splitlines(), *outcome.err.splitlines()]

    assert 0 == outcome.status
    assert any("Apple" in line and said in line for line in lines)


@every_change
def test_dry_run_changes_nothing(
    orchard: Orchard,
    flask: t.Any,
    attempts: t.Any,
    pending: t.Any,
    arguments: tuple[str, ...],
    said: str,
    count: int,
) -> None:
    """It says the same number, and that it would."""
    before = attempts(), pending(orchard.apple)
    arguments = tuple(each for each in arguments if each != "--yes")
    outcome = flask(*arguments, "--dry-run")
    told = outcome.out + outcome.err

    assert 0 == outcome.status
    assert said in told
    assert "would" in told
    assert before == (attempts(), pending(orchard.apple))


@every_change
def test_json_of_a_dry_run(
    orchard: Orchard,
    ask: t.Any,
    attempts: t.Any,
    arguments: tuple[str, ...],
    said: str,
    count: int,
) -> None:
    """It says that it was one."""
    before = attempts()
    answer = ask(*arguments, "--dry-run")

    assert answer["dry_run"] is True
    assert count in _numbers(answer)
    assert before == attempts()


def _numbers(answer: t.Any) -> list[int]:
    if isinstance(answer, dict):
        return [number for each in answer.values() for number in _numbers(each)]
    return [answer] if type(answer) is int else []


@pytest.mark.parametrize("name", ["replay", "replay error", "park"])
def test_json_of_a_change(orchard: Orchard, ask: t.Any, name: str) -> None:
    """It has the number."""
    arguments, _, count = CHANGES[name]
    answer = ask(*arguments)

    assert answer["dry_run"] is False
    assert [count] == _numbers(answer)


@pytest.mark.databases
def test_replay_replays(
    orchard: Orchard, bus: SignalBus, flask: t.Any, wire: t.Any
) -> None:
    """The next flush sends what was replayed, and nothing else that has failed."""
    flask("replay", "Apple", "--error", "boom")
    wire.failures.clear()

    assert 3 == bus.flush()
    assert ["also bad", "bad", "healthy"] == sorted(wire.sent)


@pytest.mark.databases
def test_park_parks(
    orchard: Orchard, flask: t.Any, ask: t.Any, bus: SignalBus, wire: t.Any
) -> None:
    """No flush sends it; its reason is shown."""
    flask("park", "Apple", "--key", "4", "--reason", "ticket 4711")

    assert 0 == bus.flush()
    assert "ticket 4711" in flask("show", "Apple", "4").out
    assert 0 == ask("show", "Apple", "4")["attempts"]


def test_park_needs_a_key(orchard: Orchard, flask: t.Any) -> None:
    """Nobody parks a whole table by mistake."""
    outcome = flask("park", "Apple")

    assert 2 == outcome.status
    assert "--key" in outcome.err


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_models_must_be_named(orchard: Orchard, flask: t.Any, command: str) -> None:
    """Nobody replays or discards everything by mistake."""
    assert 2 == flask(command).status


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_keys_are_those_of_one_model(
    orchard: Orchard, flask: t.Any, attempts: t.Any, command: str
) -> None:
    """A key of two models would be two signals."""
    before = attempts()

    assert 2 == flask(command, "Apple", "Pear", "--key", "1").status
    assert before == attempts()


def test_several_models_may_be_named(
    orchard: Orchard, flask: t.Any, failed: t.Any
) -> None:
    """Each has its line."""
    outcome = flask("replay", "Apple", "Pear")

    assert 2 == len(outcome.out.splitlines())
    assert [] == failed()


@pytest.mark.databases
def test_discard_prints_what_it_deletes(
    orchard: Orchard, flask: t.Any, pending: t.Any
) -> None:
    """Each signal is a line of JSON on stdout; the rest is on stderr."""
    outcome = flask("discard", "Apple", "--yes", "--error", "boom")
    lines = [json.loads(line) for line in outcome.out.splitlines()]

    assert [{"id": 1, "text": "bad"}, {"id": 3, "text": "also bad"}] == [
        each["columns"] for each in lines
    ]
    assert ["ValueError", "ValueError"] == [each["error_type"] for each in lines]
    assert ["worse", "healthy"] == pending(orchard.apple)


def test_discard_prints_lines_of_json_with_json_too(
    orchard: Orchard, flask: t.Any
) -> None:
    """Whoever parses stdout finds nothing but JSON, a line for each signal or more."""
    outcome = flask("discard", "Apple", "--yes", "--json")
    lines = [json.loads(line) for line in outcome.out.splitlines()]

    assert [[1], [2], [3]] == [each["key"] for each in lines if "columns" in each]


@pytest.mark.parametrize("answer", ["", "n\n", "\n"])
def test_discard_asks(
    orchard: Orchard, flask: t.Any, pending: t.Any, answer: str
) -> None:
    """Anything but a yes deletes nothing, and ends with 1; stdout stays empty."""
    outcome = flask("discard", "Apple", "--key", "1", answer=answer)

    assert 1 == outcome.status
    assert 4 == len(pending(orchard.apple))
    assert "1 signal of Apple" in outcome.err
    assert "" == outcome.out


def test_discard_takes_yes_for_an_answer(
    orchard: Orchard, flask: t.Any, pending: t.Any
) -> None:
    """Then it does what it said."""
    outcome = flask("discard", "Apple", "--key", "1", answer="y\n")

    assert 0 == outcome.status
    assert ["worse", "also bad", "healthy"] == pending(orchard.apple)
    assert {"id": 1, "text": "bad"} == json.loads(outcome.out)["columns"]


def test_discard_has_nothing_to_ask_where_nothing_failed(
    greeting: SignalModel, record: t.Any, flask: t.Any, pending: t.Any
) -> None:
    """A signal that has not failed is never deleted."""
    record(greeting, "healthy")
    outcome = flask("discard", "Greeting")

    assert 0 == outcome.status
    assert "y/N" not in outcome.err
    assert ["healthy"] == pending(greeting)


#: Types of keys, a value, and how it is written on the command line.
KEYS: dict[str, tuple[t.Any, t.Any, str]] = {
    "string": (sa.String(40), "a b,c", "a b,c"),
    "string of digits": (sa.String(40), "007", "007"),
    "string that looks like JSON": (sa.String(40), '["a"]', '["a"]'),
    "UUID": (sa.Uuid, uuid.UUID(int=7), str(uuid.UUID(int=7))),
    "date": (sa.Date, dt.date(2024, 2, 29), "2024-02-29"),
    "negative": (sa.Integer, -7, "-7"),
}


@pytest.mark.databases
@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_written_as_they_are_listed(
    db: SQLAlchemy,
    bus: SignalBus,
    new_model: t.Any,
    flask: t.Any,
    kind: str,
) -> None:
    """What `failures --list` prints as the key is what `--key` and `show` take."""
    column, value, written = KEYS[kind]
    model: t.Any = new_model(id=sa.Column(column, primary_key=True))
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__).values(id=value, text="a"))
    park(bus, model, [(value,)])

    assert f" {written} " in flask("failures", "--list").out
    assert 0 == flask("show", "Greeting", "--", written).status
    assert 0 == flask("replay", "Greeting", "--key", written).status
    assert 0 == flask("park", "Greeting", "--key", written).status
    assert 0 == flask("discard", "Greeting", "--yes", "--key", written).status


@pytest.mark.databases
def test_composite_keys_are_json(
    db: SQLAlchemy, bus: SignalBus, new_model: t.Any, flask: t.Any
) -> None:
    """An array of the key's values, in the order of the columns."""
    columns = {
        "id": sa.Column(sa.String(9), primary_key=True),
        "number": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
    }
    model: t.Any = new_model(**columns)
    with db.engine.begin() as connection:
        values = {"id": 'é "x', "number": 7, "text": "a"}
        connection.execute(sa.insert(model.__table__).values(values))
    park(bus, model, [('é "x', 7)])
    (_, line) = flask("failures", "--list").out.splitlines()
    start, end = line.index("["), line.index("]") + 1

    assert ['é "x', 7] == json.loads(line[start:end])
    assert 0 == flask("show", "Greeting", line[start:end]).status
    assert 0 == flask("replay", "Greeting", "--key", line[start:end]).status


@pytest.mark.usefixtures("orchard")
def test_pending_shows_what_waits_and_what_is_parked(flask: t.Any, ask: t.Any) -> None:
    """Beside what is pending in all."""
    assert [
        ["PENDING", "WAITING", "PARKED", "MODEL"],
        ["4", "2", "1", "Apple"],
        ["1", "1", "0", "Pear"],
        ["5", "3", "1", "total"],
    ] == _words(flask("pending"))
    assert [{"model": "Pear", "pending": 1, "waiting": 1, "parked": 0}] == (
        ask("pending", "Pear")
    )


@pytest.mark.usefixtures("orchard")
@pytest.mark.parametrize(("limit", "status"), [("5", 0), ("4", 1), ("0", 1)])
def test_pending_may_fail(flask: t.Any, limit: str, status: int) -> None:
    """For alerts: if there are more than so many."""
    assert status == flask("pending", "--fail-over", limit).status


def test_commands_work_on_many(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, flask: t.Any, ask: t.Any
) -> None:
    """However many signals have failed."""
    texts = [str(number) for number in range(1500)]
    wire.failures = dict.fromkeys(texts, Park())
    record(new_model(form="partial", signalbus_burst_count=1000), *texts)
    run()

    assert [1500] == [each["count"] for each in ask("failures")]
    assert 1501 == len(flask("failures", "--list").out.splitlines())
    assert "1,500 signals" in flask("replay", "Greeting", "--dry-run").out
    assert 1500 == len(flask("discard", "Greeting", "--yes").out.splitlines())
