import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import Datum
from dassl.data.transforms import build_transform
from dassl.utils import set_random_seed

COOP = ["random_resized_crop", "random_flip", "normalize"]


def summary(tensor: torch.Tensor) -> list[Any]:
    wide = tensor.double()
    return [list(tensor.shape), str(tensor.dtype), round(wide.sum().item(), 4), round(wide.abs().sum().item(), 4)]


@pytest.fixture
def wrap(make_cfg: Callable[..., Any], data: list[Datum]) -> Callable[..., Any]:
    def make(is_train: bool = True, **changes: Any) -> Any:
        cfg = make_cfg(INPUT__SIZE=(32, 32), INPUT__TRANSFORMS=COOP, **changes)
        transform = build_transform(cfg, is_train=is_train)
        return DatasetWrapper(cfg, data[:6], transform=transform, is_train=is_train)

    return make


def test_item_equals_the_record(wrap: Callable[..., Any], recorded: dict[str, Any]) -> None:
    wrapper = wrap()
    set_random_seed(1)
    item = wrapper[2]
    here = [
        list(item),
        {key: type(value).__name__ for key, value in item.items()},
        len(wrapper),
        item["label"],
        item["domain"],
        item["index"],
        Path(item["impath"]).name,
        summary(item["img"]),
    ]
    assert here == recorded["items"]["wrapper/keys"]


def test_several_draws_and_the_plain_image(wrap: Callable[..., Any]) -> None:
    item = wrap(DATALOADER__K_TRANSFORMS=2, DATALOADER__RETURN_IMG0=True)[0]
    assert list(item) == ["label", "domain", "impath", "index", "img", "img0"]
    assert len(item["img"]) == 2
    assert not torch.equal(*item["img"])
    assert item["img0"].shape == (3, 32, 32)


def test_one_draw_at_test_time(wrap: Callable[..., Any], recorded: dict[str, Any]) -> None:
    item = wrap(is_train=False, DATALOADER__K_TRANSFORMS=2)[0]
    here = [type(item["img"]).__name__, summary(item["img"])]
    assert here == recorded["items"]["wrapper/k_transforms_ignored_at_test"]


def test_several_transforms(wrap: Callable[..., Any]) -> None:
    wrapper = wrap()
    wrapper.transform = [wrapper.transform, lambda image: "second", lambda image: "third"]
    item = wrapper[0]
    assert list(item) == ["label", "domain", "impath", "index", "img", "img2", "img3"]
    assert item["img3"] == "third"


def test_without_transform(make_cfg: Callable[..., Any], data: list[Datum]) -> None:
    item = DatasetWrapper(make_cfg(), data)[0]
    assert (list(item)[-1], type(item["img"]).__name__) == ("img", "Image")
    with pytest.raises(ValueError, match="K_TRANSFORMS is 2, but there is no transform"):
        DatasetWrapper(make_cfg(DATALOADER__K_TRANSFORMS=2), data, is_train=True)


def test_damaged_image_is_named(wrap: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_text("no image")
    wrapper = wrap()
    wrapper.data_source = [Datum(str(path))]
    with pytest.raises(OSError, match=f'Cannot read the image "{path}"'):
        wrapper[0]


def test_loaders_equal_the_record(make_cfg: Callable[..., Any], data: list[Datum], recorded: dict[str, Any]) -> None:
    settings = {"DATALOADER__NUM_WORKERS": 0, "USE_CUDA": False}
    cfg = make_cfg(INPUT__SIZE=(32, 32), INPUT__TRANSFORMS=COOP, **settings)
    transform = build_transform(cfg)
    here = []
    for count, is_train in ((10, True), (3, True), (10, False)):
        set_random_seed(1)
        loader = build_data_loader(
            cfg,
            sampler_type="RandomSampler" if is_train else "SequentialSampler",
            data_source=data[:count],
            batch_size=4,
            tfm=transform,
            is_train=is_train,
        )
        batches = list(loader)
        labels, indices = ([batch[key].tolist() for batch in batches] for key in ("label", "index"))
        kinds = [type(batches[0]["impath"]).__name__, str(batches[0]["domain"].dtype)]
        here.append([len(loader), loader.drop_last, loader.pin_memory, labels, indices, *kinds])
    assert here == recorded["items"]["loader/train_and_test"]


@pytest.mark.parametrize("source", [None, []])
def test_loader_of_nothing(source: Any, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="There are no images for the training loader"):
        build_data_loader(make_cfg(), data_source=source)


def test_loader_without_a_batch(make_cfg: Callable[..., Any], data: list[Datum]) -> None:
    cfg = make_cfg(DATALOADER__NUM_WORKERS=0)
    with pytest.raises(AssertionError, match="56 images give no batch of 32 with RandomClassSampler"):
        build_data_loader(cfg, "RandomClassSampler", data_source=data, batch_size=32, n_ins=4)


def test_manager_equals_the_record(
    tiny_cfg: Callable[..., Any], recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = tiny_cfg(
        VERBOSE=True,
        DATASET__SOURCE_DOMAINS=["s"],
        DATASET__TARGET_DOMAINS=["t"],
        DATALOADER__TRAIN_X__BATCH_SIZE=32,
        DATALOADER__TEST__BATCH_SIZE=32,
    )
    manager = DataManager(cfg)
    loaders = (manager.train_loader_x, manager.train_loader_u, manager.val_loader, manager.test_loader)
    here = [
        manager.num_classes,
        manager.num_source_domains,
        {str(label): name for label, name in manager.lab2cname.items()},
        *[len(loader) for loader in loaders if loader is not None],
        "GoldenSet",
        capsys.readouterr().out.replace("TinySet", "GoldenSet").replace("--  -------\n", "--  ---------\n"),
    ]
    assert here == recorded["items"]["loader/data_manager"]


def test_unlabelled_loader_may_have_its_own_settings(tiny_cfg: Callable[..., Any]) -> None:
    same = DataManager(tiny_cfg())
    own = DataManager(tiny_cfg(DATALOADER__TRAIN_U__SAME_AS_X=False, DATALOADER__TRAIN_U__BATCH_SIZE=2))
    assert same.train_loader_u is not None
    assert own.train_loader_u is not None
    assert (same.train_loader_u.batch_size, own.train_loader_u.batch_size) == (8, 2)


def test_parts_that_are_missing(tiny_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    manager = DataManager(tiny_cfg(DATASET__NAME="TestOnlySet", VERBOSE=True))
    assert manager.train_loader_u is None
    assert manager.val_loader is None
    rows = capsys.readouterr().out.split("\n--")[1].splitlines()[1:]
    assert [re.split(r"  +", row) for row in rows] == [
        ["Dataset", "TestOnlySet"],
        ["# classes", "6"],
        ["# train_x", "30"],
        ["# test", "10"],
    ]


def test_custom_parts(tiny_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    class Wrapper(DatasetWrapper):
        pass

    def train(image: Any) -> torch.Tensor:
        return torch.zeros(1)

    def test(image: Any) -> torch.Tensor:
        return torch.ones(1)

    manager = DataManager(tiny_cfg(), custom_tfm_train=train, custom_tfm_test=test, dataset_wrapper=Wrapper)
    assert "Building transform" not in capsys.readouterr().out
    assert isinstance(manager.test_loader.dataset, Wrapper)
    assert next(iter(manager.train_loader_x))["img"].sum() == 0
    assert next(iter(manager.test_loader))["img"].sum() == 8


def test_workers_name_a_damaged_image(wrap: Callable[..., Any], tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    path = tmp_path / "broken.png"
    path.write_text("no image")
    cfg = make_cfg(DATALOADER__NUM_WORKERS=1, USE_CUDA=False)
    loader = build_data_loader(cfg, data_source=[Datum(str(path))], batch_size=1, is_train=False)
    with pytest.raises(OSError, match=r"broken\.png"):
        list(loader)
