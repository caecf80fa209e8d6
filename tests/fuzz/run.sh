#!/usr/bin/env bash
# Runs every fuzz target with libFuzzer, AddressSanitizer and UBSan: tests/fuzz/run.sh --minutes=N
# [TARGET...]. Builds build/fuzz with clang. What is found lies under build/fuzz/findings; inputs
# that reach new code are kept in build/fuzz/corpus, beside those of tests/fuzz/corpus.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../set_up.sh"

minutes=1
targets=()
for argument in "$@"; do
  case "${argument}" in
    --minutes=*) minutes="${argument#--minutes=}" ;;
    -*) say "unknown option ${argument}, expected --minutes=N"; exit 2 ;;
    *) targets+=("${argument}") ;;
  esac
done
if [[ ${#targets[@]} -eq 0 ]]; then
  for source in "${root}"/tests/fuzz/*_fuzz.cc; do
    targets+=("$(basename "${source}" _fuzz.cc)")
  done
fi

packages+=(clang libclang-rt-14-dev)
install_packages
build_folder="${root}/build/fuzz"
options=()
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake -S "${root}" -B "${build_folder}" -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -gline-tables-only" \
  -DMESHSTEP_SANITIZE=address,undefined,float-cast-overflow -DMESHSTEP_FUZZ=ON "${options[@]}" \
  >/dev/null
build "${targets[@]/%/_fuzz}"

found=0
for target in "${targets[@]}"; do
  corpus="${build_folder}/corpus/${target}" findings="${build_folder}/findings/${target}/"
  mkdir -p "${corpus}" "${findings}"
  say "${target}: ${minutes} minutes"
  # protobuf is not built with AddressSanitizer.
  ASAN_OPTIONS=detect_container_overflow=0:allocator_may_return_null=1 \
    "${build_folder}/tests/fuzz/${target}_fuzz" "${corpus}" "${root}/tests/fuzz/corpus/${target}" \
    -max_total_time="$((minutes * 60))" -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
    -artifact_prefix="${findings}" -print_final_stats=1 >&2 || found=1
done
exit "${found}"
