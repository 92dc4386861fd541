"""Flask-SignalBus installed beside signalbus-compat: refused, not mixed."""

from __future__ import annotations

import typing as t

import flask_signalbus
import pytest
from signalbus import SignalBus

if t.TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from flask_sqlalchemy import SQLAlchemy

BOTH_OWN = r"Flask-SignalBus 0\.5\.20 is installed beside signalbus-compat"


@pytest.fixture
def old_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of installed distributions that has Flask-SignalBus in it."""
    metadata = tmp_path / "Flask_SignalBus-0.5.20.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: Flask-SignalBus\nVersion: 0.5.20")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_importing_beside_the_old_library_is_an_error(
    old_library: Path, interpreter: t.Callable[..., subprocess.Popen[str]]
) -> None:
    """The error names both, and says how to get rid of the wrong one."""
    process = interpreter(
        f"import sys; sys.path.insert(0, {str(old_library)!r})\n"
        "try: import flask_signalbus.atomic\n"
        "except ImportError as error: print(error)"
    )

    output = process.communicate()[0]
    assert output.startswith("Flask-SignalBus 0.5.20 is installed beside")
    assert "pip uninstall Flask-SignalBus signalbus-compat" in output


def test_a_bus_beside_the_old_library_is_an_error(
    old_library: Path, db: SQLAlchemy
) -> None:
    """Whatever was imported as ``flask_signalbus`` did not refuse: no bus is made."""
    assert flask_signalbus
    with pytest.raises(ImportError, match=BOTH_OWN):
        SignalBus(db)
