# mypy: ignore-errors
"""Pairs of labelled and unlabelled batches, and a loop of its own over loaders of its own."""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY, SimpleTrainer, TrainerXU
from dassl.optim import build_lr_scheduler, build_optimizer
from methods.clip_parts import CustomCLIP, load_clip_to_cpu


def build_head(trainer, n_ctx):
    """A linear classifier on frozen image features."""
    model = CustomCLIP(n_ctx, trainer.dm.dataset.classnames, load_clip_to_cpu(trainer.cfg)).requires_grad_(False)
    trainer.encoder = model.to(trainer.device).eval()
    trainer.model = nn.Linear(64, trainer.num_classes).to(trainer.device)
    trainer.optim = build_optimizer(trainer.model, trainer.cfg.OPTIM)
    trainer.sched = build_lr_scheduler(trainer.optim, trainer.cfg.OPTIM)
    trainer.register_model("head", trainer.model, trainer.optim, trainer.sched)


@TRAINER_REGISTRY.register()
class Pairs(TrainerXU):
    def build_model(self):
        build_head(self, self.cfg.TRAINER.PAIRS.N_CTX)

    def model_inference(self, image):
        return 10 * self.model(self.encoder.image_features(image))

    def forward_backward(self, batch_x, batch_u):
        image, label, unlabelled = self.parse_batch_train(batch_x, batch_u)
        guess = self.model_inference(unlabelled)
        sure, pseudo = guess.detach().softmax(dim=1).max(dim=1)
        loss_u = (F.cross_entropy(guess, pseudo, reduction="none") * (sure > 0.9)).mean()
        loss_x = F.cross_entropy(self.model_inference(image), label)
        self.model_backward_and_update(loss_x + loss_u)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss_x": loss_x.item(), "loss_u": loss_u.item()}


class Marked(DatasetWrapper):
    """A wrapper of this repository's own, which says which file an item is."""

    def __getitem__(self, idx):
        output = super().__getitem__(idx)
        output["mark"] = self.data_source[idx]._impath.rsplit("/", 1)[-1]
        return output


@TRAINER_REGISTRY.register()
class OwnLoop(SimpleTrainer):
    """Trains on features extracted once, without augmentation, in a loop of its own."""

    def build_data_loader(self):
        tfm_train = build_transform(self.cfg, is_train=True)
        dm = DataManager(self.cfg, custom_tfm_train=tfm_train, dataset_wrapper=Marked)
        self.train_loader_x, self.train_loader_u = dm.train_loader_x, dm.train_loader_u
        self.val_loader, self.test_loader = dm.val_loader, dm.test_loader
        self.num_classes, self.num_source_domains = dm.num_classes, dm.num_source_domains
        self.lab2cname, self.dm = dm.lab2cname, dm

    def build_model(self):
        build_head(self, self.cfg.TRAINER.OWNLOOP.N_CTX)

    def model_inference(self, image):
        return 10 * self.model(self.encoder.image_features(image))

    @torch.no_grad()
    def extract(self):
        dataset = self.train_loader_x.dataset
        dataset.transform = self.test_loader.dataset.transform
        loader = build_data_loader(
            self.cfg, data_source=dataset.data_source, batch_size=5, tfm=dataset.transform, is_train=False
        )
        batches = [(self.encoder.image_features(batch["img"]), batch["label"]) for batch in loader]
        marks = [mark for batch in self.train_loader_x for mark in batch["mark"]]
        assert set(marks) <= {datum.impath.rsplit("/", 1)[-1] for datum in dataset.data_source}
        return torch.cat([features for features, _ in batches]), torch.cat([labels for _, labels in batches])

    def before_train(self):
        super().before_train()
        self.features, self.labels = self.extract()

    def run_epoch(self):
        self.set_model_mode("train", self.get_model_names())
        loss = F.cross_entropy(10 * self.model(self.features), self.labels)
        self.model_backward_and_update(loss)
        print(f"epoch [{self.epoch + 1}/{self.max_epoch}] loss {loss.item():.4f} lr {self.get_current_lr():.4e} eta 0")
        self.update_lr()
