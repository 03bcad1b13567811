"""The application: its routes and its middleware."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, NamedTuple

import anyio
import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, Security, WebSocket
from numpy.typing import NDArray
from starlette.middleware.cors import CORSMiddleware

from cmaen.checkpoints import Card
from cmaen.errors import CheckpointError, ConfigError
from cmaen.results import Result
from cmaen.serving.live import Live
from cmaen.serving.metrics import CONTENT_TYPE_LATEST, Measured, Metrics
from cmaen.serving.problems import Answered, Problem, Room, add_handlers, json_response
from cmaen.serving.safety import BEARER, HEADER, NOTICE_HEADER, Drained, Gate, Guarded
from cmaen.serving.schemas import (
    LONGEST_SCHEME,
    Answer,
    EmbedBody,
    Embedding,
    Labels,
    PredictBody,
    ProblemDetail,
    limit_images,
    problems,
    request_body,
)
from cmaen.serving.service import Service
from cmaen.serving.settings import Limits, Settings
from cmaen.serving.uploads import Asked, read_request
from cmaen.types import EMOTIONS, FER2013
from cmaen.web.files import PageFile, read_page
from cmaen.web.settings import ServerTerms, choose_colours, describe_page

_DETECT = Query(description="Whether to detect faces first. If false, each image is treated as a face crop.")
_SCHEME = "Label scheme: perceived (what people see) or fer2013 (that data set's label). Default: the server's."
_CONTEMPT = Query(
    description="Whether contempt may be answered, as an eighth emotion. Only the scheme perceived has it."
)
_DESCRIPTION = (
    "Detects faces in images and recognises their emotions, with calibrated probabilities. Each response carries the "
    f"operator's notice in the header {NOTICE_HEADER}: people must be told that an AI system infers their emotions."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application, which loads its model at startup.

    Args:
        settings: Settings of the server; ``None`` for the defaults.
    """
    settings = settings or Settings()
    known = _identify(settings)
    metrics = Metrics()
    service = Service(settings, metrics)
    gate = Gate(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(anyio.to_thread.run_sync(service.load))
        if settings.load_first:
            await loading
            service.check_room()
        yield
        await loading
        await anyio.to_thread.run_sync(service.close)

    app = FastAPI(
        title="CMAEN",
        description=_DESCRIPTION,
        version=importlib.metadata.version("cmaen"),
        lifespan=lifespan,
        docs_url=None,  # these pages would load scripts from other hosts
        redoc_url=None,
        responses={422: {"model": ProblemDetail}, **problems(422)},
    )
    app.state.metrics, app.state.service = metrics, service
    add_handlers(app)
    told = [Security(BEARER), Security(HEADER)] if settings.api_key else []  # for OpenAPI only: the gate checks the key
    app.include_router(_route_predictions(service, settings.limits, known), dependencies=[Depends(gate.check), *told])
    app.include_router(_route_monitoring(service, metrics))
    app.include_router(_page(settings, known))
    live = Live(service=service, gate=gate, limits=settings.limits, metrics=metrics)

    @app.websocket("/v1/live")
    async def follow(websocket: WebSocket) -> None:
        await live(websocket)

    app.add_middleware(Answered)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=[NOTICE_HEADER],
        )
    app.add_middleware(Guarded, settings=settings)
    app.add_middleware(Drained, most=settings.limits.body_bytes)
    app.add_middleware(Measured, metrics=metrics)
    return app


def _route_predictions(service: Service, limits: Limits, known: _Known) -> APIRouter:
    """Make the routes that use the model or may need a key."""
    router = APIRouter(prefix="/v1")
    count = known.most
    schemes = {"enum": list(known.labels)}
    named = Query(None, max_length=LONGEST_SCHEME, description=_SCHEME, json_schema_extra=schemes)
    most = Query(
        None, ge=1, le=count, description="Number of the most probable emotions of the largest face to list under top."
    )
    held = Room(limits.held_bytes, "bytes", "it holds the maximum number of bytes of requests")
    predict_body, embed_body = (limit_images(schema, limits.images) for schema in (PredictBody, EmbedBody))
    refusals = problems(400, 401, 403, 408, 413, 415, 422, 429, 501, 503, 504)

    @asynccontextmanager
    async def read(request: Request, schema: type[EmbedBody], **query: Any) -> AsyncIterator[Asked]:
        """Read a request, within the limits of memory and time."""
        service.check_room()
        with held.reserve_growing() as take:
            with _within(limits.seconds, Problem(408, "the request took too long to arrive; send less data at once")):
                asked = await read_request(request, limits, schema, take=take, **query)
            with _within(limits.seconds, Problem(504, "the answer took too long; send fewer or smaller images")):
                yield asked

    @router.post(
        "/predict",
        response_model=list[Answer],
        responses=refusals,
        openapi_extra=request_body(predict_body, count, list(known.labels)),
    )
    async def predict(
        request: Request,
        detect: Annotated[bool, _DETECT] = True,
        explain: Annotated[
            bool,
            Query(description="Whether to add an explanation to each face: the places that its answer depends on."),
        ] = False,
        top_k: int | None = most,
        scheme: str | None = named,
        contempt: Annotated[bool, _CONTEMPT] = False,
    ) -> Response:
        """Recognise the emotions of the faces in each image.

        There is one answer for each image, in order. An image that cannot be read gets the status error and does not
        affect the others.
        """
        query = {"explain": explain, "top_k": top_k, "scheme": scheme, "contempt": contempt}
        async with read(request, predict_body, detect=detect, **query) as asked:
            known.require(scheme)  # also if the body names another
            if asked.top_k is not None and asked.top_k > count:
                raise Problem(422, f"top_k must be 1 to {count}, not {asked.top_k}")
            results = await service.predict(
                asked.uploads, detect=asked.detect, scheme=asked.scheme, contempt=asked.contempt
            )
            maps: list[list[dict[str, str]]] = []
            if asked.explain:
                maps = await service.explain(asked.uploads, results, detect=asked.detect, scheme=asked.scheme)
        return json_response(_answers(results, asked, maps))

    @router.post(
        "/embed",
        response_model=list[Embedding],
        responses=refusals,
        openapi_extra=request_body(embed_body, count, list(known.labels)),
    )
    async def embed(request: Request, detect: Annotated[bool, _DETECT] = True) -> Response:
        """Return the penultimate features of the largest face in each image, in order, for your own classifiers."""
        async with read(request, embed_body, detect=detect) as asked:
            embedded = await service.embed(asked.uploads, detect=asked.detect)
        return json_response([_describe_embedding(*one) for one in embedded])

    @router.get("/labels", response_model=Labels, responses=problems(401, 422, 429))
    async def labels(scheme: str | None = named) -> Response:
        """List the emotions of a label scheme, in the order of all answers, and the colours of their boxes."""
        known.require(scheme)
        found = known.labels[scheme or known.scheme]
        schemes = {"scheme": scheme or known.scheme, "schemes": list(known.labels)}
        return json_response({"labels": found, "colours": choose_colours(found), **schemes})

    return router


def _route_monitoring(service: Service, metrics: Metrics) -> APIRouter:
    """Make the routes for monitoring."""
    router = APIRouter()

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Answer as long as the process is alive."""
        return {"status": "ok"}

    @router.get("/readyz", responses=problems(503))
    async def ready() -> dict[str, str]:
        """Answer with 200 if the model is loaded and the server accepts requests, otherwise with 503."""
        if service.state != "ready":
            raise Problem(503, f"not ready: {service.state}", retry_after=1)
        return {"status": "ready"}

    @router.get("/metrics", response_class=Response)
    async def numbers() -> Response:
        """Return metrics for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router


def _page(settings: Settings, known: _Known) -> APIRouter:
    """Make the routes of the page and its configuration."""
    router = APIRouter(include_in_schema=False)
    page = read_page()
    terms = ServerTerms(
        max_images=settings.limits.images,
        max_bytes=settings.limits.body_bytes,
        key_required=settings.api_key is not None,
    )
    config = describe_page(
        known.card,
        scheme=settings.pipeline.scheme,
        accuracies=known.accuracies,
        notice=settings.notice,
        server=terms,
    )

    @router.get("/page/config.json")
    async def show_config() -> Response:
        return json_response(config)

    @router.api_route("/", methods=["GET", "HEAD"])
    @router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str = "index.html") -> Response:
        if name not in page:
            raise Problem(404, "the page has no such file")
        return _give(page[name], request)

    return router


def _give(file: PageFile, request: Request) -> Response:
    """Return a file of the page, or status 304 if the browser already has it."""
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}  # cached, but revalidated on each use
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _answers(results: list[Result], asked: Asked, maps: list[list[dict[str, str]]]) -> list[dict[str, Any]]:
    """Make one dict for each image, as ``EmotionPredictor`` does, with its name and the requested additions."""
    answers = [result.to_record() for result in results]
    for answer, result in zip(answers, results, strict=True):
        if asked.top_k is not None:
            answer["top"] = _rank(result)[: asked.top_k]
    for answer, pictures in zip(answers, maps, strict=False):
        for face, more in zip(answer["faces"], pictures, strict=False):
            face.update(more)
    return answers


def _describe_embedding(name: str, error: str | None, features: NDArray[np.float32]) -> dict[str, Any]:
    there = bool(np.isfinite(features).all())
    status = "error" if error else "ok" if there else "no_face"
    return {"path": name, "status": status, "error": error, "features": features.tolist() if there else None}


def _rank(result: Result) -> list[tuple[str, float]]:
    """Sort the emotions of the largest face, the most probable first; empty if there is no face."""
    if not result.faces:
        return []
    face = result.faces[0]
    return sorted(zip(face.classes, face.probabilities, strict=True), key=lambda pair: -pair[1])


@contextmanager
def _within(seconds: float, problem: Problem) -> Iterator[None]:
    """Raise a problem after this time."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise problem from error


class _Known(NamedTuple):
    """Properties of the model that are known before it is loaded.

    Attributes:
        card: Card of the checkpoint; ``None`` if it cannot be read.
        scheme: Label scheme for requests that do not name one.
        labels: Labels of the answers under each scheme, without contempt.
        most: Largest number of labels in an answer.
        accuracies: Measured accuracies, see :attr:`Checkpoint.accuracies`.
    """

    card: Card | None
    scheme: str
    labels: dict[str, tuple[str, ...]]
    most: int
    accuracies: dict[str, float]

    def require(self, scheme: str | None) -> None:
        """Refuse a label scheme that the model does not have."""
        if scheme is not None and scheme not in self.labels:
            raise Problem(422, f"the model has no label scheme {scheme!r}; it has {', '.join(self.labels)}")


def _identify(settings: Settings) -> _Known:
    """Read the properties of the checkpoint; one that cannot be read is reported when it is loaded."""
    try:
        checkpoint = settings.pipeline.open_checkpoint()
        card, accuracies = checkpoint.card, checkpoint.accuracies
        scheme = card.resolve_scheme(settings.pipeline.scheme)
    except (CheckpointError, ConfigError):
        return _Known(None, FER2013, {FER2013: EMOTIONS}, len(EMOTIONS), {})
    labels = {name: card.select_labels(name).labels for name in card.schemes}
    most = max(len(whole.labels) for whole in card.schemes.values())
    return _Known(card, scheme, labels, most, accuracies)
