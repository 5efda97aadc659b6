"""What the store's HTTP APIs have in common, whichever package serves them.

edge (errors, preflights and JSON for any origin), errors and answers (the documented shapes), rate_limit
(how many calls a key may make), openapi (how an API describes itself).
"""
