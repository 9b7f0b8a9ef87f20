#!/usr/bin/env bash
# Zero-shot CLIP on one data set once more, into output_eval:
#     bash scripts/zeroshot/eval.sh DATASET [CFG]    (-h explains)
# shellcheck source=scripts/run_seeds.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_seeds.sh"
evaluate_again ZeroshotCLIP "$@"
