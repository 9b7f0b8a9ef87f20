"""The default configuration tree and what is done with it before a run."""

from dassl.config.defaults import clean_cfg, get_cfg_default

__all__ = ["clean_cfg", "get_cfg_default"]
