"""The addresses that are answered, and how."""

import asyncio
import functools
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from modeling.model_info import ModelInfo
from prediction.rows import WRITERS, Row
from serve.classify import Answer, Classifier, Upload
from serve.guards import FAILED, LOOPBACK, Guards
from serve.limits import Limits
from serve.worker import AbandonedError, BusyError, Worker

PAGE = Path(__file__).parent / "page"
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
SHOWN = {"AMU": "parts", "RAFT": "attention", "ZeroshotCLIP": "parts"}  # what an overlay shows
TopK = Annotated[int, Query(ge=1, le=1000, description="classes in an answer")]


class GuessModel(BaseModel):
    """A class, its number and its probability."""

    class_: str = Field(alias="class")
    label: int
    probability: float


class PredictionModel(BaseModel):
    """What is said about one picture: by the adapted model, calibrated, and by zero-shot CLIP as it is."""

    image: str
    error: str | None
    adapted: list[GuessModel]
    zero_shot: list[GuessModel]
    weight: float | None = Field(None, description="AMU's weight of the auxiliary logits")
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
        worker.stop()

    # FastAPI's own pages about the interface load their scripts from other machines.
    app = FastAPI(title="Few-shot CLIP", docs_url=None, redoc_url=None, lifespan=running)
    _add_error_handlers(app)
    _add_page(app)
    _add_facts(app, classifier.loaded.info, limits, worker)
    _add_predictions(app, classifier, worker)
    return Guards(app, limits, hosts)


def _add_page(app: FastAPI) -> None:
    for address, name in FILES.items():
        answer = functools.partial(FileResponse, PAGE / name)
        app.add_api_route(address, _endpoint(answer), include_in_schema=False, methods=["GET"])


def _endpoint(answer: Callable[[], Response]) -> Callable[[], Any]:
    async def endpoint() -> Response:
        return answer()

    return endpoint


def _add_facts(app: FastAPI, info: ModelInfo, limits: Limits, worker: Worker) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say whether predictions are made."""
        if not worker.alive():
            raise HTTPException(503, "the worker has stopped")
        return {"status": "ok"}

    @app.get("/api/model")
    async def model() -> dict[str, Any]:
        """Say what the model is and what it accepts."""
        return describe(info, limits)


def describe(info: ModelInfo, limits: Limits) -> dict[str, Any]:
    """Return what may be told about a model: encoders by the names of their files, no folder of this machine."""
    aux = info.aux_encoder
    metrics = info.about.get("metrics")
    numbers = {name: value for name, value in metrics.items() if _is_number(value)} if isinstance(metrics, dict) else {}
    return {
        "method": info.method,
        "classes": info.classnames,
        "backbone": _last_part(info.backbone.name),
        "aux_encoder": _last_part(aux.name) if aux else None,
        "metrics": numbers,
        "temperature": info.temperature,
        "overlay": SHOWN.get(info.method, "parts"),
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


def _last_part(name: str) -> str:
    """Return "ViT-B/16" as it is, and of a path the file's name."""
    is_path = name.startswith(("/", "~", ".", "\\")) or PureWindowsPath(name).drive or name.count("/") > 1
    return PureWindowsPath(name).name if is_path else name


def _add_predictions(app: FastAPI, classifier: Classifier, worker: Worker) -> None:
    limits = classifier.limits

    async def answers(files: Sequence[UploadFile], topk: int, explain: bool) -> list[Answer]:
        uploads = [Upload(file.filename or "", file.file, file.size or 0) for file in files]
        abandoned = threading.Event()
        work = functools.partial(classifier.answers, uploads, topk=topk, explain=explain, abandoned=abandoned)
        try:
            return await asyncio.wrap_future(worker.submit(work))
        except (BusyError, AbandonedError) as error:
            raise HTTPException(503, str(error) or "the server is stopping") from error
        finally:
            abandoned.set()

    @app.post("/api/predict", response_model=PredictionModel, responses=REFUSALS)
    async def predict(
        image: Annotated[UploadFile, File(description="the picture")],
        topk: TopK = 5,
        explain: Annotated[bool, Query(description="whether the answer has an overlay")] = False,
    ) -> dict[str, Any]:
        """Classify one picture."""
        [answer] = await answers([image], topk, explain)
        if answer.row.error:
            raise HTTPException(answer.status, answer.row.error)
        return _as_objects([answer.row], topk, explained=explain)[0]

    @app.post("/api/predict-batch", response_model=BatchModel, responses=REFUSALS)
    async def predict_batch(
        images: Annotated[list[UploadFile], File(description="the pictures")],
        topk: TopK = 5,
        form: Annotated[Literal["json", "csv", "both"], Query(alias="format")] = "json",
    ) -> Any:
        """Classify many pictures; one that cannot be read is a row with an error."""
        if len(images) > limits.files:
            raise HTTPException(413, f"{len(images)} files are more than the limit of {limits.files}")
        rows = [answer.row for answer in await answers(images, topk, explain=False)]
        topk = min(topk, len(classifier.loaded.info.classnames))
        table = _written("csv", rows, topk, explained=False) if form != "json" else None
        if form == "csv":
            disposition = {"content-disposition": 'attachment; filename="predictions.csv"'}
            return Response(table, media_type="text/csv; charset=utf-8", headers=disposition)
        return {"predictions": _as_objects(rows, topk, explained=False), "csv": table}


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
