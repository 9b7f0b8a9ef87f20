# mypy: ignore-errors
"""Averages its weights over the epochs, drives its schedule itself, and replaces the loops of the base classes."""

import copy
import datetime
import time

from torch.nn import functional as F

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.engine.trainer import AverageMeter, MetricMeter
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint
from methods.clip_parts import CustomCLIP, load_clip_to_cpu, load_prompts


@TRAINER_REGISTRY.register()
class SelfEnsemble(TrainerX):
    def build_model(self):
        cfg = self.cfg
        self.model = CustomCLIP(cfg.TRAINER.SELFENSEMBLE.N_CTX, self.dm.dataset.classnames, load_clip_to_cpu(cfg))
        self.model.total_epochs = cfg.OPTIM.MAX_EPOCH
        for name, param in self.model.named_parameters():
            param.requires_grad_("prompt_learner" in name)
        self.model.to(self.device)
        optim = build_optimizer(self.model.prompt_learner.parameters(), cfg.OPTIM)
        self.register_model("VLPromptLearner", self.model.prompt_learner, optim, build_lr_scheduler(optim, cfg.OPTIM))
        self.average = copy.deepcopy(self.model.prompt_learner)
        self.register_model("average", self.average)
        assert self.get_model_names() == list(self._models) == list(self._optims) == list(self._scheds)
        self.optim, self.sched = self._optims["VLPromptLearner"], self._scheds["VLPromptLearner"]

    def train(self):
        self.before_train()
        for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def run_epoch(self):
        self.set_model_mode("train")
        losses, batch_time = MetricMeter(), AverageMeter()
        self.num_batches = len(self.train_loader_x)
        end = time.time()
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            losses.update(self.forward_backward(batch))
            batch_time.update(time.time() - end)
            eta = str(datetime.timedelta(seconds=int(batch_time.avg)))
            print(f"epoch [{self.epoch + 1}/{self.max_epoch}] batch [{self.batch_idx + 1}/{self.num_batches}] "
                  f"{losses} lr {self.get_current_lr():.4e} eta {eta}")  # fmt: skip
            n_iter = self.epoch * self.num_batches + self.batch_idx
            for name, meter in losses.meters.items():
                self.write_scalar("train/" + name, meter.avg, n_iter)
            end = time.time()
        self.sched.step()

    def forward_backward(self, batch):
        image, label = self.parse_batch_test(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        return {"loss": loss.item()}

    def after_epoch(self):
        self.average_weights()
        super().after_epoch()

    def average_weights(self):
        old, new = self.average.state_dict(), self.model.prompt_learner.state_dict()
        mean = {key: (old[key] * self.epoch + new[key]) / (self.epoch + 1) for key in new}
        self.average.load_state_dict(mean)
        if self.epoch + 1 == self.model.total_epochs:
            print("Using the averaged model for final inference...")
            self.model.prompt_learner.load_state_dict(mean)

    def load_model(self, directory, epoch=None):
        load_prompts(self, load_checkpoint, directory, epoch)
