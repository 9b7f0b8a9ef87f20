# mypy: ignore-errors
"""A small CLIP, its text tower for prompts that are vectors, and a learner of such prompts."""

import torch
from clip import clip
from clip import model as clip_model
from torch import nn

CLASS_TOKENS = 77


def load_clip_to_cpu(cfg):
    state_dict = torch.load(cfg.MODEL.BACKBONE.PATH, map_location="cpu", weights_only=True)
    return clip_model.build_model(state_dict).float()


class TextEncoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.transformer = model.transformer
        self.positional_embedding = model.positional_embedding
        self.ln_final = model.ln_final
        self.text_projection = model.text_projection

    def forward(self, prompts, tokens):
        x = (prompts + self.positional_embedding).permute(1, 0, 2)
        x = self.ln_final(self.transformer(x).permute(1, 0, 2))
        ends = tokens.argmax(dim=-1)
        return x[torch.arange(len(x)), ends] @ self.text_projection


class PromptLearner(nn.Module):
    """Context vectors that all classes share, between the start token and the class name."""

    def __init__(self, n_ctx, classnames, model):
        super().__init__()
        self.ctx = nn.Parameter(torch.empty(n_ctx, model.ln_final.weight.shape[0]))
        nn.init.normal_(self.ctx, std=0.02)
        names = [name.replace("_", " ") for name in classnames]
        self.tokens = torch.cat([clip.tokenize(" ".join(["X"] * n_ctx) + f" {name}.") for name in names])
        with torch.no_grad():
            embedding = model.token_embedding(self.tokens)
        # Buffers, so in every checkpoint, although they depend on the classes: loading has to skip them.
        self.register_buffer("token_prefix", embedding[:, :1])
        self.register_buffer("token_suffix", embedding[:, 1 + n_ctx :])

    def forward(self):
        ctx = self.ctx.unsqueeze(0).expand(len(self.token_prefix), -1, -1)
        return torch.cat([self.token_prefix, ctx, self.token_suffix], dim=1)


class CustomCLIP(nn.Module):
    def __init__(self, n_ctx, classnames, model):
        super().__init__()
        self.prompt_learner = PromptLearner(n_ctx, classnames, model)
        self.tokens = self.prompt_learner.tokens
        self.image_encoder = model.visual
        self.text_encoder = TextEncoder(model)
        self.logit_scale = model.logit_scale

    def image_features(self, image):
        features = self.image_encoder(image)
        return features / features.norm(dim=-1, keepdim=True)

    def text_features(self):
        features = self.text_encoder(self.prompt_learner(), self.tokens)
        return features / features.norm(dim=-1, keepdim=True)

    def forward(self, image):
        return self.logit_scale.exp() * self.image_features(image) @ self.text_features().t()


def load_prompts(trainer, load_checkpoint, directory, epoch, prefix=""):
    """The load_model of trainers with prompts: any classes, so without the token buffers and not strictly."""
    if not directory:
        print("Note that load_model() is skipped as no pretrained model is given")
        return
    file = "model-best.pth.tar" if epoch is None else f"model.pth.tar-{epoch}"
    for name in trainer.get_model_names():
        path = f"{directory}/{name}/{file}"
        checkpoint = load_checkpoint(path)
        state_dict, epoch = checkpoint["state_dict"], checkpoint["epoch"]
        for buffer in ("token_prefix", "token_suffix"):
            if prefix + buffer in state_dict:
                del state_dict[prefix + buffer]
        print(f'Loading weights to {name} from "{path}" (epoch = {epoch})')
        trainer._models[name].load_state_dict(state_dict, strict=False)
