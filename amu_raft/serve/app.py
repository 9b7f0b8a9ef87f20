"""The addresses that are answered, and how."""

import asyncio
import functools
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from amu_raft.model.model_folder import LoadedModel, public_name
from amu_raft.prediction.rows import WRITERS, Row
from amu_raft.serve.classify import Answer, Classifier, Upload
from amu_raft.serve.guards import FAILED, LOOPBACK, Guards
from amu_raft.serve.limits import Limits
from amu_raft.serve.worker import BusyError, Worker

PAGE = Path(__file__).parent / "page"
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
_TEXTS, _TEXT_BYTES = 8, 10_000  # in a form beside its files; none is read
TopK = Annotated[int, Query(ge=1, le=1000, description="classes in an answer")]


class GuessModel(BaseModel):
    """A class, its number and its probability."""

    class_: str = Field(alias="class")
    label: int
    probability: float


class PredictionModel(BaseModel):
    """What is said about one picture: by the adapted model, calibrated, and by zero-shot CLIP as it is.

    Further numbers are the method's own, such as a weight.
    """

    model_config = ConfigDict(extra="allow")

    image: str
    error: str | None
    adapted: list[GuessModel]
    zero_shot: list[GuessModel]
    overlay: str | None = Field(None, description="data URL of a PNG that shows why it was decided so")


class BatchModel(BaseModel):
    """Rows in the order of the files, and the same as CSV if it was asked for."""

    predictions: list[PredictionModel]
    csv: str | None = None


class ErrorModel(BaseModel):
    """One line."""

    error: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    413: {"model": ErrorModel, "description": "too large, or too many"},
    415: {"model": ErrorModel, "description": "no image"},
    422: {"model": ErrorModel, "description": "a damaged image, or another request than described here"},
    503: {"model": ErrorModel, "description": "too many requests at once"},
    504: {"model": ErrorModel, "description": "not done in time"},
}


def build_app(classifier: Classifier, hosts: Collection[str] | None = LOOPBACK) -> Guards:
    """Return the application, with its guards around it.

    Args:
        classifier: The model.
        hosts: Names under which it may be addressed; None for any.
    """
    limits = classifier.limits
    worker = Worker(limits.requests)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        await asyncio.to_thread(worker.stop)  # meanwhile whoever waits is told

    # FastAPI's own pages about the interface load their scripts from other machines.
    app = FastAPI(title="Few-shot CLIP", docs_url=None, redoc_url=None, lifespan=running)
    app.router.route_class = _uploads(limits)
    _add_error_handlers(app)
    _add_page(app)
    _add_facts(app, classifier.loaded, limits, worker)
    _add_predictions(app, classifier, worker)
    return Guards(app, limits, hosts)


def _uploads(limits: Limits) -> type[APIRoute]:
    """Return routes whose forms hold no more files than are allowed, and next to nothing else.

    By default a form may hold a thousand texts of a megabyte each, all in memory.
    """

    class Upload(Request):
        def form(self, **_: Any) -> Any:
            return super().form(max_files=limits.files, max_fields=_TEXTS, max_part_size=_TEXT_BYTES)

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handler(request: Request) -> Response:
                try:
                    return await handle(Upload(request.scope, request.receive))
                except StarletteHTTPException as error:
                    if error.status_code == 400 and error.detail.startswith("Too many files"):
                        raise HTTPException(413, f"more files than the limit of {limits.files}") from error
                    raise

            return handler

    return Route


def _add_page(app: FastAPI) -> None:
    for address, name in FILES.items():
        answer = functools.partial(FileResponse, PAGE / name)
        app.add_api_route(address, _endpoint(answer), include_in_schema=False, methods=["GET", "HEAD"])


def _endpoint(answer: Callable[[], Response]) -> Callable[[], Any]:
    async def endpoint() -> Response:
        return answer()

    return endpoint


def _add_facts(app: FastAPI, loaded: LoadedModel, limits: Limits, worker: Worker) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say whether predictions are made."""
        if not worker.alive():
            raise HTTPException(503, "the worker has stopped")
        return {"status": "ok"}

    @app.get("/api/model")
    async def model() -> dict[str, Any]:
        """Say what the model is and what it accepts."""
        return describe(loaded, limits)


def describe(loaded: LoadedModel, limits: Limits) -> dict[str, Any]:
    """Return what may be told about a model: encoders by the names of their files, no folder of this machine."""
    info = loaded.info
    aux = info.aux_encoder
    metrics = info.about.get("metrics")
    numbers = {name: value for name, value in metrics.items() if _is_number(value)} if isinstance(metrics, dict) else {}
    return {
        "method": info.method,
        "classes": info.classnames,
        "backbone": public_name(info.backbone),
        "aux_encoder": public_name(aux) if aux else None,
        "metrics": numbers,
        "temperature": info.temperature,
        "overlay": loaded.model.method.shows,  # what an overlay shows
        "limits": {
            "file_bytes": limits.file_bytes,
            "files": limits.files,
            "request_bytes": limits.request_bytes,
            "pixels": limits.pixels,
            "seconds": limits.seconds,
        },
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _add_predictions(app: FastAPI, classifier: Classifier, worker: Worker) -> None:

    async def answers(request: Request, files: Sequence[UploadFile], topk: int, explain: bool) -> list[Answer]:
        uploads = [Upload(file.filename or "", file.file, file.size or 0) for file in files]
        abandoned = threading.Event()
        work = functools.partial(classifier.answers, uploads, topk=topk, explain=explain, abandoned=abandoned)
        try:
            done = asyncio.wrap_future(worker.submit(work))
        except BusyError as error:
            raise HTTPException(503, str(error)) from error
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((done, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise HTTPException(503, "the client has gone")  # which nobody reads
            return done.result()
        finally:
            abandoned.set()
            for future in (leaving, done):
                future.cancel()

    @app.post("/api/predict", response_model=PredictionModel, responses=REFUSALS)
    async def predict(
        request: Request,
        image: Annotated[UploadFile, File(description="the picture")],
        topk: TopK = 5,
        explain: Annotated[bool, Query(description="whether the answer has an overlay")] = False,
    ) -> dict[str, Any]:
        """Classify one picture."""
        [answer] = await answers(request, [image], topk, explain)
        if answer.row.error:
            raise HTTPException(answer.status, answer.row.error)
        return _as_objects([answer.row], topk, explained=explain)[0]

    @app.post("/api/predict-batch", response_model=BatchModel, responses=REFUSALS)
    async def predict_batch(
        request: Request,
        images: Annotated[list[UploadFile], File(description="the pictures")],
        topk: TopK = 5,
        form: Annotated[Literal["json", "csv", "both"], Query(alias="format")] = "json",
    ) -> Any:
        """Classify many pictures; one that cannot be read is a row with an error."""
        rows = [answer.row for answer in await answers(request, images, topk, explain=False)]
        topk = min(topk, len(classifier.loaded.info.classnames))
        table = _written("csv", rows, topk, explained=False) if form != "json" else None
        if form == "csv":
            disposition = {"content-disposition": 'attachment; filename="predictions.csv"'}
            return Response(table, media_type="text/csv; charset=utf-8", headers=disposition)
        return {"predictions": _as_objects(rows, topk, explained=False), "csv": table}


async def _left(request: Request) -> None:
    """Return when the client is no longer there."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _written(form: str, rows: Sequence[Row], topk: int, *, explained: bool) -> str:
    stream = io.StringIO(newline="")
    writer = WRITERS[form](stream, topk=topk, explained=explained)
    for row in rows:
        writer.write(row)
    return stream.getvalue()


def _as_objects(rows: Sequence[Row], topk: int, *, explained: bool) -> list[dict[str, Any]]:
    """Return rows as predict.py writes them with --format jsonl."""
    lines = _written("jsonl", rows, topk, explained=explained).split("\n")
    return [json.loads(line) for line in lines if line]


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()[:3]]
        return JSONResponse({"error": "; ".join(faults)}, 422)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": FAILED}, 500)
