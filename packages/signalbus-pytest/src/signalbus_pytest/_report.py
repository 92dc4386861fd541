"""Explain why an assertion about signals failed, and what was recorded instead."""

from __future__ import annotations

import collections
import typing as t

from signalbus_pytest._expectation import shown

if t.TYPE_CHECKING:
    from signalbus_pytest._expectation import Expectation
    from signalbus_pytest._journal import Fate
    from signalbus_pytest._snapshot import Entry

#: How many signals of each kind are shown.
MAX_ENTRIES: t.Final = 3


class Report:
    """The lines that a failed assertion shows.

    :param recorded: the signals that were recorded, as the assertion sees it.
    :param others: the signals with other fates, by fate.
    :param remedies: what to do about other fates, by fate.
    :param verb: the word of the assertion for "recorded".
    """

    def __init__(
        self,
        expectation: Expectation,
        recorded: t.Sequence[Entry],
        others: t.Mapping[Fate, t.Sequence[Entry]],
        remedies: t.Mapping[Fate, str],
        verb: str,
    ) -> None:
        self._expectation = expectation
        self._name = expectation.model.__name__
        self._own = [each for each in recorded if each.model is expectation.model]
        self._foreign = [each for each in recorded if each not in self._own]
        self._others = others
        self._remedies = remedies
        self._verb = verb

    def too_few(self, matching: t.Sequence[Entry], count: int) -> str:
        """Say that fewer signals match than *count*."""
        found = f"No {self._name} was" if not matching else self._were(len(matching))
        wanted = f", not {count}" if matching or count > 1 else ""
        lines = [f"{found} {self._verb}{self._expectation}{wanted}."]
        lines += self._list("These match:", matching)
        lines += self._closest([each for each in self._own if each not in matching])
        lines += self._of_other_models()
        lines += self._of_other_fates()
        if len(lines) == 1:
            lines += self._nothing()
        return "\n".join(lines)

    def too_many(self, matching: t.Sequence[Entry], count: int) -> str:
        """Say that more signals match than *count*."""
        were = self._were(len(matching))
        wanted = f", not {count}" if count else ""
        return listed(f"{were} {self._verb}{self._expectation}{wanted}:", matching)

    def _were(self, count: int) -> str:
        return f"{count} {self._name} {'was' if count == 1 else 'were'}"

    def _closest(self, entries: t.Sequence[Entry]) -> list[str]:
        """Return the signals of the model, and where they differ."""
        differences = {id(x): self._expectation.differences(x.values) for x in entries}
        ranked = sorted(entries, key=lambda entry: len(differences[id(entry)]))
        lines = []
        for entry in ranked[:MAX_ENTRIES]:
            lines.append(f"  {describe(entry)}")
            for name, difference in differences[id(entry)].items():
                lines += _about(name, difference)
        heading = f"These were {self._verb}, the closest first:"
        return _block(heading, lines, len(entries) - MAX_ENTRIES)

    def _of_other_models(self) -> list[str]:
        """Return how many signals of other models there are, and which would match."""
        fitting = [
            each
            for each in self._foreign
            if self._expectation.expected
            and self._expectation.fits(each.model)
            and self._expectation.matches(each.values)
        ]
        if fitting:
            return self._list("Of another model, these match:", fitting)
        counts = collections.Counter(each.model.__name__ for each in self._foreign)
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        return (
            ["", f"Of other models, there were {self._verb}: {told}."] if told else []
        )

    def _of_other_fates(self) -> list[str]:
        """Return what was not recorded, and why."""
        lines = []
        for fate, entries in self._others.items():
            own = [each for each in entries if each.model is self._expectation.model]
            match = [each for each in own if self._expectation.matches(each.values)]
            were = "This one matches, but was"
            if len(match) > 1:
                were = "These match, but were"
            remedy = f" ({self._remedies[fate]})" if fate in self._remedies else ""
            if match:
                lines += self._list(f"{were} {fate.value}{remedy}:", match)
            elif own:
                lines += ["", f"{self._were(len(own))} {fate.value}{remedy}."]
        return lines

    @staticmethod
    def _nothing() -> list[str]:
        return [
            "",
            "Nothing was recorded. What was recorded before the fixture was set up",
            "is not seen, nor what was inserted past the ORM.",
        ]

    @staticmethod
    def _list(heading: str, entries: t.Sequence[Entry]) -> list[str]:
        return ["", listed(heading, entries)] if entries else []


def listed(heading: str, entries: t.Sequence[Entry]) -> str:
    """Return the first signals of *entries*, below a heading."""
    lines = [f"  {describe(each)}" for each in entries[:MAX_ENTRIES]]
    return "\n".join([heading, *lines, *_more(len(entries) - MAX_ENTRIES)])


def describe(entry: Entry) -> str:
    """Return the signal of *entry* as a line."""
    values = ", ".join(f"{name}={shown(x)}" for name, x in entry.values.items())
    return f"{entry.model.__name__}({values})"


def _about(name: str, difference: t.Sequence[str]) -> list[str]:
    """Return what is shown of a column that differs: a line, or a diff below it."""
    if len(difference) == 1:
        return [f"    {name}: {difference[0]}"]
    heading = f"    {name}: expected (-), recorded (+)"
    return [heading, *(f"      {line}" for line in difference)]


def _block(heading: str, lines: list[str], more: int) -> list[str]:
    return ["", heading, *lines, *_more(more)] if lines else []


def _more(count: int) -> list[str]:
    return [f"  … and {count} more"] if count > 0 else []
