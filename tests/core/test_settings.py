"""Settings: how a switch may be written, and what a wrong one says."""

from __future__ import annotations

import logging
import typing as t

import pytest
from flask_sqlalchemy import SQLAlchemy
from signalbus import SettingError
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import SignalBusMixin
from signalbus import hookimpl
from signalbus.settings import read_switch

if t.TYPE_CHECKING:
    from flask import Flask

SWITCHES = ("SIGNALBUS_AUTOFLUSH", "SIGNALBUS_SYNCHRONOUS_COMMIT")

ON = (True, 1, "1", "true", "True", "TRUE", "yes", "on", "t", "Y", " on ")
OFF = (False, 0, "0", "false", "False", "FALSE", "no", "off", "f", "N", "Off\n")
WRONG = (None, "", "maybe", 2, -1, 1.0, [], "backgrounds")


def _values(bus: SignalBus) -> tuple[bool, bool]:
    return bus.autoflush, bus.synchronous_commit


@pytest.mark.parametrize(
    ("told", "meant"), [(told, True) for told in ON] + [(told, False) for told in OFF]
)
def test_switches_are_written_in_many_ways(
    new_app: t.Any, engine_url: str, told: object, meant: bool
) -> None:
    """What an environment variable can say is understood, in any case."""
    app: Flask = new_app(engine_url, **dict.fromkeys(SWITCHES, told))

    assert (meant, meant) == _values(SignalBus(SQLAlchemy(app)))


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_switch_is_named_with_its_value(
    new_app: t.Any, engine_url: str, name: str, value: object
) -> None:
    """The error says which setting, what it is, and what it may be."""
    db = SQLAlchemy(new_app(engine_url, **{name: value}))

    with pytest.raises(SettingError) as caught:
        SignalBus(db)

    assert isinstance(caught.value, SignalBusError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{name} is {value!r}. Set it to True")


TYPOS = {
    "SIGNALBUS_AUTOFLSH": "SIGNALBUS_AUTOFLUSH",
    "SIGNALBUS_AUTO_FLUSH": "SIGNALBUS_AUTOFLUSH",
    "SIGNALBUS_autoflush": "SIGNALBUS_AUTOFLUSH",
    "SIGNALBUS_SYNCHRONUS_COMMIT": "SIGNALBUS_SYNCHRONOUS_COMMIT",
}

#: Names of the application's own, or of a plugin that is not installed.
OTHERS = (
    "SIGNALBUS_COLOUR",
    "SIGNALBUS_COMMIT",
    "SIGNALBUS_FILEBROKER_PATH",
    "SIGNALBUS_AUTOFLUSH_2",
    "SIGNALBUS_",
    "AUTOFLUSH",
    "SIGNAL_AUTOFLUSH",
)


def _warning(typo: str) -> str:
    return (
        f"The app has a setting {typo!r}, which neither signalbus nor a plugin knows."
        f" Did you mean {TYPOS[typo]!r}?"
    )


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_told_with_the_setting_that_was_meant(
    new_app: t.Any, engine_url: str, caplog: pytest.LogCaptureFixture, typo: str
) -> None:
    """A warning in the log has both names, and not the value, which may be secret."""
    _bus = SignalBus(SQLAlchemy(new_app(engine_url, **{typo: "s3cret"})))

    assert [
        (
            "signalbus",
            logging.WARNING,
            _warning(typo),
        )
    ] == caplog.record_tuples


@pytest.mark.parametrize("name", [*SWITCHES, *OTHERS])
def test_other_settings_are_the_apps_own(
    new_app: t.Any, engine_url: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """What is known, or not close to anything known, is left alone."""
    _bus = SignalBus(SQLAlchemy(new_app(engine_url, **{name: True})))

    assert [] == caplog.messages


def test_keys_of_the_configuration_may_be_anything(
    new_app: t.Any, engine_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Flask's configuration is a dictionary, whose keys need not be text."""
    app: Flask = new_app(engine_url)
    t.cast("dict[object, object]", app.config)[7] = "seven"
    _bus = SignalBus(SQLAlchemy(app))

    assert [] == caplog.messages


class _Pigeons:
    """A plugin whose setting cannot be used."""

    @hookimpl
    def signalbus_init_app(self, app: Flask) -> None:
        """Refuse the setting, as Python does."""
        if app.config["PIGEONS"] == "none":
            raise ValueError("PIGEONS is 'none'. Set it to names.")
        raise LookupError(app.config["PIGEONS"])


class _Database(SignalBusMixin, SQLAlchemy):
    """A database object that has a bus before it has an app."""


def _init_app(app: Flask) -> None:
    db = _Database()
    db.signalbus.plugin_manager.register(_Pigeons())
    db.init_app(app)


def test_a_setting_that_a_plugin_refuses(new_app: t.Any, engine_url: str) -> None:
    """A plugin's `ValueError` about the configuration is a setting's error, too."""
    with pytest.raises(SettingError, match=r"^PIGEONS is 'none'\. Set it to names\.$"):
        _init_app(new_app(engine_url, PIGEONS="none"))


def test_other_errors_of_a_plugin_stay_what_they_are(
    new_app: t.Any, engine_url: str
) -> None:
    """Whatever else it raises comes out as it is."""
    with pytest.raises(LookupError, match="Cher Ami"):
        _init_app(new_app(engine_url, PIGEONS="Cher Ami"))


def test_plugins_read_switches_like_the_core() -> None:
    """In all spellings; the error has the name of the setting."""
    assert [True] * len(ON) == [read_switch("PIGEONS", value) for value in ON]
    assert [False] * len(OFF) == [read_switch("PIGEONS", value) for value in OFF]
    with pytest.raises(SettingError, match="PIGEONS is 'maybe'"):
        read_switch("PIGEONS", "maybe")
