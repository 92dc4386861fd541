"""Schemas as users write them: this file is checked, and never run."""

# marshmallow-sqlalchemy leaves types out, which is what "strict" would complain about.
# pyright: standard

from __future__ import annotations

import typing as t

import marshmallow
import sqlalchemy.orm as sa_orm
from signalbus_marshmallow import ModelSchema
from signalbus_marshmallow import SignalSchema


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


class OrderPaid(Base):
    """A signal whose schemas are those that the plugin sets."""

    __tablename__ = "order_paid"
    __marshmallow__: t.ClassVar[type[marshmallow.Schema]]
    __marshmallow_schema__: t.ClassVar[marshmallow.Schema]
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    def send_signalbus_message(self) -> None:
        """Send one."""
        text: str = self.__marshmallow_schema__.dumps(self)
        OrderPaid.__marshmallow__().loads(text)


class OrderSent(Base):
    """A signal with a schema of its own."""

    __tablename__ = "order_sent"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    class __marshmallow__(SignalSchema):  # noqa: N801 the name that signalbus reads
        """The schema of its messages."""

        class Meta(SignalSchema.Meta):
            """Leaves out the primary key."""

            exclude = ("id",)

        number = marshmallow.fields.Integer(attribute="id")


class Order(Base):
    """A model that is not a signal, with a schema of its own."""

    __tablename__ = "order"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    class __marshmallow__(ModelSchema):  # noqa: N801 the name that signalbus reads
        """The schema of orders."""

        total = marshmallow.fields.Integer()
