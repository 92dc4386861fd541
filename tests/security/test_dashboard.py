"""Requests that no page of the dashboard makes: see also tests/dashboard."""

from __future__ import annotations

import json
import logging
import re
import typing as t
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hostile import SECRET
from signalbus_dashboard import dashboard

if t.TYPE_CHECKING:
    from conftest import NewShop
    from flask.testing import FlaskClient
    from hostile import Shop

MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&"

KEYS = [
    MARKUP,
    "a/b",
    "../../../etc/passwd",
    "a%2Fb",
    "a?b#c&d=e",
    "\r\nSet-Cookie: a=b",
    "ü😀\u202e",
    "//evil.example/",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "' OR '1'='1",
]

AT = "/s/models/OrderPaid"


@pytest.fixture
def shop(new_shop: NewShop, with_retry: None) -> Shop:
    """Give a shop with a dashboard, whose signals fail."""

    def send_signalbus_message(cls: t.Any, signal: t.Any) -> None:
        raise ValueError(f"{signal.id}: {signal.text}")

    shop = new_shop(
        id=sa.Column(sa.String(200), primary_key=True),
        send_signalbus_message=classmethod(send_signalbus_message),
    )
    shop.asked = []  # type: ignore[attr-defined]

    def authorize() -> str:
        shop.asked.append(1)  # type: ignore[attr-defined]
        return f"ada\nERROR forged{MARKUP}"

    blueprint = dashboard(shop.bus, authorize=authorize)
    shop.app.register_blueprint(blueprint, url_prefix="/s")
    return shop


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    """Give a browser."""
    return shop.app.test_client()


def fail(shop: Shop, *keys: str) -> None:
    """Let signals with these keys fail."""
    shop.record(*({"id": key, "text": MARKUP} for key in keys))
    shop.flush_error()


def token(client: FlaskClient, path: str = f"{AT}/failures") -> str:
    """Return the token of the session."""
    return re.findall(r'signalbus_csrf" value="(.+?)"', client.get(path).text)[0]


def test_each_address_asks_who_it_is(shop: t.Any, client: FlaskClient) -> None:
    """Every rule that there is, with every method that it has, JSON and files too."""
    rules = [
        (rule.rule.replace("<name>", "OrderPaid").replace("<path:filename>", "x"), each)
        for rule in shop.app.url_map.iter_rules()
        if rule.endpoint.startswith("signalbus_dashboard.")
        for each in rule.methods or ()
    ]
    for address, method in rules:
        shop.asked.clear()
        client.open(address, method=method)
        assert [1] == shop.asked, (method, address)

    assert len(rules) > 20


@pytest.mark.parametrize("key", KEYS)
def test_any_key_has_an_address(shop: Shop, client: FlaskClient, key: str) -> None:
    """It is found, replayed, and nothing but text on the pages."""
    fail(shop, key)
    page = client.get(f"{AT}/failures").text
    (address,) = {
        each.replace("&amp;", "&").replace("&#39;", "'")
        for each in re.findall(r'href="([^"]*/signal\?[^"]*)"', page)
    }
    found = client.get(address)
    document = client.get(address.replace("/signal?", "/signal.json?")).get_json()
    form = {"key": key, "signalbus_csrf": token(client)}
    answer = client.post(f"{AT}/replay", data=form)

    assert 200 == found.status_code
    assert key == document["key"]
    assert "49" not in re.sub(r"[0-9-]+ [0-9:]+|[0-9]{3,}", "", document["key"])
    for text in (page, found.text):
        assert "<img" not in text
        assert "<script>alert" not in text
    assert 303 == answer.status_code
    assert "1 signal" in client.get(answer.location).text


@pytest.mark.parametrize("path", ["/s/.json", f"{AT}/failures.json"])
def test_json_is_no_page(shop: Shop, client: FlaskClient, path: str) -> None:
    """A browser that is led there shows text, and runs nothing."""
    fail(shop, MARKUP)
    answer = client.get(path)

    assert "application/json" == answer.content_type
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert "no-store" == answer.headers["Cache-Control"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.get_json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Referer": "https://evil.example/"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"X-Original-URL": "//evil.example"},
    ],
)
@pytest.mark.parametrize("query", ["", "?next=//evil.example", "?url=https://evil"])
def test_an_action_leads_back_to_this_site(
    shop: Shop, client: FlaskClient, headers: dict[str, str], query: str
) -> None:
    """Wherever the request says that it came from."""
    fail(shop, "a")
    form = {"key": "a", "signalbus_csrf": token(client), "next": "//evil.example"}
    base = {"base_url": f"http://{headers['Host']}"} if "Host" in headers else {}
    if base:  # the cookie of the session is bound to its host
        with client.session_transaction(**base) as session:
            session["signalbus_csrf"] = form["signalbus_csrf"]
    answer = client.post(f"{AT}/replay{query}", data=form, headers=headers, **base)

    assert f"{AT}/failures" == answer.location


@pytest.mark.parametrize(
    "name",
    [
        "../_access.py",
        "..%2f_access.py",
        "%2e%2e/_access.py",
        "..\\_access.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "./../templates/signalbus_dashboard/base.html",
        "dashboard.css%00.png",
    ],
)
def test_no_file_but_the_static_ones_is_served(client: FlaskClient, name: str) -> None:
    """No path leads out of their folder."""
    with client.get(f"/s/static/{name}") as answer:
        assert answer.status_code in {404, 308}
        assert "import" not in answer.text
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        f"{AT}/signal?key=" + "[" * 50_000,
        f"{AT}/signal.json?key=" + "9" * 5000,
        f"{AT}/signal?key=%00",
        f"{AT}/signal?key=%ff%fe",
        f"{AT}/signal",
        f"{AT}/failures?page=99999999999999999999999",
        f"{AT}/failures?page=-1",
        f"{AT}/failures?page=%00",
        f"{AT}/failures?error=" + "%25" * 5000,
        f"{AT}/failures?error=%00",
        f"{AT}/failures?state=x",
        "/s/models/%0d%0aERROR%20forged/failures",
        "/s/models/" + "x" * 10_000 + "/failures",
        f"/s/models/{quote(MARKUP)}/failures",
    ],
    ids=lambda path: path[-30:],
)
def test_no_address_is_an_error_of_the_program(
    shop: Shop, client: FlaskClient, path: str
) -> None:
    """There is such a page, or there is not."""
    fail(shop, "a")
    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = client.get(path)

    assert answer.status_code in {200, 400, 404}
    assert "<img" not in answer.text


def test_the_token_of_a_form_cannot_be_given_otherwise(
    shop: Shop, client: FlaskClient
) -> None:
    """Not in the address, not as JSON, not as a cookie or a header."""
    fail(shop, "a")
    good = token(client)
    client.set_cookie("signalbus_csrf", good)
    statuses = {
        client.post(
            f"{AT}/discard?signalbus_csrf={good}",
            data={"key": "a"},
            headers={"X-CSRF-Token": good},
        ).status_code,
        client.post(
            f"{AT}/discard", json={"key": "a", "signalbus_csrf": good}
        ).status_code,
        client.post(
            f"{AT}/discard", data={"key": "a", "signalbus_csrf": [good[:-1], good]}
        ).status_code,
    }

    assert {400} == statuses
    assert ["a"] == shop.pending()


def test_an_action_forges_no_line_of_the_log(
    shop: Shop, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the name of the person is."""
    fail(shop, "a")
    caplog.set_level(logging.INFO, "signalbus.dashboard")
    caplog.clear()
    client.post(f"{AT}/replay", data={"key": "a", "signalbus_csrf": token(client)})
    lines = [each.getMessage() for each in caplog.records if "dashboard" in each.name]

    assert [True] == [line.isprintable() for line in lines]
    assert "by ada\\nERROR forged" in lines[0]


def test_the_session_has_a_token_and_no_more(shop: Shop, client: FlaskClient) -> None:
    """No row, key or error is kept in a cookie, which is signed but not secret."""
    fail(shop, SECRET)
    client.post(f"{AT}/replay", data={"key": SECRET, "signalbus_csrf": token(client)})
    with client.session_transaction() as session:
        kept = json.dumps(dict(session))

    assert SECRET not in kept
