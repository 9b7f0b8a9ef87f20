"""Methods as trainers of the toolbox: one thin file each. Importing this package registers them all.

The folders in it are what they share, and tools (``python -m trainers.import_weights``), imported where they are used.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if not _module.ispkg:
        importlib.import_module(f"{__name__}.{_module.name}")
