"""A shop in three processes that write their spans to a file each.

Run as ``shop.py web|relay|consumer``. The web process prints its port; the others end
when they have sent, and processed, what was ordered.
"""

from __future__ import annotations

import os
import sys
import threading
import typing as t

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus_otel import Traced
from signalbus_otel import traced
from signalbus_rabbitmq import Consumer

ROLE = sys.argv[1]
QUEUE = os.environ["QUEUE"]

spans = open(os.environ["SPANS"], "w", encoding="utf-8")  # noqa: PTH123, SIM115 until the end
exporter = ConsoleSpanExporter(
    out=spans, formatter=lambda span: span.to_json(indent=None) + "\n"
)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.config["SIGNALBUS_RABBITMQ_URL"] = os.environ["RABBITMQ_URL"]
app.config["SIGNALBUS_AUTOFLUSH"] = False
db = SQLAlchemy(app)
bus = SignalBus(db)


class OrderPaid(Traced, db.Model):
    """An order was paid."""

    id = db.Column(db.Integer, primary_key=True)
    signalbus_broker = "rabbitmq"
    signalbus_exchange = ""
    signalbus_routing_key = QUEUE
    signalbus_burst_count = 10


@app.post("/orders/<int:count>")
def pay(count: int) -> str:
    """Pay some orders."""
    db.session.add_all([OrderPaid() for _ in range(count)])
    db.session.commit()
    return "paid"


def web() -> None:
    """Answer requests until standard input is closed."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from werkzeug.serving import make_server

    FlaskInstrumentor().instrument_app(app)
    with app.app_context():
        db.create_all()
    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)  # noqa: T201 the test reads it
    sys.stdin.read()
    server.shutdown()


def relay() -> None:
    """Send what was ordered."""
    from signalbus_relay import Relay

    relay = Relay(app)

    class Stopper:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            relay.stop()

    bus.plugin_manager.register(Stopper())
    relay.run()


class Orders(Consumer):
    """Processes what was ordered."""

    @traced
    def process_message(self, body: bytes, properties: t.Any) -> bool:
        """Process an order."""
        return True


def consumer() -> None:
    """Process all messages of the queue."""
    Orders(app, queue=QUEUE, draining_mode=True).start()


{"web": web, "relay": relay, "consumer": consumer}[ROLE]()
spans.close()
