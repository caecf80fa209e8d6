#include "sim/simulate/listing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/chip.pb.h"
#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/framework.pb.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/format.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_registry.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

// Describes every file of a data folder.
template <class Describe>
StatusOr<v1::ListReport> Files(const std::string& folder, const Catalog& catalog,
                               Describe describe) {
  v1::ListReport report;
  for (const std::string& name : ListPresets(folder)) {
    v1::ListEntry* entry = report.add_entries();
    entry->set_name(name);
    ASSIGN_OR_RETURN(const std::string text, describe(folder, name, catalog));
    entry->set_description(text);
  }
  return report;
}

StatusOr<std::string> DescribeChip(const std::string& folder, const std::string& name,
                                   const Catalog& catalog) {
  v1::Chip chip;
  RETURN_IF_ERROR(catalog.Read(folder, name, &chip));
  std::string text = absl::StrCat(chip.vendor(), " ", chip.year(), ": ");
  for (const v1::MatmulPeak& peak : chip.datasheet().matmul()) {
    if (peak.dtype() != "bf16") continue;
    absl::StrAppend(&text, FormatFlopRate(peak.flops_per_s()), " bf16, ");
  }
  const v1::Rates& rates = chip.datasheet();
  absl::StrAppend(&text, FormatBytes(static_cast<double>(rates.hbm_bytes())), " at ",
                  FormatTraffic(rates.hbm_bytes_per_s()), "/s");
  if (chip.devices_per_chip() > 1) {
    absl::StrAppend(&text, ", ", chip.devices_per_chip(), " devices per chip");
  }
  return text;
}

StatusOr<std::string> DescribeCluster(const std::string& folder, const std::string& name,
                                      const Catalog& catalog) {
  v1::Cluster cluster;
  RETURN_IF_ERROR(catalog.Read(folder, name, &cluster));
  return cluster.description();
}

StatusOr<std::string> DescribeModel(const std::string& folder, const std::string& name,
                                    const Catalog& catalog) {
  v1::Model model;
  RETURN_IF_ERROR(catalog.Read(folder, name, &model));
  std::string text = absl::StrCat(
      model.layers(), " layers of ", FormatCount(model.hidden()), ", ", model.heads(), " heads",
      model.has_kv_heads() ? absl::StrCat(" (", model.kv_heads(), " of K and V)") : "",
      ", vocabulary ", FormatCount(model.vocab()));
  if (model.has_moe()) {
    absl::StrAppend(&text, ", ", model.moe().experts_per_token(), " of ", model.moe().experts(),
                    " experts");
  }
  return text;
}

StatusOr<std::string> DescribeFramework(const std::string& folder, const std::string& name,
                                        const Catalog& catalog) {
  v1::Framework framework;
  RETURN_IF_ERROR(catalog.Read(folder, name, &framework));
  return framework.description();
}

// The comment at the head of the file, without the lines that name the proto.
StatusOr<std::string> DescribeComment(const std::string& folder, const std::string& name,
                                      const Catalog& /*catalog*/) {
  ASSIGN_OR_RETURN(const std::string path, PresetPath(folder, name));
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<std::string> words;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(content, '\n'))) {
    if (!line.starts_with("#")) break;
    if (line.starts_with("# proto-")) continue;
    if (line.size() > 2) words.push_back(line.substr(2));
  }
  return absl::StrJoin(words, " ");
}

// Groups of eight in every shape that a fabric offers.
struct Shape {
  const char* name;
  Group group;
};
std::vector<Shape> Shapes() {
  constexpr int kRanks = 8;
  const auto dim = [](Level::Kind kind, int size, bool ring) {
    return Group::Dim{.kind = kind,
                      .level = 0,
                      .size = size,
                      .stride = 1,
                      .ring = ring,
                      .bandwidth = BytesPerSecond(1e9),
                      .latency = Seconds(1e-6),
                      .in_network_reduction = false};
  };
  std::vector<Shape> shapes = {
      {"rings", {{dim(Level::Kind::kTorus, kRanks, true)}, {}}},
      {"lines", {{dim(Level::Kind::kTorus, kRanks, false)}, {}}},
      {"tori", {{dim(Level::Kind::kTorus, 4, true), dim(Level::Kind::kTorus, 2, true)}, {}}},
      {"switches", {{dim(Level::Kind::kSwitch, kRanks, false)}, {}}},
      {"nodes", {{dim(Level::Kind::kSwitch, 4, false), dim(Level::Kind::kNetwork, 2, false)}, {}}}};
  for (Shape& shape : shapes) {
    for (DeviceId d = 0; d < kRanks; ++d) shape.group.members.push_back(d);
  }
  return shapes;
}

v1::ListReport Collectives() {
  v1::ListReport report;
  const std::vector<Shape> shapes = Shapes();
  for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
    std::vector<std::string> kinds;
    std::vector<std::string> where;
    for (const Shape& shape : shapes) {
      bool any = false;
      for (int c = 0; c <= static_cast<int>(Collective::kExchange); ++c) {
        const auto collective = static_cast<Collective>(c);
        if (!algorithm->Supports(collective, shape.group)) continue;
        any = true;
        const std::string name(NameOf(collective));
        if (std::find(kinds.begin(), kinds.end(), name) == kinds.end()) kinds.push_back(name);
      }
      if (any) where.push_back(shape.name);
    }
    v1::ListEntry* entry = report.add_entries();
    entry->set_name(std::string(algorithm->name()));
    entry->set_description(
        absl::StrCat(absl::StrJoin(kinds, ", "), " on ", absl::StrJoin(where, ", ")));
  }
  return report;
}

v1::ListReport AllSchedules() {
  constexpr int kStages = 4, kMicroBatches = 16;
  v1::ListReport report;
  for (const PublishedSchedule* schedule : Schedules()) {
    v1::ListEntry* entry = report.add_entries();
    entry->set_name(std::string(schedule->name()));
    const int chunks = schedule->DefaultVirtualStages();
    const double bubble = BubbleFraction(*schedule, {kStages, chunks, kMicroBatches});
    entry->set_description(absl::StrCat("idle for ", FormatPercent(bubble), " of the work with ",
                                        kStages, " stages, ", kMicroBatches, " micro-batches",
                                        chunks > 1 ? absl::StrCat(", ", chunks, " chunks") : "",
                                        "; F = B = W"));
  }
  return report;
}

}  // namespace

std::vector<std::string> ListKinds() {
  return {"chips", "clusters", "models", "frameworks", "collectives", "schedules", "examples"};
}

StatusOr<v1::ListReport> List(const std::string& kind, const Catalog& catalog) {
  StatusOr<v1::ListReport> report =
      kind == "chips"         ? Files("topologies/chips", catalog, DescribeChip)
      : kind == "clusters"    ? Files("topologies/clusters", catalog, DescribeCluster)
      : kind == "models"      ? Files("strategies/models", catalog, DescribeModel)
      : kind == "frameworks"  ? Files("strategies/frameworks", catalog, DescribeFramework)
      : kind == "collectives" ? StatusOr<v1::ListReport>(Collectives())
      : kind == "schedules"   ? StatusOr<v1::ListReport>(AllSchedules())
                              : Files("examples", catalog, DescribeComment);
  if (report.ok()) report->set_kind(kind);
  return report;
}

}  // namespace meshstep
