"""Faults that a store has to live through, each at any size: tests run them small, the command whole."""
