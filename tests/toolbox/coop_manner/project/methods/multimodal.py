# mypy: ignore-errors
"""The whole model is registered, wrapped for several devices, and evaluated by a test of its own."""

from torch import nn, no_grad
from torch.nn import functional as F
from tqdm import tqdm

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint
from methods.clip_parts import CustomCLIP, load_clip_to_cpu, load_prompts


@TRAINER_REGISTRY.register()
class MultiModal(TrainerX):
    def build_model(self):
        cfg = self.cfg
        self.model = CustomCLIP(cfg.TRAINER.MULTIMODAL.N_CTX, self.dm.dataset.classnames, load_clip_to_cpu(cfg))
        self.visual_prompt = nn.Parameter(self.model.logit_scale.new_zeros(3, 64, 64))
        self.model.register_parameter("VPT", self.visual_prompt)
        for name, param in self.model.named_parameters():
            param.requires_grad_("prompt_learner" in name or "VPT" in name)
        enabled = {name for name, param in self.model.named_parameters() if param.requires_grad}
        print(f"Parameters to be updated: {sorted(enabled)}")
        self.model.to(self.device)
        self.optim = build_optimizer(self.model, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("MultiModalPromptLearner", self.model, self.optim, self.sched)
        self.model = nn.DataParallel(self.model)  # on the CPU it only passes calls on

    def model_inference(self, image):
        return self.model(image + self.visual_prompt)

    def forward_backward(self, batch):
        image, label = batch["img"].to(self.device), batch["label"].to(self.device)
        loss = F.cross_entropy(self.model_inference(image), label)
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    @no_grad()
    def test(self, split=None):
        self.set_model_mode("eval")
        self.evaluator.reset()
        if split is None:
            split = self.cfg.TEST.SPLIT
        if split == "val" and self.val_loader is not None:
            data_loader = self.val_loader
        else:
            split = "test"
            data_loader = self.test_loader
        print(f"Evaluate on the *{split}* set")
        for batch in tqdm(data_loader):
            input, label = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(input), label)
        results = self.evaluator.evaluate()
        assert self.evaluator._lab2cname == self.lab2cname
        for key, value in results.items():
            self.write_scalar(f"{split}/{key}", value, self.epoch)
        return next(iter(results.values()))

    def load_model(self, directory, epoch=None):
        load_prompts(self, load_checkpoint, directory, epoch, prefix="prompt_learner.")
