"""What auxiliary encoders bring to CLIP: SUP over CMY, a point per encoder."""

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.results.diagnostics import Complementarity
from experiments.results.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    new_figure,
    say_nothing_to_draw,
    shorten,
    style_of,
    styled,
)


@styled
def complementarity_figure(encoders: Sequence[Complementarity], *, title: str = "") -> Figure:
    """Draw SUP over CMY, as defined and of centred logits: mean and standard deviation over the seeds.

    The legend says what the fusion reaches, which is what both are there to predict.
    """
    if not encoders:
        figure = new_figure(COLUMN_WIDTH, 1.8)
        say_nothing_to_draw(figure.subplots(), "no auxiliary encoders")
        return figure
    figure = new_figure(PAGE_WIDTH, 2.7 + 0.17 * len(encoders))
    panels = figure.subplots(1, 2, sharey=True)
    handles = []
    for number, encoder in enumerate(encoders):
        style = style_of(number)
        fused = f"{shorten(encoder.name, 44)}: fused {statistics.fmean(encoder.fused):.1f} %"
        for axis, cmy in zip(panels, (encoder.cmy, encoder.cmy_centred), strict=True):
            drawn = axis.errorbar(
                statistics.fmean(cmy),
                statistics.fmean(encoder.sup),
                _deviation(encoder.sup),
                _deviation(cmy),
                marker=style.marker,
                color=style.color,
                markersize=6,
                linestyle="none",
                label=fused,
            )
        handles.append(drawn)
    levels = sorted({round(encoder.zero_shot, 6) for encoder in encoders})
    for axis, name in zip(panels, ("CMY = 1 - cos(s₀, s_aux)", "CMY of centred logits"), strict=True):
        for level in levels:
            line = axis.axhline(level, color="0.4", linestyle="--", linewidth=0.9, label=f"zero-shot: {level:.1f} %")
            if axis is panels[0]:
                handles.append(line)
        axis.set_xlabel(name)
        axis.margins(0.25, 0.12)
        axis.grid(True)
    panels[0].set_ylabel("SUP: accuracy of s_aux (%)")
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if len(encoders) < 3 else 2)
    if title:
        figure.suptitle(title)
    return figure


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
