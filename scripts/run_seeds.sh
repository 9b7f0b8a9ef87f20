#!/usr/bin/env bash
# One data set at one number of shots, several seeds: train, or evaluate what was trained. To be sourced.
#     main TRAINER "$@"              what every main.sh does
#     evaluate_again TRAINER "$@"    what every eval.sh does
set -euo pipefail
# shellcheck source=scripts/arguments.sh
source "$(dirname "${BASH_SOURCE[0]}")/arguments.sh"
trap 'exit 130' INT # an interrupt ends the whole job, not just the seed

# Print the folder of a data set and a number of shots below a folder of runs: cell BASE DATASET SHOTS
cell() { echo "$1/$2/$trainer/$(config_for "$2")_${3}shots"; }

is_finished() {
    # The last character too: a file that was cut short is no result.
    grep -Eqs '"status": *"finished"' "$1/result.json" && [[ $(tail -c 2 "$1/result.json") == *"}"* ]]
}

# Run one seed: train_py DATASET SEED FOLDER [FLAG]... [KEY VALUE]...
train_py() {
    local dataset=$1 seed=$2 folder=$3
    shift 3
    echo "Seed $seed: $folder"
    "$python" "$repo/train.py" \
        --root "${DATA:-}" \
        --seed "$seed" \
        --trainer "$trainer" \
        --dataset-config-file "$repo/configs/datasets/$dataset.yaml" \
        --config-file "$repo/configs/trainers/$trainer/$(config_for "$dataset").yaml" \
        --output-dir "$folder" \
        "$@" ${opts[@]+"${opts[@]}"}
}

# Train the seeds that have not finished: train_seeds DATASET FOLDER KEY VALUE...
train_seeds() {
    local dataset=$1 folder=$2 seed failed=""
    shift 2
    for seed in $seeds; do
        if is_finished "$folder/seed$seed"; then
            echo "Seed $seed is finished, skipped${OPTS:+ whatever OPTS says}: $folder/seed$seed"
        else
            train_py "$dataset" "$seed" "$folder/seed$seed" "$@" || failed+=" $seed"
        fi
    done
    report_failed "$dataset" "$failed"
}

# Evaluate the seeds of a trained model elsewhere than it was trained, unless that was done since it was trained:
# evaluate_seeds DATASET FOLDER MODELS KEY VALUE...
evaluate_seeds() {
    local dataset=$1 folder=$2 models=$3 seed failed=""
    shift 3
    for seed in $seeds; do
        if is_finished "$folder/seed$seed" &&
            [[ ! $models/seed$seed/result.json -nt $folder/seed$seed/result.json ]]; then
            echo "Seed $seed is evaluated, skipped: $folder/seed$seed"
        else
            evaluate_seed "$dataset" "$seed" "$folder" "$models" "$@" || failed+=" $seed"
        fi
    done
    report_failed "$dataset" "$failed"
}

evaluate_seed() {
    local dataset=$1 seed=$2 folder=$3 model=$4/seed$2
    shift 4
    if ! trains; then
        train_py "$dataset" "$seed" "$folder/seed$seed" --eval-only "$@"
    elif is_finished "$model"; then
        train_py "$dataset" "$seed" "$folder/seed$seed" --eval-only --model-dir "$model" "$@"
    else
        echo "$0: no trained model in $model${remedy:+; $remedy}" >&2
        return 1
    fi
}

report_failed() {
    [[ -n $2 ]] || return 0
    echo "$0: $1: failed seeds:$2" >&2
    return 1
}

# Bring a data set to results below $output, whether models are trained on it or on another: run_cell DATASET SHOTS
run_cell() {
    local source status=0
    source=$(trained_on "$1")
    train_seeds "${source:-$1}" "$(cell "$output" "${source:-$1}" "$2")" DATASET.NUM_SHOTS "$2" || status=1
    [[ -z $source ]] ||
        evaluate_seeds "$1" "$(cell "$output" "$1" "$2")" "$(cell "$output" "$source" "$2")" \
            DATASET.NUM_SHOTS "$2" || status=1
    return $status
}

main() {
    trainer=$1
    shift
    local purpose="$trainer on one data set."
    ! trains || purpose+=" For one that is only evaluated, the models are trained on ImageNet, unless they are there."
    start "DATASET SHOTS [CFG]" "$purpose" "$@"
    check_job "$dataset" "$shots"
    run_cell "$dataset" "$shots"
}

evaluate_again() {
    trainer=$1
    shift
    local purpose="Evaluate once more, into OUTPUT_eval"
    ! trains || purpose+=", the models that main.sh trained"
    start "DATASET SHOTS [CFG]" "$purpose." "$@"
    check_job "$dataset" "$shots"
    local source seed failed="" remedy
    source=$(trained_on "$dataset")
    source=${source:-$dataset}
    remedy="train it: bash $(dirname "$0")/main.sh $source $shots $(config_for "$source")"
    for seed in $seeds; do
        evaluate_seed "$dataset" "$seed" "$(cell "${output}_eval" "$dataset" "$shots")" \
            "$(cell "$output" "$source" "$shots")" DATASET.NUM_SHOTS "$shots" || failed+=" $seed"
    done
    report_failed "$dataset" "$failed"
}
