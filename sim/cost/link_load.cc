#include "sim/cost/link_load.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/rank_grid.h"

namespace meshstep {
namespace {

// Where more than one link in so many is loaded, all are looked at: that is quicker than to sort
// those that are.
constexpr std::size_t kManyTouched = 16;

// Loads of explicit links, cleared by what was touched.
class LoadMap {
 public:
  // Room for so many links.
  void Fit(LinkId links) {
    if (load_.size() < Index(links)) load_.resize(Index(links));
  }
  void Add(LinkId link, Bytes bytes) {
    if (load_[Index(link)] == Bytes()) touched_.push_back(link);
    load_[Index(link)] += bytes;
  }
  void Raise(LinkId link, Bytes bytes) {
    if (load_[Index(link)] == Bytes()) touched_.push_back(link);
    load_[Index(link)] = std::max(load_[Index(link)], bytes);
  }
  // Calls visit(link, bytes), in the order in which links were loaded first.
  template <class Visit>
  void ForEachUnordered(Visit visit) const {
    for (const LinkId link : touched_) visit(link, load_[Index(link)]);
  }
  // In the order of the links.
  template <class Visit>
  void ForEach(Visit visit) {
    if (touched_.size() < load_.size() / kManyTouched) {
      std::sort(touched_.begin(), touched_.end());
      for (const LinkId link : touched_) visit(link, load_[Index(link)]);
      return;
    }
    for (std::size_t link = 0; link < load_.size(); ++link) {
      if (load_[link] != Bytes()) visit(static_cast<LinkId>(link), load_[link]);
    }
  }
  Bytes Max() const {
    Bytes most;
    for (const LinkId link : touched_) most = std::max(most, load_[Index(link)]);
    return most;
  }
  void Clear() {
    for (const LinkId link : touched_) load_[Index(link)] = Bytes();
    touched_.clear();
  }

 private:
  std::vector<Bytes> load_;
  std::vector<LinkId> touched_;
};

// Classes of links, found once for each.
class KnownClasses {
 public:
  void Fit(LinkId links, int user) {
    if (user_ == user && class_.size() >= Index(links)) return;
    user_ = user;
    class_.assign(Index(links), -1);
  }
  int Of(LinkId link, const LinkClasses& classes) {
    std::int32_t& known = class_[Index(link)];
    if (known < 0) known = classes.ClassOf(link);
    return known;
  }

 private:
  int user_ = 0;
  std::vector<std::int32_t> class_;
};

}  // namespace

struct LoadCounters::Maps {
  LoadMap group;   // of one group
  LoadMap shared;  // of its flows that are combined
  LoadMap all;     // of all groups
  KnownClasses classes;
  std::vector<Hop> hops;
};

LoadCounters::LoadCounters() : maps_(std::make_unique<Maps>()) {}
LoadCounters::~LoadCounters() = default;

namespace {

using Maps = LoadCounters::Maps;

// Flows combined on their way to (from) one rank share each link: the largest counts.
void AddCombined(const Fabric& fabric, const Group& group, std::vector<RankFlow> flows,
                 Maps* maps) {
  const auto joint = [](const RankFlow& flow) {
    return std::pair(flow.combine, flow.combine == Combine::kReduce ? flow.dst : flow.src);
  };
  std::stable_sort(flows.begin(), flows.end(),
                   [&](const RankFlow& a, const RankFlow& b) { return joint(a) < joint(b); });
  LoadMap& shared = maps->shared;
  std::vector<Hop>& hops = maps->hops;
  for (std::size_t i = 0; i < flows.size(); ++i) {
    hops.clear();
    fabric.Route(group.members[Index(flows[i].src)], group.members[Index(flows[i].dst)], &hops);
    for (const Hop& hop : hops) shared.Raise(hop.link, flows[i].bytes * hop.fraction);
    if (i + 1 < flows.size() && joint(flows[i + 1]) == joint(flows[i])) continue;
    shared.ForEachUnordered([&](LinkId link, Bytes bytes) { maps->group.Add(link, bytes); });
    shared.Clear();
  }
}

// Calls visit(flow) for all that the ranks send each other.
template <class Visit>
void ForEachFlow(const Group& group, const TrafficPhase& phase, Visit visit) {
  if (!phase.shifted) {
    for (const RankFlow& flow : phase.flows) visit(flow);
    return;
  }
  const RankGrid grid(group);
  for (int rank = 0; rank < group.size(); ++rank) {
    for (const RankFlow& flow : phase.flows) {
      CHECK_EQ(flow.src, 0);
      visit({rank, grid.ShiftBy(rank, flow.dst), flow.bytes, flow.combine});
    }
  }
}

void AddGroup(const Fabric& fabric, const Group& group, const TrafficPhase& phase, Maps* maps) {
  std::vector<RankFlow> combined;
  std::vector<Hop>& hops = maps->hops;
  ForEachFlow(group, phase, [&](const RankFlow& flow) {
    if (flow.combine != Combine::kNone) {
      combined.push_back(flow);
      return;
    }
    hops.clear();
    fabric.Route(group.members[Index(flow.src)], group.members[Index(flow.dst)], &hops);
    for (const Hop& hop : hops) maps->group.Add(hop.link, flow.bytes * hop.fraction);
  });
  if (!combined.empty()) AddCombined(fabric, group, std::move(combined), maps);
}

// Where the groups of some axes differ from one another.
class GroupPlaces {
 public:
  GroupPlaces(const Mesh& mesh, const LinkClasses& classes, std::span<const AxisId> axes,
              DeviceId device)
      : mesh_(&mesh), classes_(&classes), axes_(axes) {
    const auto contains = [](std::span<const AxisId> list, AxisId axis) {
      return std::find(list.begin(), list.end(), axis) != list.end();
    };
    for (AxisId axis = 0; axis < static_cast<AxisId>(mesh.axes().size()); ++axis) {
      coordinates_.push_back(mesh.Coordinate(device, axis));
      if (contains(axes, axis) || contains(classes.distinguished(), axis)) continue;
      free_.push_back(axis);
      for (const AxisPart& part : mesh.axes()[Index(axis)].parts) {
        if (!classes.IsDistinguished(part.level)) count_ *= part.size;
      }
    }
    const std::vector<Level>& levels = mesh.fabric().levels();
    fixed_ = classes.fixed();
    // The dimensions of a twisted torus move together.
    bool torus = false;
    for (std::size_t l = 0; l < levels.size(); ++l) {
      torus = torus || (fixed_[l] && levels[l].kind == Level::Kind::kTorus);
    }
    for (std::size_t l = 0; l < levels.size(); ++l) {
      if (levels[l].kind == Level::Kind::kTorus) fixed_[l] = fixed_[l] || torus;
    }
  }

  bool IsFixed(int level) const { return fixed_[Index(level)]; }
  // Number of groups whose devices agree with `device` on what is distinguished.
  double count() const { return count_; }

  // Calls visit(group) for one group per combination of fixed coordinates (or for every group);
  // returns how many.
  template <class Visit>
  int ForEach(bool every, Visit visit) const {
    int visited = 0;
    std::vector<int> coordinates = coordinates_;
    Walk(0, every, &coordinates, [&](const std::vector<int>& at) {
      ++visited;
      visit(mesh_->GroupOf(axes_, mesh_->Device(at)));
    });
    return visited;
  }

 private:
  template <class Visit>
  void Walk(std::size_t i, bool every, std::vector<int>* at, const Visit& visit) const {
    if (i == free_.size()) return visit(*at);
    const AxisId axis = free_[i];
    for (int c = 0; c < mesh_->size(axis); ++c) {
      if (!Agrees(axis, c) || (!every && MovesFreely(axis, c))) continue;
      (*at)[Index(axis)] = c;
      Walk(i + 1, every, at, visit);
    }
  }
  // Whether coordinate c is the device's on every distinguished level.
  bool Agrees(AxisId axis, int c) const {
    int own = coordinates_[Index(axis)];
    for (const AxisPart& part : mesh_->axes()[Index(axis)].parts) {
      if (classes_->IsDistinguished(part.level) && c % part.size != own % part.size) return false;
      c /= part.size;
      own /= part.size;
    }
    return true;
  }
  // Whether coordinate c differs from 0 on a level that is not fixed.
  bool MovesFreely(AxisId axis, int c) const {
    for (const AxisPart& part : mesh_->axes()[Index(axis)].parts) {
      if (c % part.size != 0 && !fixed_[Index(part.level)]) return true;
      c /= part.size;
    }
    return false;
  }

  const Mesh* mesh_;
  const LinkClasses* classes_;
  std::span<const AxisId> axes_;
  std::vector<int> coordinates_;
  std::vector<AxisId> free_;
  std::vector<bool> fixed_;
  double count_ = 1;
};

LinkLoad ToDemands(const std::map<int, Bytes>& bytes, Bytes weight) {
  LinkLoad load{{}, weight};
  for (const auto& [link, amount] : bytes) load.demands.push_back({link, amount});
  return load;
}

// Every rank's flows are rank 0's, shifted, and so are its links: rank 0's bytes on a class times
// the ranks. Weight: they spread evenly over the images of the links, which are counted by routing
// one flow of each class from every rank.
void AddShifted(const Fabric& fabric, const LinkClasses& classes, const Group& group,
                const TrafficPhase& phase, Maps* maps, std::map<int, Bytes>* bytes, Bytes* weight) {
  std::map<int, Bytes> own;
  std::map<int, const RankFlow*> example;
  std::vector<Hop>& hops = maps->hops;
  for (const RankFlow& flow : phase.flows) {
    hops.clear();
    fabric.Route(group.members[0], group.members[Index(flow.dst)], &hops);
    for (const Hop& hop : hops) {
      const int c = maps->classes.Of(hop.link, classes);
      own[c] += flow.bytes * hop.fraction;
      example.emplace(c, &flow);
    }
  }
  const RankGrid grid(group);
  for (const auto& [c, amount] : own) {
    (*bytes)[c] += amount * group.size();
    std::vector<LinkId> images;
    for (int rank = 0; rank < group.size(); ++rank) {
      hops.clear();
      fabric.Route(group.members[Index(rank)],
                   group.members[Index(grid.ShiftBy(rank, example[c]->dst))], &hops);
      for (const Hop& hop : hops) {
        if (maps->classes.Of(hop.link, classes) == c) images.push_back(hop.link);
      }
    }
    std::sort(images.begin(), images.end());
    images.erase(std::unique(images.begin(), images.end()), images.end());
    *weight = std::max(*weight, amount * group.size() / static_cast<double>(images.size()));
  }
}

LinkLoad UnevenLoad(const Mesh& mesh, const LinkClasses& classes, const GroupPlaces& places,
                    const TrafficPhase& phase, Maps* maps) {
  Bytes weight;
  maps->all.Fit(mesh.fabric().links());
  places.ForEach(true, [&](const Group& group) {
    AddGroup(mesh.fabric(), group, phase, maps);
    weight = std::max(weight, maps->group.Max());
    maps->group.ForEachUnordered([&](LinkId link, Bytes amount) { maps->all.Add(link, amount); });
    maps->group.Clear();
  });
  std::map<int, Bytes> bytes;
  maps->all.ForEachUnordered([&](LinkId link, Bytes amount) {
    Bytes& most = bytes[maps->classes.Of(link, classes)];
    most = std::max(most, amount);
  });
  maps->all.Clear();
  return ToDemands(bytes, weight);
}

LinkLoad EvenLoad(const Mesh& mesh, const LinkClasses& classes, const GroupPlaces& places,
                  const TrafficPhase& phase, Maps* maps) {
  std::map<int, Bytes> bytes;
  Bytes weight;
  const int routed = places.ForEach(false, [&](const Group& group) {
    bool fixed = std::any_of(phase.flows.begin(), phase.flows.end(),
                             [](const RankFlow& flow) { return flow.combine != Combine::kNone; });
    for (const Group::Dim& dim : group.dims) fixed = fixed || places.IsFixed(dim.level);
    if (phase.shifted && !fixed) {
      AddShifted(mesh.fabric(), classes, group, phase, maps, &bytes, &weight);
      return;
    }
    AddGroup(mesh.fabric(), group, phase, maps);
    weight = std::max(weight, maps->group.Max());
    maps->group.ForEach(
        [&](LinkId link, Bytes amount) { bytes[maps->classes.Of(link, classes)] += amount; });
    maps->group.Clear();
  });
  for (auto& [c, amount] : bytes) {
    amount = amount * (places.count() / routed / static_cast<double>(classes.count(c)));
  }
  return ToDemands(bytes, weight);
}

}  // namespace

LinkLoad LoadOf(const Mesh& mesh, const LinkClasses* classes, std::span<const AxisId> axes,
                DeviceId device, const TrafficPhase& phase, int user, LoadCounters* counters) {
  Maps& maps = counters->maps();
  maps.group.Fit(mesh.fabric().links());
  maps.shared.Fit(mesh.fabric().links());
  if (classes != nullptr) {
    maps.classes.Fit(mesh.fabric().links(), user);
    const GroupPlaces places(mesh, *classes, axes, device);
    return phase.uneven ? UnevenLoad(mesh, *classes, places, phase, &maps)
                        : EvenLoad(mesh, *classes, places, phase, &maps);
  }
  AddGroup(mesh.fabric(), mesh.GroupOf(axes, device), phase, &maps);
  LinkLoad load{{}, maps.group.Max()};
  maps.group.ForEach([&](LinkId link, Bytes bytes) { load.demands.push_back({link, bytes}); });
  maps.group.Clear();
  return load;
}

}  // namespace meshstep
