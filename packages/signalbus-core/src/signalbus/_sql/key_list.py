"""Many primary keys in little memory: a flush may have to know millions of them."""

from __future__ import annotations

import array
import collections.abc
import sys
import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey


class KeyList(collections.abc.Sequence["PrimaryKey"]):
    """Primary keys, in the order in which they were added.

    Integers that are keys by themselves take eight bytes each. Other single keys are
    kept without the tuple around them. All keys are of the same number of columns.
    """

    def __init__(self, keys: t.Iterable[t.Sequence[t.Any]] = ()) -> None:
        self._is_single = True
        self._values: array.array[int] | list[t.Any] = array.array("q")
        if keys:
            self.extend(keys)

    @property
    def nbytes(self) -> int:
        """How much memory the list takes, without what its items refer to."""
        return sys.getsizeof(self._values)

    def extend(self, keys: t.Iterable[t.Sequence[t.Any]]) -> None:
        """Add *keys*, which may be rows of a result."""
        added = list(map(tuple, keys))
        if added and len(added[0]) > 1:
            self._is_single = False
        values: list[t.Any] = added
        if self._is_single:
            values = [value for (value,) in added]
        if isinstance(self._values, array.array) and not _fit(values):
            self._values = self._values.tolist()
        self._values.extend(values)

    def __len__(self) -> int:
        return len(self._values)

    @t.overload
    def __getitem__(self, index: int) -> PrimaryKey: ...

    @t.overload
    def __getitem__(self, index: slice) -> list[PrimaryKey]: ...

    def __getitem__(self, index: int | slice) -> PrimaryKey | list[PrimaryKey]:
        some = self._values[index]
        if not self._is_single:
            return t.cast("PrimaryKey | list[PrimaryKey]", some)
        return [(value,) for value in some] if isinstance(index, slice) else (some,)  # type: ignore[union-attr]  # a slice of them


def _fit(values: t.Sequence[t.Any]) -> bool:
    """Return whether all *values* are 64-bit integers."""
    limit = 2**63
    return set(map(type, values)) <= {int} and (
        not values or -limit <= min(values) <= max(values) < limit
    )
