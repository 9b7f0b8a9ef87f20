"""Get data sets: ``python -m datasets.prepare NAME... --root DIR``.

What is fetched and where it belongs is data (``datasets.catalog``); whether a set is whole is said by
``datasets.doctor`` and by nothing here. Everything is staged in ROOT/.prepare and reaches its place by renaming, so
that a run that was killed is finished by the next one.
"""
