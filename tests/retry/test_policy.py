"""How often a signal is tried, and how long it waits, is declared and checked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import typing as t

import pytest
from flask_sqlalchemy import SQLAlchemy
from signalbus import SettingError
from signalbus import SignalBus
from signalbus import SignalModelError
from signalbus_retry import RetryPolicy

if t.TYPE_CHECKING:
    from flask import Flask

DEFAULTS = {
    "max_attempts": 15,
    "first_delay": 1.0,
    "multiplier": 2.0,
    "max_delay": 3600.0,
    "jitter": 0.5,
    "park_on": (),
}

#: Arguments that make no sense, each by itself.
BAD: list[tuple[str, t.Any]] = [
    ("max_attempts", 0),
    ("max_attempts", -1),
    ("max_attempts", 1.5),
    ("max_attempts", "3"),
    ("max_attempts", None),
    ("max_attempts", True),
    ("first_delay", -1),
    ("first_delay", math.nan),
    ("first_delay", math.inf),
    ("first_delay", "1"),
    ("first_delay", None),
    ("multiplier", -1),
    ("multiplier", math.nan),
    ("multiplier", math.inf),
    ("multiplier", "2"),
    ("max_delay", -1),
    ("max_delay", math.nan),
    ("max_delay", "1"),
    ("max_delay", None),
    ("jitter", -0.1),
    ("jitter", 1.1),
    ("jitter", math.nan),
    ("jitter", "0"),
    ("park_on", ("ValueError",)),
    ("park_on", "ValueError"),
    ("park_on", (int,)),
    ("park_on", 1),
]

#: What is no policy.
NO_POLICIES: list[t.Any] = [
    {"max_attempt": 3},
    {"max_attempts": 0},
    5,
    "3",
    [3],
    RetryPolicy,
]


def test_policy_has_defaults() -> None:
    """Fifteen attempts, from a second to an hour apart."""
    assert dataclasses.asdict(RetryPolicy()) == DEFAULTS


def test_policy_cannot_be_changed() -> None:
    """It is a value, and may be shared by models."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RetryPolicy().max_attempts = 3  # type: ignore[misc]

    assert RetryPolicy(max_attempts=3) == RetryPolicy(max_attempts=3)
    assert 1 == len({RetryPolicy(), RetryPolicy()})


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_argument_is_named(name: str, value: t.Any) -> None:
    """An argument that makes no sense is refused, by its name."""
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_attempts": 1},
        {"first_delay": 0},
        {"multiplier": 1},
        {"max_delay": 0.5, "first_delay": 0.5},
        {"jitter": 0},
        {"jitter": 1},
        {"park_on": (ValueError, OSError)},
    ],
)
def test_bounds_are_allowed(arguments: dict[str, t.Any]) -> None:
    """The smallest and the largest values that make sense are accepted."""
    for name, value in arguments.items():
        assert value == getattr(RetryPolicy(**arguments), name)


@pytest.mark.parametrize("form", [RetryPolicy, dict])
def test_model_has_a_policy(
    new_model: t.Any, record: t.Any, boom: t.Any, run: t.Any, failed: t.Any, form: t.Any
) -> None:
    """As a policy, or as a dict of its arguments."""
    model = new_model(signalbus_retry=form(max_attempts=2, first_delay=70, jitter=0))
    record(model, "bad")
    run()

    assert dt.timedelta(seconds=70) == _wait(failed())


@pytest.mark.parametrize("form", [RetryPolicy, dict])
def test_app_has_a_policy(
    new_app: t.Any, engine_url: str, record_failure: t.Any, form: t.Any
) -> None:
    """It is that of all models that have none of their own."""
    policy = form(first_delay=50, jitter=0)
    app = new_app(engine_url, SIGNALBUS_RETRY=policy)

    assert (50.0, 90.0) == record_failure(app, {"first_delay": 90, "jitter": 0})


def test_models_policy_starts_from_the_defaults(
    new_app: t.Any, engine_url: str, record_failure: t.Any
) -> None:
    """A model that declares a policy has that one, and nothing of the app's."""
    app = new_app(engine_url, SIGNALBUS_RETRY={"first_delay": 50, "jitter": 0})

    assert (50.0, 1.0) == record_failure(app, RetryPolicy(jitter=0))


@pytest.fixture
def record_failure() -> t.Callable[..., tuple[float, ...]]:
    """Let two models fail, the second with a policy; return how long each waits."""
    from signalbus_retry import failures

    def run(app: Flask, policy: t.Any) -> tuple[float, ...]:
        db = SQLAlchemy(app)
        bus = SignalBus(db)
        bus.autoflush = False
        with app.app_context():
            models = [_declare(db, "A"), _declare(db, "B", signalbus_retry=policy)]
            db.create_all()
            db.session.add_all([model() for model in models])
            db.session.commit()
            with pytest.raises(ValueError, match="boom"):
                bus.flush()
            return tuple(
                _wait(list(failures(bus, [model]))).total_seconds() for model in models
            )

    return run


def _declare(db: SQLAlchemy, name: str, **attributes: t.Any) -> type[t.Any]:
    def send_signalbus_message(self: t.Any) -> None:
        raise ValueError("boom")

    attributes["id"] = db.Column(db.Integer, primary_key=True)
    attributes["send_signalbus_message"] = send_signalbus_message
    return type(name, (db.Model,), attributes)


def _wait(failures: list[t.Any]) -> dt.timedelta:
    (failure,) = failures
    return t.cast("dt.timedelta", failure.next_attempt_at - failure.last_failed_at)


@pytest.mark.parametrize("policy", NO_POLICIES)
def test_models_bad_policy_is_refused(
    bus: SignalBus, new_model: t.Any, policy: t.Any
) -> None:
    """Before anything is sent, with the name of the model and of the attribute."""
    new_model(signalbus_retry=policy)
    with pytest.raises(SignalModelError, match=r"Greeting.*signalbus_retry"):
        bus.flush()


@pytest.mark.parametrize("policy", NO_POLICIES)
def test_apps_bad_policy_is_refused(
    new_app: t.Any, engine_url: str, policy: t.Any
) -> None:
    """When the app starts, with the name of the setting."""
    db = SQLAlchemy(new_app(engine_url, SIGNALBUS_RETRY=policy))
    with pytest.raises(SettingError, match="SIGNALBUS_RETRY"):
        SignalBus(db)


@pytest.mark.parametrize("value", ["pass", "", True, None, 1])
def test_models_bad_on_parked_is_refused(
    bus: SignalBus, new_model: t.Any, value: t.Any
) -> None:
    """It is "stop" or "skip"; the error names the model and the attribute."""
    new_model(signalbus_on_parked=value)
    with pytest.raises(SignalModelError, match=r"Greeting.*signalbus_on_parked"):
        bus.flush()


def test_names_are_known(
    new_app: t.Any, engine_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the attributes nor the setting are reported as typos."""
    app = new_app(engine_url, SIGNALBUS_RETRY={"max_attempts": 3})
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context():
        attributes = {"signalbus_retry": {}, "signalbus_on_parked": "skip"}
        model = _declare(db, "A", **attributes)

        assert [model] == bus.get_signal_models()
    assert [] == caplog.records


@pytest.mark.parametrize("name", ["signalbus_retries", "signalbus_onparked"])
def test_misspelled_names_are_reported(
    bus: SignalBus, new_model: t.Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A typo is logged, with the name that was probably meant."""
    new_model(**{name: "skip"})
    bus.get_signal_models()

    assert name in caplog.text


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
def test_jitter_shortens_the_wait(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    failed: t.Any,
    jitter: float,
) -> None:
    """By at most that part of it, at random; never does it make it longer."""
    texts = [f"bad {number}" for number in range(100)]
    wire.failures = dict.fromkeys(texts, ValueError("boom"))
    policy = RetryPolicy(first_delay=1000, jitter=jitter)
    record(
        new_model(form="partial", signalbus_burst_count=99, signalbus_retry=policy),
        *texts,
    )
    run()
    waits = [_wait([each]).total_seconds() for each in failed()]

    assert 100 == len(waits)
    assert all(1000 * (1 - jitter) - 0.01 <= wait <= 1000.01 for wait in waits)
    assert (jitter == 0) is (max(waits) - min(waits) < 0.01)
