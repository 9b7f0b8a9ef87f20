"""Stands where upstream keeps operations for domain generalisation, to say that they are not here."""

raise ImportError("dassl.modeling.ops (MixStyle, EFDMix and the like) comes only with upstream Dassl.pytorch")
