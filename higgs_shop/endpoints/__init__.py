"""What programs ask the store itself: no page answers there. Other APIs are mounted beside it.

`inbox_receiver` (what is posted to an inbox), `inbox_api` (for test suites; `inbox_json` has its shapes and
`inbox_description` describes both), `openapi` (every API in one document), `health`.
"""

from higgs_shop.endpoints import health, inbox_api, inbox_receiver, openapi

__all__ = ["BLUEPRINTS", "FOR_ANY_SITE"]

FOR_ANY_SITE = (inbox_receiver.bp, inbox_api.bp)
"""They take no form tokens. Whoever knows an inbox may post to it; the API looks at where a call comes from."""

BLUEPRINTS = (*FOR_ANY_SITE, health.bp, openapi.bp)
"""Every endpoint, for the application to register."""
