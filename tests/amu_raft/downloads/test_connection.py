import ssl
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from amu_raft.downloads.connection import explain_error, explain_status, open_session
from tests.amu_raft.downloads.faulty_server import FaultyServer, Handler


def reason(url: str) -> str:
    with open_session(3) as session, pytest.raises(requests.RequestException) as caught:
        session.get(url, timeout=1)
    return explain_error(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of this machine's own making, with its key."""
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", path], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the program openssl")
    path.write_text(path.read_text() + key.read_text())
    return path


def test_a_refused_certificate_is_told_and_not_tried_again(server: FaultyServer, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    secure = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    accepted: list[object] = []
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)

    def accept(*arguments: object) -> bool:
        accepted.append(arguments)
        return True

    secure.verify_request = accept  # type: ignore[method-assign, assignment]
    secure.handle_error = lambda *arguments: None  # type: ignore[method-assign]
    thread = threading.Thread(target=secure.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        line = reason(f"https://127.0.0.1:{secure.server_port}/a")
    finally:
        secure.shutdown()
        secure.server_close()
        thread.join()
    assert line == "its TLS certificate is refused (self-signed certificate)"
    assert len(accepted) == 1


def test_a_server_without_tls(server: FaultyServer) -> None:
    assert reason(f"https://127.0.0.1:{server.server_port}/a").startswith("no secure connection (")


def test_an_expired_certificate_is_found_inside_what_wraps_it() -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "certificate has expired"
    assert explain_error(requests.exceptions.SSLError(OSError(inner))) == (
        "its TLS certificate is refused (certificate has expired)"
    )


def test_an_unknown_error_is_cut_to_one_line() -> None:
    assert explain_error(ValueError("two\nlines " + "x" * 500)) == "two lines " + "x" * 190
    assert explain_error(ValueError()) == "ValueError"


def test_a_circle_of_causes_ends() -> None:
    error = ValueError("a")
    error.__context__ = KeyError("b")
    error.__context__.__context__ = error
    assert explain_error(error) == "'b'"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (404, "there is no such file (HTTP 404)"),
        (503, "it is busy or broken (HTTP 503)"),
        (418, "it sends no file (HTTP 418)"),
    ],
)
def test_a_status_is_explained(status: int, meaning: str) -> None:
    assert explain_status(status) == meaning
