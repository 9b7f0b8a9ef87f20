#!/usr/bin/env bash
# Trained AMU models evaluated once more, into output_eval:
#     bash scripts/amu/eval.sh DATASET SHOTS [CFG]    (-h explains)
# shellcheck source=scripts/run_seeds.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_seeds.sh"
evaluate_again AMU "$@"
