"""Identity resolution said a second time, for tests: a small model of the rules, and random calls."""
