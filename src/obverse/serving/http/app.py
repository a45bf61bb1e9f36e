"""The FastAPI application: routes to the protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI, Request, Response

from obverse.serving import page
from obverse.serving.faces import (
    Answer,
    Call,
    classify,
    infer,
    list_models,
    model_metadata,
    model_ready,
    predict,
    server_metadata,
    training_picture,
)
from obverse.serving.refusals import Refusal
from obverse.serving.service import Service

Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(service: Service, *, has_page: bool = False) -> FastAPI:
    """The application of a service, which belongs behind a `Guard`."""
    # Its pages of documentation load scripts from elsewhere.
    app = FastAPI(title="Obverse", docs_url=None, redoc_url=None)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(404, _not_routed)
    app.add_exception_handler(405, _wrong_method)
    app.add_exception_handler(Exception, _failed)

    def get(path: str, answer: Callable[[Request], Answer | Awaitable[Answer]], name: str) -> None:
        async def endpoint(request: Request) -> Response:
            given = answer(request)
            return _response(given if isinstance(given, Answer) else await given)

        app.add_api_route(path, endpoint, methods=["GET"], name=name, response_model=None)

    def post(path: str, answer: Callable[[Call], Awaitable[Answer]], name: str) -> None:
        async def endpoint(request: Request) -> Response:
            return _response(await answer(_call(service, request)))

        app.add_api_route(path, endpoint, methods=["POST"], name=name, response_model=None)

    post("/v1/predict", predict, "predict")
    post("/v1/models/{model}/predict", predict, "predict with a model")
    get("/v1/models", lambda _: list_models(service), "models")
    get("/v1/models/{model}/similar/{number}", partial(_training_picture, service), "training picture")
    get("/v2", lambda _: server_metadata(), "server metadata")
    get("/v2/health/live", lambda _: Answer(b""), "live")
    get("/v2/health/ready", lambda _: _ready(service), "ready")
    for base in ("/v2/models/{model}", "/v2/models/{model}/versions/1"):
        get(base, lambda request: model_metadata(service, request.path_params["model"]), "model metadata")
        get(f"{base}/ready", lambda request: model_ready(service, request.path_params["model"]), "model ready")
        post(f"{base}/infer", infer, "infer")
    post("/", classify, "image classification")
    post("/models/{model}", classify, "image classification with a model")
    get("/metrics", lambda _: _metrics(service), "metrics")
    if has_page:
        for path in page.FILES:
            get(path, partial(_page, path), "page")
    return app


async def _training_picture(service: Service, request: Request) -> Answer:
    return await training_picture(service, request.path_params["model"], request.path_params["number"])


def _page(path: str, _: Request) -> Answer:
    return page.answer(path)


def _call(service: Service, request: Request) -> Call:
    return Call(
        service=service,
        model=request.path_params.get("model"),
        body=request.state.body,
        query=dict(request.query_params),
        headers=dict(request.headers),
    )


def _ready(service: Service) -> Answer:
    if service.is_stopping:
        raise Refusal("stopping", "the server is stopping")
    return Answer(b"")


def _metrics(service: Service) -> Answer:
    return Answer(service.counters.text().encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _response(Answer.of_json(refusal.as_json(), status=refusal.status, headers=refusal.headers))


async def _failed(request: Request, _: Exception) -> Response:
    """Answer to a bug; the guard logs it."""
    return await _refused(request, Refusal("internal", "the server failed; its log says where"))


async def _not_routed(request: Request, _: Exception) -> Response:
    return await _refused(request, Refusal("not-found", "there is nothing at this path"))


async def _wrong_method(request: Request, _: Exception) -> Response:
    return await _refused(request, Refusal("wrong-method", "this path takes another method"))
