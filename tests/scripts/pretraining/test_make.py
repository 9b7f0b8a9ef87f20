import json

import numpy as np
import pytest
import torch
from clip import clip
from clip.model import build_model

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.state_files import BUNDLED, bundled_weights, sha256_of
from scripts.pretraining import evaluate
from scripts.pretraining.make import AUX_FILE, CLIP_FILE, main, make


def check_folder(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {CLIP_FILE, AUX_FILE}
    for name, entry in manifest.items():
        assert entry["sha256"] == sha256_of(folder / name)
        assert entry["bytes"] == (folder / name).stat().st_size
        assert entry["made_by"].startswith("python -m scripts.pretraining.make --seed")
        assert {"seed", "samples", "pool", "torch"} <= set(entry)
    return manifest


def test_bundled_files_are_those_of_the_manifest_and_small():
    manifest = check_folder(BUNDLED)
    assert sum(entry["bytes"] for entry in manifest.values()) <= 6_000_000
    assert not any("--short" in entry["made_by"] for entry in manifest.values())


def test_official_code_takes_the_bundled_clip():
    path = bundled_weights(CLIP_FILE)
    built = build_model(torch.load(path, weights_only=True)).float()
    loaded, _ = clip.load(str(path), device="cpu")
    torch.testing.assert_close(built.state_dict(), loaded.state_dict())
    assert (loaded.visual.input_resolution, loaded.vocab_size, loaded.context_length) == (64, 49408, 77)


def test_bundled_weights_hold_what_the_documentation_says():
    figures = evaluate.measure(BUNDLED, images=1_500)
    assert figures["zero-shot digits"] > 80
    assert figures["zero-shot shapes"] > 75
    assert 0.5 < figures["attention entropy"] < 0.99
    assert figures["aux digits, nearest 16-shot mean"] > figures["aux with random weights, likewise"] + 10


def test_evaluate_prints_every_figure(capsys, monkeypatch):
    monkeypatch.setattr(
        evaluate, "measure", lambda folder, images: {"zero-shot digits": 91.26, "attention entropy": 0.8}
    )
    evaluate.main(["--images", "1500"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["zero-shot", "digits", "91.3", "%"], ["attention", "entropy", "0.800"]]


def test_evaluate_needs_enough_images():
    with pytest.raises(ValueError, match="images must be at least 1500, not 10"):
        evaluate.measure(BUNDLED, images=10)


def test_a_negative_seed_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="seed must be at least 0, not -1"):
        make(tmp_path, seed=-1)
    with pytest.raises(SystemExit) as stop:
        main(["--seed", "-1"])
    assert stop.value.code == 2
    assert "--seed must be at least 0, not -1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_run_makes_working_encoders(tmp_path):
    made = make(tmp_path, seed=1, short=True)
    for losses in made.losses.values():
        assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])
    check_folder(tmp_path)
    figures = evaluate.measure(tmp_path, images=1_500)
    assert figures["zero-shot digits"] > 20  # chance: 10
    assert figures["zero-shot shapes"] > 20  # chance: 8.3
    assert load_aux_encoder(str(tmp_path / AUX_FILE)).feature_dim == 192
