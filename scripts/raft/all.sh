#!/usr/bin/env bash
# RAFT on the eleven benchmarks at 1, 2, 4, 8 and 16 shots:
#     bash scripts/raft/all.sh [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_all RAFT "$@"
