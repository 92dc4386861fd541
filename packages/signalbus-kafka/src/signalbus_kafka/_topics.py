"""Check the names of topics, and whether the cluster has them."""

from __future__ import annotations

import re
import typing as t

from signalbus.brokers import CheckLine

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

#: The metadata of a cluster and of a topic. confluent-kafka exports no names for them.
ClusterMetadata: t.TypeAlias = t.Any
TopicMetadata: t.TypeAlias = t.Any

#: How long a name may be, in characters.
MAX_LENGTH: t.Final = 249

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def complaint(name: str) -> str | None:
    """Return why *name* cannot be the name of a topic, or ``None`` if it can."""
    if _NAME.fullmatch(name) and len(name) <= MAX_LENGTH and name not in {".", ".."}:
        return None
    return (
        f"{name!r:.60} is not the name of a topic. It has 1 to {MAX_LENGTH} characters:"
        " letters and digits of ASCII, dots, underscores and hyphens."
    )


def check_topics(
    models: t.Sequence[SignalModel], metadata: ClusterMetadata
) -> t.Iterator[CheckLine]:
    """Check whether the cluster has the topic of each of *models*."""
    for model in models:
        topic = model.signalbus_topic
        if callable(topic):
            what = f"{model.__name__}: its topics"
            yield CheckLine(what, good="not checked, since signalbus_topic is a method")
        else:
            what = f"{model.__name__}: topic {topic!r}"
            yield _check_topic(what, metadata.topics.get(topic))


def _check_topic(what: str, topic: TopicMetadata) -> CheckLine:
    if topic is None:
        return CheckLine(
            what,
            "it does not exist, or this user may not describe it. Create it, such as"
            " with kafka-topics.sh --create.",
        )
    if topic.error is not None:
        return CheckLine(what, f"{topic.error.str()}.")
    replicas = [len(each.replicas) for each in topic.partitions.values()]
    count = min(replicas, default=0)
    return CheckLine(
        what, good=f"ok (partitions: {len(replicas)}, replicas of each: {count})"
    )
