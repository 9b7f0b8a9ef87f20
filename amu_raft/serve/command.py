"""What python -m serve and amu-raft serve do with their arguments."""

from argparse import Namespace

from amu_raft.command import need_packages
from amu_raft.strangers import import_modules

NEEDED = ("fastapi", "uvicorn", "python_multipart")


def serve(arguments: Namespace) -> None:
    """Load a model and serve it until Ctrl-C.

    Raises:
        ImportError: If a package that is only needed here is missing, or a module that is to be imported.
        OSError: If a file of the model is missing or the address cannot be listened at.
        ValueError: If the model is damaged or an argument means nothing.
    """
    need_packages(NEEDED, "serve")
    from amu_raft.serve import server

    import_modules(arguments.modules)
    server.serve(arguments)
