#!/usr/bin/env bash
# Zero-shot CLIP on either half of the classes:
#     bash scripts/zeroshot/base2new.sh DATASET [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_base_to_new ZeroshotCLIP "$@"
