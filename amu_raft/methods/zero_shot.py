"""Zero-shot CLIP (Radford et al., ICML 2021): nothing is learned; the texts of the classes decide."""

from amu_raft.methods.contract import Method
from amu_raft.methods.given import Branches, Features
from amu_raft.methods.registry import register


@register
class ZeroshotCLIP(Method):
    """CLIP as it is: logits are scaled similarities of image and class texts."""

    aliases = ("zeroshot",)
    learns = "nothing"
    decides = "zero_shot"

    def branches(self, features: Features) -> Branches:
        """Zero-shot logits alone."""
        return {"zero_shot": self.zero_shot(features)}
