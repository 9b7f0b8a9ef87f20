"""The project's data sets: importing this package registers every one of them in ``DATASET_REGISTRY``.

A new data set is one file in this folder; it is found and imported here without being listed anywhere. The folders in
it are tools (``python -m datasets.prepare``) and what they read; they are imported where they are used.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if not _module.ispkg:
        importlib.import_module(f"{__name__}.{_module.name}")
