#!/usr/bin/env bash
# On a fresh Debian 12 machine: installs packages, builds, simulates one step of Llama-3-70B on
# 1,024 TPU v5p and on 512 H100, and compares the two. Runs from any folder, any number of times.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../tests/set_up.sh"

set_up
build meshstep_main

meshstep="${build_folder}/meshstep"
tpu="${root}/examples/llama3-70b-v5p-1024.textproto"
gpu="${root}/examples/llama3-70b-h100-512.textproto"

"${meshstep}" simulate "${tpu}"
echo
"${meshstep}" simulate "${gpu}"
echo
"${meshstep}" compare "${tpu}" "${gpu}"
