"""The page and the JSON interface under it, as one ASGI application. docs/phone.md describes what it answers."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import LogError
from .answers import (
    answer_charts,
    answer_events,
    answer_export,
    answer_health,
    answer_models,
    answer_page,
    answer_photo,
    answer_places,
    answer_points,
    answer_readings,
    answer_spectrum,
    answer_state,
)
from .changes import do_login, do_order, do_photo, do_write
from .portal import STAY, WELCOME
from .serving import Serving


async def _failed(request: Request, error: Exception) -> Response:
    # What the log says when it cannot be read, in one line and never as a traceback.
    return JSONResponse({"error": str(error)}, 503)


def application(serving: Serving) -> Starlette:
    """Make the application; `guard.Guard` belongs before it."""
    get, post = ["GET", "HEAD"], ["POST"]
    routes = [
        Route("/", answer_page, methods=get),
        Route("/api/state", answer_state, methods=get),
        Route("/api/events", answer_events, methods=["GET"]),
        Route("/api/readings", answer_readings, methods=get),
        Route("/api/spectra/{reading}", answer_spectrum, methods=get),
        Route("/api/points", answer_points, methods=get),
        Route("/api/places", answer_places, methods=get),
        Route("/api/models", answer_models, methods=get),
        Route("/api/health", answer_health, methods=get),
        Route("/api/charts", answer_charts, methods=get),
        Route("/export/{name}", answer_export, methods=["GET"]),
        Route("/photos/{name}", answer_photo, methods=get),
        Route("/api/login", do_login, methods=post),
        Route("/api/order", do_order, methods=post),
        Route("/api/photo/{reading}", do_photo, methods=post),
        Route("/api/{name}", do_write, methods=post),
    ]
    if serving.portal is not None:
        routes += [Route(WELCOME, serving.portal.welcome, methods=get), Route(STAY, serving.portal.stay, methods=get)]
    app = Starlette(routes=routes, exception_handlers={LogError: _failed})
    app.state.serving = serving
    return app
