import math
from pathlib import Path

import pytest
from PIL import Image

from experiments.results.cells import gather_cells
from experiments.results.figures.accuracy import Curve, accuracy_figure
from experiments.results.plot import accuracy_panels, plot_cells
from experiments.results.run_folders import Label, Run, read_runs
from tests.experiments.results.example_runs import write_example_run
from tests.experiments.results.figures.drawn import check_print


def run(
    dataset: str = "digits",
    accuracy: float | None = 70.0,
    *,
    shots: int = 4,
    seed: int = 1,
    trainer: str = "AMU",
    subset: str = "all",
    config: str = "tiny",
    zero_shot: float | None = 60.0,
) -> Run:
    folder = Path("/runs") / dataset / trainer / f"{config}_{shots}shots" / subset / f"seed{seed}"
    scores = {} if accuracy is None else {"accuracy": accuracy, "macro_f1": accuracy - 1, "error": 100 - accuracy}
    return Run(folder, Label(dataset, subset, trainer, config, shots, config), seed, scores, zero_shot)


def test_curves_of_one_data_set() -> None:
    runs = [run(accuracy=70.0 + seed + shots, seed=seed, shots=shots) for seed in (1, 2, 3) for shots in (1, 16)]
    [panel] = accuracy_panels(gather_cells(runs), "accuracy")
    [curve] = panel.curves
    assert (panel.dataset, curve.name, list(curve.shots)) == ("digits", "AMU (tiny)", [1, 16])
    assert curve.accuracy == [73.0, 88.0] and curve.spread == [1.0, 1.0]
    assert panel.levels() == {"zero-shot": 60.0}
    [panel] = accuracy_panels(gather_cells(runs), "accuracy", spread="ci95")
    assert panel.curves[0].spread == pytest.approx([4.302653 / math.sqrt(3)] * 2)
    [panel] = accuracy_panels(gather_cells(runs), "error")
    assert panel.curves[0].accuracy == [27.0, 12.0] and panel.levels() == {"zero-shot": 40.0}
    [panel] = accuracy_panels(gather_cells(runs), "macro_f1")
    assert panel.curves[0].accuracy == [72.0, 87.0] and panel.levels() == {}


def test_the_average_is_over_what_every_data_set_has() -> None:
    runs = [run("digits", 70.0 + seed, seed=seed) for seed in (1, 2)]
    runs += [run("shapes", 80.0 + 3 * seed, seed=seed, zero_shot=70.0) for seed in (1, 2)]
    runs += [
        run("shapes", 85.0, shots=16, zero_shot=70.0),
        run("digits", None, shots=16),
        run("digits", 75.0, trainer="RAFT"),
    ]
    average, *others = accuracy_panels(gather_cells(runs), "accuracy")
    assert [panel.dataset for panel in (average, *others)] == ["average", "digits", "shapes"]
    amu, raft = average.curves
    assert (amu.name, list(amu.shots), amu.accuracy) == ("AMU (tiny)", [4], [78.0])
    assert amu.spread == pytest.approx([math.sqrt(2)])  # of 76 and 80 over 2: each seed's own average, 77 and 79
    assert raft.points() == [] and average.levels() == {"zero-shot": 65.0}


def test_base_and_new_classes_have_no_average() -> None:
    runs = [run(subset="base"), run(subset="new", accuracy=50.0)]
    panels = accuracy_panels(gather_cells(runs), "accuracy")
    assert [panel.dataset for panel in panels] == ["digits (base)", "digits (new)"]


def test_zero_shot_of_two_backbones_is_told_apart() -> None:
    runs = [run(config="rn50", zero_shot=60.0), run(config="vit_b16", zero_shot=66.0)]
    [panel] = accuracy_panels(gather_cells(runs), "accuracy")
    assert panel.levels() == {"zero-shot (rn50)": 60.0, "zero-shot (vit_b16)": 66.0}


def test_published_curves_join_their_data_sets_only() -> None:
    published = [("dtd", Curve("CoOp", [4], [50.0], published=True))]
    published += [("ucf101", Curve("CoOp", [4], [60.0], published=True))]
    cells = gather_cells([run("dtd"), run("ucf101", 80.0)])
    average, dtd, ucf = accuracy_panels(cells, "accuracy", published=published)
    assert [curve.legend for curve in dtd.curves] == ["AMU (tiny)", "CoOp (published)"]
    assert average.curves[1].points()[0][:2] == (4, 55.0) and average.curves[1].published
    assert ucf.curves[1].accuracy == [60.0]
    assert all(not c.published for p in accuracy_panels(cells, "macro_f1", published=published) for c in p.curves)


@pytest.mark.parametrize("keyword", ["accuracy", "macro_f1", "error"])
def test_the_file_is_drawn(keyword: str, tmp_path: Path) -> None:
    runs = [run(d, 60.0 + s, shots=s, trainer=t) for d in ("digits", "shapes") for s in (1, 4) for t in ("AMU", "RAFT")]
    plot_cells(gather_cells(runs), keyword, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG" and image.width > image.height > 300


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to plot: no finished run"):
        plot_cells(gather_cells([run(accuracy=None, zero_shot=None)]), "accuracy", tmp_path / "plot.png")
    with pytest.raises(ValueError, match="must end in"):
        plot_cells(gather_cells([run()]), "accuracy", tmp_path / "plot.nonsense")
    assert not list(tmp_path.iterdir())


def test_zero_shot_alone_is_drawn() -> None:
    runs = [run(shots=0, trainer="ZeroshotCLIP", accuracy=60.0)]
    panels = accuracy_panels(gather_cells(runs), "accuracy")
    assert panels[0].curves == [] and panels[0].levels() == {"zero-shot": 60.0}
    check_print(accuracy_figure(panels))


def test_a_data_set_without_a_score_makes_no_average() -> None:
    runs = [run("digits"), run("shapes", None, zero_shot=None)]
    assert [panel.dataset for panel in accuracy_panels(gather_cells(runs), "accuracy")] == ["digits", "shapes"]


@pytest.mark.filterwarnings("error")
def test_variants_of_long_names(tmp_path: Path) -> None:
    protocol = {"final_model": "last_step", "selected_on": "none", "views": 1, "oracle": False, "validation": "full"}
    kinds: list[dict[str, object]] = [
        {},
        {"selected_on": "test", "oracle": True},
        {"validation": "min(shots, 4)"},
        {"validation": "held_out"},
    ]
    for number, changes in enumerate(kinds):
        for dataset in ("digits", "shapes"):
            folder = tmp_path / "runs" / dataset / "AMU" / f"tiny_4shots_{number}" / "seed1"
            write_example_run(
                folder, dataset=dataset, protocol={**protocol, **changes}, images=False, predictions=False
            )
    failed = tmp_path / "runs" / "digits" / "RAFT" / "tiny_4shots" / "seed1"
    failed.mkdir(parents=True)
    (failed / "log.txt").write_text("started\n", encoding="utf-8")
    cells = gather_cells(read_runs([tmp_path / "runs"]))
    assert any(cell.label.trainer == "RAFT" for cell in cells)
    figure = accuracy_figure(accuracy_panels(cells, "accuracy"))
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(entries)) == len(entries) == 5 and sum("selected_on=" in entry for entry in entries) == 4
    check_print(figure)
    plot_cells(cells, "accuracy", tmp_path / "plot.png")
