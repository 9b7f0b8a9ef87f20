import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from yacs.config import CfgNode

from trainers.base.prompts import check_prompt_source, choose_prompts


def cfg(root: Path | str = "data", **more: Any) -> CfgNode:
    return CfgNode({"DATASET": {"NAME": "Pets", "ROOT": str(root), **more}})


def data(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(classnames=["cat", "red_fox"], **attributes)


def test_the_data_sets_own_templates() -> None:
    own = data(templates=["a photo of a {}, a pet.", "{}"])
    assert choose_prompts("templates", own, cfg())[1] == ["a photo of a red fox, a pet.", "red fox"]
    assert choose_prompts("templates", data(), cfg()) == [["a photo of a cat."], ["a photo of a red fox."]]
    assert len(choose_prompts("imagenet7", own, cfg())[0]) == 7


def test_the_data_sets_file_of_sentences(tmp_path: Path) -> None:
    path = tmp_path / "pets" / "pets_prompt.json"
    path.parent.mkdir()
    own = data(prompt_file="pets_prompt.json", prompt_path=path)
    missing = f"no prompt file at {path}; fetch it with: python -m datasets.prepare Pets --root '{tmp_path}/my data'"
    with pytest.raises(FileNotFoundError) as caught:
        choose_prompts("gpt3", own, cfg(tmp_path / "my data"))
    assert str(caught.value) == missing
    path.write_text(json.dumps({"cat": ["A cat purrs."], "red fox": ["Red.", "A fox."]}))
    assert choose_prompts("gpt3", own, cfg()) == [["A cat purrs."], ["Red.", "A fox."]]
    assert choose_prompts(str(path), data(), cfg()) == [["A cat purrs."], ["Red.", "A fox."]]
    path.write_text(json.dumps({"cat": ["A cat purrs."], "fox": ["Red."]}))
    with pytest.raises(ValueError, match="has no class 'red fox'; nearest keys: 'fox'"):
        choose_prompts("gpt3", own, cfg())


@pytest.mark.parametrize("attributes", [{}, {"prompt_file": "", "prompt_path": Path("data/pets")}])
def test_a_data_set_without_such_a_file(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="data set Pets has no file of GPT-3 sentences; choose PROMPTS templates, im"):
        choose_prompts("gpt3", data(**attributes), cfg())


def test_what_is_accepted() -> None:
    for source in ("templates", "imagenet7", "gpt3", "my.json"):
        check_prompt_source(source)
    with pytest.raises(
        ValueError, match=r"unknown PROMPTS 'gpt4'; choose templates, imagenet7, gpt3 or the path of a \.json file"
    ):
        check_prompt_source("gpt4")


def test_templates_of_the_command_line_come_first(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"cat": ["A cat purrs."], "red fox": ["Red.", "A fox."]}))
    own = data(templates=["{}"], has_own_prompts=True, prompt_path=path)
    assert choose_prompts("templates", own, cfg(TEMPLATES=())) == [["A cat purrs."], ["Red.", "A fox."]]
    assert choose_prompts("templates", own, cfg(TEMPLATES=("my {}", "{}!")))[1] == ["my red fox", "red fox!"]
    assert choose_prompts("templates", data(has_own_prompts=False), cfg())[0] == ["a photo of a cat."]


def test_templates_that_would_not_be_used() -> None:
    check_prompt_source("templates", ["a {}"])
    with pytest.raises(
        ValueError, match=r"--templates \(DATASET.TEMPLATES\) goes with PROMPTS templates, but .* 'gpt3'"
    ):
        check_prompt_source("gpt3", ["a {}"])
    with pytest.raises(ValueError, match=r"template 'a cat' has no \"{}\" for the class name"):
        check_prompt_source("templates", ["a {}", "a cat"])
