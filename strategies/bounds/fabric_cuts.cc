#include "strategies/bounds/fabric_cuts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/index.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

using Extents = std::vector<int>;  // one per level

class Blocks {
 public:
  Blocks(const Fabric& fabric, int devices_per_chip)
      : levels_(fabric.levels()), dies_(devices_per_chip), chip_(levels_.size(), 1) {
    if (dies_ > 1) chip_.front() = levels_.front().extent;
  }

  std::vector<FabricCut> All() {
    Add("chip", chip_);
    AddTorus();
    Extents block = chip_;
    for (std::size_t l = 0; l + 1 < levels_.size(); ++l) {
      block[l] = levels_[l].extent;
      // Below a network all is one part: the node, a unit of a tier, a slice.
      if (levels_[l + 1].kind != Level::Kind::kNetwork) continue;
      Add(IsTorus(l) ? "slice" : levels_[l].name, block);
    }
    return std::move(cuts_);
  }

 private:
  bool IsTorus(std::size_t l) const { return levels_[l].kind == Level::Kind::kTorus; }

  // Halves along each dimension, and cubes.
  void AddTorus() {
    Extents whole = chip_;
    std::vector<std::size_t> dims;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      if (!IsTorus(l)) continue;
      whole[l] = levels_[l].extent;
      dims.push_back(l);
    }
    for (const std::size_t l : dims) {
      if (levels_[l].extent % 2 != 0) continue;
      Extents half = whole;
      half[l] /= 2;
      Add(absl::StrCat("half of ", levels_[l].name), half);
    }
    const auto divides = [&](int side) {
      return std::all_of(dims.begin(), dims.end(),
                         [&](std::size_t l) { return levels_[l].extent % side == 0; });
    };
    for (int side = 2; !dims.empty() && divides(side); side *= 2) {
      Extents cube = chip_;
      for (const std::size_t l : dims) cube[l] = side;
      Add(absl::StrJoin(std::vector<int>(dims.size(), side), "x"), cube);
    }
  }

  void Add(std::string part, const Extents& block) {
    double parts = 1;
    bool adds = false;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      parts *= static_cast<double>(levels_[l].extent) / block[l];
      adds = adds || (block[l] < levels_[l].extent && levels_[l].in_network_reduction);
    }
    if (parts < 2) return;
    cuts_.push_back({std::move(part), parts, BytesPerSecond(parts * OutOf(block)), adds});
  }

  // Bytes per second out of one block, the mean of all.
  double OutOf(const Extents& block) const {
    double devices = 1, out = 0;
    for (const int extent : block) devices *= extent;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      const Level& level = levels_[l];
      const double held = block[l], extent = level.extent;
      const double wire = level.bandwidth.value() / level.usable;
      const bool twisted = IsTorus(l) && level.twist > 0;
      if (held == extent && !twisted) continue;
      switch (level.kind) {
        case Level::Kind::kTorus: {
          const bool closes = twisted || (level.wraps && extent > 2);
          const double faces = closes ? 2 : 2 * (1 - held / extent);
          out += devices / dies_ / held * faces * wire;
          break;
        }
        case Level::Kind::kSwitch:
          out += devices * wire;
          break;
        case Level::Kind::kFullMesh:
          out += devices * wire / (extent - 1) * (extent - held);
          break;
        case Level::Kind::kNetwork:
          return out + devices * wire;
      }
    }
    return out;
  }

  const std::vector<Level>& levels_;
  const int dies_;
  Extents chip_;
  std::vector<FabricCut> cuts_;
};

bool IsGraph(const Fabric& fabric) {
  return fabric.levels().size() == 1 && fabric.levels().front().kind == Level::Kind::kNetwork;
}

std::vector<FabricCut> CutsOfGraph(const Fabric& fabric) {
  std::vector<FabricCut> cuts;
  const double devices = fabric.devices();
  BytesPerSecond out;
  for (const FabricEdge& edge : fabric.Explicit().edges) {
    if (edge.from < fabric.devices()) out += fabric.wire(edge.link);
  }
  cuts.push_back({"chip", devices, out, false});
  std::vector<DeviceId> lower, upper;
  const int half = (fabric.devices() + 1) / 2;
  for (DeviceId d = 0; d < fabric.devices(); ++d) (d < half ? lower : upper).push_back(d);
  const Graph graph(fabric);
  const BytesPerSecond both =
      graph.MinCut(lower, upper).capacity + graph.MinCut(upper, lower).capacity;
  cuts.push_back({"half", devices / half, both, false});
  return cuts;
}

}  // namespace

std::vector<FabricCut> CutsOf(const Fabric& fabric, int devices_per_chip) {
  if (fabric.devices() <= devices_per_chip) return {};
  return IsGraph(fabric) ? CutsOfGraph(fabric) : Blocks(fabric, devices_per_chip).All();
}

}  // namespace meshstep
