"""From a configuration to data loaders."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from dassl.data.datasets.base_dataset import Datum
from dassl.data.datasets.build import build_dataset
from dassl.data.samplers import build_sampler
from dassl.data.sharding import ShardedSampler
from dassl.data.transforms.transforms import build_transform
from dassl.data.wrapper import DatasetWrapper, Transforms
from dassl.utils.distributed import world_size


def build_data_loader(
    cfg: CfgNode,
    sampler_type: str = "SequentialSampler",
    data_source: Sequence[Datum] | None = None,
    batch_size: int = 64,
    n_domain: int = 0,
    n_ins: int = 2,
    tfm: Transforms = None,
    is_train: bool = True,
    dataset_wrapper: Callable[..., Dataset[Any]] | None = None,
) -> DataLoader[Any]:
    """Return a loader of batches of images.

    Where several processes train together (see `dassl.utils.distributed`), each gets its part of every training
    batch, and all of every test batch.

    Args:
        cfg: The configuration.
        sampler_type: Name of the sampler, see `build_sampler`.
        data_source: The images.
        batch_size: Images in a batch. The last, smaller one is dropped in training if there is a full one.
        n_domain: Domains in a batch, for the domain samplers.
        n_ins: Images per class in a batch, for the class sampler.
        tfm: The transform or transforms.
        is_train: For training.
        dataset_wrapper: Used in place of `DatasetWrapper`, with the same arguments.

    Raises:
        AssertionError: If the loader would have no batch.
    """
    source: Sequence[Datum] = [] if data_source is None else data_source
    if not source:
        raise AssertionError(f"There are no images for the {'training' if is_train else 'test'} loader")
    sampler = build_sampler(
        sampler_type, cfg=cfg, data_source=source, batch_size=batch_size, n_domain=n_domain, n_ins=n_ins
    )
    drop_last = is_train and len(source) >= batch_size
    processes = world_size() if is_train else 1
    if processes > 1:
        sampler = ShardedSampler(sampler, batch_size, drop_last)
    wrapper = DatasetWrapper if dataset_wrapper is None else dataset_wrapper
    loader: DataLoader[Any] = DataLoader(
        wrapper(cfg, source, transform=tfm, is_train=is_train),
        batch_size=batch_size // processes,
        sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available() and cfg.USE_CUDA,
    )
    if not len(loader):
        raise AssertionError(f"{len(source)} images give no batch of {batch_size} with {sampler_type}")
    return loader


class DataManager:
    """A data set, its transforms and its loaders, made in this order.

    Args:
        cfg: The configuration.
        custom_tfm_train: Used in place of the configured training transform.
        custom_tfm_test: Used in place of the configured test transform.
        dataset_wrapper: Used in place of `DatasetWrapper`.

    Attributes:
        dataset: The data set.
        train_loader_x: Labelled training batches.
        train_loader_u: Unlabelled training batches, or None.
        val_loader: Validation batches, or None.
        test_loader: Test batches.
    """

    def __init__(
        self,
        cfg: CfgNode,
        custom_tfm_train: Transforms = None,
        custom_tfm_test: Transforms = None,
        dataset_wrapper: Callable[..., Dataset[Any]] | None = None,
    ) -> None:
        dataset = build_dataset(cfg)
        tfm_train = _transform(cfg, custom_tfm_train, is_train=True)
        tfm_test = _transform(cfg, custom_tfm_test, is_train=False)

        def train_loader(node: CfgNode, source: Sequence[Datum] | None) -> DataLoader[Any]:
            return build_data_loader(
                cfg,
                sampler_type=node.SAMPLER,
                data_source=source,
                batch_size=node.BATCH_SIZE,
                n_domain=node.N_DOMAIN,
                n_ins=node.N_INS,
                tfm=tfm_train,
                is_train=True,
                dataset_wrapper=dataset_wrapper,
            )

        def test_loader(source: Sequence[Datum] | None) -> DataLoader[Any]:
            return build_data_loader(
                cfg,
                sampler_type=cfg.DATALOADER.TEST.SAMPLER,
                data_source=source,
                batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
                tfm=tfm_test,
                is_train=False,
                dataset_wrapper=dataset_wrapper,
            )

        node_u = cfg.DATALOADER.TRAIN_X if cfg.DATALOADER.TRAIN_U.SAME_AS_X else cfg.DATALOADER.TRAIN_U
        self.dataset = dataset
        self.train_loader_x = train_loader(cfg.DATALOADER.TRAIN_X, dataset.train_x)
        self.train_loader_u = train_loader(node_u, dataset.train_u) if dataset.train_u else None
        self.val_loader = test_loader(dataset.val) if dataset.val else None
        self.test_loader = test_loader(dataset.test)
        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return self._num_classes

    @property
    def num_source_domains(self) -> int:
        """The number of configured source domains."""
        return self._num_source_domains

    @property
    def lab2cname(self) -> dict[int, str]:
        """Class names by label."""
        return self._lab2cname

    def show_dataset_summary(self, cfg: CfgNode) -> None:
        """Print a table of the data set's name, domains, classes and numbers of images."""
        from tabulate import tabulate

        sizes = {"train_x": self.dataset.train_x, "train_u": self.dataset.train_u}
        sizes |= {"val": self.dataset.val, "test": self.dataset.test}
        table: list[list[Any]] = [["Dataset", cfg.DATASET.NAME]]
        domains = {"Source": cfg.DATASET.SOURCE_DOMAINS, "Target": cfg.DATASET.TARGET_DOMAINS}
        table += [[title, names] for title, names in domains.items() if names]
        table.append(["# classes", f"{self.num_classes:,}"])
        table += [[f"# {part}", f"{len(images):,}"] for part, images in sizes.items() if images]
        print(tabulate(table))


def _transform(cfg: CfgNode, custom: Transforms, *, is_train: bool) -> Any:
    if custom is None:
        return build_transform(cfg, is_train=is_train)
    print(f"* Using custom transform for {'training' if is_train else 'testing'}")
    return custom


__all__ = ["DataManager", "DatasetWrapper", "build_data_loader", "build_transform"]
