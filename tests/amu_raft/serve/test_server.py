"""The server as a process: start, crowd, Ctrl-C, and what it refuses to start with."""

import asyncio
import io
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image

from amu_raft.serve.__main__ import main
from amu_raft.serve.server import address_of, is_loopback, listen
from tests.amu_raft.serve.conftest import picture
from tests.amu_raft.serve.running import REPOSITORY, environment, serving

MALFORMED = (
    {"files": {"image": ("a.png", b"not a picture")}},
    {"files": {"image": ("a.jpg", picture("JPEG")[:700])}},
    {"files": {"other": ("a.png", picture())}},
    {"content": b"--b\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=b"}},
)


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


async def crowd(address: str, requests: int) -> list[int]:
    """Send requests at once, every tenth malformed; their status codes in order."""
    limits = httpx.Limits(max_connections=requests)
    sound = [picture(kind, seed=seed, size=(640, 480)) for seed, kind in enumerate(("PNG", "JPEG", "WEBP"))]

    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60, trust_env=False) as client:

        async def one(index: int) -> int:
            if index % 10 == 9:
                return (await client.post("/api/predict", **MALFORMED[index // 10 % len(MALFORMED)])).status_code
            content = {"image": (f"{index}.bin", sound[index % len(sound)])}
            answer = await client.post("/api/predict", files=content)
            assert len(answer.json()["adapted"]) == 5, answer.text
            return answer.status_code

        return list(await asyncio.gather(*map(one, range(requests))))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_hundred_at_once_with_every_tenth_malformed(rounds: int, folder_of: Callable[[str], Path]) -> None:
    with serving(folder_of("AMU")) as server:
        memory = []
        for _ in range(rounds):
            found = asyncio.run(crowd(server.address, 100))
            counted = Counter("4xx" if 400 <= status < 500 else status for status in found)
            assert counted == {200: 90, "4xx": 10}
            memory.append(resident(server.process.pid))
        assert httpx.get(f"{server.address}/healthz", trust_env=False).json() == {"status": "ok"}
        assert server.process.poll() is None
        print(f"memory after each hundred: {[round(value) for value in memory]} MB")
        # What is kept, not what is just in use: 100 of these pictures decoded are 92 MB.
        assert min(memory[rounds // 2 :]) < memory[0] + 30, memory


def test_ctrl_c_ends_it_quietly(folder_of: Callable[[str], Path]) -> None:
    with serving(folder_of("ZeroshotCLIP")) as server:
        begun = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        out, err = server.process.communicate(timeout=20)
        assert server.process.returncode == 0 and err == "stopped\n" and out == ""
        assert time.monotonic() - begun < 10


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_waits_is_told_that_it_ends(number: signal.Signals, folder_of: Callable[[str], Path]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (7000, 6000)).save(stream, "JPEG")  # takes a while to read, but not to send
    with serving(folder_of("ZeroshotCLIP")) as server, ThreadPoolExecutor(2) as pool:
        files = [("images", (str(index), stream.getvalue())) for index in range(60)]
        post = partial(httpx.post, f"{server.address}/api/predict-batch", trust_env=False)
        waiting = [pool.submit(post, files=files, timeout=60) for _ in range(2)]
        time.sleep(3)
        begun = time.monotonic()
        server.process.send_signal(number)
        _, err = server.process.communicate(timeout=30)
        assert time.monotonic() - begun < 12 and "Traceback" not in err
        assert [future.result(10).status_code for future in waiting] == [503, 503]


def test_open_address_is_warned_of(folder_of: Callable[[str], Path]) -> None:
    with serving(folder_of("ZeroshotCLIP"), "--host", "0.0.0.0") as server:
        port = server.address.rsplit(":", 1)[1]
        answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"host": "any.example"}, trust_env=False)
        assert answer.status_code == 200
        server.process.send_signal(signal.SIGINT)
        _, err = server.process.communicate(timeout=20)
        assert err.startswith("warning: every machine that reaches 0.0.0.0")


def test_bad_starts_are_one_line(
    tmp_path: Path, folder_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert is_loopback(taken) and address_of(taken) == f"http://127.0.0.1:{port}"
        for argv, expected in (
            (["--model", str(tmp_path / "none"), "--port", "0"], "no model folder"),
            (["--model", str(folder_of("AMU")), "--port", port], f"port {port} cannot be listened at"),
            (["--model", str(folder_of("AMU")), "--host", "no.such.host.invalid"], "no.such.host.invalid"),
            (["--model", str(folder_of("AMU")), "--port", "0", "--device", "abacus"], "abacus"),
        ):
            assert main(argv) == 1
            [line] = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ") and expected in line


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "amu_raft.serve.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["--model", "x"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "uvicorn" in line and "requirements-serve.txt" in line


@pytest.mark.parametrize(
    "argv", [["--port", "65536"], ["--timeout", "nan"], ["--timeout", "x"], ["--queue", "0"], ["--max-mb", "-1"], []]
)
def test_wrong_command_lines(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*argv, *(["--model", "x"] if argv else [])])
    assert stopped.value.code == 2
    assert (argv[1] if argv else "--model") in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from amu_raft.serve.arguments import build_parser as b; b(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), cwd=REPOSITORY).returncode == 0
