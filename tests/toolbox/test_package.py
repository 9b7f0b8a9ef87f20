"""Properties of the package as a whole."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import dassl

MUST_EXPORT = {
    "dassl.config": "get_cfg_default clean_cfg",
    "dassl.data": "DataManager DatasetWrapper",
    "dassl.data.data_manager": "build_data_loader DatasetWrapper build_transform",
    "dassl.data.datasets": "DATASET_REGISTRY build_dataset Datum DatasetBase",
    "dassl.data.samplers": "build_sampler RandomClassSampler RandomDomainSampler SeqDomainSampler "
    "RandomSampler SequentialSampler",
    "dassl.data.transforms": "build_transform INTERPOLATION_MODES",
    "dassl.data.transforms.transforms": "build_transform",
    "dassl.engine": "TRAINER_REGISTRY build_trainer TrainerX TrainerXU TrainerBase SimpleTrainer SimpleNet",
    "dassl.engine.trainer": "MetricMeter AverageMeter SummaryWriter TrainerX SimpleNet",
    "dassl.evaluation": "build_evaluator EVALUATOR_REGISTRY EvaluatorBase Classification",
    "dassl.metrics": "compute_accuracy compute_distance_matrix cosine_distance euclidean_squared_distance",
    "dassl.modeling": "build_backbone build_head BACKBONE_REGISTRY Backbone",
    "dassl.optim": "build_optimizer build_lr_scheduler",
    "dassl.optim.lr_scheduler": "ConstantWarmupScheduler LinearWarmupScheduler",
    "dassl.optim.radam": "RAdam",
    "dassl.utils": "Registry check_availability setup_logger Logger set_random_seed collect_env_info mkdir_if_missing "
    "check_isfile read_json write_json listdir_nohidden read_image download_url tolist_if_not "
    "get_most_similar_str_to_a_from_b save_checkpoint load_checkpoint resume_from_checkpoint open_all_layers "
    "open_specified_layers count_num_param load_pretrained_weights init_network_weights AverageMeter MetricMeter",
    "dassl.utils.tools": "mkdir_if_missing",
}


@pytest.mark.parametrize("module", MUST_EXPORT)
def test_every_contracted_name_is_importable(module: str) -> None:
    found = __import__(module, fromlist=["*"])
    assert [name for name in MUST_EXPORT[module].split() if not hasattr(found, name)] == []


def test_unknown_name_of_the_trainer_module() -> None:
    import dassl.engine.trainer as trainer

    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        trainer.Nope  # noqa: B018


def test_operations_for_domain_generalisation_are_upstreams() -> None:
    with pytest.raises(ImportError, match=r"dassl\.modeling\.ops .* comes only with upstream"):
        import dassl.modeling.ops  # noqa: F401


def test_package_is_marked_as_typed() -> None:
    assert (Path(dassl.__file__).parent / "py.typed").is_file()


def test_import_is_light_and_leaves_logging_alone() -> None:
    code = (
        "import logging, random, sys, time, torch; import numpy as np; "
        "start = time.perf_counter(); import dassl; assert time.perf_counter() - start < 0.2; import dassl.engine; "
        "print([m for m in ('sklearn', 'tensorboard', 'gdown', 'tabulate', 'pandas', 'wilds') if m in sys.modules], "
        "logging.root.manager.disable); "
        # What is imported late, in the middle of a seeded run, must not draw random numbers.
        "state = lambda: [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]; "
        "before = state(); import torch.utils.tensorboard, tabulate; print(state() == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[] 0\nTrue", "")
    assert logging.root.manager.disable == 0
