# mypy: ignore-errors
"""Two registered models with optimisers of their own, stepped by name, and one without any."""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import count_num_param
from methods.clip_parts import CustomCLIP, load_clip_to_cpu


@TRAINER_REGISTRY.register()
class TwoParts(TrainerX):
    def build_model(self):
        cfg = self.cfg
        self.clip = CustomCLIP(cfg.TRAINER.TWOPARTS.N_CTX, self.dm.dataset.classnames, load_clip_to_cpu(cfg))
        self.clip.requires_grad_(False).to(self.device).eval()
        self.adapter = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64)).to(self.device)
        self.bias = nn.Linear(self.num_classes, self.num_classes).to(self.device)
        print(f"# params: {count_num_param(self.adapter):,} + {count_num_param(self.bias):,}")
        self.optim_adapter = build_optimizer(self.adapter, cfg.OPTIM)
        self.sched_adapter = build_lr_scheduler(self.optim_adapter, cfg.OPTIM)
        groups = [{"params": [self.bias.weight]}, {"params": [self.bias.bias], "lr": 0.5}]
        self.optim_bias = build_optimizer(self.bias, cfg.OPTIM, param_groups=groups)
        self.sched_bias = build_lr_scheduler(self.optim_bias, cfg.OPTIM)
        self.register_model("adapter", self.adapter, self.optim_adapter, self.sched_adapter)
        self.register_model("bias", self.bias, self.optim_bias, self.sched_bias)
        self.register_model("clip", self.clip.prompt_learner)

    def model_inference(self, image):
        with torch.no_grad():
            features, texts = self.clip.image_features(image), self.clip.text_features()
        features = F.normalize(features + 0.1 * self.adapter(features), dim=-1)
        return self.bias(10 * features @ texts.t())

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss_adapter = F.cross_entropy(self.model_inference(image), label)
        self.model_backward_and_update(loss_adapter, names="adapter")
        loss_bias = F.cross_entropy(self.model_inference(image), label)
        self.model_zero_grad(["bias"])
        self.model_backward(loss_bias)
        self.model_update(["bias"])
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr(self.get_model_names())
        return {"loss_adapter": loss_adapter.item(), "loss_bias": loss_bias}
