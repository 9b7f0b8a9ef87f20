import sys
from pathlib import Path

import pytest
import torch

from amu_raft.backbones.clip_backbone import load_clip
from amu_raft.backbones.state_files import bundled_weights
from benchmarks import extraction
from benchmarks.full_size import write_photographs


@pytest.fixture
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled tiny CLIP and its 64 x 64 images in place of RN50."""

    def copy_clip(path: Path) -> None:
        path.write_bytes(bundled_weights("tiny_clip.pt").read_bytes())

    monkeypatch.setattr(extraction, "write_clip", copy_clip)
    monkeypatch.setattr(extraction, "SIDE_OF_CLIP", 64)


@pytest.mark.usefixtures("tiny_sizes")
def test_speed_of_a_tiny_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"num_images": 6, "batch_size": 4, "workers": [0, 1], "rounds": 2}
    result = extraction.measure_speed(tmp_path, **settings, device="cpu", precision="fp32")  # type: ignore[arg-type]
    assert result["images_per_second"].keys() == {"bare", "0 workers", "1 workers"}
    assert result["share_of_bare"].keys() == {"0 workers", "1 workers"}
    assert result["largest_difference"] <= extraction.TOLERANCE
    extraction.print_speed(result)
    assert "0 workers" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny_sizes")
def test_other_features_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract = extraction.extract
    monkeypatch.setattr(extraction, "extract", lambda *arguments: extract(*arguments).flip(0))
    with pytest.raises(RuntimeError, match="differ in features"):
        extraction.measure_speed(
            tmp_path, num_images=4, batch_size=4, workers=[0], rounds=1, device="cpu", precision="fp32"
        )


def test_cost_counts_every_convolution_and_product() -> None:
    backbone = load_clip("tiny")
    one, two = (extraction.count_cost(backbone, torch.randn(n, 3, 64, 64)) for n in (1, 2))
    first = backbone.model.visual.conv1
    assert one["flops_per_image"] == two["flops_per_image"] > 2 * first.weight.numel() * 32 * 32
    assert two["bytes_per_batch"] - one["bytes_per_batch"] == 4 * (3 * 64 * 64 + backbone.feature_dim)


def test_roofline_by_hand() -> None:
    # 1 TFLOP an image at 67 TFLOP/s: 67 images a second are the most, 33.5 are half of that.
    result = {
        **{"precision": "fp32", "batch_size": 2, "flops_per_image": 10**12, "bytes_per_batch": 1},
        "images_per_second": {"bare": {"median": 33.5}},
    }
    assert extraction.roofline_share(result, "NVIDIA H200") == pytest.approx(0.5)
    # Moving 4.8 TB takes a second, multiplying 0.03; a batch takes two.
    slow = {**result, "bytes_per_batch": 48 * 10**11, "images_per_second": {"bare": {"median": 1.0}}}
    assert extraction.roofline_share(slow, "NVIDIA H200") == pytest.approx(0.5)
    assert extraction.roofline_share(result, "unheard of") is None


def test_many_images_are_extracted_from_few_files(tmp_path: Path) -> None:
    write_photographs(tmp_path / "small", {"train": 2}, classes=2, size=(32, 32))
    assert extraction.extract_many(tmp_path, 300) > 50


def test_a_process_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="extracting 10 images failed"):
        extraction.measure_memory(tmp_path, [10, 20])


@pytest.mark.slow
def test_memory_is_that_of_the_process_alone(tmp_path: Path) -> None:
    ballast = torch.ones(1 << 28)  # 1 GiB here must not count there
    result = extraction.measure_memory(tmp_path, [200, 4000])
    assert len(ballast) and result["peak_mib"][200] < 1024
    assert result["growth_mib"] == result["peak_mib"][4000] - result["peak_mib"][200] < extraction.TARGET_GROWTH


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--images", "1"], "--images must be at least 2, got 1"),
        (["--workers", "-1"], "--workers must not be negative, got -1"),
    ],
)
def test_bad_numbers_are_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        extraction.main(argv)
    assert message in capsys.readouterr().err
