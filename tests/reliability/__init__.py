"""What docs/reliability.md promises, tried: `crash` kills, `faults` misbehaves; one table of targets."""
