"""Real processes, killed at random while people shop, and a judge who counts what became of it."""
