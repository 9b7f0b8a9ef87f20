"""The installed ``clip`` package: OpenAI's, its registry distribution, or a checkout of the user's."""

import warnings

with warnings.catch_warnings():
    # The registry distribution imports pkg_resources, which warns at every import.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    from clip import clip
    from clip import model as clip_model

__all__ = ["clip", "clip_model"]
