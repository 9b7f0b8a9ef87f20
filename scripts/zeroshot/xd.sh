#!/usr/bin/env bash
# Zero-shot CLIP on the four variants and the ten other benchmarks:
#     bash scripts/zeroshot/xd.sh [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_transfer ZeroshotCLIP "$@"
