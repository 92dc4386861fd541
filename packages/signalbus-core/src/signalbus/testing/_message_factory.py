"""Make messages for the broker that a model names, even if it is not installed."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from signalbus._declare import ATTRIBUTES
from signalbus._message_attribute import COMMON
from signalbus.brokers import BrokerPlugin
from signalbus.messages import MessageAttribute
from signalbus.messages import MessageFactory

if t.TYPE_CHECKING:
    import pluggy

    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

#: The prefix of attribute names.
PREFIX: t.Final = "signalbus_"


def make_factory(bus: Bus, model: SignalModel) -> MessageFactory:
    """Return a factory for the messages of *model*.

    Their attributes are those that the model declares and nothing but a broker reads.
    If the model's broker is installed, its attributes are checked as it checks them,
    and there are no bodies if it has none.
    """
    plugins = _plugins(bus.plugin_manager, bus.declaration(model).broker)
    known = {each.name: each for plugin in plugins for each in plugin.attributes}
    names = _declared(model) - _read_by_others(bus)
    return MessageFactory(
        model,
        [known.get(name) or _any(name) for name in names],
        has_bodies=all(plugin.has_bodies for plugin in plugins),
    )


def _plugins(manager: pluggy.PluginManager, broker: str | None) -> list[BrokerPlugin]:
    """Return the plugin of *broker* if it is installed and a :class:`BrokerPlugin`."""
    return [
        plugin
        for plugin in manager.get_plugins()
        if isinstance(plugin, BrokerPlugin) and plugin.name == broker
    ]


def _declared(model: SignalModel) -> set[str]:
    """Return the names of the attributes that *model* declares, without its columns."""
    columns = sa.inspect(model, raiseerr=True).all_orm_descriptors.keys()
    return {
        name
        for name in dir(model)
        if name.startswith(PREFIX)
        and name not in columns
        and getattr(model, name) is not None
    }


def _read_by_others(bus: Bus) -> set[str]:
    """Return the names of attributes that do not describe where a message goes."""
    hook = bus.plugin_manager.hook
    brokers = [each.plugin for each in hook.signalbus_send_burst.get_hookimpls()]
    ask = bus.plugin_manager.subset_hook_caller("signalbus_model_attributes", brokers)
    return {*ATTRIBUTES, *COMMON}.union(*ask(bus=bus))


def _any(name: str) -> MessageAttribute:
    """Return an attribute that accepts any value."""
    return MessageAttribute(name, "a value", (object, bool), is_required=False)
