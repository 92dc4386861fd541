"""A disk that is full, for SQLite: while the file ``CHAOS_FULL_DISK`` exists.

SQLite then may add no page to the database, and raises what it raises on a full disk.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

#: As many pages as SQLite allows by default.
UNLIMITED = 1_073_741_823


def install(app: Flask, db: SQLAlchemy) -> None:
    """Look at the disk whenever a transaction begins, if there is one to look at."""
    path = os.environ.get("CHAOS_FULL_DISK")
    if path is None:
        return
    with app.app_context():
        engine = db.engine

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # SQLite never goes below the pages that there are.
        pages = 1 if Path(path).exists() else UNLIMITED
        cursor = connection.connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        cursor.close()
