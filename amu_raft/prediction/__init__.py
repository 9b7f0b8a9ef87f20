"""predict.py: a trained model on any number of pictures, a batch at a time."""
