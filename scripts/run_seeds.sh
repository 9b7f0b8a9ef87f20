#!/usr/bin/env bash
# What the main.sh of every trainer does: one data set, one number of shots, several seeds.
#     source run_seeds.sh
#     main TRAINER "$@"              arguments DATASET SHOTS [CFG]
#     main_zero_shot TRAINER "$@"    arguments DATASET [CFG]
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
    local trainer=$1 arguments=$2
    echo "Usage: bash $0 $arguments"
    echo
    echo "  DATASET  a file of configs/datasets/:$(list_configs "$repo/configs/datasets")"
    [[ $arguments != *SHOTS* ]] || echo "  SHOTS    training images per class; 0 takes all of them"
    echo "  CFG      a file of configs/trainers/$trainer/:$(list_configs "$repo/configs/trainers/$trainer");"
    cat <<'HELP'
           if not given, tiny for a data set that needs no DATA, else rn50

Environment:
  DATA     folder of the data sets; for image_folder the folder of the images themselves
  SEEDS    seeds to run, "1 2 3" if not set
  OUTPUT   folder for DATASET/TRAINER/CFG_SHOTSshots/seedN, the repository's output/ if not set
  PYTHON   Python to run; if not set, the repository's .venv/bin/python or else python3

A finished seed is skipped, a half-finished one resumes. The exit status is 1 if a seed fails; the others still run.
HELP
}

# Print the names of the YAML files in a folder, each after a blank.
list_configs() {
    local path names=""
    for path in "$1"/*.yaml; do
        [[ ! -e $path ]] || names+=" $(basename "$path" .yaml)"
    done
    echo "${names:- none}"
}

fail() {
    echo "$0: $*" >&2
    exit 2
}

# A data set that the project writes itself says so in its YAML file.
needs_no_data() {
    grep -qs '^# Needs no DATA' "$repo/configs/datasets/$1.yaml"
}

check_arguments() {
    local trainer=$1 dataset=$2 shots=$3 cfg=$4 seeds=$5 seed
    [[ -f $repo/configs/datasets/$dataset.yaml ]] ||
        fail "no data set '$dataset'; known are$(list_configs "$repo/configs/datasets")"
    [[ -f $repo/configs/trainers/$trainer/$cfg.yaml ]] ||
        fail "no config '$cfg' for $trainer; known are$(list_configs "$repo/configs/trainers/$trainer")"
    [[ $shots =~ ^(0|[1-9][0-9]*)$ ]] || fail "SHOTS is '$shots'; expected a whole number such as 16"
    for seed in $seeds; do
        [[ $seed =~ ^(0|[1-9][0-9]*)$ ]] || fail "SEEDS holds '$seed'; expected whole numbers such as \"1 2 3\""
    done
    [[ -n ${DATA:-} ]] || needs_no_data "$dataset" ||
        fail "DATA is not set, and $dataset is read from it; try DATA=/path/to/data bash $0 ..."
}

# Run one seed unless its result says that it finished.
run_seed() {
    local python=$1 trainer=$2 dataset=$3 shots=$4 cfg=$5 seed=$6 folder=$7
    # The last character too: a file that was cut short is no result.
    if grep -Eqs '"status": *"finished"' "$folder/result.json" && [[ $(tail -c 2 "$folder/result.json") == *"}"* ]]; then
        echo "Seed $seed is finished, skipped: $folder"
        return
    fi
    echo "Seed $seed: $folder"
    "$python" "$repo/train.py" \
        --root "${DATA:-}" \
        --seed "$seed" \
        --trainer "$trainer" \
        --dataset-config-file "$repo/configs/datasets/$dataset.yaml" \
        --config-file "$repo/configs/trainers/$trainer/$cfg.yaml" \
        --output-dir "$folder" \
        DATASET.NUM_SHOTS "$shots"
}

run_seeds() {
    local trainer=$1 dataset=$2 shots=$3 cfg=${4:-} seed folder failed=""
    local seeds=${SEEDS:-1 2 3} python=${PYTHON:-$repo/.venv/bin/python}
    [[ -n ${PYTHON:-} || -x $python ]] || python=python3
    if [[ -z $cfg ]]; then
        cfg=rn50
        if needs_no_data "$dataset"; then cfg=tiny; fi
    fi
    check_arguments "$trainer" "$dataset" "$shots" "$cfg" "$seeds"
    trap 'exit 130' INT # an interrupt ends the whole job, not just the seed
    for seed in $seeds; do
        folder=${OUTPUT:-$repo/output}/$dataset/$trainer/${cfg}_${shots}shots/seed$seed
        run_seed "$python" "$trainer" "$dataset" "$shots" "$cfg" "$seed" "$folder" || failed+=" $seed"
    done
    if [[ -n $failed ]]; then
        echo "$0: failed seeds:$failed" >&2
        exit 1
    fi
}

# Print the usage and end if it is asked for or the number of arguments is wrong.
check_usage() {
    local trainer=$1 arguments=$2 least=$3 most=$4
    shift 4
    case "${1:-}" in
        -h | --help)
            usage "$trainer" "$arguments"
            exit 0
            ;;
    esac
    if (($# < least || $# > most)); then
        usage "$trainer" "$arguments" >&2
        exit 2
    fi
}

main() {
    local trainer=$1
    shift
    check_usage "$trainer" "DATASET SHOTS [CFG]" 2 3 "$@"
    run_seeds "$trainer" "$@"
}

main_zero_shot() {
    local trainer=$1
    shift
    check_usage "$trainer" "DATASET [CFG]" 1 2 "$@"
    run_seeds "$trainer" "$1" 0 "${2:-}"
}
