"""How fast the store is, as ratios and counts that mean the same on any machine.

`python -m benchmarks` measures everything and prints one table. Read in this order: measuring (how),
stores (what), then a module for each group of rows.
"""
