#include "strategies/step/unit_classes.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/collective_model.h"
#include "topologies/colouring.h"

namespace meshstep {
namespace {

// Bytes closer than this are the same: sums of the same parts in another order.
constexpr double kSameBytes = 1 + 1e-12;

// Numbers amounts of bytes from 0 up, as many as differ.
class Amounts {
 public:
  void Add(Bytes bytes) { all_.push_back(bytes); }
  void Number() {
    std::sort(all_.begin(), all_.end());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (i == 0 || all_[i] > all_[i - 1] * kSameBytes) {
        number_.push_back(static_cast<int>(number_.size()));
      } else {
        if (all_[i] == all_[i - 1]) continue;
        number_.push_back(number_.back());
      }
      all_[kept++] = all_[i];
    }
    all_.resize(kept);
  }
  int size() const { return number_.empty() ? 0 : number_.back() + 1; }
  int operator[](Bytes bytes) const {
    return number_[Index(
        static_cast<int>(std::lower_bound(all_.begin(), all_.end(), bytes) - all_.begin()))];
  }

 private:
  std::vector<Bytes> all_;
  std::vector<int> number_;
};

// The graph whose nodes are units, links and groups, in this order.
struct Relations {
  FabricGraph graph;
  std::vector<int> weight;  // per edge
  std::vector<int> colour;  // per node, to start with
};

Amounts AmountsOf(std::span<const UnitGroup> groups) {
  Amounts amounts;
  for (const UnitGroup& group : groups) {
    for (const CostPhase& phase : group.cost.phases) {
      amounts.Add(phase.weight);
      for (const LinkDemand& demand : phase.demands) amounts.Add(demand.bytes);
    }
  }
  amounts.Number();
  return amounts;
}

// What of a group does not depend on who it is.
using Appearance = std::pair<int, std::vector<std::pair<std::int64_t, int>>>;
Appearance AppearanceOf(const UnitGroup& group, const Amounts& amounts) {
  Appearance appearance{group.kind, {}};
  for (const CostPhase& phase : group.cost.phases) {
    appearance.second.emplace_back(phase.latency.ps(), amounts[phase.weight]);
  }
  return appearance;
}

Relations RelationsOf(std::span<const int> unit, std::span<const int> link,
                      std::span<const UnitGroup> groups) {
  const Amounts amounts = AmountsOf(groups);
  Relations relations;
  relations.colour.assign(unit.begin(), unit.end());
  // Units, links and groups never share a colour.
  int next = unit.empty() ? 0 : *std::max_element(unit.begin(), unit.end()) + 1;
  for (const int kind : link) relations.colour.push_back(next + kind);
  next += link.empty() ? 0 : *std::max_element(link.begin(), link.end()) + 1;
  std::map<Appearance, int> appearances;
  const auto join = [&](std::size_t from, std::size_t to, std::int64_t weight) {
    CHECK_LT(weight, std::numeric_limits<std::int32_t>::max());
    relations.graph.edges.push_back({static_cast<int>(from), static_cast<int>(to), kNoLink});
    relations.weight.push_back(static_cast<int>(weight));
  };
  for (const UnitGroup& group : groups) {
    const std::size_t node = relations.colour.size();
    const auto [it, added] = appearances.try_emplace(AppearanceOf(group, amounts), next);
    if (added) ++next;
    relations.colour.push_back(it->second);
    std::int64_t role = 0;
    for (const int member : group.members) {
      join(node, Index(member), role);
      if (group.ordered) ++role;
    }
    std::int64_t phase = 0;
    for (const CostPhase& p : group.cost.phases) {
      for (const LinkDemand& d : p.demands) {
        join(node, unit.size() + Index(d.link), phase * amounts.size() + amounts[d.bytes]);
      }
      ++phase;
    }
  }
  relations.graph.nodes = static_cast<int>(relations.colour.size());
  return relations;
}

std::vector<int> Renumber(std::span<const int> colours) {
  std::map<int, int> number;
  std::vector<int> result;
  result.reserve(colours.size());
  for (const int colour : colours) {
    result.push_back(number.try_emplace(colour, static_cast<int>(number.size())).first->second);
  }
  return result;
}

}  // namespace

UnitClasses RefineUnits(std::span<const int> unit, std::span<const int> link,
                        std::span<const UnitGroup> groups) {
  const Relations relations = RelationsOf(unit, link, groups);
  const std::vector<int> colour =
      RefineColours(relations.graph, relations.weight, relations.colour);
  const std::span<const int> all(colour);
  return {Renumber(all.first(unit.size())), Renumber(all.subspan(unit.size(), link.size())),
          Renumber(all.subspan(unit.size() + link.size()))};
}

std::vector<UnitGroup> MergeGroups(const UnitClasses& classes, std::span<const UnitGroup> groups) {
  std::vector<int> example;  // the first link of each class
  for (std::size_t l = 0; l < classes.link.size(); ++l) {
    if (Index(classes.link[l]) == example.size()) example.push_back(static_cast<int>(l));
  }
  std::vector<UnitGroup> merged;
  std::vector<std::vector<std::map<int, Bytes>>> bytes;  // per class and phase: by class of links
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t c = Index(classes.group[g]);
    if (c == merged.size()) {
      merged.push_back(groups[g]);
      std::set<int> seen;
      merged[c].members.clear();
      for (const int member : groups[g].members) {
        const int of = classes.unit[Index(member)];
        if (seen.insert(of).second) merged[c].members.push_back(of);
      }
      bytes.emplace_back(groups[g].cost.phases.size());
    }
    for (std::size_t p = 0; p < groups[g].cost.phases.size(); ++p) {
      for (const LinkDemand& demand : groups[g].cost.phases[p].demands) {
        const int link = classes.link[Index(demand.link)];
        if (example[Index(link)] == demand.link) bytes[c][p][link] += demand.bytes;
      }
    }
  }
  for (std::size_t c = 0; c < merged.size(); ++c) {
    for (std::size_t p = 0; p < bytes[c].size(); ++p) {
      std::vector<LinkDemand>& demands = merged[c].cost.phases[p].demands;
      demands.clear();
      for (const auto& [link, amount] : bytes[c][p]) demands.push_back({link, amount});
    }
  }
  return merged;
}

}  // namespace meshstep
