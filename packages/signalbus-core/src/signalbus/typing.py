"""The words of signalbus, as types."""

from __future__ import annotations

import typing as t

#: A mapped class that declares a way to send its instances.
SignalModel: t.TypeAlias = type[t.Any]

#: What a sender is given: a model instance, or a row that has the values of the
#: model's columns as attributes, named as on the model.
Signal: t.TypeAlias = t.Any

#: The values of a primary key, in the order of the table's primary key columns.
PrimaryKey: t.TypeAlias = tuple[t.Any, ...]
