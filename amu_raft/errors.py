"""What bad input or a failing machine raises, and its message as one line."""

# Some defects raise these too: AMU_RAFT_TRACEBACK=1 and log.txt show where an error came from.
EXPECTED_ERRORS = (ValueError, KeyError, OSError, RuntimeError, ArithmeticError, AssertionError)


def one_line(error: BaseException) -> str:
    """Return an error's message as one line; errors of data loader workers are reduced to their cause."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("Caught "):  # torch puts the worker's whole traceback into the message
        return lines[-1].partition(": ")[2] or lines[-1]
    return " ".join(lines) or type(error).__name__


def described(error: BaseException) -> str:
    """Return the line to record for an error: what is not expected of bad input is named by its type as well."""
    message = one_line(error)
    return message if isinstance(error, EXPECTED_ERRORS) else f"{type(error).__name__}: {message}"


def remedy(error: BaseException) -> str:
    """Return what to do about a missing module, to follow the message, or ""."""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    if (error.name or "").partition(".")[0] == "dassl":
        return "; the toolbox is not installed: in the folder of the project's source, pip install ./toolbox ."
    return "; set up by `make setup` and use its Python: source .venv/bin/activate"
