"""A shop written for Flask-SignalBus 0.5, which runs unchanged on signalbus-compat."""

from __future__ import annotations

import os

from flask import Flask

from .cli import shop
from .extensions import db
from .extensions import publisher
from .views import orders


def create_app() -> Flask:
    """Create the app. Its settings come from the environment."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get(
        "SHOP_DATABASE_URI", "sqlite:///shop.sqlite"
    )
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    app.config["SIGNALBUS_RABBITMQ_URL"] = os.environ.get("SHOP_RABBITMQ_URL")
    app.config["SHOP_EXCHANGE"] = os.environ.get("SHOP_EXCHANGE", "shop")
    app.config["SHOP_OUTPUT"] = os.environ.get("SHOP_OUTPUT", "messages.txt")
    db.init_app(app)
    if app.config["SIGNALBUS_RABBITMQ_URL"]:
        publisher.init_app(app)
    app.register_blueprint(orders)
    app.cli.add_command(shop)
    return app
