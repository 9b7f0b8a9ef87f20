# mypy: ignore-errors
"""Prompt tuning, in three precisions, and the frozen model beside it."""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, load_pretrained_weights
from methods.clip_parts import CustomCLIP, load_clip_to_cpu, load_prompts


@TRAINER_REGISTRY.register()
class Prompts(TrainerX):
    def check_cfg(self, cfg):
        assert cfg.TRAINER.PROMPTS.PREC in ["fp32", "amp", "amp_cuda"]

    def build_model(self):
        cfg = self.cfg
        classnames = self.dm.dataset.classnames
        print(f"Loading CLIP (backbone: {cfg.MODEL.BACKBONE.NAME})")
        self.model = CustomCLIP(cfg.TRAINER.PROMPTS.N_CTX, classnames, load_clip_to_cpu(cfg))
        print("Turning off gradients in both the image and the text encoder")
        for name, param in self.model.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model.prompt_learner, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)
        precision = cfg.TRAINER.PROMPTS.PREC
        self.scaler = None
        if precision == "amp":
            self.scaler = torch.amp.GradScaler(self.device.type)
            self.autocast = lambda: torch.autocast(self.device.type, dtype=torch.bfloat16)
        elif precision == "amp_cuda":
            self.scaler = torch.cuda.amp.GradScaler()
            self.autocast = torch.cuda.amp.autocast
        if torch.cuda.device_count() > 1:
            self.model = nn.DataParallel(self.model)

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        if self.scaler is not None:
            with self.autocast():
                output = self.model(image)
                loss = F.cross_entropy(output, label)
            self.optim.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optim)
            self.scaler.update()
        else:
            output = self.model(image)
            loss = F.cross_entropy(output, label)
            self.model_backward_and_update(loss)
        loss_summary = {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return loss_summary

    def parse_batch_train(self, batch):
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def load_model(self, directory, epoch=None):
        load_prompts(self, load_checkpoint, directory, epoch)


@TRAINER_REGISTRY.register()
class FrozenCLIP(TrainerX):
    """Zero-shot: registers nothing, so there is nothing to train, load or save."""

    def build_model(self):
        self.model = CustomCLIP(
            self.cfg.TRAINER.FROZENCLIP.N_CTX, self.dm.dataset.classnames, load_clip_to_cpu(self.cfg)
        )
        self.model.to(self.device)

    def model_inference(self, image):
        return self.model(image)
