#!/bin/bash
# Runs test/t/015_property.pl with one seed after the other until one fails.
#
# usage: tools/property.sh [RUNS [STATEMENTS [FIRST SEED]]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

runs=${1:-20}
export IDFLOW_PROPERTY_STATEMENTS=${2:-50000}
first=${3:-$((RANDOM * 32768 + RANDOM + 1))}

for ((seed = first; seed < first + runs; seed++)); do
	echo "seed $seed"
	IDFLOW_PROPERTY_SEED=$seed make -s check TESTS=015_property
done
