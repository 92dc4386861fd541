"""What the configuration of its apps says about a bus, and what the program says."""

from __future__ import annotations

import typing as t

from signalbus import _settings

if t.TYPE_CHECKING:
    from signalbus._apps import Apps
    from signalbus.typing import Autoflush


class BusSettings:
    """The settings of a bus: those of the app at hand, unless the program sets them.

    :param apps: the apps of the bus.
    """

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self._autoflush: Autoflush | None = None

    @property
    def autoflush(self) -> Autoflush:
        """Whether, and how, signals are sent right after the commit.

        ``True``, the default: by the thread that commits, before the commit returns.
        ``"background"``: by one thread a process, which gathers what all threads
        commit; :meth:`~signalbus.SignalBus.drain_autoflush` waits for it. ``False``:
        not at all; a relay sends them.

        Set it here or by ``SIGNALBUS_AUTOFLUSH`` in the app's configuration. What is
        set here takes precedence, for all apps of this bus, and holds for the commits
        that follow. A model can opt out with ``signalbus_autoflush = False``.
        """
        if self._autoflush is not None:
            return self._autoflush
        return _settings.read_autoflush(self._config())

    @autoflush.setter
    def autoflush(self, value: Autoflush) -> None:
        if not (isinstance(value, bool) or value == _settings.BACKGROUND):
            raise TypeError(
                f"autoflush is {value!r}. Set it to True, False or"
                f" {_settings.BACKGROUND!r}."
            )
        self._autoflush = value

    @property
    def autoflush_timeout(self) -> float:
        """How long an autoflush waits for a broker before a commit returns, in seconds.

        2 unless the app's configuration sets ``SIGNALBUS_AUTOFLUSH_TIMEOUT``. It is
        passed to broker plugins; models that send by their own methods have to limit
        their waits themselves.
        """
        return _settings.read_autoflush_timeout(self._config())

    @property
    def synchronous_commit(self) -> bool:
        """Whether PostgreSQL writes the commit of a flush to disk before it returns.

        ``True`` unless the app's configuration sets ``SIGNALBUS_SYNCHRONOUS_COMMIT`` to
        ``False``. Then flushes are faster, and a crash of the database server may bring
        back the rows of the last half second, whose signals are sent again. Nothing is
        lost, and the application's own transactions are as durable as ever.
        """
        return _settings.read_synchronous_commit(self._config())

    def _config(self) -> t.Mapping[str, t.Any]:
        """Return the configuration of the app at hand; nothing if there is none."""
        app = self._apps.at_hand()
        return {} if app is None else app.config
