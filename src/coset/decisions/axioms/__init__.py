"""Which utility or reward a set of preferences allows, or why none can."""
