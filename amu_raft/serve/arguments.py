"""The command line of python -m serve and amu-raft serve. Imports nothing heavy, so that --help is quick."""

import argparse
import math

from amu_raft.arguments import MakeParser, add_shared, new_parser
from amu_raft.serve.limits import MEGABYTE, Limits

DESCRIPTION = """Serve a trained model: a page for the browser and a REST interface (/openapi.json).

Only programs on this machine can reach it unless --host names another address. There is no password and no
encryption."""


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "python -m serve"
) -> argparse.ArgumentParser:
    """Return the parser."""
    parser = new_parser(make, prog, DESCRIPTION)
    add = parser.add_argument
    usual = Limits()
    add_shared(parser, "--model")
    add("--host", default="127.0.0.1", help="address to listen at; default 127.0.0.1, this machine only")
    add("--port", type=_port, default=8000, help="default 8000; 0 for any that is free")
    add_shared(parser, "--weights", "--device", "--import")
    megabytes = usual.file_bytes // MEGABYTE
    add("--max-mb", type=_count, default=megabytes, help=f"megabytes of one picture's file; default {megabytes}")
    add("--max-files", type=_count, default=usual.files, help=f"pictures in one request; default {usual.files}")
    add("--timeout", type=_seconds, default=usual.seconds, help=f"seconds for a request; default {usual.seconds:g}")
    add("--queue", type=_count, default=usual.requests, help=f"requests that may wait; default {usual.requests}")
    return parser


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Return the limits that a command line sets."""
    file_bytes = arguments.max_mb * MEGABYTE
    usual = Limits()
    return Limits(
        file_bytes=file_bytes,
        files=arguments.max_files,
        request_bytes=max(usual.request_bytes, file_bytes + MEGABYTE),
        held_bytes=max(usual.held_bytes, 2 * file_bytes),
        seconds=arguments.timeout,
        requests=arguments.queue,
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to 100000 is wanted, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535 is wanted, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"seconds above 0 and up to 3600 are wanted, got {text!r}")
    return seconds
