#include "strategies/bounds/tiers.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace meshstep {
namespace {

double Over(double bytes, double rate) {
  if (bytes == 0) return 0;
  return rate > 0 ? bytes / rate : std::numeric_limits<double>::quiet_NaN();
}

// w of D chips of a domain.
double LinkOf(const Tiers& tiers, double local) {
  return tiers.full_mesh ? tiers.link * (local - 1) : tiers.link;
}

}  // namespace

double LocalTo(double domain, double stride, double size) {
  return std::clamp(std::floor(domain / stride), 1.0, size);
}

double TierTime::total() const {
  return std::isnan(within) || std::isnan(across) ? within + across : std::max(within, across);
}

TierTime GatherTime(const Tiers& tiers, const TierGroup& group, double volume,
                    WithinDomain within) {
  const double m = group.domains();
  const double others = within == WithinDomain::kBook ? 1 : (group.local - 1) / group.local;
  TierTime time;
  if (group.local > 1) time.within = Over(volume * others, LinkOf(tiers, group.local));
  if (m > 1) time.across = Over(volume * (m - 1) / (m * group.local), tiers.scale_out);
  return time;
}

TierTime ExchangeTime(const Tiers& tiers, const TierGroup& group, double volume,
                      WithinDomain within) {
  const double block = volume / (group.ranks * group.ranks);
  const double others = within == WithinDomain::kBook ? group.local : group.local - 1;
  TierTime time;
  if (group.local > 1) time.within = Over(block * others, LinkOf(tiers, group.local));
  time.across = Over(block * (group.ranks - group.local), tiers.scale_out);
  return time;
}

}  // namespace meshstep
