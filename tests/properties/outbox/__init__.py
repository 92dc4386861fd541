"""What the property tests do to an outbox, and what they know of it."""
