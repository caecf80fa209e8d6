#include "sim/engine/flow_network.h"

#include <algorithm>
#include <functional>

namespace meshstep {
namespace {

// Levels closer than this are one level: symmetric flows must get bit-equal rates although their
// links were reduced in different orders.
constexpr double kSameLevel = 1 + 1e-11;

std::size_t Index(std::int32_t i) { return static_cast<std::size_t>(i); }

}  // namespace

FlowNetwork::FlowNetwork(std::span<const BytesPerSecond> capacities)
    : left_(capacities.size(), 0),
      load_(capacities.size(), 0),
      begin_(capacities.size() + 1, 0),
      fill_(capacities.size(), 0) {
  capacity_.reserve(capacities.size());
  for (const BytesPerSecond c : capacities) {
    CHECK_GT(c.value(), 0);
    capacity_.push_back(c.value());
  }
}

FlowNetwork::FlowId FlowNetwork::Add(std::span<const FlowDemand> demands, double weight, Time now) {
  CHECK(!demands.empty()) << "a flow needs a demand ";
  CHECK_GT(weight, 0);
  FlowId id = 0;
  if (free_.empty()) {
    id = static_cast<FlowId>(flows_.size());
    flows_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Flow& flow = flows_[Index(id)];
  flow = Flow{.demands = demands, .weight = weight, .since = now, .completion = Time::Max()};
  if (active_.empty() || active_.back() < id) {
    active_.push_back(id);
  } else {
    active_.insert(std::lower_bound(active_.begin(), active_.end(), id), id);
  }
  changed_ = true;
  return id;
}

void FlowNetwork::Remove(FlowId id) {
  const auto it = std::lower_bound(active_.begin(), active_.end(), id);
  CHECK(it != active_.end() && *it == id) << "flow " << id << " is not active ";
  active_.erase(it);
  free_.push_back(id);
  changed_ = true;
}

void FlowNetwork::Update(Time now) {
  if (changed_) {
    Solve();
    for (const FlowId id : active_) Adopt(&flows_[Index(id)], now);
    changed_ = false;
  }
  next_completion_ = Time::Max();
  for (const FlowId id : active_) {
    next_completion_ = std::min(next_completion_, flows_[Index(id)].completion);
  }
}

void FlowNetwork::Drained(Time now, std::vector<FlowId>* flows) const {
  for (const FlowId id : active_) {
    if (flows_[Index(id)].completion <= now) flows->push_back(id);
  }
}

// Links of the active flows and, per link, its flows.
void FlowNetwork::BuildLinkIndex() {
  touched_.clear();
  std::int32_t total = 0;
  for (const FlowId id : active_) {
    for (const FlowDemand& d : flows_[Index(id)].demands) {
      if (fill_[Index(d.link)]++ == 0) touched_.push_back(d.link);
      ++total;
    }
  }
  if (link_flows_.size() < Index(total)) link_flows_.resize(Index(total));
  std::int32_t next = 0;
  for (const std::int32_t link : touched_) {
    begin_[Index(link)] = next;
    next += fill_[Index(link)];
    fill_[Index(link)] = 0;
    left_[Index(link)] = capacity_[Index(link)];
    load_[Index(link)] = 0;
  }
  for (const FlowId id : active_) {
    Flow& flow = flows_[Index(id)];
    flow.next_rate = 0;
    for (const FlowDemand& d : flow.demands) {
      link_flows_[Index(begin_[Index(d.link)] + fill_[Index(d.link)]++)] = id;
      load_[Index(d.link)] += d.bytes / flow.weight;
    }
  }
}

void FlowNetwork::Fix(Flow* flow, double level) {
  flow->next_rate = level / flow->weight;
  for (const FlowDemand& d : flow->demands) {
    left_[Index(d.link)] -= d.bytes * flow->next_rate;
    load_[Index(d.link)] -= d.bytes / flow->weight;
  }
}

void FlowNetwork::Solve() {
  ++solves_;
  BuildLinkIndex();
  heap_.clear();
  for (const std::int32_t link : touched_) {
    heap_.emplace_back(left_[Index(link)] / load_[Index(link)], link);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  double level = 0;
  std::size_t unfixed = active_.size();
  while (unfixed > 0) {
    CHECK(!heap_.empty()) << unfixed << " flows without a bottleneck ";
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto [stored, link] = heap_.back();
    heap_.pop_back();
    const std::span<const FlowId> flows(&link_flows_[Index(begin_[Index(link)])],
                                        Index(fill_[Index(link)]));
    const auto is_unfixed = [this](FlowId id) { return flows_[Index(id)].next_rate == 0; };
    if (std::none_of(flows.begin(), flows.end(), is_unfixed)) continue;
    double current = left_[Index(link)] / load_[Index(link)];
    if (current > stored * kSameLevel) {
      heap_.emplace_back(current, link);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
      continue;
    }
    current = std::max(stored, current);
    if (current > level * kSameLevel) level = current;
    for (const FlowId id : flows) {
      if (!is_unfixed(id)) continue;
      Fix(&flows_[Index(id)], level);
      --unfixed;
    }
  }
  for (const std::int32_t link : touched_) fill_[Index(link)] = 0;
}

// Goes over to the new rate. An unchanged rate leaves the flow's history untouched, so that events
// elsewhere cannot change its completion by a rounding.
void FlowNetwork::Adopt(Flow* flow, Time now) {
  const double change = flow->next_rate - flow->rate;
  if (change <= 1e-11 * flow->rate && -change <= 1e-11 * flow->rate) return;
  flow->remaining -= flow->rate * (now - flow->since).seconds();
  flow->remaining = std::max(flow->remaining, 0.0);
  flow->rate = flow->next_rate;
  flow->since = now;
  flow->completion = now + Time::RoundUp(Seconds(flow->remaining / flow->rate));
}

}  // namespace meshstep
