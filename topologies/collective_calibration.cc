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

namespace {

// A point between two entries of an ascending list, in logarithms; at the ends the entry itself.
struct Between {
  std::size_t low, high;
  double part;  // of the way from low to high

  double Mix(double at_low, double at_high) const {
    return low == high ? at_low : std::pow(at_low, 1 - part) * std::pow(at_high, part);
  }
};

template <typename Items, typename ValueOf>
Between Locate(double x, const Items& items, ValueOf value_of) {
  CHECK(!items.empty());
  const auto above = std::upper_bound(items.begin(), items.end(), x,
                                      [&](double v, const auto& e) { return v < value_of(e); });
  if (above == items.begin()) return {0, 0, 0};
  const auto high = static_cast<std::size_t>(above - items.begin());
  if (above == items.end()) return {high - 1, high - 1, 0};
  const double a = value_of(items[high - 1]), b = value_of(items[high]);
  return {high - 1, high, std::log(x / a) / std::log(b / a)};
}

Between LocateRanks(int p, const std::vector<CollectiveCalibration::Group>& groups) {
  return Locate(p, groups, [](const auto& group) { return static_cast<double>(group.ranks); });
}

}  // namespace

Seconds CollectiveCalibration::Latency(int p) const {
  const Between at = LocateRanks(p, groups);
  return Seconds(at.Mix(groups[at.low].latency.value(), groups[at.high].latency.value()));
}

BytesPerSecond CollectiveCalibration::PortRateAt(int p, Bytes bytes) const {
  const Between at = LocateRanks(p, groups);
  const Between size = Locate(bytes.value(), sizes, [](Bytes b) { return b.value(); });
  const auto rate = [&](std::size_t group) {
    const std::vector<BytesPerSecond>& rates = groups[group].rates;
    return size.Mix(rates[size.low].value(), rates[size.high].value());
  };
  return BytesPerSecond(at.Mix(rate(at.low), rate(at.high)));
}

}  // namespace meshstep
