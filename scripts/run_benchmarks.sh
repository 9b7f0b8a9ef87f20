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
    local dataset_name number numbers datasets failed=""
    trainer=$1
    shift
    start "[CFG]" "$trainer on $transfer_source $ten_others" "$@"
    datasets=${DATASETS:-$transfer_source $ten_others} numbers=${SHOTS:-1 2 4 8 16}
    trains || numbers=0
    for dataset_name in $datasets; do
        for number in $numbers; do check_job "$dataset_name" "$number"; done
    done
    for dataset_name in $datasets; do
        for number in $numbers; do
            run_cell "$dataset_name" "$number" || failed+=" $dataset_name/${number}shots"
        done
    done
    set --
    for dataset_name in $datasets; do
        for number in $numbers; do set -- "$@" "$(cell "$output" "$dataset_name" "$number")"; done
    done
    finish "$failed" "$@"
}

run_transfer() {
    local target targets failed=""
    trainer=$1
    shift
    local purpose="$trainer trained on $transfer_source (16 shots if not given) and evaluated on $variants $ten_others"
    trains || purpose="$trainer on $transfer_source $variants $ten_others"
    start "[SHOTS] [CFG]" "$purpose" "$@"
    targets=${DATASETS:-$variants $ten_others}
    check_job "$transfer_source" "$shots"
    cfg=$(config_for "$transfer_source") # the targets' too, whatever they would be trained with
    for target in $targets; do check_job "$target" "$shots"; done
    run_cell "$transfer_source" "$shots" || failed+=" $transfer_source"
    local models
    models=$(cell "$output" "$transfer_source" "$shots")
    for target in $targets; do
        evaluate_seeds "$target" "$(cell "${output}_xd" "$target" "$shots")" "$models" \
            DATASET.NUM_SHOTS "$shots" || failed+=" $target"
    done
    set -- "$models"
    for target in $targets; do set -- "$@" "$(cell "${output}_xd" "$target" "$shots")"; done
    finish "$failed" "$@"
}

run_base_to_new() {
    local failed="" place base new
    trainer=$1
    shift
    local purpose="$trainer trained on the first half of the classes and evaluated on the other half."
    trains || purpose="$trainer on either half of the classes."
    start "DATASET SHOTS [CFG]" "$purpose" "$@"
    check_job "$dataset" "$shots"
    [[ -z $(trained_on "$dataset") ]] || fail "$dataset is only evaluated, never trained on; take another data set"
    place=$dataset/shots_$shots/$trainer/$(config_for "$dataset")
    base=${output}_base2new/train_base/$place new=${output}_base2new/test_new/$place
    train_seeds "$dataset" "$base" DATASET.NUM_SHOTS "$shots" DATASET.SUBSAMPLE_CLASSES base || failed+=" base"
    evaluate_seeds "$dataset" "$new" "$base" DATASET.NUM_SHOTS "$shots" DATASET.SUBSAMPLE_CLASSES new ||
        failed+=" new"
    finish "$failed" "$base" "$new"
}

# Print the table of the runs in some folders, and end with what failed: finish FAILED FOLDER...
finish() {
    local failed=$1 folder folders=()
    shift
    for folder in "$@"; do
        [[ ! -d $folder ]] || folders+=("$folder")
    done
    # shellcheck disable=SC2086  # the seeds are words
    ((${#folders[@]} == 0)) || "$python" "$repo/parse_results.py" "${folders[@]}" --seeds $seeds || failed+=" table"
    [[ -n $failed ]] || return 0
    echo "$0: failed:$failed" >&2
    exit 1
}
