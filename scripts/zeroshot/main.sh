#!/usr/bin/env bash
# Zero-shot CLIP on one data set: bash scripts/zeroshot/main.sh DATASET [CFG]; -h explains.
# Nothing is trained, so all seeds give the same figures; they are run so that tables are complete.
# shellcheck source=scripts/run_seeds.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_seeds.sh"
main ZeroshotCLIP "$@"
