import pytest
import torch

from dassl.utils import AverageMeter, MetricMeter


def test_average_meter() -> None:
    meter = AverageMeter()
    meter.update(2, 3)
    meter.update(torch.tensor(4.0))
    assert (meter.val, meter.avg, meter.sum, meter.count) == (4.0, 2.5, 10.0, 4)
    meter.reset()
    assert (meter.val, meter.avg, meter.sum, meter.count) == (0, 0, 0, 0)


def test_exponential_average() -> None:
    meter = AverageMeter(ema=True)
    meter.update(1)
    meter.update(2)
    assert meter.avg == pytest.approx(0.29)


def test_metric_meter() -> None:
    meter = MetricMeter()
    assert str(meter) == ""
    meter.update({"loss": 1.0, "acc": torch.tensor(50.0)})
    meter.update({"loss": 2.0, "acc": 25.0})
    meter.update(None)
    assert str(meter) == "loss 2.0000 (1.5000) acc 25.0000 (37.5000)"
    assert list(meter.meters) == ["loss", "acc"]
    with pytest.raises(TypeError, match="Expected a dict of metric values or None, but got list"):
        meter.update([1])  # type: ignore[arg-type]


def test_delimiter() -> None:
    meter = MetricMeter(delimiter=" | ")
    meter.update({"a": 1, "b": 2})
    assert str(meter) == "a 1.0000 (1.0000) | b 2.0000 (2.0000)"
