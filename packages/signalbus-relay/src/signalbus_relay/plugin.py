"""The hooks that this distribution implements."""
