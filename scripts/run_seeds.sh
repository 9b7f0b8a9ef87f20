#!/usr/bin/env bash
# One data set at one number of shots, several seeds: train, or evaluate what was trained. To be sourced.
#     main TRAINER "$@"              what every main.sh does
#     evaluate_again TRAINER "$@"    what every eval.sh does
set -euo pipefail
# shellcheck source=scripts/arguments.sh
source "$(dirname "${BASH_SOURCE[0]}")/arguments.sh"

# Carry out runs as one sweep, which decides what is done and what is not: sweep [FLAG]...
sweep() {
    local config=() number=$shots
    [[ -z $cfg ]] || config=(--backbones "$cfg")
    [[ $number != 0 ]] || number=all
    [[ " $* " == *" --shots "* ]] || set -- --shots "$number" "$@"
    # shellcheck disable=SC2086  # the seeds are words
    PYTHONSAFEPATH=1 PYTHONPATH="$repo${PYTHONPATH:+:$PYTHONPATH}" "$python" -m scripts.sweep \
        --trainers "$trainer" --seeds $seeds --root "${DATA:-}" --output-dir "$output" \
        ${config[@]+"${config[@]}"} "$@" -- ${opts[@]+"${opts[@]}"}
}

main() {
    trainer=$1
    shift
    local purpose="$trainer on one data set."
    ! trains || purpose+=" For one that is only evaluated, the models are trained on ImageNet, unless they are there."
    start "DATASET SHOTS [CFG]" "$purpose" "$@"
    sweep --datasets "$dataset"
}

evaluate_again() {
    trainer=$1
    shift
    local purpose="Evaluate once more, into OUTPUT_eval"
    ! trains || purpose+=", the models that main.sh trained"
    start "DATASET SHOTS [CFG]" "$purpose." "$@"
    sweep --datasets "$dataset" --job evaluate
}
