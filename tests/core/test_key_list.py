"""Keys that are kept compactly are the keys that they were."""

from __future__ import annotations

import typing as t

import pytest
from signalbus._sql.key_list import KeyList

KEYS = {
    "integers": [(1,), (-5,), (2**63 - 1,)],
    "integers beyond 64 bits": [(1,), (2**63,)],
    "texts": [("a",), ("b",)],
    "a text after integers": [(1,), ("b",)],
    "booleans": [(True,), (False,)],
    "tuples in Python": [((1, 2),), ((3, 4),)],
    "composite": [(1, "a"), (2, "b")],
    "none": [],
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_keys_come_back_as_they_were(keys: list[tuple[t.Any, ...]]) -> None:
    """Whatever they are, and added in however many parts."""
    kept = KeyList()
    for key in keys:
        kept.extend([key])
    kept.extend(keys)

    assert keys * 2 == list(kept)
    assert (keys * 2)[1:3] == kept[1:3]
    assert list(map(repr, keys * 2)) == list(map(repr, kept))


def test_integers_take_little_memory() -> None:
    """A million keys take eight bytes each, and not an object and a tuple."""
    kept = KeyList((number,) for number in range(1_000_000))

    assert kept.nbytes < 10_000_000
