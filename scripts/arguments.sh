#!/usr/bin/env bash
# What the scripts of every trainer take: arguments, environment variables, help, checks. To be sourced.
# shellcheck disable=SC2034,SC2154  # what it sets is used by those that source it, and trainer is set by them
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Set dataset, shots, cfg and what the environment says. Print the help and end if that is asked for or the number of
# arguments is wrong: start SYNOPSIS PURPOSE "$@"
start() {
    local synopsis=$1 purpose=$2 brackets word words
    shift 2
    if ! trains; then # zero-shot prediction has no shots
        synopsis=${synopsis/\[SHOTS\] /}
        synopsis=${synopsis/SHOTS /}
    fi
    case "${1:-}" in
        -h | --help)
            usage "$synopsis" "$purpose"
            exit 0
            ;;
    esac
    read -r -a words <<<"$synopsis"
    brackets=${synopsis//[!\[]/}
    if (($# < ${#words[@]} - ${#brackets} || $# > ${#words[@]})); then
        echo "$0: $# arguments are given, but it takes $synopsis" >&2
        usage "$synopsis" "$purpose" >&2
        exit 2
    fi
    dataset="" shots=16 cfg=""
    trains || shots=0
    for word in "${words[@]}"; do
        case $word in
            DATASET) dataset=$1 ;;
            *SHOTS*) shots=${1-16} ;;
            *CFG*) cfg=${1-} ;;
        esac
        (($# == 0)) || shift
    done
    read_environment
}

read_environment() {
    local seed
    seeds=${SEEDS:-1 2 3}
    output=${OUTPUT:-$repo/output}
    python=${PYTHON:-$repo/.venv/bin/python}
    [[ -n ${PYTHON:-} || -x $python ]] || python=python3
    read -r -d '' -a opts <<<"${OPTS:-}" || true # its status is 1 at the end of the text
    [[ $seeds == *[![:space:]]* ]] || fail "SEEDS is blank; expected whole numbers such as \"1 2 3\""
    for seed in $seeds; do
        [[ $seed =~ ^(0|[1-9][0-9]*)$ ]] || fail "SEEDS holds '$seed'; expected whole numbers such as \"1 2 3\""
    done
}

usage() {
    local synopsis=$1 purpose=$2
    printf 'Usage: bash %s\n\n%s\n\n' "$0 $synopsis" "$purpose"
    echo "  DATASET  a file of configs/datasets/:$(list_configs "$repo/configs/datasets")"
    [[ $synopsis != *SHOTS* ]] || echo "  SHOTS    training images per class; 0 takes all of them"
    echo "  CFG      a file of configs/trainers/$trainer/:$(list_configs "$repo/configs/trainers/$trainer");"
    cat <<'HELP'
           if not given, tiny for a data set that needs no DATA, else rn50

Environment:
  DATA     folder of the data sets; for image_folder the folder of the images themselves
  SEEDS    seeds to run, "1 2 3" if not set
  OUTPUT   folder for DATASET/TRAINER/CFG_SHOTSshots/seedN, the repository's output/ if not set; eval.sh, xd.sh and
           base2new.sh write into OUTPUT_eval, OUTPUT_xd and OUTPUT_base2new beside it
  PYTHON   Python to run; if not set, the repository's .venv/bin/python or else python3
  OPTS     KEY VALUE pairs for every run, without blanks in a value, such as "OPTIM.MAX_EPOCH 20"; give another
           OUTPUT as well, for what is finished is not run again, whatever its settings
  AMU_RAFT_WEIGHTS  folder of CLIP and MoCo-v3 weights that is looked into before anything is downloaded
HELP
    [[ $synopsis == *DATASET* ]] || echo "  DATASETS data sets to take, in place of the ones above"
    [[ $synopsis == *SHOTS* ]] || ! trains || echo "  SHOTS    numbers of shots to take, \"1 2 4 8 16\" if not set"
    echo
    echo "A finished seed is skipped, a half-finished one resumes."
    echo "The exit status is 1 if a seed fails; the others still run."
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

trains() { [[ $trainer != ZeroshotCLIP ]]; }

# A data set that the project writes itself says so in its YAML file.
needs_no_data() { grep -qs '^# Needs no DATA' "$repo/configs/datasets/$1.yaml"; }

# Print the data set that the models for an evaluation-only one are trained on; nothing for the others.
trained_on() {
    ! trains || sed -n 's/^# Evaluation only: trained on \([a-z0-9_]*\).*/\1/p' "$repo/configs/datasets/$1.yaml"
}

# Print the trainer configuration for a data set.
config_for() {
    local default=rn50
    if needs_no_data "$1"; then default=tiny; fi
    echo "${cfg:-$default}"
}

# Refuse, before anything runs, what cannot be run: check_job DATASET SHOTS
check_job() {
    local config known source
    [[ $1 =~ ^[a-zA-Z0-9_]+$ && -f $repo/configs/datasets/$1.yaml ]] ||
        fail "no data set '$1'; known are$(list_configs "$repo/configs/datasets")"
    config=$(config_for "$1")
    if [[ ! -f $repo/configs/trainers/$trainer/$config.yaml ]]; then
        known="known are$(list_configs "$repo/configs/trainers/$trainer")"
        [[ $trainer != RAFT || $config != vit* ]] ||
            fail "RAFT needs CLIP's attention pooling, which a vision transformer ($config) has not; $known"
        fail "no config '$config' for $trainer; $known"
    fi
    [[ $2 =~ ^(0|[1-9][0-9]*)$ ]] || fail "SHOTS is '$2'; expected a whole number such as 16"
    [[ -n ${DATA:-} ]] || needs_no_data "$1" ||
        fail "DATA is not set, and $1 is read from it; try DATA=/path/to/data bash $0 ..."
    source=$(trained_on "$1")
    [[ -z $source || $source == "$1" ]] || check_job "$source" "$2"
}
