#!/usr/bin/env bash
# RAFT trained on the first half of the classes, evaluated on the other half:
#     bash scripts/raft/base2new.sh DATASET SHOTS [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_base_to_new RAFT "$@"
