"""Every answer of the application, good and bad."""

import base64
import csv
import io
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from amu_raft.model.model_info import EncoderIdentity
from amu_raft.serve import app as application
from amu_raft.serve.app import build_app
from amu_raft.serve.classify import Classifier
from amu_raft.serve.guards import HEADERS
from amu_raft.serve.worker import Worker
from tests.amu_raft.serve.conftest import NAMES, picture

Clients = Callable[..., TestClient]


def ask(client: TestClient, content: bytes, name: str = "a.png", **query: Any) -> Any:
    return client.post("/api/predict", files={"image": (name, content)}, params=query)


def ask_batch(client: TestClient, files: list[tuple[str, bytes]], **query: Any) -> Any:
    return client.post("/api/predict-batch", files=[("images", file) for file in files], params=query)


def error_of(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    error: str = response.json()["error"]
    assert error and "\n" not in error and "Traceback" not in error and "0x" not in error
    return error


def bomb() -> bytes:
    """A sound PNG header of 40,000 x 40,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"]
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("method", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_prediction_is_the_models(method: str, client_of: Clients, classifier_of: Callable[..., Classifier]) -> None:
    answer = ask(client_of(method), picture(), topk=3, explain=True)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    loaded = classifier_of(method).loaded
    with Image.open(io.BytesIO(picture())) as image:
        scores = loaded.model(loaded.info.recipe.pixels(image)[None])
    for key, expected in (
        ("adapted", loaded.model.probabilities(scores)[0]),
        ("zero_shot", scores.zero_shot[0].softmax(dim=0)),
    ):
        assert len(content[key]) == 3
        for guess in content[key]:
            assert guess["probability"] == pytest.approx(float(expected[guess["label"]]), abs=1e-5)
        assert content[key][0]["label"] == int(expected.argmax())
    own = {name: value for name, value in content.items() if isinstance(value, float)}
    assert own == pytest.approx({name: float(value) for name, value in scores.numbers.items()}, abs=1e-5)
    assert list(own) == (["weight"] if method == "AMU" else [])
    kind, data = content["overlay"].split(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as overlay:
        assert overlay.format == "PNG" and overlay.width > 400


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_types_are_known_by_content(kind: str, client_of: Clients) -> None:
    content = ask(client_of(), picture(kind), "whatever.txt").json()
    assert content["image"] == "whatever.txt" and len(content["adapted"]) == 5
    assert content["overlay"] is None


def test_more_classes_than_there_are(client_of: Clients) -> None:
    assert len(ask(client_of(), picture(), topk=50).json()["adapted"]) == len(NAMES)


@pytest.mark.parametrize(
    ("content", "status", "expected"),
    [
        (b"", 415, "no image"),
        (b"<svg onload=alert(1)>", 415, "no image"),
        (picture("JPEG")[:900], 422, "a.png"),
        (bomb(), 422, "1600000000|40000 x 40000"),
        (bytes(3_000_000), 413, "limit of 2,000,000"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, status: int, expected: str, client_of: Clients) -> None:
    error = error_of(ask(client_of(file_bytes=2_000_000), content), status)
    assert any(part in error for part in expected.split("|"))


def test_names_are_cut_and_harmless(client_of: Clients) -> None:
    client = client_of()
    assert "/home" not in error_of(ask(client, b"x", "/home/me/secret/x.png"), 415)
    assert ask(client, picture(), "C:\\me\\x.png").json()["image"] == "x.png"
    assert len(ask(client, picture(), "n" * 500).json()["image"]) == 120
    odd = ask(client, picture(), "a\x1b[31m.png").json()["image"]
    assert odd.isprintable()


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/api/predict", {}, 422),
        ("/api/predict", {"data": {"image": "text"}}, 422),
        ("/api/predict", {"content": b"\xff\xfe", "headers": {"content-type": "multipart/form-data"}}, 400),
        ("/api/predict", {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400),
        ("/api/predict?topk=0", {"files": {"image": b"x"}}, 422),
        ("/api/predict?topk=x", {"files": {"image": b"x"}}, 422),
        ("/api/predict-batch?format=xml", {"files": {"images": b"x"}}, 422),
        ("/api/predict-batch", {}, 422),
        ("/nowhere", {}, 404),
        ("/../../etc/passwd", {}, 404),
        ("/healthz", {}, 405),
    ],
)
def test_malformed_requests(path: str, request_: dict[str, Any], status: int, client_of: Clients) -> None:
    assert error_of(client_of().post(path, **request_), status)


def test_batch_has_a_row_for_every_file(client_of: Clients) -> None:
    files = [("=a.png", picture(seed=index)) if index else ("broken.png", b"x") for index in range(20)]
    client = client_of("AMU")
    rows = ask_batch(client, files).json()
    assert rows["csv"] is None and [row["error"] is None for row in rows["predictions"]] == [False] + [True] * 19
    alone = ask(client, files[7][1]).json()["adapted"]
    for ours, theirs in zip(rows["predictions"][7]["adapted"], alone, strict=True):
        assert ours["class"] == theirs["class"] and ours["probability"] == pytest.approx(
            theirs["probability"], abs=1e-4
        )


def test_batch_as_csv(client_of: Clients) -> None:
    client = client_of()
    files = [("=a.png", picture()), ("b.png", b"x")]
    answer = ask_batch(client, files, format="csv", topk=6)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="predictions.csv"'
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert first["image"] == "./=a.png" and "'=1+1" in first.values() and "no image" in second["error"]
    assert ask_batch(client, files, format="both", topk=6).json()["csv"] == answer.text


def test_too_many_files_and_too_large_requests(client_of: Clients) -> None:
    client = client_of(files=3, request_bytes=100_000)
    assert "limit of 3" in error_of(ask_batch(client, [("a", b"x")] * 4), 413)
    assert "100,000" in error_of(ask_batch(client, [("a", bytes(60_000))] * 2), 413)
    chunks = (b"--b\r\n" + bytes(50_000) for _ in range(4))  # without Content-Length
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert "100,000" in error_of(client.post("/api/predict", content=chunks, headers=headers), 413)
    assert "large requests" in error_of(ask(client_of(held_bytes=1000), picture()), 503)


def test_forms_hold_pictures_and_next_to_nothing_else(client_of: Clients) -> None:
    client = client_of()
    assert "limit of 200" in error_of(ask_batch(client, [("a", b"x")] * 1001), 413)
    for texts in ([("t", (None, "x" * 20_000))], [("t", (None, "x"))] * 20):
        error_of(client.post("/api/predict", files=[("image", ("a", picture())), *texts]), 400)


def test_facts_hold_no_folder(client_of: Clients, classifier_of: Callable[..., Classifier]) -> None:
    content = client_of("AMU").get("/api/model").json()
    assert content["method"] == "AMU" and content["metrics"] == {"accuracy": 80.0}
    assert content["classes"][:5] == NAMES[:5] and content["classes"][5] == r"bad\udc80name"
    assert "/home" not in str(content) and "secret" not in str(content)
    assert client_of().get("/healthz").json() == {"status": "ok"}
    assert content["overlay"] == "parts" and client_of("RAFT").get("/api/model").json()["overlay"] == "attention"
    loaded = classifier_of().loaded
    for name, shown in (
        ("ViT-B/16", "ViT-B/16"),
        ("/home/me/x.pt", "x.pt"),
        ("weights/x.pt", "x.pt"),
        ("~/x", "x"),
        (r"C:\me\x", "x"),
    ):
        named = replace(loaded.info, backbone=EncoderIdentity(name, "0"))
        assert application.describe(loaded._replace(info=named), classifier_of().limits)["backbone"] == shown


def test_interface_is_described_without_other_machines(client_of: Clients) -> None:
    client = client_of()
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/healthz", "/api/model", "/api/predict", "/api/predict-batch"}
    assert {"413", "415", "422", "503", "504"} <= set(paths["/api/predict"]["post"]["responses"])
    assert error_of(client.get("/docs"), 404)


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/healthz", "/nowhere"])
def test_all_answers_have_the_headers(path: str, client_of: Clients) -> None:
    answer = client_of().get(path)
    assert HEADERS.items() <= dict(answer.headers).items()


class Slow:
    """Hold the inference thread until it is let go."""

    def __init__(self, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.reached, self.read = threading.Event(), threading.Event(), 0
        honest = classifier._read

        def read(upload: Any) -> Any:
            self.read += 1
            self.reached.set()
            assert self.go.wait(20)
            return honest(upload)

        monkeypatch.setattr(classifier, "_read", read)


def test_what_takes_too_long_is_given_up(
    classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = classifier_of(seconds=0.5)
    slow = Slow(classifier, monkeypatch)
    with TestClient(build_app(classifier), base_url="http://localhost") as client:
        begun = time.monotonic()
        assert "0.5 seconds" in error_of(ask_batch(client, [("a", picture())] * 9), 504)
        assert time.monotonic() - begun < 5
        assert "0.5 seconds" in error_of(ask(client, picture()), 504)  # it waits behind the first
        slow.go.set()
        assert ask(client, picture()).status_code == 200
        assert slow.read == 2  # one of the nine, none of the second request


def test_full_house_is_said_at_once(classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = classifier_of(requests=2)
    slow = Slow(classifier, monkeypatch)
    with TestClient(build_app(classifier), base_url="http://localhost") as client:
        found: list[int] = []
        waiting = [threading.Thread(target=lambda: found.append(ask(client, picture()).status_code)) for _ in range(2)]
        for thread in waiting:
            thread.start()
        assert slow.reached.wait(10)
        deadline = time.monotonic() + 10
        while client.app.inside < 2 and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        refused = ask(client, picture())
        assert "2 requests" in error_of(refused, 503) and refused.headers["retry-after"] == "5"
        assert client.get("/healthz").status_code == 200
        slow.go.set()
        for thread in waiting:
            thread.join(20)
        assert found == [200, 200] and client.app.inside == client.app.held == 0  # type: ignore[attr-defined]


def test_own_faults_are_no_secret_but_no_traceback(
    classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = classifier_of()

    def fail(upload: Any) -> Any:
        raise RuntimeError("in /home/me/model")

    with TestClient(build_app(classifier), base_url="http://localhost") as client:
        with monkeypatch.context() as patch:
            patch.setattr(classifier, "_read", fail)
            assert "/home" not in error_of(ask(client, picture()), 500)
        assert "/home/me/model" in caplog.text
        assert ask(client, picture()).status_code == 200


@pytest.mark.parametrize("explain", [False, True])
def test_scores_that_are_no_numbers_are_the_servers_fault(
    explain: bool, client_of: Clients, classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of()
    monkeypatch.setattr(classifier_of().loaded.model, "temperature", float("nan"))
    assert "no finite numbers" in error_of(ask(client, picture(), explain=explain), 500)
    rows = ask_batch(client, [("a.png", picture())]).json()["predictions"]
    assert [row["error"] for row in rows] == ["the model's scores of it are no finite numbers"]


def test_stopped_worker_is_not_healthy(client_of: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of()
    monkeypatch.setattr(Worker, "alive", lambda self: False)
    assert error_of(client.get("/healthz"), 503)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9000", "http://[", ""])
def test_other_origins_cannot_post(origin: str, client_of: Clients) -> None:
    answer = client_of().post("/api/predict", files={"image": picture()}, headers={"origin": origin})
    assert "origin" in error_of(answer, 403)


def test_own_origin_can_post(client_of: Clients) -> None:
    answer = client_of().post("/api/predict", files={"image": picture()}, headers={"origin": "http://127.0.0.1:8000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "["])
def test_foreign_host_names_are_refused(host: str, client_of: Clients) -> None:
    assert "localhost" in error_of(client_of().get("/", headers={"host": host}), 421)


def test_own_names_are_told_once_and_in_any_case(classifier_of: Callable[..., Classifier]) -> None:
    with TestClient(build_app(classifier_of(), ("localhost", "localhost", "MyBox")), base_url="http://mybox") as client:
        assert client.head("/").status_code == client.get("/healthz").status_code == 200
        assert error_of(client.get("/", headers={"host": "x"}), 421) == "this server answers as localhost, mybox only"


def test_any_host_name_where_the_server_is_open(classifier_of: Callable[..., Classifier]) -> None:
    with TestClient(build_app(classifier_of(), None), base_url="http://anything.example") as client:
        assert client.get("/healthz").status_code == 200
