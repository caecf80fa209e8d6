#include "sim/validation/run_cluster.h"

#include <algorithm>
#include <array>
#include <regex>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace meshstep {
namespace {

// The first entry for the row's chip whose words are in the row's interconnect; -1: none.
std::ptrdiff_t EntryOf(const RunRow& row, const CsvTable& table) {
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (!row.Get("chip").starts_with(table.At(i, "chip"))) continue;
    if (row.Says("interconnect", table.At(i, "words"))) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

double Number(const CsvTable& table, std::size_t row, const std::string& column) {
  double value = 0;
  return absl::SimpleAtod(table.At(row, column), &value) ? value : 0;
}

using Extents = std::array<int, 3>;

// Whether every degree of the mesh is a product of whole dimensions of the torus.
bool TakesWholeDimensions(const Extents& slice, std::vector<int> degrees, std::size_t dim = 0) {
  while (dim < slice.size() && slice[dim] == 1) ++dim;
  if (dim == slice.size()) {
    return std::all_of(degrees.begin(), degrees.end(), [](int left) { return left == 1; });
  }
  for (int& degree : degrees) {
    if (degree % slice[dim] != 0) continue;
    degree /= slice[dim];
    if (TakesWholeDimensions(slice, degrees, dim + 1)) return true;
    degree *= slice[dim];
  }
  return false;
}

// Slices of `chips`, small sides first. On a torus of three dimensions, of 4x4x4 cubes where the
// chips fill cubes.
std::vector<Extents> SlicesWith(int chips, int dimensions) {
  std::vector<Extents> slices;
  const int unit = dimensions == 3 && chips % 64 == 0 ? 4 : 1;
  const int most = dimensions == 3 ? chips : 1;
  for (int a = unit; a <= most && a * a * a <= std::max(chips, 1); a += unit) {
    for (int b = a; a * b * b <= chips; b += unit) {
      if (chips % (a * b) == 0 && (chips / (a * b)) % unit == 0) {
        slices.push_back({a, b, chips / (a * b)});
      }
    }
  }
  if (slices.empty()) slices.push_back({1, 1, chips});
  return slices;
}

// As near to a square or a cube as its chips and the mesh allow: JAX gives each axis of a mesh
// whole dimensions of the torus and refuses a mesh that has none for it, so users choose the slice
// by the mesh (jax/experimental/mesh_utils.py, create_device_mesh without
// allow_split_physical_axes). MLPerf's v5p slices of 1024, 2048 and 6144 chips are 8x8x16, 4x8x64
// and 8x16x48 for meshes of 8 x 16 x 8, 4 x 64 x 8 and 16 x 48 x 8 (mlcommons/training_results_v4.0
// and v4.1, Google/systems).
std::string SliceOf(int chips, int dimensions, const std::vector<int>& degrees) {
  const auto key = [&](const Extents& slice) {
    return std::tuple(!TakesWholeDimensions(slice, degrees), slice[2], -slice[0]);
  };
  const std::vector<Extents> slices = SlicesWith(chips, dimensions);
  const Extents best =
      *std::min_element(slices.begin(), slices.end(),
                        [&](const Extents& a, const Extents& b) { return key(a) < key(b); });
  return dimensions == 2 ? absl::StrCat(best[1], "x", best[2])
                         : absl::StrCat(best[0], "x", best[1], "x", best[2]);
}

// Racks of up to `domain` chips on one switch, equally filled, by whole groups of tensor and
// context parallelism and by a number of replicas that divides all.
int ChipsPerDomain(const RunRow& row, int chips, int domain) {
  const int inner = row.Count("tp", 1) * row.Count("cp", 1);
  const int replicas = row.Count("dp", std::max(1, chips / inner));
  for (int per = std::min(chips, domain); per > 1; --per) {
    if (chips % per != 0 || (per % inner != 0 && inner % per != 0)) continue;
    const int outer = std::max(1, per / inner);
    if (replicas % outer == 0 || outer % replicas == 0) return per;
  }
  return 1;
}

void SetNodes(const RunRow& row, const CsvTable& table, std::size_t entry, int chips,
              v1::Cluster* cluster) {
  cluster->set_chips(chips);
  const int domain = static_cast<int>(Number(table, entry, "chips_per_node"));
  const int per_node =
      ChipsPerDomain(row, chips, domain > 0 ? domain : row.Count("chips_per_node", 8));
  v1::Nodes* nodes = cluster->mutable_nodes();
  nodes->set_chips_per_node(per_node);
  const int nics = static_cast<int>(Number(table, entry, "nics_per_node"));
  nodes->set_nics_per_node(nics > 0 ? std::min(nics, per_node) : per_node);
  if (const double rate = Number(table, entry, "nic_gbytes_per_s"); rate > 0) {
    nodes->set_nic_gbytes_per_s(rate);
  }
  if (const double latency = Number(table, entry, "nic_latency_ns"); latency > 0) {
    nodes->set_nic_latency_ns(latency);
  }
  if (const double usable = Number(table, entry, "nic_usable_fraction"); usable > 0) {
    nodes->set_nic_usable_fraction(usable);
  }
}

}  // namespace

int SlicesOf(const RunRow& row) {
  static const std::regex kSlices("dcn data(-parallel)?=([0-9]+)"), kEqual("slices of ([0-9]+)");
  if (!row.Get("chip").starts_with("TPU")) return 1;
  const std::string& text = row.Get("dp_sharding");
  std::smatch match;
  int slices = 1;
  if (std::regex_search(text, match, kSlices)) {
    if (!absl::SimpleAtoi(match[2].str(), &slices)) slices = 1;
  } else if (int size = 0; std::regex_search(text, match, kEqual) &&
                           absl::SimpleAtoi(match[1].str(), &size) && size > 0) {
    slices = row.Count("chips", 1) / size;
  }
  return std::max(1, slices);
}

StatusOr<v1::Cluster> ClusterOf(const RunRow& row, const CsvTable& interconnects) {
  const int chips = row.Count("chips");
  if (chips == 0) return InvalidInput("the number of chips is not given");
  const std::ptrdiff_t found = EntryOf(row, interconnects);
  if (found < 0) {
    return InvalidInput(absl::StrCat("the cluster of \"", row.Get("chip"), "\" is not described"));
  }
  const auto entry = static_cast<std::size_t>(found);
  v1::Cluster cluster;
  cluster.set_preset(interconnects.At(entry, "cluster"));
  if (const std::string& chip = interconnects.At(entry, "preset"); !chip.empty()) {
    cluster.mutable_chip()->set_preset(chip);
  }
  const int dimensions = static_cast<int>(Number(interconnects, entry, "dimensions"));
  if (dimensions == 0) {
    SetNodes(row, interconnects, entry, chips, &cluster);
    return cluster;
  }
  const int slices = SlicesOf(row);
  if (chips % slices != 0) {
    return InvalidInput(absl::StrCat(chips, " chips do not fill ", slices, " slices"));
  }
  cluster.set_slice(SliceOf(chips / slices, dimensions, {}));
  if (slices > 1) cluster.set_slices(slices);
  return cluster;
}

void ShapeSlice(const v1::Plan& plan, v1::Cluster* cluster) {
  std::vector<int> extents;
  for (const auto part : absl::StrSplit(cluster->slice(), 'x')) {
    int extent = 0;
    if (!absl::SimpleAtoi(part, &extent)) return;
    extents.push_back(extent);
  }
  if (plan.data() % std::max(1, cluster->slices()) != 0) return;
  int chips = 1;
  for (const int extent : extents) chips *= extent;
  const std::vector<int> degrees = {std::max(1, plan.tensor()), std::max(1, plan.context()),
                                    std::max(1, plan.fsdp()),
                                    std::max(1, plan.data() / std::max(1, cluster->slices()))};
  cluster->set_slice(SliceOf(chips, static_cast<int>(extents.size()), degrees));
}

}  // namespace meshstep
