#!/usr/bin/env bash
# AMU trained on ImageNet, evaluated on the four variants and the ten other benchmarks:
#     bash scripts/amu/xd.sh [SHOTS] [CFG]    (-h explains)
# shellcheck source=scripts/run_benchmarks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run_benchmarks.sh"
run_transfer AMU "$@"
