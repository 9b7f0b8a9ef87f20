import json
from pathlib import Path

import pytest

from benchmarks import prediction
from benchmarks.prediction import main, run_predict, write_model


@pytest.mark.slow
def test_small_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "model", "ZeroshotCLIP", clip="tiny", aux="tiny", size=64, precision="fp32")
    argv = ["--model", str(model), "--photographs", "10", "--counts", "3", "12", "--rounds", "1", "--workers", "1"]
    main([*argv, "--batch-size", "4", "--device", "cpu", "--json", str(tmp_path / "figures.json")])
    report = json.loads((tmp_path / "figures.json").read_text())
    speed, *memory, start = report["results"]
    assert speed["what"] == "speed" and speed["pictures"] == 10 and speed["share_of_encoder"]["median"] > 0
    assert [figures["pictures"] for figures in memory] == [3, 12]
    assert all(figures["peak_memory_mb"] > 100 for figures in memory) and start["seconds"]["median"] > 0
    assert "pictures/s" in capsys.readouterr().out


def test_a_photograph_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "model", "ZeroshotCLIP", clip="tiny", aux="tiny", size=64, precision="fp32")
    with pytest.raises(RuntimeError, match=r"predict.py ended with status 1"):
        run_predict(model, [str(tmp_path / "gone.jpg")])

    def broken(root: Path, counts: object, *, classes: int) -> Path:
        root.mkdir()
        (root / "a.jpg").write_text("no picture")
        return root

    monkeypatch.setattr(prediction, "write_photographs", broken)
    with pytest.raises(RuntimeError, match="a photograph could not be read"):
        main(["--model", str(model), "--rounds", "1", "--device", "cpu"])
