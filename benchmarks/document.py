"""All figures in one JSON document, with what they were measured on."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from benchmarks.report import Entry
from benchmarks.report import Line


@dataclasses.dataclass(frozen=True)
class Document:
    """The figures of a machine.

    :param machine: what :func:`benchmarks.machine.describe` says.
    """

    machine: t.Mapping[str, str]
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        """Return the document as text."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Document:
        """Return the document that was written as *text*."""
        content = json.loads(text)
        return cls(content["machine"], tuple(map(_entry, content["entries"])))

    def updated(self, newer: Document, order: t.Sequence[str]) -> Document:
        """Return *newer*, and what it lacks and was measured on the same machine.

        :param order: the names of all cases, in the order of the table.
        """
        if self.machine != newer.machine:
            return newer
        known = {each.case: each for each in (*self.entries, *newer.entries)}
        entries = tuple(known[name] for name in order if name in known)
        return Document(newer.machine, entries)


def _entry(content: dict[str, t.Any]) -> Entry:
    lines = tuple(
        Line(**{**line, "times": tuple(line["times"])}) for line in content.pop("lines")
    )
    return Entry(**content, lines=lines)
