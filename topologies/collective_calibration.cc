#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/check.h"
#include "topologies/chip.h"

namespace meshstep {

bool CollectiveCalibration::Holds(int p) const {
  const bool power = std::has_single_bit(static_cast<unsigned>(p));
  return p >= min_ranks && p <= max_ranks && (ranks != Ranks::kPowersOfTwo || power) &&
         (ranks != Ranks::kOthers || !power);
}

Seconds NetworkCalibration::Latency(int p, int nodes, Seconds alpha) const {
  const double doublings = std::log2(nodes);
  const double way = algorithm == "ring" ? nodes - 1 : algorithm.ends_with("tree") ? doublings : 1;
  const double hops = (collective == "all-reduce" ? 2 : 1) * way;
  return base + (p - nodes) * rank + (nodes - 1) * node + doublings * doubling + hops * alpha;
}

BytesPerSecond CollectiveCalibration::PortRateAt(Bytes size) const {
  CHECK(!port.empty());
  if (size <= port.front().bytes) return port.front().rate;
  if (size >= port.back().bytes) return port.back().rate;
  const auto above = std::upper_bound(port.begin(), port.end(), size,
                                      [](Bytes b, const PortRate& p) { return b < p.bytes; });
  const PortRate& high = *above;
  const PortRate& low = *(above - 1);
  const double part = std::log(size / low.bytes) / std::log(high.bytes / low.bytes);
  return low.rate * std::pow(high.rate / low.rate, part);
}

}  // namespace meshstep
