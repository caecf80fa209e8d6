#include "topologies/load_cluster.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/library.pb.h"
#include "sim/base/release.h"
#include "topologies/field_checks.h"
#include "topologies/load_chip.h"
#include "topologies/load_graph.h"
#include "topologies/load_library.h"
#include "topologies/load_power.h"
#include "topologies/tiers.h"
#include "topologies/wraparound.h"

namespace meshstep {
namespace {

constexpr char kLibraries[] = "topologies/libraries";

constexpr int kMaxChips = 1 << 20, kMaxNics = 1 << 24;

// "8x8x16" -> {8, 8, 16}; empty after an error.
std::vector<int> ParseSlice(const std::string& text, const std::string& field,
                            Diagnostics* diagnostics) {
  const auto bad = [&](const std::string& why) {
    diagnostics->Error(field, "is \"" + text.substr(0, 64) + "\", " + why);
    return std::vector<int>();
  };
  std::vector<int> slice;
  std::int64_t chips = 1;
  for (const std::string& size : std::vector<std::string>(absl::StrSplit(text, 'x'))) {
    int value = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), value);
    if (error != std::errc() || end != size.data() + size.size() || value < 1) {
      return bad("expected chips per dimension, as \"8x8x16\"");
    }
    slice.push_back(value);
    chips *= value;
    if (chips > kMaxChips || slice.size() > 6) {
      return bad(absl::StrCat("expected at most 6 dimensions and ", kMaxChips, " chips"));
    }
  }
  return slice;
}

// Optical switches join any cubes of a pod to a slice of any shape (arXiv 2304.01433 section 2):
// MLPerf ran v5p slices of 4x8x64 and 8x16x48 chips (mlcommons/training_results_v4.0 and v4.1,
// Google/systems, accelerator_interconnect_topology), whose pod is 16x20x28.
bool JoinsCubes(const Interconnect& net, const std::vector<int>& slice) {
  double chips = 1, pod = 1;
  for (const int extent : slice) chips *= extent;
  for (const int extent : net.pod) pod *= extent;
  return net.wraparound == Interconnect::Wraparound::kWholeCubes && slice.size() == 3 &&
         std::all_of(slice.begin(), slice.end(), [](int extent) { return extent % 4 == 0; }) &&
         chips <= pod;
}

// The slice must fit in the pod, its dimensions in some order.
void CheckFitsPod(const Interconnect& net, std::vector<int> slice, const std::string& text,
                  const std::string& field, Diagnostics* diagnostics) {
  if (static_cast<int>(slice.size()) > net.dimensions) {
    diagnostics->Error(field, absl::StrCat("is \"", text, "\", expected at most the ",
                                           net.dimensions, " dimensions of the chip's torus"));
    return;
  }
  std::vector<int> pod = net.pod;
  std::sort(pod.begin(), pod.end(), std::greater<>());
  std::sort(slice.begin(), slice.end(), std::greater<>());
  for (std::size_t d = 0; d < std::min(slice.size(), pod.size()); ++d) {
    if (slice[d] <= pod[d] || JoinsCubes(net, slice)) continue;
    diagnostics->Error(field, absl::StrCat("is \"", text, "\", which does not fit in the pod of ",
                                           absl::StrJoin(net.pod, "x"), " chips"));
    return;
  }
}

bool IsTwistable(const Cluster& cluster) {
  const auto [shortest, longest] = std::minmax_element(cluster.slice.begin(), cluster.slice.end());
  const int n = *shortest;
  return cluster.slice.size() == 3 && n >= 4 && *longest == 2 * n &&
         std::all_of(cluster.slice.begin(), cluster.slice.end(),
                     [n](int e) { return e == n || e == 2 * n; }) &&
         std::all_of(cluster.wraps.begin(), cluster.wraps.end(), [](bool wraps) { return wraps; });
}

// Documented in cluster.proto.
constexpr double kDcnLatencyNs = 31000;

// Multiplies the chips by the slices.
void LoadSlices(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics,
                Cluster* cluster) {
  if (!proto.has_slices()) return;
  cluster->slices = CheckedInt(proto.slices(), 1, 1024, field + ".slices", diagnostics);
  if (cluster->slices == 1) return;
  if (cluster->chips > kMaxChips / cluster->slices) {
    diagnostics->Error(field + ".slices",
                       absl::StrCat("is ", cluster->slices, ", which makes more than ", kMaxChips,
                                    " chips of slices \"", proto.slice(), "\""));
    cluster->slices = 1;
    return;
  }
  cluster->chips *= cluster->slices;
  cluster->dcn = cluster->chip.datasheet.scale_out;
  if (proto.has_dcn_gbytes_per_s()) {
    cluster->dcn =
        BytesPerSecond(1e9 * CheckedQuantity(proto.dcn_gbytes_per_s(), kGigabytesPerSecond,
                                             field + ".dcn_gbytes_per_s", diagnostics));
  } else if (!(cluster->dcn > BytesPerSecond(0))) {
    diagnostics->Error(field + ".dcn_gbytes_per_s",
                       absl::StrCat("is missing, and the chip \"", cluster->chip.name,
                                    "\" gives no scale_out_gbytes_per_s; expected the rate of the ",
                                    "network between the ", cluster->slices, " slices"));
  }
  const double latency = proto.has_dcn_latency_ns() ? proto.dcn_latency_ns() : kDcnLatencyNs;
  cluster->dcn_latency =
      Seconds(CheckedNanoseconds(latency, field + ".dcn_latency_ns", diagnostics) * 1e-9);
}

void LoadTorus(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics,
               Cluster* cluster) {
  const Interconnect& net = cluster->chip.interconnect;
  if (proto.has_nodes()) {
    diagnostics->Error(field + ".chip",
                       absl::StrCat("is \"", cluster->chip.name, "\", which is on a torus, but ",
                                    field, ".nodes is given; expected slice"));
  }
  if (proto.slice().empty()) {
    diagnostics->Error(
        field + ".slice",
        absl::StrCat("is missing, expected chips per dimension, as \"8x8x16\" (the ", "chip \"",
                     cluster->chip.name, "\" is on a torus of ", net.dimensions, " dimensions)"));
    return;
  }
  cluster->slice = ParseSlice(proto.slice(), field + ".slice", diagnostics);
  if (cluster->slice.empty()) return;
  CheckFitsPod(net, cluster->slice, proto.slice(), field + ".slice", diagnostics);
  if (const std::string why = NotOffered(net, cluster->slice); !why.empty()) {
    diagnostics->Note(absl::StrCat(field, ".slice ", proto.slice(), " ", why));
  }
  cluster->wraps = WrapsOf(net, cluster->slice);
  cluster->chips = 1;
  for (const int extent : cluster->slice) cluster->chips *= extent;
  LoadSlices(proto, field, diagnostics, cluster);
  if (proto.chips() != 0 && proto.chips() != cluster->chips) {
    diagnostics->Error(
        field + ".chips",
        absl::StrCat(
            "is ", proto.chips(), ", but ",
            cluster->slices > 1 ? absl::StrCat(cluster->slices, " slices \"") : "the slice \"",
            proto.slice(), cluster->slices > 1 ? "\" have " : "\" has ", cluster->chips, " chips"));
  }
  cluster->twisted = proto.twisted();
  if (cluster->twisted && !IsTwistable(*cluster)) {
    diagnostics->Error(field + ".twisted",
                       absl::StrCat("is true, but the slice is \"", proto.slice(),
                                    "\"; expected n x n x 2n or n x 2n x 2n with n at least 4 and ",
                                    "every dimension wrapping"));
  }
}

Tier LoadTier(const v1::Tier& proto, const std::string& item, Diagnostics* diagnostics) {
  Tier tier;
  tier.name = !proto.name().empty() ? proto.name() : "network";
  tier.nodes = CheckedInt(proto.nodes(), 0, kMaxChips, item + ".nodes", diagnostics);
  if (proto.has_oversubscription()) {
    tier.oversubscription = proto.oversubscription();
    if (!(tier.oversubscription >= 1e-3 && tier.oversubscription <= 1e6)) {
      diagnostics->Error(item + ".oversubscription",
                         absl::StrCat("is ", tier.oversubscription, ", expected 0.001 to 1e+06"));
      tier.oversubscription = 1;
    }
  }
  tier.latency =
      Seconds(CheckedNanoseconds(proto.latency_ns(), item + ".latency_ns", diagnostics) * 1e-9);
  tier.rails = proto.rails();
  if (proto.has_usable_fraction()) {
    tier.usable_fraction =
        CheckedFraction(proto.usable_fraction(), item + ".usable_fraction", diagnostics);
  }
  return tier;
}

void LoadNics(const v1::Nodes& proto, const std::string& field, int cluster_chips,
              Diagnostics* diagnostics, Nodes* nodes) {
  nodes->nics_per_node = nodes->chips_per_node;
  if (proto.has_nics_per_node()) {
    nodes->nics_per_node =
        CheckedInt(proto.nics_per_node(), 1, 4096, field + ".nics_per_node", diagnostics);
  }
  const int chips = nodes->chips_per_node, nics = nodes->nics_per_node;
  if (chips % nics != 0 && nics % chips != 0) {
    diagnostics->Error(field + ".nics_per_node",
                       absl::StrCat("is ", nics, ", expected a divisor or a multiple of the ",
                                    chips, " chips of a node"));
  } else if (std::int64_t{cluster_chips} * nics > std::int64_t{kMaxNics} * chips) {
    diagnostics->Error(field + ".nics_per_node",
                       absl::StrCat("is ", nics, ", which makes more than ", kMaxNics, " NICs of ",
                                    cluster_chips, " chips"));
  }
  nodes->nic = BytesPerSecond(1e9 * CheckedQuantity(proto.nic_gbytes_per_s(), kGigabytesPerSecond,
                                                    field + ".nic_gbytes_per_s", diagnostics));
  nodes->nic_latency = Seconds(
      CheckedNanoseconds(proto.nic_latency_ns(), field + ".nic_latency_ns", diagnostics) * 1e-9);
  if (proto.has_nic_usable_fraction()) {
    nodes->nic_usable_fraction =
        CheckedFraction(proto.nic_usable_fraction(), field + ".nic_usable_fraction", diagnostics);
  }
  nodes->missing_protocols.assign(proto.missing_protocols().begin(),
                                  proto.missing_protocols().end());
  nodes->network_reduction = proto.network_reduction();
  nodes->message =
      Seconds(CheckedNanoseconds(proto.message_ns(), field + ".message_ns", diagnostics) * 1e-9);
  if (proto.tiers_size() > 8) {
    diagnostics->Error(field + ".tiers",
                       absl::StrCat("has ", proto.tiers_size(), " tiers, expected at most 8"));
    return;
  }
  for (int i = 0; i < proto.tiers_size(); ++i) {
    nodes->tiers.push_back(
        LoadTier(proto.tiers(i), absl::StrCat(field, ".tiers[", i, "]"), diagnostics));
  }
}

// Chips of each of the fewest nodes that hold `chips` in equal numbers of whole trays; 0: none do.
int ChipsInTrays(int chips, int per_node, int tray) {
  for (int nodes = (chips + per_node - 1) / per_node; nodes <= chips / tray; ++nodes) {
    if (chips % (nodes * tray) == 0) return chips / nodes;
  }
  return 0;
}

// A job that does not fill whole nodes takes trays of each, with their NICs.
void TakeTrays(const v1::Nodes& proto, const std::string& field, Diagnostics* diagnostics,
               Cluster* cluster) {
  if (!proto.has_tray_chips()) return;
  Nodes* nodes = &cluster->nodes;
  const int chips = nodes->chips_per_node, nics = nodes->nics_per_node;
  const int tray = CheckedInt(proto.tray_chips(), 1, 1024, field + ".tray_chips", diagnostics);
  if (chips % tray != 0 || nics * tray % chips != 0) {
    diagnostics->Error(field + ".tray_chips",
                       absl::StrCat("is ", tray, ", expected a divisor of the ", chips,
                                    " chips of a node that leaves each tray whole NICs of ", nics));
    return;
  }
  if (cluster->chips % chips == 0) return;
  const int used = ChipsInTrays(cluster->chips, chips, tray);
  if (used == 0) return;
  nodes->chips_per_node = used;
  nodes->nics_per_node = nics / (chips / tray) * (used / tray);
  diagnostics->Note(absl::StrCat(used, " of the ", chips, " chips of each of ",
                                 cluster->chips / used, " nodes are in use, with their ",
                                 nodes->nics_per_node, " NICs"));
}

// Checks the NICs and tiers only if there is more than one node to join.
void LoadNodes(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics,
               Cluster* cluster) {
  const std::size_t problems = diagnostics->errors().size();
  cluster->chips = CheckedInt(proto.chips(), 1, kMaxChips, field + ".chips", diagnostics);
  Nodes* nodes = &cluster->nodes;
  const Interconnect& net = cluster->chip.interconnect;
  const std::string nodes_field = field + ".nodes";
  nodes->chips_per_node = net.domain_chips;
  if (proto.nodes().chips_per_node() != 0) {
    nodes->chips_per_node = CheckedInt(proto.nodes().chips_per_node(), 1, 1024,
                                       nodes_field + ".chips_per_node", diagnostics);
  }
  if (net.kind == Interconnect::Kind::kNone &&
      std::min(cluster->chips, nodes->chips_per_node) > 1) {
    diagnostics->Error(field + ".chip.interconnect.kind",
                       absl::StrCat("is missing, expected SWITCH or FULL_MESH to join the ",
                                    nodes->chips_per_node, " chips of a node"));
  }
  if (!proto.slice().empty()) {
    diagnostics->Error(field + ".slice", "is \"" + proto.slice().substr(0, 64) +
                                             "\", but the chip is not on a torus; expected chips");
  }
  if (cluster->chips <= nodes->chips_per_node && !proto.has_nodes()) return;
  if (!proto.has_nodes()) {
    diagnostics->Error(
        nodes_field,
        absl::StrCat("is missing, expected the NICs that join the domains of ",
                     nodes->chips_per_node, " chips to a cluster of ", cluster->chips));
    return;
  }
  LoadNics(proto.nodes(), nodes_field, cluster->chips, diagnostics, nodes);
  if (cluster->chips <= nodes->chips_per_node) return;
  TakeTrays(proto.nodes(), nodes_field, diagnostics, cluster);
  if (cluster->chips % nodes->chips_per_node != 0) {
    diagnostics->Error(field + ".chips",
                       absl::StrCat("is ", cluster->chips, ", expected a multiple of the ",
                                    nodes->chips_per_node, " chips of a node, or fewer",
                                    proto.nodes().has_tray_chips()
                                        ? ", or as many whole trays of each of several nodes"
                                        : ""));
  }
  if (diagnostics->errors().size() != problems) return;
  const Status tiers = UsedTiers(nodes->tiers, cluster->chips / nodes->chips_per_node).status();
  if (!tiers.ok()) diagnostics->Error(nodes_field, std::string(tiers.message()));
}

}  // namespace

void ResolveClusterPresets(v1::Cluster* proto, const std::string& field, const Catalog& catalog,
                           Diagnostics* diagnostics) {
  catalog.Resolve("topologies/clusters", field, proto, diagnostics);
  if (proto->has_chip()) {
    catalog.Resolve("topologies/chips", field + ".chip", proto->mutable_chip(), diagnostics);
  }
  if (proto->has_host()) {
    catalog.Resolve("topologies/hosts", field + ".host", proto->mutable_host(), diagnostics);
  }
  if (proto->has_graph()) return;
  // The library that is named, else that of the chip's vendor.
  if (!proto->has_library()) {
    const std::string name = LibraryOfVendor(proto->chip().vendor());
    if (name.empty()) return;
    proto->mutable_library()->set_preset(name);
  }
  catalog.Resolve(kLibraries, field + ".library", proto->mutable_library(), diagnostics);
}

Cluster LoadCluster(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics) {
  Cluster cluster;
  cluster.name = !proto.name().empty() ? proto.name() : proto.preset();
  if (!proto.has_chip()) {
    diagnostics->Error(field + ".chip", "is missing, expected chip { preset: \"...\" }");
    return cluster;
  }
  cluster.chip = LoadChip(proto.chip(), field + ".chip", diagnostics);
  if (proto.has_power_limit_watts()) {
    LimitPower(proto.power_limit_watts(), field + ".power_limit_watts", diagnostics, &cluster.chip);
  }
  if (proto.host().has_dispatch_ns()) {
    cluster.chip.calibration.host_dispatch = Seconds(
        CheckedNanoseconds(proto.host().dispatch_ns(), field + ".host.dispatch_ns", diagnostics) *
        1e-9);
  }
  cluster.confidence =
      std::max(cluster.chip.confidence,
               LoadConfidence(proto.confidence(), field + ".confidence", diagnostics));
  if (proto.has_graph()) {
    LoadGraph(proto, field, diagnostics, &cluster);
  } else if (cluster.chip.interconnect.kind == Interconnect::Kind::kTorus) {
    LoadTorus(proto, field, diagnostics, &cluster);
  } else {
    LoadNodes(proto, field, diagnostics, &cluster);
  }
  if (!cluster.is_graph() && proto.has_library()) {
    cluster.library = LoadLibrary(proto.library(), cluster, field + ".library", diagnostics);
  }
  return cluster;
}

void SetLibrary(const std::string& name, const std::string& field, const Catalog& catalog,
                Cluster* cluster, Diagnostics* diagnostics) {
  const auto [preset, release] = NameAndRelease(name);
  v1::CollectiveLibrary proto;
  proto.set_preset(preset);
  if (!release.empty()) proto.set_release(release);
  const std::size_t problems = diagnostics->errors().size();
  catalog.Resolve(kLibraries, field, &proto, diagnostics);
  if (cluster->is_graph() || diagnostics->errors().size() != problems) return;
  cluster->library = LoadLibrary(proto, *cluster, field, diagnostics);
}

}  // namespace meshstep
