"""From the command line's arguments to a running server."""

import ipaddress
import logging
import socket
import sys
import warnings
from argparse import Namespace

import uvicorn

from amu_raft.model.model_folder import load_model_folder
from amu_raft.prediction.session import choose_device
from amu_raft.serve.app import build_app
from amu_raft.serve.arguments import limits_of
from amu_raft.serve.classify import Classifier
from amu_raft.serve.connections import connections
from amu_raft.serve.guards import LOOPBACK

BACKLOG = 256
_GRACE = 5  # seconds that requests have to end after Ctrl-C


class _Server(uvicorn.Server):
    """Say where the server is when it answers, and Ctrl-C ends it as it should."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        print(self._greeting, flush=True)


def serve(arguments: Namespace) -> None:
    """Serve until Ctrl-C.

    Raises:
        OSError: If a file of the model is missing or the address cannot be listened at.
        ValueError: If the model is damaged or an argument means nothing.
        KeyboardInterrupt: After Ctrl-C, when everything is closed.
    """
    limits = limits_of(arguments)
    listening = listen(arguments.host, arguments.port)
    with listening:
        device = choose_device(arguments.device)
        loaded = load_model_folder(arguments.model, weights=arguments.weights, device=device)
        classifier = Classifier(loaded, device, limits)
        classifier.warm_up()
        local = is_loopback(listening)
        if not local:
            print(f"warning: every machine that reaches {arguments.host} can use this server", file=sys.stderr)
        # A damaged picture can cause thousands of warnings about its metadata.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        logging.getLogger("python_multipart").setLevel(logging.ERROR)
        app = build_app(classifier, (*LOOPBACK, arguments.host) if local else None)
        config = uvicorn.Config(
            app,
            http=connections(limits),  # type: ignore[arg-type]  # called like the classes that are asked for
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_GRACE,
        )
        greeting = f"{loaded.info.method} with {loaded.model.num_classes} classes: {address_of(listening)}"
        _Server(config, greeting).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; nobody's first request gets lost while the model is loaded.

    Raises:
        OSError: If that is not possible, with one line that names the address.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(f"--host {host} cannot be listened at: {error.strerror}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(f"{host} port {port} cannot be listened at: {error.strerror}") from error
    return listening


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ipaddress.ip_address(listening.getsockname()[0].split("%")[0]).is_loopback


def address_of(listening: socket.socket) -> str:
    """Return what to type into a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
