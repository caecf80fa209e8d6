#include "sim/cost/library/tuner.h"

#include <algorithm>
#include <cmath>

#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/unit_load.h"

namespace meshstep {
namespace {

using Formula = LibraryAlgorithm::Formula;

constexpr double kFirstSize = 64;  // of size_factors
constexpr double kPlateauBytes = 64, kChannels = 16;
constexpr double kPatSteps = 3.5;  // network steps of PAT that are under way at once

// Network steps of an algorithm by tier, and what the cluster's network adds to them.
Seconds NetworkSteps(const LibraryShape& shape, Formula formula, Seconds step, Seconds expected) {
  Seconds total;
  double hops = shape.nodes;  // of a ring, at this tier or above
  for (const LibraryShape::Tier& tier : shape.tiers) {
    double steps = 0;
    switch (formula) {
      case Formula::kRing: {
        const bool top = &tier == &shape.tiers.back();
        const double above = top ? 0 : hops / tier.units;
        steps = (hops - above) * (shape.nodes - 1) / shape.nodes;
        hops = above;
        break;
      }
      case Formula::kTree:
      case Formula::kNvlsTree:
        steps = std::log2(tier.units);
        break;
      case Formula::kPat:
        steps = std::log2(tier.units) / kPatSteps;
        break;
      case Formula::kSendReceive:
      case Formula::kNvls:
      case Formula::kCollNetDirect:
      case Formula::kCollNetChain:
        steps = &tier == &shape.tiers.back() ? 1 : 0;
        break;
    }
    total += steps * (step + std::max(Seconds(0), tier.latency - expected));
  }
  // Steps under way at once take no less than one message.
  if (formula == Formula::kPat && !shape.tiers.empty()) {
    total = std::max(total, shape.tiers.back().latency);
  }
  return total;
}

Seconds LatencyOf(const LibraryConstants& c, const CollectiveLibrary& library, Formula formula,
                  Collective collective, const LibraryShape& shape) {
  const double n = shape.ranks, nodes = shape.nodes;
  const Seconds network = NetworkSteps(shape, formula, c.network_step, library.network_latency);
  const Seconds node_step = nodes > 1 ? std::max(c.node_step, c.overhead) : c.node_step;
  switch (formula) {
    case Formula::kRing:
      return c.base + (collective == Collective::kAllReduce ? 2.0 : 1.0) *
                          ((n - nodes) * node_step + network);
    case Formula::kTree:
      return c.base + 2.0 * ((shape.per_node() - 1) * c.node_step + network);
    case Formula::kNvls:
      return c.base + c.node_step + network;
    case Formula::kNvlsTree:
      return c.base + c.node_step + 2.0 * network;
    case Formula::kPat:
      return c.base + network + n * c.overhead;
    case Formula::kSendReceive:
      return c.base + network + (n - 1) * c.overhead + (n - shape.per_node()) * library.message;
    case Formula::kCollNetDirect: {
      const double peers = shape.per_node() - 1;
      return c.base + 2.0 * (std::min(1.0, peers) * c.node_step + peers * c.overhead) + network;
    }
    case Formula::kCollNetChain:
      return c.base + 2.0 * (shape.per_node() - 1) * c.node_step + network;
  }
  return Seconds(0);
}

BytesPerSecond CapOf(const LibraryAlgorithm& entry, const LibraryShape& shape) {
  return entry.bus[static_cast<std::size_t>(std::min(shape.nodes, 3) - 1)];
}

// Bus bandwidth by the library's rules; `as_tuner`: it takes two nodes, and any number whose network
// adds up, for as fast between as inside.
BytesPerSecond BusOf(const LibraryAlgorithm& entry, const LibraryShape& shape, bool as_tuner) {
  const bool has_port = shape.port > BytesPerSecond(0);
  BytesPerSecond bus = has_port ? shape.port : shape.network;
  const bool collnet =
      entry.formula == Formula::kCollNetDirect || entry.formula == Formula::kCollNetChain;
  const bool by_port = as_tuner && (collnet || shape.nodes <= 2);
  if (has_port && shape.nodes > 1 && !by_port) bus = std::min(bus, shape.network);
  bus = bus * entry.bus_fraction;
  const BytesPerSecond cap = CapOf(entry, shape);
  return cap > BytesPerSecond(0) ? std::min(bus, cap) : bus;
}

bool RunsOn(const LibraryAlgorithm& entry, const LibraryShape& shape) {
  return shape.ranks >= entry.min_ranks && shape.nodes >= entry.min_nodes &&
         shape.per_node() <= entry.max_ranks_per_node &&
         shape.nodes <= entry.ConstantsOn(shape.nodes).max_nodes;
}

const CollectiveAlgorithm* RunsAs(const LibraryAlgorithm& entry, Collective collective,
                                  const Group& group) {
  for (const std::string& name : entry.runs_as) {
    const CollectiveAlgorithm* algorithm = FindAlgorithm(name);
    if (algorithm != nullptr && algorithm->Supports(collective, group)) return algorithm;
  }
  return nullptr;
}

bool Has(const LibraryAlgorithm& entry, Collective collective) {
  return std::find(entry.collectives.begin(), entry.collectives.end(), NameOf(collective)) !=
         entry.collectives.end();
}

}  // namespace

LibraryShape ShapeOf(const Fabric& fabric, const Group& group) {
  LibraryShape shape;
  for (const Level& level : fabric.levels()) {
    if (level.kind != Level::Kind::kNetwork) shape.whole_port = level.bandwidth;
  }
  shape.ranks = group.size();
  const int per_node = RanksPerNode(group);
  shape.nodes = shape.ranks / per_node;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind != Level::Kind::kNetwork) {
      shape.port = dim.bandwidth;
      continue;
    }
    const BytesPerSecond share = dim.bandwidth * per_node;
    shape.network = shape.tiers.empty() ? share : std::min(shape.network, share);
    shape.tiers.push_back({dim.size, dim.latency});
  }
  return shape;
}

double LibraryEntry::SizeFactor(Bytes bytes) const {
  const std::vector<double>& factors = entry->size_factors;
  if (factors.empty()) return 1;
  const double x = std::log2(std::max(bytes.value() / kFirstSize, 1.0));
  const auto low = static_cast<std::size_t>(x);
  const auto at = [&](std::size_t i) { return i < factors.size() ? factors[i] : 1; };
  const double part = x - static_cast<double>(low);
  return at(low) * (1 - part) + at(low + 1) * part;
}

std::vector<LibraryEntry> EntriesOf(const CollectiveLibrary& library, const LibraryShape& shape,
                                    Collective collective, const Group& group) {
  std::vector<LibraryEntry> entries;
  for (const LibraryAlgorithm& entry : library.algorithms) {
    if (!Has(entry, collective) || !RunsOn(entry, shape)) continue;
    const CollectiveAlgorithm* runs = RunsAs(entry, collective, group);
    if (runs == nullptr) continue;
    const LibraryConstants& c = entry.ConstantsOn(shape.nodes);
    LibraryEntry made;
    made.entry = &entry;
    made.runs = runs;
    made.tuner_latency = LatencyOf(entry.own, library, entry.formula, collective, shape);
    made.tuner_bus = BusOf(entry, shape, true);
    made.latency = LatencyOf(c, library, entry.formula, collective, shape);
    // A protocol's part of the rate, or its cap, holds inside nodes and between them.
    const BytesPerSecond cap = CapOf(entry, shape);
    const auto part = [&](BytesPerSecond link) {
      const bool capped = cap > BytesPerSecond(0) && link > BytesPerSecond(0);
      return capped ? std::min(entry.bus_fraction, cap / link) : entry.bus_fraction;
    };
    made.node_fraction = c.node_fraction * part(shape.port);
    made.network_fraction = c.network_fraction * part(shape.network);
    const BytesPerSecond bus = BusOf(entry, shape, false);
    if (shape.whole_port > BytesPerSecond(0)) made.units = std::min(1.0, bus / shape.whole_port);
    made.units *= entry.unit_share;
    entries.push_back(made);
  }
  return entries;
}

Seconds TunerTime(const LibraryEntry& entry, const LibraryShape& shape, Collective collective,
                  Bytes bytes) {
  const double n = shape.ranks;
  const bool all_reduce = collective == Collective::kAllReduce;
  const bool ring = entry.entry->formula == Formula::kRing;
  const double times = !all_reduce ? (n - 1) / n : ring ? 2 * (n - 1) / n : 2;
  const std::vector<double>& factors = entry.entry->size_factors;
  // The tuner steps from one size to the next.
  const double size = std::floor(std::log2(std::max(bytes.value() / kFirstSize, 1.0)));
  const double factor =
      size < static_cast<double>(factors.size()) ? factors[static_cast<std::size_t>(size)] : 1;
  const bool is_large = bytes.value() >= kPlateauBytes * kChannels * n;
  const double plateau = all_reduce && shape.nodes > 1 && is_large ? entry.entry->plateau : 1;
  return entry.tuner_latency * plateau + bytes * times / (entry.tuner_bus * factor);
}

}  // namespace meshstep
