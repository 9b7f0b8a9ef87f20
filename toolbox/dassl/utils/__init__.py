"""What a run needs around training: files, seeds, logs, checkpoints, meters and registries."""

from dassl.utils.checkpoint import (
    load_checkpoint,
    load_pretrained_weights,
    resume_from_checkpoint,
    save_checkpoint,
)
from dassl.utils.files import atomic_write
from dassl.utils.logger import Logger, log_to, restore_stdout, setup_logger
from dassl.utils.meters import AverageMeter, MetricMeter
from dassl.utils.parameters import (
    count_num_param,
    init_network_weights,
    open_all_layers,
    open_specified_layers,
)
from dassl.utils.registry import Registry
from dassl.utils.tools import (
    check_availability,
    check_isfile,
    collect_env_info,
    download_url,
    get_most_similar_str_to_a_from_b,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    set_random_seed,
    tolist_if_not,
    write_json,
)

__all__ = [
    "AverageMeter",
    "Logger",
    "MetricMeter",
    "Registry",
    "atomic_write",
    "check_availability",
    "check_isfile",
    "collect_env_info",
    "count_num_param",
    "download_url",
    "get_most_similar_str_to_a_from_b",
    "init_network_weights",
    "listdir_nohidden",
    "load_checkpoint",
    "load_pretrained_weights",
    "log_to",
    "mkdir_if_missing",
    "open_all_layers",
    "open_specified_layers",
    "read_image",
    "read_json",
    "restore_stdout",
    "resume_from_checkpoint",
    "save_checkpoint",
    "set_random_seed",
    "setup_logger",
    "tolist_if_not",
    "write_json",
]
