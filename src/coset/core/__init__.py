"""Floor 0: claims, results, errors, tolerances, seeds, registries, backends, model files."""
