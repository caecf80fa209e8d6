#include "strategies/einsum/load_hardware.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

constexpr char kFolder[] = "topologies/chips";

}  // namespace

std::string ChipPreset(const std::string& chip) {
  std::string name;
  for (char c : chip) {
    name +=
        c == ' ' || c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const std::vector<std::string> presets = ListPresets(kFolder);
  std::vector<std::string> candidates = {name, "tpu-" + name, name + "-sxm", name + "-80gb"};
  if (name.starts_with("tpuv")) candidates.push_back("tpu-" + name.substr(3));
  if (name.starts_with("tpu7")) candidates.push_back("tpu-v" + name.substr(3));
  for (std::size_t i = 0, n = candidates.size(); i < n; ++i) {
    if (candidates[i].ends_with("v4p")) {
      candidates.push_back(candidates[i].substr(0, candidates[i].size() - 1));
    }
  }
  for (const std::string& candidate : candidates) {
    if (std::find(presets.begin(), presets.end(), candidate) != presets.end()) return candidate;
  }
  return chip;
}

StatusOr<einsum::Hardware> LoadHardware(const std::string& chip, RateSet rates) {
  v1::Chip proto;
  if (const Status status = Catalog().Read(kFolder, ChipPreset(chip), &proto); !status.ok()) {
    return InvalidInput("chip " + std::string(status.message()));
  }
  Diagnostics diagnostics;
  const Chip loaded = LoadChip(proto, "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return einsum::HardwareOf(loaded, rates);
}

}  // namespace meshstep
