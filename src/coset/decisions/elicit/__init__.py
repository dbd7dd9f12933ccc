"""Ask for preferences until rewards and multipliers are known, with intervals."""
