"""A shop that announces its orders. Try it: `flask --app examples.shop run`."""

from __future__ import annotations

import os
import secrets

from flask import Flask
from signalbus_dashboard import dashboard

from examples.shop.models import db
from examples.shop.views import may_see_dashboard
from examples.shop.views import shop


def create_app() -> Flask:
    """Create the app; configure it by variables like `FLASK_SIGNALBUS_AUTOFLUSH`."""
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE_URL", "sqlite:///shop.sqlite"),
        SIGNALBUS_RABBITMQ_URL=os.environ.get("SIGNALBUS_RABBITMQ_URL"),
        SECRET_KEY=secrets.token_hex(),  # in production, a fixed one
        FILE_BROKER_PATH="messages.jsonl",
        SHOP_QUEUE="shop",
    )
    app.config.from_prefixed_env()
    if "CELERY" in app.config:
        from examples.shop.tasks import make_celery

        make_celery(app)
    db.init_app(app)
    app.register_blueprint(shop)
    app.register_blueprint(
        dashboard(db.signalbus, authorize=may_see_dashboard), url_prefix="/signalbus"
    )
    return app
