"""The subjects to which messages are published."""

from __future__ import annotations

import functools
import re

#: How long a subject may be, in bytes. A line of the protocol may have 4096 by default,
#: and the server closes the connection of a client that sends a longer one.
MAX_LENGTH = 1024

#: Tokens, separated by dots. A token contains no wildcards and no blanks.
_SUBJECT = re.compile(r"[^\s.*>]+(?:\.[^\s.*>]+)*")


#: The first tokens of subjects that NATS uses for commands and answers. A message to
#: such a subject could delete a stream, or be taken for an answer by another client.
_OF_NATS = frozenset({"$JS", "$SYS", "_INBOX"})


@functools.lru_cache(maxsize=1024)
def complaint(subject: str) -> str | None:
    """Return why *subject* cannot be published to, or ``None`` if it can."""
    if _SUBJECT.fullmatch(subject) is None or not subject.isprintable():
        return (
            f"{subject!r:.80} is not a subject. Use words with dots in between, such as"
            " 'orders.paid', without blanks and without the wildcards * and >."
        )
    if subject.partition(".")[0] in _OF_NATS:
        return (
            f"{subject!r:.80} is reserved: NATS uses it for commands and answers. Use"
            " another one."
        )
    if len(subject.encode()) > MAX_LENGTH:
        return (
            f"The subject {subject!r:.80} has more than {MAX_LENGTH} bytes. Use a"
            " shorter one."
        )
    return None
