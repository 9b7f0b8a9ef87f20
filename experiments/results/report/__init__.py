"""One page of HTML with everything about some runs: scores, plots, protocol, mistakes, settings, versions."""

from experiments.results.report.write import MOST_WRONG_IMAGES, WRONG_IMAGES, write_report

__all__ = ["MOST_WRONG_IMAGES", "WRONG_IMAGES", "write_report"]
