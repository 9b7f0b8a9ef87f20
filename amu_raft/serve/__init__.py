"""python -m serve: a trained model as a web page and a REST interface on this machine."""
