"""Keep passwords from being shown: those in URLs, and in the settings of drivers."""

from __future__ import annotations

import re
import typing as t

#: What is shown instead of a password.
MASK: t.Final = "***"

#: The longest text that is searched, in characters: what follows is cut off. The time
#: that a search takes may grow with the square of the length.
MAX_LENGTH: t.Final = 20_000

#: A URL with a password, up to the last ``@`` of the word: a password may have any
#: character in it, whether or not it should. An example in an error stays as it is.
_URL: t.Final = re.compile(
    r"([a-z][a-z0-9+.-]{0,40}://[^\s:]*:)(?!(?-i:PASSWORD@))\S*@", re.IGNORECASE
)

#: A URL of NATS with a token, which stands where others have a user.
_TOKEN: t.Final = re.compile(
    r"((?:nats|tls)://)(?!(?-i:TOKEN@))[^\s/@:]+@", re.IGNORECASE
)

_NAME = r"(?:password|passwd|passphrase|pwd|secret|token|api_?key)"
_VALUE = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&;,)}\]]+)"""

#: ``password=…`` in a connection string, or in the query of a URL.
_SETTING: t.Final = re.compile(rf"({_NAME}\s*=\s*){_VALUE}", re.IGNORECASE)

#: ``'sasl.password': '…'`` in a mapping, as Python or JSON writes it.
_ITEM: t.Final = re.compile(rf"""({_NAME}['"]\s*:\s*){_VALUE}""", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Return *text* without the passwords of URLs, connection strings and mappings.

    ``***`` stands for each. A password that stands alone cannot be told from other
    words.
    """
    if len(text) > MAX_LENGTH:
        text = f"{text[:MAX_LENGTH]}…"
    if "@" in text:
        text = _TOKEN.sub(rf"\1{MASK}@", _URL.sub(rf"\1{MASK}@", text))
    if "=" in text:
        text = _SETTING.sub(rf"\1{MASK}", text)
    return _ITEM.sub(rf"\1{MASK}", text) if ":" in text else text
