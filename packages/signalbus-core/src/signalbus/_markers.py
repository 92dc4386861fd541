"""The pluggy markers, for specifications and for implementations of hooks."""

from __future__ import annotations

import pluggy

#: Mark a function as the specification of a hook. Plugins that have hooks of their own
#: add these specifications in ``signalbus_addhooks``.
hookspec = pluggy.HookspecMarker("signalbus")

#: Mark a function as the implementation of a signalbus hook.
hookimpl = pluggy.HookimplMarker("signalbus")
