"""Read the reply of a stream to a message: an acknowledgement or an error."""

from __future__ import annotations

import json
import re
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    from signalbus_nats._exchange import Reply

#: The classes of errors that concern JetStream and not a message: transient conflicts,
#: too many requests, and errors of the server.
_UNAVAILABLE: t.Final = (409, 429, 500, 503)

#: Errors of other classes that do, too: the account has reached its limits.
_ACCOUNT_IS_FULL = 10002

#: Storing has failed: the stream or the disk is full.
_STORE_FAILED = 10077

#: A rollup that the stream does not permit. It is reported as a server error.
_ROLLUP_FAILED = 10111

#: The prefix of errors about a stream's limits, and limits that only a message exceeds.
_LIMITS: t.Final = ("maximum ", "message ")


#: The usual reply of a stream. It is read a thousand times for each burst.
_PLAIN = re.compile(rb'\{"stream": ?"[^"\\]+", ?"seq": ?[0-9]+\}')


def is_plain_ack(reply: Reply) -> bool:
    """Return whether *reply* says that a stream has the message, and nothing else."""
    return _PLAIN.fullmatch(reply.data) is not None


def read_ack(reply: Reply) -> dict[str, t.Any]:
    """Return the acknowledgement in *reply*.

    :raises MessageRefusedError: if the stream refuses the message.
    :raises BrokerUnavailableError: if JetStream cannot accept messages at the moment.
    """
    if reply.error is not None:
        raise _unsendable(reply.error)
    try:
        ack = json.loads(reply.data)
    except ValueError:
        ack = None
    if not isinstance(ack, dict) or not ({"error", "seq"} & ack.keys()):
        raise MessageRefusedError(
            f"Something that is not a stream replied to {reply.packet.subject!r}. Make"
            " sure that only a stream subscribes to the subject and replies."
        )
    if "error" in ack:
        raise _refusal(ack["error"], reply.packet.subject)
    return ack


def _unsendable(error: Exception) -> Exception:
    if isinstance(error, (MessageRefusedError, BrokerUnavailableError)):
        return error
    refused = MessageRefusedError(f"The message cannot be published: {error}")
    refused.__cause__ = error
    return refused


def _refusal(error: dict[str, t.Any], subject: str) -> Exception:
    code, err_code = error.get("code"), error.get("err_code")
    text = str(error.get("description", "no reason given"))
    if _is_unavailable(code, err_code, text):
        return BrokerUnavailableError(
            f"JetStream cannot store messages at the moment: {text} ({err_code})."
        )
    return MessageRefusedError(
        f"The stream of {subject!r} refuses the message: {text} ({err_code}). Correct"
        " the signal, or the stream."
    )


def _is_unavailable(code: object, err_code: object, text: str) -> bool:
    if err_code == _STORE_FAILED:
        return not text.startswith(_LIMITS)
    if err_code == _ROLLUP_FAILED:
        return False
    return code in _UNAVAILABLE or err_code == _ACCOUNT_IS_FULL
