#include "topologies/tiers.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

std::string Described(const Tier& tier, std::size_t index) {
  return absl::StrCat("tiers[", index, "]", tier.name.empty() ? "" : " (" + tier.name + ")");
}

// Whether the tier is kept, or joined with the next one; an error if it can be neither.
StatusOr<bool> IsKept(const std::vector<Tier>& tiers, std::size_t i, int below, int nodes) {
  const int unit = tiers[i].nodes;
  const std::string name = Described(tiers[i], i);
  if (nodes % unit != 0) {
    if (tiers[i].oversubscription > 1) {
      return InvalidInput(absl::StrCat(name, " joins ", unit, " nodes with oversubscription ",
                                       tiers[i].oversubscription, ", but the cluster's ", nodes,
                                       " nodes do not fill such units evenly; expected a multiple ",
                                       "of ", unit, " nodes or oversubscription 1"));
    }
    if (i + 1 < tiers.size()) return false;
    return InvalidInput(absl::StrCat(name, " is the last tier and joins ", unit,
                                     " nodes, but the cluster has ", nodes));
  }
  if (unit % below != 0) {
    return InvalidInput(absl::StrCat(name, " joins ", unit,
                                     " nodes, which is not a multiple of the ", below,
                                     " nodes of the tier below it"));
  }
  return true;
}

// A job that does not fill the units of a tapered tier takes an equal share of each: fewer nodes
// under the same uplinks. The largest share of at least half a unit; the tier unchanged if there is
// none.
Tier EqualShare(Tier tier, int below, int nodes) {
  for (int share = tier.nodes; 2 * share >= tier.nodes && tier.oversubscription > 1; --share) {
    if (nodes % share != 0 || share % below != 0) continue;
    tier.oversubscription = std::max(1.0, tier.oversubscription * share / tier.nodes);
    tier.nodes = share;
    break;
  }
  return tier;
}

// Fills the levels with the axes in order. Returns the level that an axis does not nest with, -1 if
// all do.
int LevelThatDoesNotNest(std::vector<int> left, std::span<const AxisRequest> requests) {
  std::size_t level = 0;
  for (const AxisRequest& request : requests) {
    int need = request.size;
    while (need > 1 && level < left.size()) {
      const int part = std::min(need, left[level]);
      if (need % part != 0 || left[level] % part != 0) return static_cast<int>(level);
      need /= part;
      left[level] /= part;
      if (left[level] == 1) ++level;
    }
  }
  return -1;
}

}  // namespace

Cluster FitTiers(const Cluster& cluster, std::span<const AxisRequest> requests) {
  Cluster fitted = cluster;
  const int per_node = cluster.nodes.chips_per_node;
  if (cluster.is_torus() || cluster.chips <= per_node) return fitted;
  const StatusOr<std::vector<Tier>> used = UsedTiers(cluster.nodes.tiers, cluster.chips / per_node);
  if (!used.ok()) return fitted;
  std::vector<Tier>& tiers = fitted.nodes.tiers;
  tiers = *used;
  while (true) {
    std::vector<int> extents{per_node * cluster.chip.devices_per_chip};
    int below = 1;
    for (const Tier& tier : tiers) {
      extents.push_back(tier.nodes / below);
      below = tier.nodes;
    }
    const int tier = LevelThatDoesNotNest(extents, requests) - 1;
    if (tier < 0 || tier + 1 >= static_cast<int>(tiers.size())) return fitted;
    if (tiers[static_cast<std::size_t>(tier)].oversubscription > 1) return fitted;
    tiers.erase(tiers.begin() + tier);
  }
}

StatusOr<std::vector<Tier>> UsedTiers(const std::vector<Tier>& declared, int nodes) {
  std::vector<Tier> tiers = declared;
  if (tiers.empty()) tiers.push_back({"network", 0, 1, Seconds(0), false});
  for (Tier& tier : tiers) tier.nodes = tier.nodes == 0 ? nodes : std::min(tier.nodes, nodes);
  std::vector<Tier> used;
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    if (i > 0 && tiers[i].rails && !tiers[i - 1].rails) {
      return InvalidInput(Described(tiers[i], i) +
                          " has rails above a tier that has none; expected rails below as well");
    }
    const int below = used.empty() ? 1 : used.back().nodes;
    tiers[i] = EqualShare(tiers[i], below, nodes);
    ASSIGN_OR_RETURN(const bool kept, IsKept(tiers, i, below, nodes));
    if (!kept) continue;
    const bool adds_nodes = tiers[i].nodes > below || used.empty();
    const bool joins_rails = !used.empty() && used.back().rails && !tiers[i].rails;
    if (adds_nodes || joins_rails) used.push_back(tiers[i]);
    if (tiers[i].nodes == nodes && !tiers[i].rails) break;
  }
  if (used.back().nodes != nodes) {
    return InvalidInput(absl::StrCat("the last tier joins ", used.back().nodes,
                                     " nodes, but the cluster has ", nodes));
  }
  return used;
}

}  // namespace meshstep
