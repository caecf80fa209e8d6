#include "topologies/load_collectives.h"

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

void LoadPort(const v1::CollectiveCalibration& proto, const std::string& item,
              Diagnostics* diagnostics, CollectiveCalibration* entry) {
  if (proto.port_size() == 0) {
    diagnostics->Error(item + ".port", "is missing, expected at least one rate");
  }
  for (int i = 0; i < proto.port_size(); ++i) {
    const std::string port = Item(item, "port", i);
    const Bytes bytes(CheckedPositive(proto.port(i).bytes(), port + ".bytes", diagnostics));
    const double rate =
        CheckedPositive(proto.port(i).gbytes_per_s(), port + ".gbytes_per_s", diagnostics);
    if (!entry->port.empty() && bytes <= entry->port.back().bytes) {
      diagnostics->Error(port + ".bytes",
                         absl::StrCat("is ", bytes.value(), ", expected more than the ",
                                      entry->port.back().bytes.value(), " before it"));
      continue;
    }
    entry->port.push_back({bytes, BytesPerSecond(rate * 1e9)});
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
    entry.ranks = LoadRanks(from.ranks());
    if (from.has_min_ranks()) {
      entry.min_ranks = CheckedInt(from.min_ranks(), 2, 1 << 20, item + ".min_ranks", diagnostics);
    }
    if (from.has_max_ranks()) {
      entry.max_ranks =
          CheckedInt(from.max_ranks(), entry.min_ranks, 1 << 20, item + ".max_ranks", diagnostics);
    }
    entry.base = Nanoseconds(from.base_ns(), item + ".base_ns", diagnostics);
    entry.rank = Nanoseconds(from.rank_ns(), item + ".rank_ns", diagnostics);
    entry.rank_squared =
        Nanoseconds(from.rank_squared_ns(), item + ".rank_squared_ns", diagnostics);
    LoadPort(from, item, diagnostics, &entry);
    if (!entry.port.empty()) entries.push_back(std::move(entry));
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

}  // namespace meshstep
