"""Numbers and messages that the manual tells are those of the code."""

from __future__ import annotations

import re
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import SignalBus
from signalbus import SignalModelError
from signalbus import _flush
from signalbus import _keyed_selection
from signalbus import _queues_by_union
from signalbus import _report
from signalbus import _select
from signalbus import _send_waves
from signalbus import breakers

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

#: What the pages say, and what stands behind it.
SENTENCES: dict[tuple[str, str], tuple[t.Any, t.Any]] = {
    ("failures", "up to seven times, by autoflush three times"): (
        (7, 3),
        (_flush.TRIES, _flush.AUTOFLUSH_TRIES),
    ),
    ("failures", "half a second at first"): (0.5, breakers.FIRST),
    ("failures", "up to half a minute"): (30, breakers.MAX),
    ("failures", "the first three of them"): (3, _report.MAX_NAMED),
    ("ordering", "up to 10 of each"): (10, _flush.MAX_OLDER),
    ("ordering", "a quarter of a second"): (0.25, _flush.KEY_WAIT),
    ("ordering", "when the burst has taken one second"): (1, _send_waves.MAX_SECONDS),
    ("databases", "as many as four bursts have, between 1,000 and 4,000"): (
        (4, 1000, 4000),
        (
            _keyed_selection.BURSTS_AHEAD,
            _select.KEYS_AHEAD,
            _select.MAX_KEYS_AHEAD,
        ),
    ),
    ("databases", "in statements of up to 64"): (64, max(_queues_by_union.BRANCHES)),
}

SEND = {"send_signalbus_message": lambda self: None}
SEND_BURST = {"send_signalbus_messages": classmethod(lambda cls, signals: None)}

#: Misdeclared models, in the order of the page's table.
MISDECLARED: list[dict[str, t.Any]] = [
    SEND_BURST,
    {**SEND_BURST, "signalbus_broker": "memory"},
    {"signalbus_burst_count": 2},
    {"send_signalbus_message": "hello"},
    {**SEND, "send_signalbus_messages": lambda self, signals: None},
    {"signalbus_broker": ""},
    {**SEND, "signalbus_burst_count": 0},
    {**SEND, "signalbus_autoflush": "no"},
    {**SEND, "signalbus_order_by": "id"},
    {**SEND, "signalbus_ordering_key": "acount"},
    {**SEND, "signalbus_ordering_key": "data", "data": sa.Column(sa.JSON)},
]


@pytest.mark.parametrize(("page_name", "sentence"), SENTENCES)
def test_numbers_are_those_of_the_code(
    manual: t.Callable[[str], str], page_name: str, sentence: str
) -> None:
    """The page tells how often, how long and how many."""
    told, real = SENTENCES[page_name, sentence]

    assert sentence in " ".join(manual(page_name).split())
    assert told == real


@pytest.mark.parametrize("number", range(len(MISDECLARED)))
def test_misdeclared_models_get_the_answer_of_the_page(
    db: SQLAlchemy, bus: SignalBus, sections: t.Any, number: int
) -> None:
    """Each row of the table says what its error says."""
    text = sections("signal-models")["What cannot work"]
    rows = re.findall(r"^\| .* \| (.*) \|$", text, re.MULTILINE)
    remedy = rows[number + 1]
    model = type(
        "Wrong",
        (db.Model,),
        {"id": db.Column(db.Integer, primary_key=True), **MISDECLARED[number]},
    )
    with pytest.raises(SignalModelError, match=re.escape(remedy)) as caught:
        bus.get_signal_models()

    assert model.__name__ in str(caught.value)
