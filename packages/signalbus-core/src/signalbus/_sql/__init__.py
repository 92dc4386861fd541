"""What the steps know of databases: connections, keys, rows, and what errors mean."""
