import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dassl.optim.radam import RAdam
from dassl.utils import load_checkpoint, load_pretrained_weights, resume_from_checkpoint, save_checkpoint
from dassl.utils.checkpoint import align_checkpoints
from dassl.utils.safe_load import _existing_device


def net() -> Any:
    torch.manual_seed(0)
    layers: OrderedDict[str, torch.nn.Module] = OrderedDict(backbone=torch.nn.Linear(3, 4), head=torch.nn.Linear(4, 2))
    return torch.nn.Sequential(layers)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def state(epoch: int = 5, **changes: Any) -> dict[str, Any]:
    weights = {f"module.{key}": value for key, value in net().state_dict().items()}
    plain = {"state_dict": weights, "epoch": epoch, "optimizer": None, "scheduler": None, "val_result": 12.5}
    return {**plain, **changes}


def test_layout_and_text(tmp_path: Path, recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ck"
    save_checkpoint(state(), str(folder))
    save_checkpoint(state(), str(folder), is_best=True)
    assert (folder / "checkpoint").read_text() == "model.pth.tar-5\n"
    save_checkpoint(state(6), str(folder), model_name="model-best.pth.tar")
    loaded = load_checkpoint(str(folder / "model.pth.tar-5"))
    here = [
        names(folder),
        (folder / "checkpoint").read_text(),
        capsys.readouterr().out.replace(str(tmp_path), "T"),
        sorted(loaded),
        list(loaded["state_dict"]),
        loaded["val_result"],
        loaded["epoch"],
    ]
    assert here == recorded["items"]["checkpoint/layout"]
    assert load_checkpoint(str(folder / "model-best.pth.tar"))["epoch"] == 6


def test_prefix_can_stay(tmp_path: Path) -> None:
    save_checkpoint(state(), str(tmp_path), remove_module_from_keys=False)
    assert "module.head.bias" in load_checkpoint(str(tmp_path / "model.pth.tar-5"))["state_dict"]


def test_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    save_checkpoint(state(), str(tmp_path))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(state(optimizer=lambda: None), str(tmp_path))
    assert load_checkpoint(str(tmp_path / "model.pth.tar-5"))["optimizer"] is None
    assert names(tmp_path) == ["checkpoint", "model.pth.tar-5"]


def test_errors(recorded: dict[str, Any]) -> None:
    seen = []
    for path in (None, "/none/x"):
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            load_checkpoint(path)
        seen.append([type(caught.value).__name__, str(caught.value)])
    assert seen == recorded["items"]["checkpoint/errors"]


class Foreign:
    def __reduce__(self) -> Any:
        return os.system, ("touch must-not-exist",)


def test_foreign_pickles_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pt"
    torch.save({"state_dict": {}, "thing": Foreign()}, path)
    with pytest.raises(ValueError, match=r'".*x.pt" is a pickle of objects .* convert it once: torch\.save') as caught:
        load_checkpoint(str(path))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("content", [b"", b"some text", b"PK\x03\x04junk"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'".*x.pt" cannot be read: damaged, or not a torch file') as caught:
        load_checkpoint(str(path))
    assert "\n" not in str(caught.value)


def test_damage_inside_the_pickle_is_told_from_a_foreign_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise pickle.UnpicklingError("Failed to load pickle data (KeyError: 7); ...")

    path = tmp_path / "x.pt"
    path.touch()
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(ValueError, match="cannot be read: damaged"):
        load_checkpoint(str(path))


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numpy_numbers_of_both_generations(tmp_path: Path, module: str) -> None:
    path = tmp_path / "x"
    numbers = {"double": np.float64(3.5), "single": np.float32(1.5), "whole": np.int64(3)}
    torch.save(numbers, path, _use_new_zipfile_serialization=False)
    names = [name.encode() for name in (np.float64(0).__reduce__()[0].__module__, module)]
    path.write_bytes(path.read_bytes().replace(names[0] + b"\nscalar", names[1] + b"\nscalar"))
    read = load_checkpoint(str(path))
    assert read == {"double": 3.5, "single": 1.5, "whole": 3}
    assert not any(isinstance(value, np.generic) for value in read.values())


@pytest.mark.parametrize("kind", ["step", "multi", "cosine"])
@pytest.mark.parametrize(
    "optimiser", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, RAdam]
)
def test_schedule_objects_become_dictionaries(tmp_path: Path, kind: str, optimiser: Any) -> None:
    driven = optimiser(net().parameters(), lr=0.1)
    schedules = {
        "step": torch.optim.lr_scheduler.StepLR(driven, 3),
        "multi": torch.optim.lr_scheduler.MultiStepLR(driven, [2, 5]),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(driven, 8),
    }
    written = {"last_epoch": 4, "wrapped": schedules[kind], "list": [schedules[kind]], "optimizer": driven}
    torch.save(state(scheduler=written, val_result=np.float64(3.5)), tmp_path / "x")
    read = load_checkpoint(str(tmp_path / "x"))
    assert read["val_result"] == 3.5
    assert type(read["val_result"]) is float
    expected = schedules[kind].state_dict()
    assert read["scheduler"] == {"last_epoch": 4, "wrapped": expected, "list": [expected]}


def test_tensors_of_missing_devices_come_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert _existing_device("storage", "cpu") is None
    assert _existing_device("storage", "cuda") is None
    assert _existing_device("storage", "cuda:0") is None
    assert _existing_device("storage", "cuda:1") == "storage"
    assert _existing_device("storage", "mps") == "storage"


def test_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = net()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1)
    optimiser.step()
    schedule.step()
    saved = {"state_dict": model.state_dict(), "epoch": 3, "optimizer": optimiser.state_dict()}
    save_checkpoint({**saved, "scheduler": schedule.state_dict()}, str(tmp_path))
    other: Any = torch.nn.Sequential(OrderedDict(backbone=torch.nn.Linear(3, 4), head=torch.nn.Linear(4, 2)))
    again = torch.optim.SGD(other.parameters(), lr=1.0)
    schedule_again = torch.optim.lr_scheduler.StepLR(again, 1)
    capsys.readouterr()
    assert resume_from_checkpoint(str(tmp_path), other, again, schedule_again) == 3
    assert capsys.readouterr().out == (
        f'Loading checkpoint from "{tmp_path}/model.pth.tar-3"\n'
        "Loaded model weights\nLoaded optimizer\nLoaded scheduler\nPrevious epoch: 3\n"
    )
    assert torch.equal(other.head.weight, model.head.weight)
    assert again.param_groups[0]["lr"] == pytest.approx(0.01)
    assert schedule_again.last_epoch == 1


def test_resume_without_optimiser_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(state(), str(tmp_path))
    model = net()
    assert resume_from_checkpoint(str(tmp_path), model, torch.optim.SGD(model.parameters(), lr=0.1)) == 5
    assert "optimizer" not in capsys.readouterr().out


def test_resume_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='No file "checkpoint"'):
        resume_from_checkpoint(str(tmp_path), net())


def test_misfit_is_one_line_with_keys_and_shapes(tmp_path: Path) -> None:
    save_checkpoint(state(), str(tmp_path))
    model = torch.nn.Sequential(OrderedDict(backbone=torch.nn.Linear(3, 5), neck=torch.nn.Linear(1, 1)))
    with pytest.raises(RuntimeError) as caught:
        resume_from_checkpoint(str(tmp_path), model)
    assert str(caught.value) == (
        f"{tmp_path}/model.pth.tar-5 does not fit the model: missing: neck.weight, neck.bias; "
        "unexpected: head.weight, head.bias; of another shape: "
        "backbone.weight (4, 3) instead of (5, 3), backbone.bias (4,) instead of (5,)"
    )


def test_wrapped_model_takes_keys_with_and_without_the_prefix(tmp_path: Path) -> None:
    for keep in (True, False):
        folder = tmp_path / str(keep)
        save_checkpoint(state(), str(folder), remove_module_from_keys=not keep)
        model: Any = torch.nn.DataParallel(torch.nn.Sequential(OrderedDict(net().named_children())))
        torch.nn.init.zeros_(model.module.head.weight)
        assert resume_from_checkpoint(str(folder), model) == 5
        assert torch.equal(model.module.head.weight, net().head.weight)


def test_pretrained_weights_of_a_wrapped_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"head.weight": torch.ones(2, 4)}, tmp_path / "w.pt")
    model: Any = torch.nn.DataParallel(net())
    load_pretrained_weights(model, str(tmp_path / "w.pt"))
    assert model.module.head.weight.sum() == 8
    assert "Successfully loaded" in capsys.readouterr().out


def test_long_misfits_are_cut(tmp_path: Path) -> None:
    save_checkpoint(state(), str(tmp_path))
    model = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(4)])
    with pytest.raises(RuntimeError, match=r"missing: 0\.weight, .* and 3 more; unexpected"):
        resume_from_checkpoint(str(tmp_path), model)


def test_pretrained_weights(tmp_path: Path, recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    model = net()
    weights = {"module.head.weight": torch.ones(2, 4), "head.bias": torch.ones(3), "other": torch.ones(1)}
    torch.save({"state_dict": weights}, tmp_path / "w.pt")
    torch.save({"zz": torch.ones(1)}, tmp_path / "w2.pt")
    load_pretrained_weights(model, str(tmp_path / "w.pt"))
    with pytest.warns(UserWarning, match="Cannot load") as warned:
        load_pretrained_weights(model, str(tmp_path / "w2.pt"))
    here = [
        model.head.weight.sum().item(),
        capsys.readouterr().out.replace(str(tmp_path), "T"),
        [str(warning.message).replace(str(tmp_path), "T") for warning in warned],
    ]
    assert here == recorded["items"]["checkpoint/load_pretrained_weights"]


@pytest.mark.parametrize(
    ("files", "latest", "expected"),
    [
        ([[1, 2], [1, 2]], ["model.pth.tar-2"] * 2, ["model.pth.tar-2"] * 2),
        ([[1, 2], [1]], ["model.pth.tar-2", "model.pth.tar-1"], ["model.pth.tar-1"] * 2),
        ([[9, 10], [9]], ["model-best.pth.tar", "model.pth.tar-9"], ["model.pth.tar-9"] * 2),
        ([[2], [1]], ["model.pth.tar-2", "model.pth.tar-1"], None),
        ([[1], []], ["model.pth.tar-1", None], None),
    ],
)
def test_models_resume_from_one_epoch(tmp_path: Path, files: Any, latest: Any, expected: Any) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, epochs, name in zip(folders, files, latest, strict=True):
        folder.mkdir()
        for epoch in epochs:
            (folder / f"model.pth.tar-{epoch}").touch()
        if name:
            (folder / "checkpoint").write_text(f"{name}\n")
    found = align_checkpoints([str(folder) for folder in folders])
    assert found == (expected is not None)
    if expected is not None:
        assert [(folder / "checkpoint").read_text().strip() for folder in folders] == expected


@pytest.mark.parametrize(("epochs", "expected"), [((5, 5), "model-best.pth.tar"), ((5, 3), "model.pth.tar-2")])
def test_best_models_of_different_epochs_do_not_resume_together(
    tmp_path: Path, epochs: tuple[int, int], expected: str
) -> None:
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    for folder, epoch in zip(folders, epochs, strict=True):
        save_checkpoint(state(2), folder)
        save_checkpoint(state(epoch), folder, model_name="model-best.pth.tar")
    assert align_checkpoints(folders)
    assert [(tmp_path / name / "checkpoint").read_text() for name in "ab"] == [f"{expected}\n"] * 2


def test_no_models_have_no_checkpoint() -> None:
    assert not align_checkpoints([])


def test_a_file_that_holds_no_dictionary_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar-1"
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match=r'model.pth.tar-1" is no checkpoint: it holds a list, not a dictionary'):
        load_checkpoint(str(path))
