# mypy: ignore-errors
# ruff: noqa: PTH100, PTH110, PTH111, PTH118, PTH123
"""Coloured blobs in the layout of CoOp's data sets: a split file, a folder of few-shot caches, base and new classes."""

import os
import pickle

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from dassl.utils import mkdir_if_missing
from datasets.oxford_pets import OxfordPets


@DATASET_REGISTRY.register()
class Blobs(DatasetBase):
    dataset_dir = "blobs"

    def __init__(self, cfg):
        root = os.path.abspath(os.path.expanduser(cfg.DATASET.ROOT))
        self.dataset_dir = os.path.join(root, self.dataset_dir)
        self.image_dir = os.path.join(self.dataset_dir, "images")
        self.split_path = os.path.join(self.dataset_dir, "split_zhou_Blobs.json")
        self.split_fewshot_dir = os.path.join(self.dataset_dir, "split_fewshot")
        mkdir_if_missing(self.split_fewshot_dir)
        train, val, test = OxfordPets.read_split(self.split_path, self.image_dir)
        unlabelled = list(train)

        num_shots = cfg.DATASET.NUM_SHOTS
        if num_shots >= 1:
            cache = os.path.join(self.split_fewshot_dir, f"shot_{num_shots}-seed_{cfg.SEED}.pkl")
            if os.path.exists(cache):
                print(f"Loading preprocessed few-shot data from {cache}")
                with open(cache, "rb") as file:
                    data = pickle.load(file)
                train, val = data["train"], data["val"]
            else:
                train = self.generate_fewshot_dataset(train, num_shots=num_shots)
                val = self.generate_fewshot_dataset(val, num_shots=min(num_shots, 4))
                print(f"Saving preprocessed few-shot data to {cache}")
                with open(cache, "wb") as file:
                    pickle.dump({"train": train, "val": val}, file, protocol=pickle.HIGHEST_PROTOCOL)

        train, val, test = OxfordPets.subsample_classes(train, val, test, subsample=cfg.DATASET.SUBSAMPLE_CLASSES)
        train_u = unlabelled if cfg.DATASET.ALL_AS_UNLABELED else None
        super().__init__(train_x=train, train_u=train_u, val=val, test=test)
