#!/usr/bin/env bash
# Many data sets in one job, and the table of what they gave. To be sourced.
#     run_all TRAINER "$@"          what every all.sh does
#     run_transfer TRAINER "$@"     what every xd.sh does
#     run_base_to_new TRAINER "$@"  what every base2new.sh does
set -euo pipefail
# shellcheck source=scripts/run_seeds.sh
source "$(dirname "${BASH_SOURCE[0]}")/run_seeds.sh"

transfer_source=imagenet
ten_others="caltech101 oxford_pets stanford_cars oxford_flowers food101 fgvc_aircraft sun397 dtd eurosat ucf101"
variants="imagenetv2 imagenet_sketch imagenet_a imagenet_r"

run_all() {
    trainer=$1
    shift
    start "[CFG]" "$trainer on $transfer_source $ten_others" "$@"
    # shellcheck disable=SC2086  # the data sets and numbers are words
    sweep --table --shots ${SHOTS:-1 2 4 8 16} --datasets ${DATASETS:-$transfer_source $ten_others}
}

run_transfer() {
    trainer=$1
    shift
    local purpose="$trainer trained on $transfer_source (16 shots if not given) and evaluated on $variants $ten_others"
    trains || purpose="$trainer on $transfer_source $variants $ten_others"
    start "[SHOTS] [CFG]" "$purpose" "$@"
    # shellcheck disable=SC2086
    sweep --table --job transfer --datasets ${DATASETS:-$variants $ten_others}
}

run_base_to_new() {
    trainer=$1
    shift
    local purpose="$trainer trained on the first half of the classes and evaluated on the other half."
    trains || purpose="$trainer on either half of the classes."
    start "DATASET SHOTS [CFG]" "$purpose" "$@"
    sweep --table --job base2new --datasets "$dataset"
}
