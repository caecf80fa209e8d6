#include "topologies/load_collectives.h"

#include <utility>

#include "meshstep/v1/chip.pb.h"
#include "topologies/field_checks.h"

namespace meshstep {
namespace {

std::string Item(const std::string& field, const char* list, int i) {
  return absl::StrCat(field, ".", list, "[", i, "]");
}

Seconds Nanoseconds(double value, const std::string& field, Diagnostics* diagnostics) {
  return Seconds(CheckedNanoseconds(value, field, diagnostics) * 1e-9);
}

// Only an all-to-all of routed tokens has one.
std::string LoadDispatcher(const std::string& dispatcher, const std::string& collective,
                           const std::string& item, Diagnostics* diagnostics) {
  if (dispatcher.empty()) return "";
  const bool known = dispatcher == "deepep" || dispatcher == "hybridep" ||
                     dispatcher == "hybridep-combine" || dispatcher == "deepep-low-latency" ||
                     dispatcher == "deepep-low-latency-combine";
  if (!known) {
    diagnostics->Error(item + ".dispatcher",
                       absl::StrCat("is \"", dispatcher,
                                    "\", expected deepep, hybridep, hybridep-combine, "
                                    "deepep-low-latency, deepep-low-latency-combine or nothing"));
  } else if (collective != "all-to-all") {
    diagnostics->Error(item + ".dispatcher", absl::StrCat("is \"", dispatcher, "\" of ", collective,
                                                          ", expected it of all-to-all only"));
  }
  return dispatcher;
}

CollectiveCalibration::Ranks LoadRanks(v1::CollectiveCalibration::Ranks ranks) {
  switch (ranks) {
    case v1::CollectiveCalibration::POWERS_OF_TWO:
      return CollectiveCalibration::Ranks::kPowersOfTwo;
    case v1::CollectiveCalibration::OTHERS:
      return CollectiveCalibration::Ranks::kOthers;
    default:
      return CollectiveCalibration::Ranks::kAny;
  }
}

void LoadSizes(const v1::CollectiveCalibration& proto, const std::string& item,
               Diagnostics* diagnostics, CollectiveCalibration* entry) {
  if (proto.bytes_size() == 0) {
    diagnostics->Error(item + ".bytes", "is missing, expected at least one size");
  }
  for (int i = 0; i < proto.bytes_size(); ++i) {
    const std::string field = Item(item, "bytes", i);
    const Bytes bytes(CheckedPositive(proto.bytes(i), field, diagnostics));
    if (!entry->sizes.empty() && bytes <= entry->sizes.back()) {
      diagnostics->Error(field, absl::StrCat("is ", bytes.value(), ", expected more than the ",
                                             entry->sizes.back().value(), " before it"));
    }
    entry->sizes.push_back(bytes);
  }
}

// One rate per size; the time of the bytes does not fall with their number (to the digits of a data
// file, hence the part in a thousand).
void LoadRates(const v1::CollectiveGroup& proto, const std::string& item,
               const std::vector<Bytes>& sizes, Diagnostics* diagnostics,
               std::vector<BytesPerSecond>* rates) {
  if (static_cast<std::size_t>(proto.gbytes_per_s_size()) != sizes.size()) {
    diagnostics->Error(item + ".gbytes_per_s",
                       absl::StrCat("has ", proto.gbytes_per_s_size(),
                                    " rates, expected one for each of ", sizes.size(), " sizes"));
  }
  for (int i = 0; i < proto.gbytes_per_s_size(); ++i) {
    const std::string field = Item(item, "gbytes_per_s", i);
    const double rate =
        CheckedQuantity(proto.gbytes_per_s(i), kGigabytesPerSecond, field, diagnostics);
    const auto at = static_cast<std::size_t>(i);
    if (i > 0 && at < sizes.size()) {
      const double most = (*rates)[at - 1].value() * 1e-9 * (sizes[at] / sizes[at - 1]);
      if (rate > most * 1.001) {
        diagnostics->Error(field, absl::StrCat("is ", rate, ", expected at most ", most,
                                               ", or more bytes would take less time"));
      }
    }
    rates->push_back(BytesPerSecond(rate * 1e9));
  }
}

void LoadGroups(const v1::CollectiveCalibration& proto, const std::string& item,
                Diagnostics* diagnostics, CollectiveCalibration* entry) {
  if (proto.groups_size() == 0) {
    diagnostics->Error(item + ".groups", "is missing, expected at least one group");
  }
  for (int i = 0; i < proto.groups_size(); ++i) {
    const v1::CollectiveGroup& from = proto.groups(i);
    const std::string field = Item(item, "groups", i);
    CollectiveCalibration::Group group;
    group.ranks = CheckedInt(from.ranks(), 1, 1 << 20, field + ".ranks", diagnostics);
    group.latency = Nanoseconds(from.latency_ns(), field + ".latency_ns", diagnostics);
    LoadRates(from, field, entry->sizes, diagnostics, &group.rates);
    if (!entry->groups.empty() && group.ranks <= entry->groups.back().ranks) {
      diagnostics->Error(field + ".ranks",
                         absl::StrCat("is ", group.ranks, ", expected more than the ",
                                      entry->groups.back().ranks, " before it"));
    }
    entry->groups.push_back(std::move(group));
  }
}

}  // namespace

std::vector<CollectiveCalibration> LoadCollectives(const v1::Chip& proto, const std::string& field,
                                                   Diagnostics* diagnostics) {
  std::vector<CollectiveCalibration> entries;
  for (int i = 0; i < proto.collectives_size(); ++i) {
    const v1::CollectiveCalibration& from = proto.collectives(i);
    const std::string item = Item(field, "collectives", i);
    CollectiveCalibration entry;
    entry.collective = from.collective();
    entry.algorithm = from.algorithm();
    entry.dispatcher = LoadDispatcher(from.dispatcher(), from.collective(), item, diagnostics);
    entry.ranks = LoadRanks(from.ranks());
    if (from.has_min_ranks()) {
      entry.min_ranks = CheckedInt(from.min_ranks(), 2, 1 << 20, item + ".min_ranks", diagnostics);
    }
    if (from.has_max_ranks()) {
      entry.max_ranks =
          CheckedInt(from.max_ranks(), entry.min_ranks, 1 << 20, item + ".max_ranks", diagnostics);
    }
    LoadSizes(from, item, diagnostics, &entry);
    LoadGroups(from, item, diagnostics, &entry);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<NetworkCalibration> LoadAcrossNodes(const v1::Chip& proto, const std::string& field,
                                                Diagnostics* diagnostics) {
  std::vector<NetworkCalibration> entries;
  for (int i = 0; i < proto.across_nodes_size(); ++i) {
    const v1::NetworkCalibration& from = proto.across_nodes(i);
    const std::string item = Item(field, "across_nodes", i);
    NetworkCalibration entry;
    entry.collective = from.collective();
    entry.algorithm = from.algorithm();
    entry.dispatcher = LoadDispatcher(from.dispatcher(), from.collective(), item, diagnostics);
    entry.base = Nanoseconds(from.base_ns(), item + ".base_ns", diagnostics);
    entry.rank = Nanoseconds(from.rank_ns(), item + ".rank_ns", diagnostics);
    entry.node = Nanoseconds(from.node_ns(), item + ".node_ns", diagnostics);
    entry.doubling = Nanoseconds(from.doubling_ns(), item + ".doubling_ns", diagnostics);
    if (from.has_node_fraction()) {
      entry.node_fraction =
          CheckedFraction(from.node_fraction(), item + ".node_fraction", diagnostics);
    }
    if (from.has_network_fraction()) {
      entry.network_fraction =
          CheckedFraction(from.network_fraction(), item + ".network_fraction", diagnostics);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<TorusCollective> LoadTorusCollectives(const v1::Chip& proto, const std::string& field,
                                                  Diagnostics* diagnostics) {
  std::vector<TorusCollective> entries;
  for (int i = 0; i < proto.torus_collectives_size(); ++i) {
    const v1::TorusCollective& from = proto.torus_collectives(i);
    const std::string item = Item(field, "torus_collectives", i);
    TorusCollective entry;
    entry.collective = from.collective();
    entry.launch = Nanoseconds(from.launch_ns(), item + ".launch_ns", diagnostics);
    entry.axis = Nanoseconds(from.axis_ns(), item + ".axis_ns", diagnostics);
    entry.network_launch =
        Nanoseconds(from.network_launch_ns(), item + ".network_launch_ns", diagnostics);
    if (from.has_link_fraction()) {
      entry.link_fraction =
          CheckedFraction(from.link_fraction(), item + ".link_fraction", diagnostics);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace meshstep
