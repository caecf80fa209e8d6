#include "sim/engine/flow_network.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "sim/base/index.h"

namespace meshstep {
namespace {

// Levels closer than this are one level: symmetric flows must get bit-equal rates although their
// links were reduced in different orders.
constexpr double kSameLevel = 1 + 1e-11;

// Flows this close to the lowest change are solved again with it.
constexpr double kNearLevel = 1 + 1e-10;

// Below this part of its first value, a difference kept up to date has lost too many digits.
constexpr double kWorn = 0.01;

// Stale completions are swept out when they outnumber the flows by this factor.
constexpr std::size_t kStaleFactor = 4;

}  // namespace

FlowNetwork::FlowNetwork(std::span<const BytesPerSecond> capacities, Sharing sharing)
    : sharing_(sharing), links_(capacities.size()) {
  for (std::size_t i = 0; i < capacities.size(); ++i) {
    CHECK_GT(capacities[i].value(), 0);
    links_[i].capacity = capacities[i].value();
  }
}

FlowNetwork::FlowId FlowNetwork::Add(std::span<const FlowDemand> demands, double weight, Time now) {
  CHECK(!demands.empty()) << "a flow needs a demand ";
  CHECK_GT(weight, 0);
  FlowId id = 0;
  if (free_.empty()) {
    id = static_cast<FlowId>(flows_.size());
    flows_.emplace_back();
    next_rate_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Flow& flow = flows_[Index(id)];
  flow = Flow{.demands = demands,
              .weight = weight,
              .since = now,
              .completion = Time::Max(),
              .generation = flow.generation};
  next_rate_[Index(id)] = -1;
  ++active_;
  if (sharing_ == Sharing::kAlone) {
    next_rate_[Index(id)] = RateAlone(flow);
    Adopt(id, now);
    return id;
  }
  for (const FlowDemand& d : demands) {
    links_[Index(d.link)].uses.push_back({id, d.bytes});
    Affect(d.link);
  }
  return id;
}

void FlowNetwork::Remove(FlowId id) {
  Flow& flow = flows_[Index(id)];
  CHECK_GT(flow.weight, 0) << "flow " << id << " is not active ";
  next_rate_[Index(id)] *= flow.weight;  // its phi, for the next solve
  flow.weight = 0;
  ++flow.generation;
  --active_;
  if (sharing_ == Sharing::kAlone) {
    free_.push_back(id);
    return;
  }
  removed_.push_back(id);
  for (const FlowDemand& d : flow.demands) Affect(d.link);
}

void FlowNetwork::Update(Time now) {
  if (!affected_links_.empty()) {
    CollectAffected();
    Solve();
    for (const FlowId id : affected_flows_) Adopt(id, now);
    // Only now has every link forgotten the removed flows, so that their ids can be given again.
    free_.insert(free_.end(), removed_.begin(), removed_.end());
    removed_.clear();
    for (const std::int32_t link : affected_links_) links_[Index(link)].affected = false;
    affected_links_.clear();
    DropStaleCompletions();
  }
  SkipStaleCompletions();
}

void FlowNetwork::Drained(Time now, std::vector<FlowId>* flows) {
  while (next_completion_ <= now) {
    flows->push_back(completions_.front().flow);
    std::pop_heap(completions_.begin(), completions_.end(), std::greater<>());
    completions_.pop_back();
    SkipStaleCompletions();
  }
}

void FlowNetwork::Affect(std::int32_t index) {
  Link& link = links_[Index(index)];
  if (link.affected) return;
  link.affected = true;
  link.left = link.capacity;
  link.load = 0;
  link.unfixed = 0;
  affected_links_.push_back(index);
}

// Closes the affected links over the flows that use them and the links that those use. Flows that
// were fixed below the phi of every flow that went, and below that at which a link of one that came
// can fill at the earliest, stay: up to there the filling goes as it did before.
void FlowNetwork::CollectAffected() {
  affected_flows_.clear();
  double lowest = std::numeric_limits<double>::infinity();
  for (const FlowId id : removed_) lowest = std::min(lowest, next_rate_[Index(id)]);
  for (const std::int32_t index : affected_links_) {
    Link& link = links_[Index(index)];
    if (!removed_.empty()) {
      std::erase_if(link.uses, [this](const Use& u) { return flows_[Index(u.flow)].weight == 0; });
    }
    bool came = false;
    double load = 0;
    for (const Use& use : link.uses) {
      came = came || next_rate_[Index(use.flow)] < 0;
      load += use.bytes / flows_[Index(use.flow)].weight;
    }
    if (came) lowest = std::min(lowest, link.capacity / load);
  }
  lowest /= kNearLevel;
  for (std::size_t i = 0; i < affected_links_.size(); ++i) {
    for (const Use& use : links_[Index(affected_links_[i])].uses) {
      const double rate = next_rate_[Index(use.flow)];
      if (rate == 0) continue;
      if (rate > 0 && rate * flows_[Index(use.flow)].weight < lowest) {
        links_[Index(affected_links_[i])].left -= use.bytes * rate;
        continue;
      }
      next_rate_[Index(use.flow)] = 0;
      affected_flows_.push_back(use.flow);
      const Flow& flow = flows_[Index(use.flow)];
      for (const FlowDemand& d : flow.demands) {
        Affect(d.link);
        Link& link = links_[Index(d.link)];
        link.load += d.bytes / flow.weight;
        ++link.unfixed;
      }
    }
  }
}

// The phi at which a link fills, from its flows.
double FlowNetwork::FillLevel(const Link& link) const {
  double left = link.capacity, load = 0;
  for (const Use& use : link.uses) {
    const double rate = next_rate_[Index(use.flow)];
    if (rate == 0) {
      load += use.bytes / flows_[Index(use.flow)].weight;
    } else {
      left -= use.bytes * rate;
    }
  }
  return left / load;
}

// The same from the running differences where these are good enough to say that it is above
// `level`, as it is for most links that are looked at.
double FlowNetwork::FillLevelAtLeast(double level, const Link& link) const {
  const bool worn = link.left < kWorn * link.capacity || link.load < kWorn * link.full_load;
  const double estimate = link.left / link.load;
  return worn || !(estimate > level) ? FillLevel(link) : estimate;
}

void FlowNetwork::Fix(FlowId id, double level) {
  const Flow& flow = flows_[Index(id)];
  const double rate = level / flow.weight;
  next_rate_[Index(id)] = rate;
  for (const FlowDemand& d : flow.demands) {
    Link& link = links_[Index(d.link)];
    link.left -= d.bytes * rate;
    link.load -= d.bytes / flow.weight;
    --link.unfixed;
  }
}

// That of the link that it fills first, beside flows whose rates are known.
double FlowNetwork::RateAlone(const Flow& flow) const {
  double level = std::numeric_limits<double>::infinity();
  for (const FlowDemand& d : flow.demands) {
    const Link& link = links_[Index(d.link)];
    double left = link.capacity;
    for (const Use& use : link.uses) {
      const double rate = next_rate_[Index(use.flow)];
      if (rate > 0) left -= use.bytes * rate;
    }
    level = std::min(level, left / (d.bytes / flow.weight));
  }
  return level / flow.weight;
}

void FlowNetwork::Solve() {
  ++solves_;
  if (affected_flows_.size() == 1) {  // as most are
    const FlowId id = affected_flows_.front();
    next_rate_[Index(id)] = RateAlone(flows_[Index(id)]);
    return;
  }
  heap_.clear();
  for (const std::int32_t index : affected_links_) {
    Link& link = links_[Index(index)];
    link.full_load = link.load;
    if (link.unfixed > 0) heap_.emplace_back(link.left / link.load, index);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  double level = 0;
  std::size_t unfixed = affected_flows_.size();
  while (unfixed > 0) {
    CHECK(!heap_.empty()) << unfixed << " flows without a bottleneck ";
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto [stored, index] = heap_.back();
    heap_.pop_back();
    const Link& link = links_[Index(index)];
    if (link.unfixed == 0) continue;
    double current = FillLevelAtLeast(stored * kSameLevel, link);
    if (current > stored * kSameLevel) {
      heap_.emplace_back(current, index);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
      continue;
    }
    current = std::max(stored, current);
    if (current > level * kSameLevel) level = current;
    for (const Use& use : link.uses) {
      if (next_rate_[Index(use.flow)] != 0) continue;
      Fix(use.flow, level);
      --unfixed;
    }
  }
}

// Goes over to the new rate. An unchanged rate leaves the flow's history untouched, so that events
// elsewhere cannot change its completion by a rounding.
void FlowNetwork::Adopt(FlowId id, Time now) {
  Flow& flow = flows_[Index(id)];
  const double rate = next_rate_[Index(id)];
  const double change = rate - flow.rate;
  if (change <= 1e-11 * flow.rate && -change <= 1e-11 * flow.rate) return;
  flow.remaining -= flow.rate * (now - flow.since).seconds();
  flow.remaining = std::max(flow.remaining, 0.0);
  flow.rate = rate;
  flow.since = now;
  flow.completion = now + Time::RoundUp(Seconds(flow.remaining / rate));
  completions_.push_back({flow.completion, id, ++flow.generation});
  std::push_heap(completions_.begin(), completions_.end(), std::greater<>());
}

void FlowNetwork::SkipStaleCompletions() {
  while (!completions_.empty()) {
    const Completion& first = completions_.front();
    if (flows_[Index(first.flow)].generation == first.generation) {
      next_completion_ = first.time;
      return;
    }
    std::pop_heap(completions_.begin(), completions_.end(), std::greater<>());
    completions_.pop_back();
  }
  next_completion_ = Time::Max();
}

void FlowNetwork::DropStaleCompletions() {
  if (completions_.size() <= kStaleFactor * active_ + 64) return;
  std::erase_if(completions_, [this](const Completion& c) {
    return flows_[Index(c.flow)].generation != c.generation;
  });
  std::make_heap(completions_.begin(), completions_.end(), std::greater<>());
}

}  // namespace meshstep
