"""From preferences to the right reward, to a certified policy."""
