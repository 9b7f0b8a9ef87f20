import pytest
import torch

from experiments.sweep import devices


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_one_process_per_device(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.environments(None, use_cuda=True) == [{"CUDA_VISIBLE_DEVICES": name} for name in ("0", "1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-a")
    numbers = [env["CUDA_VISIBLE_DEVICES"] for env in devices.environments(3, use_cuda=True)]
    assert numbers == ["3", "GPU-a", "3"]


def test_a_cpu_has_one_process_or_shares_its_cores(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "num_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert devices.environments(None, use_cuda=False) == [{}]
    assert devices.environments(3, use_cuda=False) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert devices.environments(16, use_cuda=False)[0] == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert devices.environments(2, use_cuda=False) == [{}, {}]


def test_cores() -> None:
    assert devices.num_cores() >= 1
