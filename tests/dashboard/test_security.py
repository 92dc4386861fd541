"""Nobody sees or does what they may not, whatever is in rows, errors and addresses."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

import flask
import pytest
import sqlalchemy as sa
from signalbus import SignalModelError
from signalbus.exceptions import hide_passwords
from signalbus_dashboard import dashboard

if t.TYPE_CHECKING:
    from conftest import Visitor
    from conftest import Wire
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

MARKUP = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"

FAILURES = "/models/OrderPaid/failures"
SIGNAL = "/models/OrderPaid/signal?key=1"
DISCARD = "/models/OrderPaid/discard?key=1"

GETS = [
    *("/", "/.json", "/static/dashboard.css", "/static/dashboard.js"),
    *(FAILURES, f"{FAILURES}.json", SIGNAL, DISCARD, "/models/Nothing/failures"),
]

POSTS = [f"/models/OrderPaid/{action}" for action in ("replay", "park", "discard")]


@pytest.mark.parametrize("authorize", [None, True, "admin"])
def test_it_does_not_start_without_knowing_whom_to_let_in(
    bus: SignalBus, authorize: t.Any
) -> None:
    """The error says what to pass."""
    with pytest.raises(TypeError, match="authorize=…"):
        dashboard(bus, authorize=authorize)


@pytest.mark.parametrize("method", ["get", "post"])
def test_authorize_is_asked_on_every_request(
    app: Flask, bus: SignalBus, paid: SignalModel, method: str
) -> None:
    """Also for actions and static files, and before anything is read."""
    asked: list[str] = []
    blueprint = dashboard(bus, authorize=lambda: asked.append(flask.request.path))
    app.register_blueprint(blueprint, url_prefix="/signalbus")
    paths = GETS if method == "get" else POSTS
    statuses = [
        getattr(app.test_client(), method)(f"/signalbus{path}").status_code
        for path in paths
    ]

    assert [403] * len(paths) == statuses
    assert [f"/signalbus{path.partition('?')[0]}" for path in paths] == asked


def test_authorize_may_lead_to_a_login(
    app: Flask, bus: SignalBus, paid: SignalModel
) -> None:
    """A response is sent as it is."""
    blueprint = dashboard(bus, authorize=lambda: flask.redirect("/login"))
    app.register_blueprint(blueprint, url_prefix="/signalbus")

    assert "/login" == app.test_client().get("/signalbus/").headers["Location"]


@pytest.mark.parametrize("path", GETS)
def test_every_response_has_the_headers_that_protect_it(
    visit: Visitor, paid: SignalModel, path: str
) -> None:
    """No script or style of a page's own, no frame, no referrer, no copy."""
    with visit.client.get(f"/signalbus{path}") as response:
        headers = response.headers
    policy = headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ("DENY", "no-referrer", "nosniff") == (
        headers["X-Frame-Options"],
        headers["Referrer-Policy"],
        headers["X-Content-Type-Options"],
    )
    cached = "private, no-cache" if "/static/" in path else "no-store"
    assert cached == headers["Cache-Control"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("token", [None, "", "wrong", "ä"])
def test_no_action_without_the_token_of_the_session(
    visit: Visitor, paid: SignalModel, record: t.Any, path: str, token: str | None
) -> None:
    """A form of another site does not have it; nothing is done."""
    pytest.importorskip("signalbus_retry")
    record(paid, "a")
    visit.get(SIGNAL)  # the session has a token
    data = {"key": "1"} if token is None else {"key": "1", "signalbus_csrf": token}
    answer = visit.client.post(f"/signalbus{path}", data=data)

    assert 400 == answer.status_code
    assert "Nothing was done" in answer.text
    assert 1 == visit.json("/.json")["pending"]["count"]
    assert 0 == visit.json("/.json")["parked"]


def test_the_token_of_one_session_is_no_use_in_another(
    app: Flask, visit: Visitor, paid: SignalModel, fail: t.Any
) -> None:
    """It is bound to the session in which the form was made."""
    fail(paid, a=ValueError("no"))
    (token,) = set(re.findall(r'signalbus_csrf" value="(.+?)"', visit.get(SIGNAL)))
    data = {"key": "1", "signalbus_csrf": token}
    other = app.test_client()
    other.get(f"/signalbus{SIGNAL}")

    assert 400 == other.post(f"/signalbus{POSTS[0]}", data=data).status_code
    assert 303 == visit.client.post(f"/signalbus{POSTS[0]}", data=data).status_code


@pytest.mark.parametrize("path", POSTS)
def test_no_action_by_following_a_link(
    visit: Visitor, paid: SignalModel, path: str
) -> None:
    """What changes something takes a POST; a GET of discard only asks."""
    pytest.importorskip("signalbus_retry")
    status = visit.client.get(f"/signalbus{path}").status_code

    assert (200 if path.endswith("discard") else 405) == status


def test_without_sessions_it_only_shows(
    visit: Visitor, app: Flask, paid: SignalModel, fail: t.Any
) -> None:
    """An app without a SECRET_KEY can bind a token to nothing."""
    fail(paid, a=ValueError("no"))
    app.secret_key = None

    assert "<form method" not in visit.get(SIGNAL).replace('method="get"', "")
    assert "SECRET_KEY" in visit.get(FAILURES)
    answer = visit.client.post(f"/signalbus{POSTS[0]}", data={"key": "1"})
    assert 400 == answer.status_code


def test_markup_is_text_wherever_it_comes_from(
    visit: Visitor, new_model: t.Any, fail: t.Any, add_relay: t.Any
) -> None:
    """In rows, keys, errors, filters, names of models and of hosts."""
    key = sa.Column(sa.String(200), primary_key=True, default=MARKUP)
    new_model(id=key, more=sa.Column(sa.JSON, default={MARKUP: [MARKUP]}))
    model = next(iter(visit_models(visit)))
    fail(model, **{MARKUP: type("Error<b>", (ValueError,), {})(MARKUP)})
    add_relay(1, **{MARKUP: {"last_error": MARKUP}})
    new_model(f"Model{MARKUP}", __tablename__="other")
    signal = f"key={quote(MARKUP)}"
    query = f"error={quote(MARKUP)}"
    paths = [
        *("/", FAILURES, f"{FAILURES}?{query}", f"{FAILURES}?error=img"),
        *(f"/models/OrderPaid/signal?{signal}", f"/models/OrderPaid/discard?{signal}"),
        f"/models/OrderPaid/discard?{query}",
    ]
    for path in paths:
        assert_is_text(visit.get(path), path)
    for path in ["/models/<b>/failures", "/models/<b>/signal?key=1"]:
        assert_is_text(visit.client.get(f"/signalbus{path}").text, path)
    visit.post("/models/OrderPaid/park", FAILURES, key=MARKUP)
    assert_is_text(visit.get(FAILURES), "notice")


def test_hidden_columns_are_not_shown(
    visit: Visitor, new_model: t.Any, fail: t.Any
) -> None:
    """Their names are; the values are on no page, nor in the JSON."""
    hidden = "4111111111111111"  # a time may have what is shorter
    number = sa.Column(sa.String(20), default=hidden)
    model = new_model(card_number=number, signalbus_hidden=("card_number",))
    fail(model, a=ValueError("no"))
    pages = [visit.get(SIGNAL), visit.get(DISCARD), visit.get(FAILURES)]
    document = visit.json(SIGNAL.replace("?", ".json?"))

    assert not any(hidden in page for page in pages)
    assert "card_number" in pages[0]
    assert ["card_number"] == document["hidden"]
    assert hidden not in str(document)


def test_the_attribute_that_hides_is_known(
    new_model: t.Any, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no typo; its own typos are found."""
    new_model("Right", signalbus_hidden=("text",))
    new_model("Wrong", signalbus_hiden=("text",))
    bus.get_signal_models()

    assert "signalbus_hiden" in caplog.text
    assert "Did you mean 'signalbus_hidden'?" in caplog.text
    assert "Right" not in caplog.text


@pytest.mark.parametrize(
    ("hidden", "remedy"),
    [
        ("text", "tuple of the names"),
        ((1,), "tuple of the names"),
        (("txt",), "not one of its columns"),
        (("id",), "primary key"),
    ],
)
def test_what_cannot_be_hidden_is_refused(
    new_model: t.Any, bus: SignalBus, hidden: t.Any, remedy: str
) -> None:
    """A secret that is not hidden after all would be found out too late."""
    new_model(signalbus_hidden=hidden)
    with pytest.raises(SignalModelError, match=remedy):
        bus.get_signal_models()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at amqp://guest:secret@host/shop", "at amqp://guest:***@host/shop"),
        ("redis://:secret@host:6379/0 is down", "redis://:***@host:6379/0 is down"),
        ("postgresql+psycopg://u:se/cr@et@h/d", "postgresql+psycopg://u:***@h/d"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        ("Password='se cret'; x", "Password=***; x"),
        ("https://h/?user=u&password=secret&x=1", "https://h/?user=u&password=***&x=1"),
        ("nats://host:4222 has no answer", "nats://host:4222 has no answer"),
        ("mail ada@example.org", "mail ada@example.org"),
    ],
)
def test_passwords_are_masked(text: str, masked: str) -> None:
    """Those in URLs, and those in connection strings; nothing else is."""
    assert masked == hide_passwords(text)


def test_passwords_in_errors_and_rows_are_shown_nowhere(
    visit: Visitor,
    new_model: t.Any,
    fail: t.Any,
    add_relay: t.Any,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither on a page, nor in the JSON, nor in addresses, nor in our log."""
    url = "amqp://guest:secret@host/shop"
    model = new_model(url=sa.Column(sa.JSON, default={"to": [url]}))
    fail(model, **{f"to {url}": ValueError(f"Nobody is at {url}, alas.")})
    add_relay(1, OrderPaid={"last_error": f"No way to {url}"})
    caplog.clear()
    visit.post("/models/OrderPaid/replay", FAILURES, error=url, state="")
    fail(model, **{f"to {url}": ValueError(f"Nobody is at {url}, alas.")})
    paths = ["/", FAILURES, SIGNAL, DISCARD, f"{FAILURES}?error={quote('Nobody')}"]
    jsons = ["/.json", f"{FAILURES}.json", SIGNAL.replace("?", ".json?")]
    texts = [visit.client.get(f"/signalbus{path}").text for path in paths + jsons]
    ours = [each for each in caplog.records if each.name == "signalbus.dashboard"]

    assert not any("secret" in text for text in texts)
    assert not any("secret" in str(vars(each)) for each in ours)
    assert any("***@host/shop" in text for text in texts)


def visit_models(visit: Visitor) -> list[SignalModel]:
    """Return the signal models of the app."""
    bus: SignalBus = visit.client.application.extensions["signalbus"]
    return bus.get_signal_models()


def assert_is_text(page: str, path: str) -> None:
    """Check that no markup of ours is markup on the page."""
    assert "alert" in page or "&lt;b&gt;" in page, path
    assert "<img" not in page, path
    assert "<script>" not in page, path
    assert "<b>" not in page, path
