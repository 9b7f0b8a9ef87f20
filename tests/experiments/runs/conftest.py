from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def plan() -> Callable[..., Any]:
    """Make a run plan from command-line words."""
    from experiments.runs.arguments import build_parser
    from experiments.runs.config import build_plan

    return lambda *argv: build_plan(build_parser().parse_args(list(argv)))
