#!/usr/bin/env bash
# RAFT on one data set at one number of shots: bash scripts/raft/main.sh DATASET SHOTS [CFG]; -h explains.
# shellcheck source=scripts/run_seeds.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_seeds.sh"
main RAFT "$@"
