#include "sim/cost/collective_model.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/images.h"
#include "sim/cost/library/tuner.h"
#include "sim/cost/link_load.h"
#include "sim/cost/measured_collectives.h"
#include "sim/cost/torus_overheads.h"
#include "sim/cost/unit_load.h"

namespace meshstep {

struct CollectiveModel::Impl {
  const Mesh* mesh;
  const LinkClasses* classes;
  Fidelity fidelity;
  std::shared_ptr<LoadCounters> counters;
  int user;  // of the counters
  using Key = std::tuple<Collective, Bytes, std::vector<AxisId>, std::vector<int>, std::string,
                         Copies, std::string>;
  mutable std::map<Key, CollectiveCost> cache;
  using LoadKey =
      std::tuple<const CollectiveAlgorithm*, Collective, std::vector<AxisId>, std::vector<int>>;
  mutable std::map<LoadKey, UnitLoad> loads;
  // What does not depend on the size.
  struct GroupFacts {
    Group group;
    std::map<Collective, std::vector<LibraryEntry>> entries;
  };
  mutable std::map<std::pair<std::vector<AxisId>, std::vector<int>>, GroupFacts> known;

  GroupFacts& FactsOf(std::span<const AxisId> axes, DeviceId device) const {
    const std::pair key(std::vector<AxisId>(axes.begin(), axes.end()), PlaceOf(device));
    const auto found = known.find(key);
    if (found != known.end()) return found->second;
    return known.emplace(key, GroupFacts{mesh->GroupOf(axes, device), {}}).first->second;
  }

  BytesPerSecond Capacity(int link) const {
    return classes != nullptr ? classes->capacity(link) : mesh->fabric().capacity(link);
  }

  // What distinguishes the groups whose cost differs: the whole device when links are explicit.
  std::vector<int> PlaceOf(DeviceId device) const {
    if (classes == nullptr) return {device};
    return classes->DeviceKey(device);
  }

  LinkLoad LoadOfPhase(std::span<const AxisId> axes, DeviceId device,
                       const TrafficPhase& phase) const {
    return LoadOf(*mesh, classes, axes, device, phase, user, counters.get());
  }

  // Appends a phase and the time it takes on an idle fabric.
  void AddPhase(std::span<const AxisId> axes, DeviceId device, const TrafficPhase& phase,
                CollectiveCost* cost) const {
    const LinkLoad load = LoadOfPhase(axes, device, phase);
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
    const CollectiveCost* as = nullptr;  // what is chosen as there; null: the quickest
  };

  // What part of the bytes moves inside nodes and between them; less than all where copies are
  // joined.
  static std::pair<double, double> Moved(const CollectiveAlgorithm& algorithm,
                                         const Request& request, const Group& group) {
    const bool by_node = algorithm.JoinsCopies();
    if (request.collective != Collective::kAllToAll || (!by_node && !request.copies.by_rank)) {
      return {1, 1};
    }
    const double inside = JoinedShare(request.copies, group.size());
    const int nodes = group.size() / RanksPerNode(group);
    return {inside, by_node ? JoinedShare(request.copies, nodes) : inside};
  }

  static std::vector<TrafficPhase> TrafficOf(const CollectiveAlgorithm& algorithm,
                                             const Request& request, const Group& group) {
    std::vector<TrafficPhase> traffic = algorithm.Traffic(request.collective, request.bytes, group);
    const auto [inside, across] = Moved(algorithm, request, group);
    if (inside == 1 && across == 1) return traffic;
    const int per_node = RanksPerNode(group);
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
    const auto& [collective, bytes, copies, as] = request;
    const Measured what{collective, algorithm.name(), copies.mover};
    if (const auto across = MeasuredAcross(mesh->fabric(), group, what); !across.empty()) {
      return PriceAcross(across, algorithm, request, axes, device, group);
    }
    CollectiveCost cost;
    cost.algorithm = &algorithm;
    std::vector<Bytes> sent(group.members.size());
    std::vector<TrafficPhase> traffic = TrafficOf(algorithm, request, group);
    for (const TrafficPhase& phase : traffic) {
      for (const RankFlow& flow : phase.flows)
        sent[static_cast<std::size_t>(flow.src)] += flow.bytes;
    }
    AddTorusOverheads(mesh->fabric(), group, collective, &traffic);
    if (fidelity == Fidelity::kIdeal) {
      LimitLatency(LibraryLatency(algorithm, collective, axes, device), &traffic);
    }
    for (const TrafficPhase& phase : traffic) AddPhase(axes, device, phase, &cost);
    cost.sent_per_device = *std::max_element(sent.begin(), sent.end());
    if (const CollectiveCalibration* measured = MeasuredOn(mesh->fabric(), group, what)) {
      const bool by_item = !measured->dispatcher.empty();
      Calibrate(*measured, by_item ? Bytes(copies.item_bytes) : bytes, group, &cost);
    }
    return cost;
  }

  // The least that the library's protocols take to start and step through the algorithm; infinite
  // where it has none. A step over NVLink takes Simple longer than LL128, which an ideal machine
  // does not wait for.
  Seconds LibraryLatency(const CollectiveAlgorithm& algorithm, Collective collective,
                         std::span<const AxisId> axes, DeviceId device) const {
    Seconds least(std::numeric_limits<double>::infinity());
    for (const LibraryEntry& entry : Entries(collective, axes, device)) {
      if (entry.runs == &algorithm) least = std::min(least, entry.latency);
    }
    return least;
  }

  static void LimitLatency(Seconds most, std::vector<TrafficPhase>* traffic) {
    Seconds total;
    for (const TrafficPhase& phase : *traffic) total += phase.latency;
    if (total <= most) return;
    for (TrafficPhase& phase : *traffic) phase.latency = phase.latency * (most / total);
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
      CollectiveCost cost =
          PriceByProtocol(entry, traffic, request.copies.item_bytes, axes, device, group);
      cost.algorithm = &algorithm;
      if (best.algorithm == nullptr || cost.idle_time < best.idle_time) best = std::move(cost);
    }
    return best;
  }

  CollectiveCost PriceByProtocol(const NetworkCalibration& entry,
                                 const std::vector<TrafficPhase>& traffic, double item_bytes,
                                 std::span<const AxisId> axes, DeviceId device,
                                 const Group& group) const {
    const int per_node = RanksPerNode(group);
    Seconds alpha;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind == Level::Kind::kNetwork) alpha = std::max(alpha, dim.latency);
    }
    CollectiveCost cost;
    std::vector<Bytes> sent(group.members.size()), left = sent;
    std::vector<TrafficPhase> slowed = traffic;
    for (TrafficPhase& phase : slowed) {
      for (RankFlow& flow : phase.flows) {
        const bool inside = flow.src / per_node == flow.dst / per_node;
        sent[static_cast<std::size_t>(flow.src)] += flow.bytes;
        if (!inside) left[static_cast<std::size_t>(flow.src)] += flow.bytes;
        flow.bytes = flow.bytes / (inside ? entry.node_fraction : entry.network_fraction);
      }
    }
    Seconds latency = entry.Latency(group.size(), group.size() / per_node, alpha);
    if (const CollectiveLibrary* library = mesh->fabric().library();
        library != nullptr && item_bytes > 0) {
      const double messages = *std::max_element(left.begin(), left.end()) / Bytes(item_bytes);
      latency += messages * library->message;
    }
    for (TrafficPhase& phase : slowed) {
      phase.latency = latency / static_cast<double>(slowed.size());
      AddPhase(axes, device, phase, &cost);
    }
    cost.sent_per_device = *std::max_element(sent.begin(), sent.end());
    return cost;
  }

  // Measurements of the collective, by its algorithm, inside one unit or across nodes.
  bool IsMeasured(const Group& group, const Measured& what) const {
    return MeasuredOn(mesh->fabric(), group, what) != nullptr ||
           !MeasuredAcross(mesh->fabric(), group, what).empty();
  }

  // bytes: what the measured rates depend on.
  // Spreads the measured latency over the phases, and lets every byte hold the links for as long as
  // it does at the measured rate.
  void Calibrate(const CollectiveCalibration& measured, Bytes bytes, const Group& group,
                 CollectiveCost* cost) const {
    const Seconds latency = MeasuredLatency(mesh->fabric(), measured, *cost->algorithm, group) /
                            static_cast<double>(cost->phases.size());
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

  // What the library's entry takes.
  CollectiveCost PriceEntry(const LibraryEntry& entry, const Request& request,
                            std::span<const AxisId> axes, DeviceId device,
                            const Group& group) const {
    const UnitLoad& load = LoadOfOne(*entry.runs, request.collective, axes, device);
    const auto [inside, across] = Moved(*entry.runs, request, group);
    const double factor = entry.SizeFactor(request.bytes);
    CollectiveCost cost = Scaled(load, request.bytes, inside / (entry.node_fraction * factor),
                                 across / (entry.network_fraction * factor), entry.latency);
    cost.sent_per_device =
        request.bytes.value() * (load.sent_inside * inside + load.sent_across * across);
    cost.algorithm = entry.runs;
    cost.library_name = entry.entry->name;
    cost.protocol = entry.entry->protocol;
    cost.units = entry.units;
    for (const CostPhase& phase : cost.phases) cost.idle_time += IdleTime(phase);
    return cost;
  }

  const UnitLoad& LoadOfOne(const CollectiveAlgorithm& algorithm, Collective collective,
                            std::span<const AxisId> axes, DeviceId device) const {
    const LoadKey key{&algorithm, collective, {axes.begin(), axes.end()}, PlaceOf(device)};
    const auto found = loads.find(key);
    if (found != loads.end()) return found->second;
    if (const DeviceId first = FirstImage(*mesh, classes, axes, device); first != device) {
      const Images images(*mesh, *classes, first, device);
      UnitLoad load = LoadOfOne(algorithm, collective, axes, first);
      for (UnitPhase& phase : load.phases) {
        for (LinkLoad* part : {&phase.inside, &phase.across}) images.Move(&part->demands);
      }
      return loads.emplace(key, std::move(load)).first->second;
    }
    const auto of_phase = [&](const TrafficPhase& phase) {
      return LoadOfPhase(axes, device, phase);
    };
    return loads
        .emplace(key, UnitLoadOf(algorithm, collective, mesh->GroupOf(axes, device), of_phase))
        .first->second;
  }

  // The library's entries for the group.
  const std::vector<LibraryEntry>& Entries(Collective collective, std::span<const AxisId> axes,
                                           DeviceId device) const {
    GroupFacts& here = FactsOf(axes, device);
    const auto [at, is_new] = here.entries.try_emplace(collective);
    const CollectiveLibrary* library = mesh->fabric().library();
    if (is_new && library != nullptr && IsOfNodes(here.group)) {
      at->second = EntriesOf(*library, ShapeOf(mesh->fabric(), here.group), collective, here.group);
    }
    return at->second;
  }

  // By the entry that is quickest, among those of one algorithm if `only` is given; no algorithm
  // where there is none, nor on an ideal machine.
  CollectiveCost Quickest(const CollectiveAlgorithm* only, const Request& request,
                          std::span<const AxisId> axes, DeviceId device, const Group& group) const {
    CollectiveCost best;
    if (fidelity == Fidelity::kIdeal) return best;
    for (const LibraryEntry& entry : Entries(request.collective, axes, device)) {
      if (only != nullptr && entry.runs != only) continue;
      if (request.bytes > entry.entry->max_bytes) continue;
      const std::string_view as = request.as == nullptr ? "" : request.as->protocol;
      if (!as.empty() && as != entry.entry->protocol) continue;
      CollectiveCost cost = PriceEntry(entry, request, axes, device, group);
      if (best.algorithm == nullptr || cost.idle_time < best.idle_time) best = std::move(cost);
    }
    return best;
  }

  // The library's start of every collective, before anything moves.
  void AddLaunch(CollectiveCost* cost) const {
    const CollectiveLibrary* library = mesh->fabric().library();
    if (library == nullptr || fidelity == Fidelity::kIdeal || cost->phases.empty()) return;
    const Time launch = Time::RoundUp(library->launch);
    cost->phases.front().latency += launch;
    cost->idle_time += Seconds(launch.seconds());
  }

  StatusOr<CollectiveCost> ByName(const Request& request, std::span<const AxisId> axes,
                                  DeviceId device, const Group& group,
                                  std::string_view name) const {
    const Collective collective = request.collective;
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
    if (IsOfLibrary(request.copies) &&
        !IsMeasured(group, {collective, name, request.copies.mover})) {
      CollectiveCost cost = Quickest(algorithm, request, axes, device, group);
      if (cost.algorithm != nullptr) return cost;
    }
    return Price(*algorithm, request, axes, device, group);
  }

  StatusOr<CollectiveCost> Choose(const Request& request, std::span<const AxisId> axes,
                                  DeviceId device, std::string_view name) const {
    const Collective collective = request.collective;
    const Group& group = FactsOf(axes, device).group;
    if (group.size() == 1) return CollectiveCost{};
    if (name != "auto") return ByName(request, axes, device, group, name);
    std::vector<const CollectiveAlgorithm*> candidates =
        Measurements(collective, group, request.copies.mover);
    CollectiveCost best;
    if (candidates.empty()) {
      if (IsOfLibrary(request.copies)) {
        best = Quickest(nullptr, request, axes, device, group);
      }
      if (best.algorithm != nullptr) return best;
      candidates = Candidates(collective, group);
    }
    for (const CollectiveAlgorithm* algorithm : candidates) {
      CollectiveCost cost = Price(*algorithm, request, axes, device, group);
      if (best.algorithm == nullptr || cost.idle_time < best.idle_time) best = std::move(cost);
    }
    CHECK(best.algorithm != nullptr) << "no algorithm for " << NameOf(collective) << " ";
    return best;
  }

  // Not a dispatcher's, nor an ideal compiler's transfer that may join copies on its way.
  static bool IsOfLibrary(const Copies& copies) {
    return copies.mover == Mover::kLibrary && copies.copies <= 1;
  }

  static bool IsOfNodes(const Group& group) {
    return std::none_of(group.dims.begin(), group.dims.end(),
                        [](const Group::Dim& dim) { return dim.kind == Level::Kind::kTorus; });
  }

  // Algorithms that were measured on such a group.
  std::vector<const CollectiveAlgorithm*> Measurements(Collective collective, const Group& group,
                                                       Mover mover) const {
    std::vector<const CollectiveAlgorithm*> measured;
    for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
      if (algorithm->ByNameOnly() || !algorithm->Supports(collective, group)) continue;
      if (IsMeasured(group, {collective, algorithm->name(), mover})) measured.push_back(algorithm);
    }
    return measured;
  }

  // All, but on nodes of chips with a library those that such libraries have.
  std::vector<const CollectiveAlgorithm*> Candidates(Collective collective,
                                                     const Group& group) const {
    std::vector<const CollectiveAlgorithm*> all, in_library;
    for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
      if (algorithm->ByNameOnly() || !algorithm->Supports(collective, group)) continue;
      all.push_back(algorithm);
      if (IsOfNodes(group) && IsInNccl(algorithm->name(), collective, group)) {
        in_library.push_back(algorithm);
      }
    }
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

CollectiveModel::CollectiveModel(const Mesh& mesh, const LinkClasses* classes, Fidelity fidelity,
                                 std::shared_ptr<LoadCounters> counters) {
  if (counters == nullptr) counters = std::make_shared<LoadCounters>();
  const int user = counters->AddUser();
  impl_.reset(new Impl{&mesh, classes, fidelity, std::move(counters), user, {}, {}, {}});
}

CollectiveModel::~CollectiveModel() = default;

StatusOr<CollectiveCost> CollectiveModel::Cost(Collective collective, Bytes bytes,
                                               std::span<const AxisId> axes, DeviceId device,
                                               std::string_view algorithm, const Copies& copies,
                                               const CollectiveCost* as) const {
  const std::vector<AxisId> list = impl_->AsPlaced(axes);
  const std::string choice(as == nullptr ? std::string_view() : as->protocol);
  const Impl::Key key{collective, bytes, list, impl_->PlaceOf(device), std::string(algorithm),
                      copies,     choice};
  const auto found = impl_->cache.find(key);
  if (found != impl_->cache.end()) return found->second;
  ASSIGN_OR_RETURN(CollectiveCost cost,
                   impl_->Choose({collective, bytes, copies, as}, list, device, algorithm));
  impl_->AddLaunch(&cost);
  return impl_->cache.emplace(key, cost).first->second;
}

std::vector<CollectiveModel::Offer> CollectiveModel::Offers(Collective collective, Bytes bytes,
                                                            std::span<const AxisId> axes,
                                                            DeviceId device) const {
  const std::vector<AxisId> list = impl_->AsPlaced(axes);
  const Group group = impl_->mesh->GroupOf(list, device);
  std::vector<Offer> offers;
  if (group.size() == 1 || impl_->fidelity == Fidelity::kIdeal) return offers;
  const LibraryShape shape = ShapeOf(impl_->mesh->fabric(), group);
  for (const LibraryEntry& entry : impl_->Entries(collective, list, device)) {
    if (bytes > entry.entry->max_bytes) continue;
    offers.push_back({impl_->PriceEntry(entry, {collective, bytes, {}}, list, device, group),
                      TunerTime(entry, shape, collective, bytes)});
  }
  std::stable_sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    return a.cost.idle_time < b.cost.idle_time;
  });
  return offers;
}

CollectiveCost CollectiveModel::PointToPoint(Bytes bytes, AxisId axis, DeviceId src,
                                             DeviceId dst) const {
  CollectiveCost cost;
  if (src == dst) return cost;
  const Mesh& mesh = *impl_->mesh;
  cost.algorithm = FindAlgorithm("point-to-point");
  cost.sent_per_device = bytes;
  const Fabric& fabric = mesh.fabric();
  TrafficPhase phase{.latency = fabric.Latency(src, dst) + SendOverhead(fabric, src, dst),
                     .flows = {}};
  phase.flows.push_back({mesh.Coordinate(src, axis), mesh.Coordinate(dst, axis), bytes});
  impl_->AddPhase({&axis, 1}, src, phase, &cost);
  return cost;
}

}  // namespace meshstep
