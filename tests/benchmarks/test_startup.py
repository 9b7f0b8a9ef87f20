import pytest

from benchmarks import startup


def test_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Importing torch takes seconds; the standard library stands in for it here.
    monkeypatch.setattr(startup, "IMPORT", startup.IMPORT.replace("{before}", "sys").replace("{what}", "json"))
    startup.main(["--rounds", "1"])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["seconds", "min", "median", "max"]
    assert [row[:21].strip() for row in rows] == [
        "import dassl, after t",
        "import dassl.engine,",
        "python train.py --hel",
    ]
    assert all(float(figure) >= 0 for row in rows for figure in row.split()[-3:])
