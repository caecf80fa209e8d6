#include "strategies/einsum/load_hardware.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/chip.pb.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "topologies/build_fabric.h"
#include "topologies/load_chip.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

constexpr char kFolder[] = "topologies/chips";
constexpr double kMostChips = 1 << 20;

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

StatusOr<einsum::Hardware> LoadClusterHardware(const std::string& name, double chips,
                                               RateSet rates) {
  v1::Cluster proto;
  proto.set_preset(name);
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "--cluster", Catalog(), &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  const int domain = std::max(1, proto.nodes().chips_per_node());
  const bool torus = !proto.slice().empty();
  // Whole nodes, so that the fabric has the tiers that join them.
  if (!torus && !(chips <= kMostChips)) {
    return InvalidInput(
        absl::StrCat("--cluster: the mesh has ", chips, " chips, expected at most ", kMostChips));
  }
  if (!torus) proto.set_chips(static_cast<int>(std::ceil(chips / domain)) * domain);
  const Cluster cluster = LoadCluster(proto, "--cluster", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  einsum::Hardware hardware = einsum::HardwareOf(cluster.chip, rates);
  hardware.name = name;
  if (torus) return hardware;
  hardware.interconnect.domain_chips = domain;
  const std::unique_ptr<Fabric> fabric = BuildFabric(cluster, rates, Fidelity::kIdeal);
  double out = std::numeric_limits<double>::infinity();
  for (const Level& level : fabric->levels()) {
    if (level.kind != Level::Kind::kNetwork || level.extent == 1) continue;
    out = std::min(out, level.bandwidth.value());
  }
  if (std::isfinite(out)) hardware.scale_out = BytesPerSecond(out);
  return hardware;
}

}  // namespace meshstep
