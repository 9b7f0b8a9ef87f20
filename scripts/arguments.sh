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
    seeds=${SEEDS:-1 2 3}
    output=${OUTPUT:-$repo/output}
    python=${PYTHON:-$repo/.venv/bin/python}
    [[ -n ${PYTHON:-} || -x $python ]] || python=python3
    read -r -d '' -a opts <<<"${OPTS:-}" || true # its status is 1 at the end of the text
    [[ $seeds == *[![:space:]]* ]] || fail "SEEDS is blank; expected whole numbers such as \"1 2 3\""
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
           OUTPUT as well, for a folder belongs to the settings of its run
  AMU_RAFT_WEIGHTS  folder of CLIP and MoCo-v3 weights that is looked into before anything is downloaded
HELP
    [[ $synopsis == *DATASET* ]] || echo "  DATASETS data sets to take, in place of the ones above"
    [[ $synopsis == *SHOTS* ]] || ! trains || echo "  SHOTS    numbers of shots to take, \"1 2 4 8 16\" if not set"
    echo
    echo "The plan is printed first. A finished run is skipped, a half-finished one resumes."
    echo "The exit status is 1 if a run fails; the others still run. It is 2 if nothing can be run as it is asked for."
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
