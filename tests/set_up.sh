# Shared by examples/quickstart.sh and tests/run.sh, which source it. Idempotent.
#
#   set_up                 # installs what is missing (Debian 12) and configures build/release
#   build meshstep_main    # builds targets; without arguments everything

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
build_folder="${root}/build/release"

packages=(
  cmake ninja-build g++ libabsl-dev libprotobuf-dev protobuf-compiler libboost-dev
  libboost-graph-dev nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev
  python3 python3-protobuf
)

say() { echo "$*" >&2; }

install_packages() {
  local missing=() package as_root=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "${package}" 2>/dev/null | grep -qx installed ||
      missing+=("${package}")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  say "Installing ${missing[*]}"
  if [[ "$(id -u)" -ne 0 ]]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get -qq update >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes \
    --no-install-recommends "${missing[@]}" >/dev/null
}

set_up() {
  install_packages
  local options=()
  if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  (cd "${root}" && cmake --preset release "${options[@]}") >/dev/null
}

build() {
  say "Building ${*:-everything} in ${build_folder} (the first time takes minutes)"
  cmake --build "${build_folder}" --parallel "$(nproc)" ${1:+--target "$@"} -- --quiet >&2
}
