"""One click leads to the reason, another mends it."""

from __future__ import annotations

import logging
import re
import typing as t
from urllib.parse import quote

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import Visitor
    from conftest import Wire
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel

pytest.importorskip("signalbus_retry")

PAGE = "/models/OrderPaid/failures"
SIGNAL = "/models/OrderPaid/signal"

Pending: t.TypeAlias = "t.Callable[[], list[str]]"


@pytest.fixture
def pending(db: SQLAlchemy, paid: SignalModel) -> Pending:
    """Tell the texts of the signals that are pending."""

    def read() -> list[str]:
        with db.engine.connect() as connection:
            return sorted(connection.scalars(sa.select(paid.__table__.c.text)))

    return read


@pytest.fixture
def three(paid: SignalModel, fail: t.Any) -> SignalModel:
    """Let three signals fail: two for like reasons, and one for another."""
    fail(
        paid,
        a=LookupError("There is no account 17."),
        b=LookupError("There is no account 23."),
        c=ValueError("The amount is negative."),
    )
    return paid


def keys(document: t.Any) -> list[str]:
    """Return the keys of the signals on a page."""
    return [signal["key"] for signal in document["signals"]]


def test_nothing_has_failed(visit: Visitor, paid: SignalModel) -> None:
    """The page says that all is well."""
    assert "No signal of OrderPaid has failed. All is well." in visit.get(PAGE)


@pytest.mark.databases
def test_failures_are_grouped_by_error(visit: Visitor, three: SignalModel) -> None:
    """Errors that differ in values only are one line."""
    groups = visit.json("/models/OrderPaid/failures.json")["groups"]

    assert [(2, "LookupError"), (1, "ValueError")] == [
        (group["count"], group["error_type"]) for group in groups
    ]
    assert "LookupError: There is no account" in visit.get(PAGE)


@pytest.mark.databases
def test_the_link_of_a_group_shows_its_signals(
    visit: Visitor, three: SignalModel
) -> None:
    """It filters by the longest text that its errors share."""
    links = re.findall(r'href="/signalbus([^"]+\?error=[^"]+)"', visit.get(PAGE))
    shown = [visit.json(link.replace("failures?", "failures.json?")) for link in links]

    assert [["1", "2"], ["3"]] == [keys(each) for each in shown]


@pytest.mark.databases
def test_failures_are_filtered(visit: Visitor, three: SignalModel) -> None:
    """By a text in any case, and by whether they are parked."""
    address = "/models/OrderPaid/failures.json"
    visit.post("/models/OrderPaid/park", PAGE, key="2")

    assert ["3"] == keys(visit.json(f"{address}?error=NEGATIVE"))
    assert ["2"] == keys(visit.json(f"{address}?state=parked"))
    assert ["1", "3"] == keys(visit.json(f"{address}?state=failing"))
    assert "No failed signal of OrderPaid matches" in visit.get(f"{PAGE}?error=xyz")
    visit.get(f"{PAGE}?state=happy", 400)


def test_failures_come_in_pages(visit: Visitor, paid: SignalModel, fail: t.Any) -> None:
    """Fifty a page, with links to the next and the previous one."""
    fail(paid, **{f"text{number}": ValueError("no") for number in range(60)})
    first, second = visit.get(PAGE), visit.get(f"{PAGE}?page=2")

    assert ('rel="next"' in first, 'rel="prev"' in first) == (True, False)
    assert ('rel="next"' in second, 'rel="prev"' in second) == (False, True)
    assert 10 == len(visit.json("/models/OrderPaid/failures.json?page=2")["signals"])


def test_one_signal_is_shown_whole(visit: Visitor, three: SignalModel) -> None:
    """Its columns, the whole error, and what has become of it so far."""
    page, state = visit.get(f"{SIGNAL}?key=1"), visit.json(f"{SIGNAL}.json?key=1")

    assert "LookupError: There is no account 17." in page
    assert "First failed" in page
    assert ("a", 1) == (state["columns"]["text"], state["failure"]["attempts"])


def test_keys_of_several_columns_have_a_page(
    visit: Visitor, new_model: t.Any, record: t.Any
) -> None:
    """Whatever is in them."""
    model = new_model(area=sa.Column(sa.String(9), primary_key=True))
    record(model, "a", id=7, area="a/b&c")
    key = quote('[7, "a/b&c"]')

    assert "a/b&amp;c" in visit.get(f"{SIGNAL}?key={key}")


def test_a_signal_that_is_gone_has_a_page_that_says_so(
    visit: Visitor, paid: SignalModel
) -> None:
    """It was sent, or deleted; and what is no key is not found."""
    assert "This signal is gone" in visit.get(f"{SIGNAL}?key=77", 404)
    assert "gone" in visit.json(f"{SIGNAL}.json?key=77", 404)["error"]
    visit.get(f"{SIGNAL}?key=seven", 404)
    visit.get("/models/Nothing/failures", 404)


@pytest.mark.databases
def test_a_signal_is_replayed(
    visit: Visitor, three: SignalModel, wire: Wire, flush: t.Any, pending: Pending
) -> None:
    """The next flush sends it, and the page says so."""
    wire.errors.clear()
    answer = visit.post("/models/OrderPaid/replay", f"{SIGNAL}?key=1", key="1")
    page = visit.get(PAGE)
    flush()

    assert 303 == answer.status_code
    assert "1 signal of OrderPaid will be sent by the next flush." in page
    assert "by the next flush" not in visit.get(PAGE)
    assert ["a"] == wire.sent
    assert ["b", "c"] == pending()


def test_all_that_match_are_replayed(
    visit: Visitor, three: SignalModel, wire: Wire, flush: t.Any
) -> None:
    """The filter of the page is that of the action."""
    wire.errors.clear()
    visit.post("/models/OrderPaid/replay", PAGE, error="account", state="")
    flush()

    assert ["a", "b"] == wire.sent


def test_a_signal_is_parked(visit: Visitor, three: SignalModel) -> None:
    """With the name of who did it."""
    visit.post("/models/OrderPaid/park", f"{SIGNAL}?key=1", key="1")
    failure = visit.json(f"{SIGNAL}.json?key=1")["failure"]

    assert "parked" == failure["state"]
    assert "Parked by ada." in failure["error_text"]
    assert "There is no account 17." in failure["error_text"]


@pytest.mark.databases
def test_a_signal_is_discarded_after_a_confirmation(
    visit: Visitor, three: SignalModel, pending: Pending
) -> None:
    """The link of its page leads to a question; only the answer deletes."""
    question = "/models/OrderPaid/discard?key=1"
    assert "/models/OrderPaid/discard?key=1" in visit.get(f"{SIGNAL}?key=1")
    assert "Discard 1 signal of OrderPaid?" in visit.get(question)
    assert ["a", "b", "c"] == pending()

    visit.post("/models/OrderPaid/discard", question, key="1")
    assert ["b", "c"] == pending()


def test_all_that_match_are_discarded(
    visit: Visitor, three: SignalModel, pending: Pending
) -> None:
    """The question says how many there are."""
    question = "/models/OrderPaid/discard?error=account"
    assert "Discard 2 signals of OrderPaid?" in visit.get(question)

    visit.post("/models/OrderPaid/discard", question, error="account", state="")
    assert ["c"] == pending()


def test_what_is_gone_is_not_acted_on(visit: Visitor, three: SignalModel) -> None:
    """Another person was quicker."""
    visit.post("/models/OrderPaid/discard", PAGE, key="1")
    visit.post("/models/OrderPaid/replay", PAGE, key="1")

    assert "Nothing was done" in visit.get(PAGE)


def test_an_action_is_one_line_in_the_log(
    visit: Visitor, three: SignalModel, caplog: pytest.LogCaptureFixture
) -> None:
    """With what was done, to what, and by whom; pages that show are no lines."""
    caplog.set_level(logging.INFO, "signalbus.dashboard")
    visit.post("/models/OrderPaid/replay", PAGE, error="account", state="")
    (line,) = [each for each in caplog.records if each.name == "signalbus.dashboard"]
    fields = vars(line)

    assert "replay: 2 signals of OrderPaid, by ada" == line.getMessage()
    assert ("replay", "OrderPaid", 2, "ada") == tuple(
        fields[f"signalbus_{name}"] for name in ("action", "model", "count", "user")
    )


def test_a_missing_table_of_failures_is_told(
    visit: Visitor, three: SignalModel, db: SQLAlchemy
) -> None:
    """The overview goes on without it, and says what to run."""
    db.metadata.tables["signalbus_failure"].drop(db.engine)

    assert "signalbus_failure is missing" in visit.get(PAGE, 503)
    assert "signalbus_failure is missing" in visit.get("/")
    error = visit.json("/models/OrderPaid/failures.json", 503)["error"]
    assert "signalbus_failure is missing" in error
