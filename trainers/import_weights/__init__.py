"""Turn a published adapter or attention pooling into a run folder that ``train.py --eval-only`` loads."""
