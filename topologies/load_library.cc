#include "topologies/load_library.h"

#include <algorithm>
#include <set>
#include <utility>

#include "meshstep/v1/library.pb.h"
#include "sim/base/dtype.h"
#include "sim/base/release.h"
#include "topologies/field_checks.h"

namespace meshstep {
namespace {

constexpr int kMost = 1 << 20;  // ranks, nodes

std::string Item(const std::string& field, const char* list, int i) {
  return absl::StrCat(field, ".", list, "[", i, "]");
}

// Writes the fields given over `constants`.
void Override(const v1::LibraryConstants& proto, const std::string& field, Diagnostics* diagnostics,
              LibraryConstants* constants) {
  const auto time = [&](bool given, double value, const char* name, Seconds* to) {
    if (!given) return;
    *to = Seconds(CheckedNanoseconds(value, field + name, diagnostics) * 1e-9);
  };
  time(proto.has_base_ns(), proto.base_ns(), ".base_ns", &constants->base);
  time(proto.has_node_step_ns(), proto.node_step_ns(), ".node_step_ns", &constants->node_step);
  time(proto.has_network_step_ns(), proto.network_step_ns(), ".network_step_ns",
       &constants->network_step);
  time(proto.has_overhead_ns(), proto.overhead_ns(), ".overhead_ns", &constants->overhead);
  if (proto.has_node_fraction()) {
    constants->node_fraction =
        CheckedFraction(proto.node_fraction(), field + ".node_fraction", diagnostics);
  }
  if (proto.has_network_fraction()) {
    constants->network_fraction =
        CheckedFraction(proto.network_fraction(), field + ".network_fraction", diagnostics);
  }
  if (proto.has_max_nodes()) {
    constants->max_nodes =
        CheckedInt(proto.max_nodes(), 0, kMost, field + ".max_nodes", diagnostics);
  }
}

LibraryAlgorithm::Formula LoadFormula(v1::LibraryAlgorithm::Formula formula,
                                      const std::string& item, Diagnostics* diagnostics) {
  switch (formula) {
    case v1::LibraryAlgorithm::RING:
      return LibraryAlgorithm::Formula::kRing;
    case v1::LibraryAlgorithm::TREE:
      return LibraryAlgorithm::Formula::kTree;
    case v1::LibraryAlgorithm::NVLS:
      return LibraryAlgorithm::Formula::kNvls;
    case v1::LibraryAlgorithm::NVLS_TREE:
      return LibraryAlgorithm::Formula::kNvlsTree;
    case v1::LibraryAlgorithm::PAT:
      return LibraryAlgorithm::Formula::kPat;
    case v1::LibraryAlgorithm::SEND_RECEIVE:
      return LibraryAlgorithm::Formula::kSendReceive;
    case v1::LibraryAlgorithm::COLLNET_DIRECT:
      return LibraryAlgorithm::Formula::kCollNetDirect;
    case v1::LibraryAlgorithm::COLLNET_CHAIN:
      return LibraryAlgorithm::Formula::kCollNetChain;
    default:
      diagnostics->Error(item + ".formula", "is missing, expected RING, TREE, NVLS, ...");
      return LibraryAlgorithm::Formula::kRing;
  }
}

// The caps of the latest generation that the chip belongs to.
void LoadRates(const v1::LibraryAlgorithm& proto, int year, const std::string& item,
               Diagnostics* diagnostics, LibraryAlgorithm* algorithm) {
  for (int i = 0; i < proto.rates_size(); ++i) {
    const v1::LibraryRates& rates = proto.rates(i);
    const std::string field = Item(item, "rates", i) + ".bus_gbytes_per_s";
    if (rates.bus_gbytes_per_s_size() != 3) {
      diagnostics->Error(field, absl::StrCat("has ", rates.bus_gbytes_per_s_size(),
                                             " rates, expected 3: on one node, two, more"));
      continue;
    }
    if (rates.since_year() > year) continue;
    for (int n = 0; n < 3; ++n) {
      const double rate = rates.bus_gbytes_per_s(n);
      algorithm->bus[static_cast<std::size_t>(n)] = BytesPerSecond(
          rate == 0 ? 0
                    : 1e9 * CheckedPositive(rate, absl::StrCat(field, "[", n, "]"), diagnostics));
    }
  }
}

// Constants by number of nodes: every number at which a correction that holds for the chip begins.
void LoadCorrections(const v1::LibraryAlgorithm& proto, int year, int node_chips,
                     const std::string& item, Diagnostics* diagnostics,
                     LibraryAlgorithm* algorithm) {
  std::set<int> starts = {1};
  for (const v1::LibraryCorrection& c : proto.corrections()) {
    if (c.since_year() <= year && c.min_node_chips() <= node_chips) {
      starts.insert(std::max(1, c.min_nodes()));
    }
  }
  for (const int nodes : starts) {
    LibraryConstants constants = algorithm->own;
    for (int i = 0; i < proto.corrections_size(); ++i) {
      const v1::LibraryCorrection& c = proto.corrections(i);
      if (c.since_year() > year || c.min_node_chips() > node_chips || c.min_nodes() > nodes) {
        continue;
      }
      Override(c.constants(), Item(item, "corrections", i) + ".constants", diagnostics, &constants);
    }
    algorithm->corrected.push_back({nodes, constants});
  }
}

LibraryAlgorithm LoadAlgorithm(const v1::LibraryAlgorithm& proto, int year, int node_chips,
                               const std::string& item, Diagnostics* diagnostics) {
  LibraryAlgorithm algorithm;
  algorithm.name = proto.name();
  algorithm.protocol = proto.protocol();
  algorithm.formula = LoadFormula(proto.formula(), item, diagnostics);
  algorithm.collectives.assign(proto.collectives().begin(), proto.collectives().end());
  algorithm.runs_as.assign(proto.runs_as().begin(), proto.runs_as().end());
  Override(proto.constants(), item + ".constants", diagnostics, &algorithm.own);
  LoadCorrections(proto, year, node_chips, item, diagnostics, &algorithm);
  if (proto.has_bus_fraction()) {
    algorithm.bus_fraction =
        CheckedFraction(proto.bus_fraction(), item + ".bus_fraction", diagnostics);
  }
  LoadRates(proto, year, item, diagnostics, &algorithm);
  for (int i = 0; i < proto.size_factors_size(); ++i) {
    algorithm.size_factors.push_back(
        CheckedFraction(proto.size_factors(i), Item(item, "size_factors", i), diagnostics));
  }
  const auto count = [&](bool given, int value, const char* name, int* to) {
    if (given) *to = CheckedInt(value, 1, kMost, item + name, diagnostics);
  };
  count(proto.has_min_ranks(), proto.min_ranks(), ".min_ranks", &algorithm.min_ranks);
  count(proto.has_min_nodes(), proto.min_nodes(), ".min_nodes", &algorithm.min_nodes);
  count(proto.has_max_ranks_per_node(), proto.max_ranks_per_node(), ".max_ranks_per_node",
        &algorithm.max_ranks_per_node);
  if (proto.has_plateau()) {
    algorithm.plateau = proto.plateau();
    if (!(algorithm.plateau >= 1 && algorithm.plateau <= 10)) {
      diagnostics->Error(item + ".plateau",
                         absl::StrCat("is ", proto.plateau(), ", expected a number from 1 to 10"));
    }
  }
  if (proto.has_unit_share()) {
    algorithm.unit_share = CheckedFraction(proto.unit_share(), item + ".unit_share", diagnostics);
  }
  if (proto.has_max_bytes()) {
    algorithm.max_bytes =
        Bytes(CheckedPositive(proto.max_bytes(), item + ".max_bytes", diagnostics));
  }
  return algorithm;
}

void StayInside(LibraryAlgorithm* algorithm) {
  algorithm->own.max_nodes = 1;
  for (LibraryCorrection& c : algorithm->corrected) c.constants.max_nodes = 1;
}

// First year of the chip's generation, as far as libraries tell them apart: formats tell what a
// later year of sale hides (H200 is a Hopper of 2024, A800 an Ampere of 2022). A chip of no year is
// as new as its formats.
int GenerationOf(const Chip& chip) {
  const auto has = [&](Dtype dtype) { return chip.datasheet.peak(dtype) > FlopsPerSecond(0); };
  constexpr int kBeforeFp8 = 2021, kBeforeFp4 = 2023, kLatest = 2100;
  const int most = has(Dtype::kFp4) ? kLatest : has(Dtype::kFp8) ? kBeforeFp4 : kBeforeFp8;
  return std::min(chip.year > 0 ? chip.year : kLatest, most);
}

}  // namespace

std::string LibraryOfVendor(const std::string& vendor) {
  if (vendor == "NVIDIA") return "nccl";
  if (vendor == "AMD") return "rccl";
  if (vendor == "Google") return "xla";
  return "";
}

std::shared_ptr<const CollectiveLibrary> LoadLibrary(const v1::CollectiveLibrary& proto,
                                                     const Cluster& cluster,
                                                     const std::string& field,
                                                     Diagnostics* diagnostics) {
  auto library = std::make_shared<CollectiveLibrary>();
  library->name = !proto.name().empty() ? proto.name() : proto.preset();
  library->release = proto.release();
  library->launch =
      Seconds(CheckedNanoseconds(proto.launch_ns(), field + ".launch_ns", diagnostics) * 1e-9);
  library->network_latency = Seconds(
      CheckedNanoseconds(proto.network_latency_ns(), field + ".network_latency_ns", diagnostics) *
      1e-9);
  const int year = GenerationOf(cluster.chip);
  for (int i = 0; i < proto.algorithms_size(); ++i) {
    if (IsBefore(proto.release(), proto.algorithms(i).since_release())) continue;
    LibraryAlgorithm algorithm =
        LoadAlgorithm(proto.algorithms(i), year, cluster.nodes.chips_per_node,
                      Item(field, "algorithms", i), diagnostics);
    for (const std::string& missing : cluster.nodes.missing_protocols) {
      if (algorithm.protocol == missing) StayInside(&algorithm);
    }
    library->algorithms.push_back(std::move(algorithm));
  }
  library->message = cluster.nodes.message;
  return library;
}

}  // namespace meshstep
