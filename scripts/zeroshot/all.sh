#!/usr/bin/env bash
# Zero-shot CLIP on the eleven benchmarks:
#     bash scripts/zeroshot/all.sh [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_all ZeroshotCLIP "$@"
