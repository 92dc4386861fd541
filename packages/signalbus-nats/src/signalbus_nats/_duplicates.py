"""Find out whether a message that a stream drops as a duplicate is really one.

A stream drops a message whose id it has seen within the last two minutes. That is right
for a message that is sent again after a crash. But another signal may have the same id,
because it is in a table of the same name in another database, or because its primary
key was reused.
"""

from __future__ import annotations

import base64
import secrets
import typing as t

import flask

from signalbus_nats import _api
from signalbus_nats._packets import MESSAGE_ID
from signalbus_nats._packets import MESSAGE_TYPE

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration

    from signalbus_nats._packets import Packet

#: A packet, and the acknowledgement that reports it as a duplicate.
Duplicate: t.TypeAlias = "tuple[Packet, dict[str, t.Any]]"


def find_others(
    ask: _api.Ask, duplicates: t.Sequence[Duplicate], declaration: Declaration
) -> list[Packet]:
    """Return those of *duplicates* that the stream may not have, with other ids.

    A packet is left out if the stream certainly has it: the stored message has the same
    body and type, and the database does not reuse primary keys. If the stored message
    cannot be read, for example because a work queue has deleted it, the packet is
    included: sending it twice is better than losing it.
    """
    others = [packet for packet, _ in duplicates]
    if not _may_reuse_keys(declaration):
        answers = _api.put(ask, *(_api.stored(ack) for _, ack in duplicates))
        pairs = zip(others, answers, strict=True)
        others = [packet for packet, answer in pairs if not _is_stored(packet, answer)]
    return [_with_another_id(packet) for packet in others]


def _with_another_id(packet: Packet) -> Packet:
    headers = packet.headers or {}
    message_id = f"{headers[MESSAGE_ID]}:{secrets.token_hex(8)}"
    return packet._replace(headers={**headers, MESSAGE_ID: message_id})


def _may_reuse_keys(declaration: Declaration) -> bool:
    """Return whether the database may reuse a primary key, as SQLite does."""
    column = declaration.table.autoincrement_column
    if column is None or declaration.table.dialect_options["sqlite"]["autoincrement"]:
        return False
    engines = flask.current_app.extensions["sqlalchemy"].engines
    return bool(engines[declaration.bind_key].dialect.name == "sqlite")


def _is_stored(packet: Packet, answer: _api.Answer) -> bool:
    message = answer.content.get("message", {})
    kind = f"\r\n{MESSAGE_TYPE}: {(packet.headers or {})[MESSAGE_TYPE]}\r\n"
    headers = base64.b64decode(message.get("hdrs", ""))
    body = base64.b64decode(message.get("data", ""))
    return bool(message) and body == packet.body and kind.encode() in headers
