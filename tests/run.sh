#!/usr/bin/env bash
# Installs packages, builds everything and runs all tests. Runs from any folder, any number of
# times. Arguments go to ctest: tests/run.sh -R engine

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

set_up
build
ctest --test-dir "${build_folder}" --output-on-failure --parallel "$(nproc)" "$@"
