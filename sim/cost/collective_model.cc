#include "sim/cost/collective_model.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/link_load.h"

namespace meshstep {

struct CollectiveModel::Impl {
  const Mesh* mesh;
  const LinkClasses* classes;
  Fidelity fidelity;
  using Key =
      std::tuple<Collective, Bytes, std::vector<AxisId>, std::vector<int>, std::string, Copies>;
  mutable std::map<Key, CollectiveCost> cache;

  BytesPerSecond Capacity(int link) const {
    return classes != nullptr ? classes->capacity(link) : mesh->fabric().capacity(link);
  }

  // What distinguishes the groups whose cost differs: the whole device when links are explicit.
  std::vector<int> PlaceOf(DeviceId device) const {
    if (classes == nullptr) return {device};
    return classes->DeviceKey(device);
  }

  // Appends a phase and the time it takes on an idle fabric.
  void AddPhase(std::span<const AxisId> axes, DeviceId device, const TrafficPhase& phase,
                CollectiveCost* cost) const {
    const LinkLoad load = LoadOf(*mesh, classes, axes, device, phase);
    cost->phases.push_back({Time::RoundUp(phase.latency), load.demands, load.weight});
    cost->idle_time += IdleTime(cost->phases.back());
  }

  // Outermost first. Who takes part decides the time, not the order in which axes are named; on a
  // torus the first of them is the first that algorithms take.
  std::vector<AxisId> AsPlaced(std::span<const AxisId> axes) const {
    std::vector<AxisId> list(axes.begin(), axes.end());
    const auto parts = [&](AxisId axis) -> const std::vector<AxisPart>& {
      return mesh->axes()[static_cast<std::size_t>(axis)].parts;
    };
    for (const AxisId axis : list) {
      for (const AxisPart& part : parts(axis)) {
        const auto level = static_cast<std::size_t>(part.level);
        if (mesh->fabric().levels()[level].kind == Level::Kind::kTorus) return list;
      }
    }
    std::stable_sort(list.begin(), list.end(), [&](AxisId a, AxisId b) {
      if (parts(a).empty() || parts(b).empty()) return !parts(a).empty() && parts(b).empty();
      const AxisPart &x = parts(a).front(), &y = parts(b).front();
      return std::pair(x.level, x.stride) > std::pair(y.level, y.stride);
    });
    return list;
  }

  // What is priced, but for the algorithm.
  struct Request {
    Collective collective;
    Bytes bytes;
    Copies copies;
  };

  static std::vector<TrafficPhase> TrafficOf(const CollectiveAlgorithm& algorithm,
                                             const Request& request, const Group& group) {
    std::vector<TrafficPhase> traffic = algorithm.Traffic(request.collective, request.bytes, group);
    const bool by_node = algorithm.JoinsCopies();
    if (request.collective != Collective::kAllToAll || (!by_node && !request.copies.by_rank)) {
      return traffic;
    }
    const int per_node = RanksPerNode(group);
    const double inside = JoinedShare(request.copies, group.size());
    const int nodes = group.size() / per_node;
    const double across = by_node ? JoinedShare(request.copies, nodes) : inside;
    for (TrafficPhase& phase : traffic) {
      for (RankFlow& flow : phase.flows) {
        const bool near = flow.src / per_node == flow.dst / per_node;
        flow.bytes = flow.bytes * (near ? inside : across);
      }
    }
    return traffic;
  }

  CollectiveCost Price(const CollectiveAlgorithm& algorithm, const Request& request,
                       std::span<const AxisId> axes, DeviceId device, const Group& group) const {
    const auto& [collective, bytes, copies] = request;
    const Measured what{collective, algorithm.name(), copies.mover};
    if (const auto across = AcrossNodes(group, what); !across.empty()) {
      return PriceAcross(across, algorithm, request, axes, device, group);
    }
    CollectiveCost cost;
    cost.algorithm = &algorithm;
    std::vector<Bytes> sent(group.members.size());
    for (const TrafficPhase& phase : TrafficOf(algorithm, request, group)) {
      for (const RankFlow& flow : phase.flows)
        sent[static_cast<std::size_t>(flow.src)] += flow.bytes;
      AddPhase(axes, device, phase, &cost);
    }
    cost.sent_per_device = *std::max_element(sent.begin(), sent.end());
    if (const CollectiveCalibration* measured = MeasuredOn(group, what)) {
      const bool by_item = !measured->dispatcher.empty();
      Calibrate(*measured, by_item ? Bytes(copies.item_bytes) : bytes, group, &cost);
    }
    return cost;
  }

  // By the protocol that is quickest for these bytes; entries of other collectives and algorithms
  // are passed over.
  CollectiveCost PriceAcross(std::span<const NetworkCalibration> entries,
                             const CollectiveAlgorithm& algorithm, const Request& request,
                             std::span<const AxisId> axes, DeviceId device,
                             const Group& group) const {
    CollectiveCost best;
    const std::vector<TrafficPhase> traffic = TrafficOf(algorithm, request, group);
    const Measured what{request.collective, algorithm.name(), request.copies.mover};
    for (const NetworkCalibration& entry : entries) {
      if (!HoldsFor(entry, what)) continue;
      CollectiveCost cost = PriceByProtocol(entry, traffic, axes, device, group);
      cost.algorithm = &algorithm;
      if (best.algorithm == nullptr || cost.idle_time < best.idle_time) best = std::move(cost);
    }
    return best;
  }

  CollectiveCost PriceByProtocol(const NetworkCalibration& entry,
                                 const std::vector<TrafficPhase>& traffic,
                                 std::span<const AxisId> axes, DeviceId device,
                                 const Group& group) const {
    const int per_node = RanksPerNode(group);
    Seconds alpha;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind == Level::Kind::kNetwork) alpha = std::max(alpha, dim.latency);
    }
    const Seconds latency = entry.Latency(group.size(), group.size() / per_node, alpha);
    CollectiveCost cost;
    std::vector<Bytes> sent(group.members.size());
    for (TrafficPhase phase : traffic) {
      phase.latency = latency / static_cast<double>(traffic.size());
      for (RankFlow& flow : phase.flows) {
        sent[static_cast<std::size_t>(flow.src)] += flow.bytes;
        const bool inside = flow.src / per_node == flow.dst / per_node;
        flow.bytes = flow.bytes / (inside ? entry.node_fraction : entry.network_fraction);
      }
      AddPhase(axes, device, phase, &cost);
    }
    cost.sent_per_device = *std::max_element(sent.begin(), sent.end());
    return cost;
  }

  static int RanksPerNode(const Group& group) {
    int ranks = 1;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind != Level::Kind::kNetwork) ranks *= dim.size;
    }
    return ranks;
  }

  // What measurements are looked up for.
  struct Measured {
    Collective collective;
    std::string_view algorithm;
    Mover mover;
  };

  static bool HoldsFor(const NetworkCalibration& entry, const Measured& what) {
    return entry.collective == NameOf(what.collective) && entry.dispatcher == NameOf(what.mover) &&
           entry.algorithm == (what.algorithm == "rail-ring" ? "ring" : what.algorithm);
  }

  // Measurements across nodes that hold for the collective and algorithm; none if there are none.
  std::span<const NetworkCalibration> AcrossNodes(const Group& group, const Measured& what) const {
    if (group.dims.back().kind != Level::Kind::kNetwork) return {};
    const std::vector<NetworkCalibration>& entries =
        mesh->fabric().levels()[static_cast<std::size_t>(group.dims.back().level)].across;
    const bool any =
        std::any_of(entries.begin(), entries.end(),
                    [&](const NetworkCalibration& entry) { return HoldsFor(entry, what); });
    return any ? std::span<const NetworkCalibration>(entries)
               : std::span<const NetworkCalibration>();
  }

  bool IsMeasured(const Group& group, const Measured& what) const {
    return MeasuredOn(group, what) != nullptr || !AcrossNodes(group, what).empty();
  }

  // What was measured of the collective inside one unit of the group's level; nullptr if nothing.
  // Of a dispatcher that was not measured: what was of the library.
  const CollectiveCalibration* MeasuredOn(const Group& group, const Measured& what) const {
    if (group.dims.size() != 1) return nullptr;
    const int level = group.dims.front().level;
    const CollectiveCalibration* found = nullptr;
    for (const CollectiveCalibration& entry :
         mesh->fabric().levels()[static_cast<std::size_t>(level)].measured) {
      const bool own = entry.dispatcher == NameOf(what.mover);
      if ((!own && !entry.dispatcher.empty()) || entry.collective != NameOf(what.collective) ||
          entry.algorithm != what.algorithm || !entry.Holds(group.size())) {
        continue;
      }
      if (found == nullptr || (own && found->dispatcher.empty())) found = &entry;
      if (found->dispatcher == NameOf(what.mover)) break;
    }
    return found;
  }

  // bytes: what the measured rates depend on.
  // Spreads the measured latency over the phases, and lets every byte hold the links for as long as
  // it does at the measured rate.
  void Calibrate(const CollectiveCalibration& measured, Bytes bytes, const Group& group,
                 CollectiveCost* cost) const {
    const Seconds latency =
        measured.Latency(group.size()) / static_cast<double>(cost->phases.size());
    const double slower =
        LinkBandwidth(group.dims.front()) / measured.PortRateAt(group.size(), bytes);
    cost->idle_time = Seconds(0);
    for (CostPhase& phase : cost->phases) {
      phase.latency = Time::RoundUp(latency);
      phase.weight = phase.weight * slower;
      for (LinkDemand& demand : phase.demands) demand.bytes = demand.bytes * slower;
      cost->idle_time += IdleTime(phase);
    }
  }

  Seconds IdleTime(const CostPhase& phase) const {
    Seconds drain;
    for (const LinkDemand& demand : phase.demands) {
      drain = std::max(drain, demand.bytes / Capacity(demand.link));
    }
    return Seconds((phase.latency + Time::RoundUp(drain)).seconds());
  }

  StatusOr<CollectiveCost> Choose(const Request& request, std::span<const AxisId> axes,
                                  DeviceId device, std::string_view name) const {
    const Collective collective = request.collective;
    const Group group = mesh->GroupOf(axes, device);
    if (group.size() == 1) return CollectiveCost{};
    if (name != "auto") {
      const CollectiveAlgorithm* algorithm = FindAlgorithm(name);
      if (algorithm == nullptr) {
        return InvalidInput(absl::StrCat("algorithm: is \"", std::string(name),
                                         "\", expected auto or one of ", Known(collective, group)));
      }
      if (!algorithm->Supports(collective, group)) {
        return InvalidInput(absl::StrCat(
            "algorithm: \"", std::string(name), "\" does not run ", std::string(NameOf(collective)),
            " on this group of ", group.size(), "; expected one of ", Known(collective, group)));
      }
      return Price(*algorithm, request, axes, device, group);
    }
    CollectiveCost best;
    for (const CollectiveAlgorithm* algorithm :
         Candidates(collective, group, request.copies.mover)) {
      CollectiveCost cost = Price(*algorithm, request, axes, device, group);
      if (best.algorithm == nullptr || cost.idle_time < best.idle_time) best = std::move(cost);
    }
    CHECK(best.algorithm != nullptr) << "no algorithm for " << NameOf(collective) << " ";
    return best;
  }

  // Where the library was measured, it runs one of the algorithms measured; elsewhere, on nodes of
  // chips and for real predictions, one of those that NCCL has.
  std::vector<const CollectiveAlgorithm*> Candidates(Collective collective, const Group& group,
                                                     Mover mover) const {
    std::vector<const CollectiveAlgorithm*> all, measured, in_library;
    const bool nodes =
        std::none_of(group.dims.begin(), group.dims.end(),
                     [](const Group::Dim& dim) { return dim.kind == Level::Kind::kTorus; });
    for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
      if (algorithm->ByNameOnly() || !algorithm->Supports(collective, group)) continue;
      all.push_back(algorithm);
      if (IsMeasured(group, {collective, algorithm->name(), mover})) measured.push_back(algorithm);
      if (nodes && IsInNccl(algorithm->name(), collective, group)) in_library.push_back(algorithm);
    }
    if (!measured.empty()) return measured;
    return fidelity == Fidelity::kCalibrated && !in_library.empty() ? in_library : all;
  }

  // On switches NCCL gathers and reduces by rings, trees and the switch itself, never by halving
  // and doubling or by writing to all peers at once.
  static bool IsInNccl(std::string_view algorithm, Collective collective, const Group& group) {
    const bool all_to_all = collective == Collective::kAllToAll;
    if (algorithm == "direct") {
      return all_to_all || group.dims.front().kind == Level::Kind::kFullMesh;
    }
    return algorithm != "halving-doubling" && algorithm != "bidirectional-ring";
  }

  static std::string Known(Collective collective, const Group& group) {
    std::string known;
    for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
      if (!algorithm->Supports(collective, group)) continue;
      absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(algorithm->name()));
    }
    return known;
  }
};

CollectiveModel::CollectiveModel(const Mesh& mesh, const LinkClasses* classes, Fidelity fidelity)
    : impl_(new Impl{&mesh, classes, fidelity, {}}) {}

CollectiveModel::~CollectiveModel() = default;

StatusOr<CollectiveCost> CollectiveModel::Cost(Collective collective, Bytes bytes,
                                               std::span<const AxisId> axes, DeviceId device,
                                               std::string_view algorithm,
                                               const Copies& copies) const {
  const std::vector<AxisId> list = impl_->AsPlaced(axes);
  const Impl::Key key{collective, bytes, list, impl_->PlaceOf(device), std::string(algorithm),
                      copies};
  const auto found = impl_->cache.find(key);
  if (found != impl_->cache.end()) return found->second;
  ASSIGN_OR_RETURN(const CollectiveCost cost,
                   impl_->Choose({collective, bytes, copies}, list, device, algorithm));
  return impl_->cache.emplace(key, cost).first->second;
}

CollectiveCost CollectiveModel::PointToPoint(Bytes bytes, AxisId axis, DeviceId src,
                                             DeviceId dst) const {
  CollectiveCost cost;
  if (src == dst) return cost;
  const Mesh& mesh = *impl_->mesh;
  cost.algorithm = FindAlgorithm("point-to-point");
  cost.sent_per_device = bytes;
  TrafficPhase phase{.latency = mesh.fabric().Latency(src, dst), .flows = {}};
  phase.flows.push_back({mesh.Coordinate(src, axis), mesh.Coordinate(dst, axis), bytes});
  impl_->AddPhase({&axis, 1}, src, phase, &cost);
  return cost;
}

}  // namespace meshstep
