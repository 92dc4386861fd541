"""A program that creates the tables of the app, and the rows that are fought over."""

from __future__ import annotations

from chaos.app import ACCOUNTS
from chaos.app import Account
from chaos.app import app
from chaos.app import db


def main() -> None:
    """Create them."""
    with app.app_context():
        db.create_all()
        db.session.add_all(Account(id=each, balance=0) for each in range(ACCOUNTS))
        db.session.commit()


if __name__ == "__main__":
    main()
