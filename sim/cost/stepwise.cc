#include "sim/cost/stepwise.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/gather_algorithm.h"
#include "sim/engine/flow_network.h"

namespace meshstep {
namespace {

// A message without its chunks.
struct Load {
  int src, dst;
  Combine combine;
  Bytes bytes;
  bool operator==(const Load&) const = default;
};

// One flow of a step: a message, or all that switches join.
struct Transfer {
  Time latency;
  Bytes bytes;
  std::vector<FlowDemand> demands;  // by link
};

class StepRunner {
 public:
  StepRunner(const Fabric& fabric, const Group& group) : fabric_(fabric), group_(group) {
    std::vector<BytesPerSecond> capacities;
    for (LinkId link = 0; link < fabric.links(); ++link) {
      capacities.push_back(fabric.capacity(link));
    }
    network_ = std::make_unique<FlowNetwork>(capacities);
  }

  // Messages of one step; all start at `now`. Returns when the last has ended.
  Time Run(std::span<const Load> messages, Time now) {
    std::vector<Transfer> transfers = Transfers(messages);
    std::stable_sort(transfers.begin(), transfers.end(),
                     [](const Transfer& a, const Transfer& b) { return a.latency < b.latency; });
    return Drain(transfers, now);
  }

 private:
  std::vector<Transfer> Transfers(std::span<const Load> messages) {
    std::vector<Transfer> transfers;
    std::map<std::pair<Combine, int>, std::size_t> joint;  // index of the transfer
    for (const Load& m : messages) {
      std::size_t index = transfers.size();
      if (m.combine != Combine::kNone) {
        const int end = m.combine == Combine::kReduce ? m.dst : m.src;
        index = joint.emplace(std::pair(m.combine, end), index).first->second;
      }
      if (index == transfers.size()) transfers.emplace_back();
      AddMessage(m, &transfers[index]);
    }
    return transfers;
  }

  void AddMessage(const Load& m, Transfer* transfer) {
    const DeviceId src = group_.members[Index(m.src)], dst = group_.members[Index(m.dst)];
    SetOwn(src, dst, m.bytes);
    if (transfer->demands.empty()) {
      transfer->demands.assign(own_.begin(), own_.end());
    } else {
      Join(transfer);
    }
    transfer->latency = std::max(transfer->latency, Time::RoundUp(fabric_.Latency(src, dst)));
    transfer->bytes = std::max(transfer->bytes, m.bytes);
  }

  // What one message puts on each link.
  void SetOwn(DeviceId src, DeviceId dst, Bytes bytes) {
    hops_.clear();
    fabric_.Route(src, dst, &hops_);
    std::ranges::stable_sort(hops_, {}, &Hop::link);
    own_.clear();
    for (const Hop& hop : hops_) {
      const double amount = (bytes * hop.fraction).value();
      if (!own_.empty() && own_.back().link == hop.link) {
        own_.back().bytes += amount;
      } else if (amount > 0) {
        own_.push_back({hop.link, amount});
      }
    }
  }

  // Each link carries the largest of the messages that are joined.
  void Join(Transfer* transfer) {
    std::vector<FlowDemand>& demands = transfer->demands;
    demands.insert(demands.end(), own_.begin(), own_.end());
    std::ranges::stable_sort(demands, {}, &FlowDemand::link);
    std::size_t kept = 0;
    for (std::size_t i = 1; i < demands.size(); ++i) {
      if (demands[i].link == demands[kept].link) {
        demands[kept].bytes = std::max(demands[kept].bytes, demands[i].bytes);
      } else {
        demands[++kept] = demands[i];
      }
    }
    if (!demands.empty()) demands.resize(kept + 1);
  }

  Time Drain(const std::vector<Transfer>& transfers, Time now) {
    const Time begin = now;
    std::size_t next = 0;
    std::vector<FlowNetwork::FlowId> drained;
    while (next < transfers.size() || network_->active() > 0) {
      const Time arrival = next < transfers.size() ? begin + transfers[next].latency : Time::Max();
      now = std::min(arrival, network_->NextCompletion());
      drained.clear();
      network_->Drained(now, &drained);
      for (const FlowNetwork::FlowId id : drained) network_->Remove(id);
      for (; next < transfers.size() && begin + transfers[next].latency <= now; ++next) {
        if (transfers[next].demands.empty()) continue;
        network_->Add(transfers[next].demands, transfers[next].bytes.value(), now);
      }
      network_->Update(now);
    }
    return now;
  }

  const Fabric& fabric_;
  const Group& group_;
  std::unique_ptr<FlowNetwork> network_;
  std::vector<Hop> hops_;        // of one message
  std::vector<FlowDemand> own_;  // of one message
};

// The algorithm, if it can make the messages of one step at a time.
const GatherAlgorithm* ByStep(const CollectiveAlgorithm& algorithm, Collective collective,
                              const Group& group) {
  const auto* gather = dynamic_cast<const GatherAlgorithm*>(&algorithm);
  return gather != nullptr && gather->MessagesMadeByStep(collective, group) > 0 ? gather : nullptr;
}

// Calls visit with the messages of one step after another.
template <class Visit>
void VisitSteps(const CollectiveAlgorithm& algorithm, Collective collective, const Group& group,
                const Visit& visit) {
  if (const GatherAlgorithm* gather = ByStep(algorithm, collective, group)) {
    return gather->VisitSteps(collective, group, visit);
  }
  MessageSchedule all = algorithm.Messages(collective, group);
  MessageSchedule step{all.splits, all.fractions, {}};
  for (Message& m : all.messages) {
    if (!step.messages.empty() && step.messages.back().step != m.step) {
      CHECK_GT(m.step, step.messages.back().step) << "messages are not in step order ";
      visit(step);
      step.messages.clear();
    }
    step.messages.push_back(std::move(m));
  }
  if (!step.messages.empty()) visit(step);
}

}  // namespace

std::int64_t MessagesMadeByStep(const CollectiveAlgorithm& algorithm, Collective collective,
                                const Group& group) {
  const GatherAlgorithm* const gather = ByStep(algorithm, collective, group);
  return gather == nullptr ? 0 : gather->MessagesMadeByStep(collective, group);
}

StepwiseRun Stepwise(const Fabric& fabric, const Group& group, const CollectiveAlgorithm& algorithm,
                     Collective collective, Bytes bytes) {
  const Bytes chunk = ChunkBytes(collective, bytes, group.size());
  StepRunner runner(fabric, group);
  StepwiseRun run;
  std::vector<Load> loads, before;
  Time duration;
  VisitSteps(algorithm, collective, group, [&](const MessageSchedule& step) {
    loads.clear();
    for (const Message& m : step.messages) {
      Bytes size;
      for (const int id : m.chunks) {
        size += chunk * (step.fractions.empty() ? 1.0 / step.splits
                                                : step.fractions[Index(id % step.splits)]);
      }
      loads.push_back({m.src, m.dst, m.combine, size});
    }
    // A step that loads the fabric as the one before takes as long: rings solve one step in all.
    if (loads != before) {
      duration = runner.Run(loads, run.time) - run.time;
      std::swap(before, loads);
    }
    run.time += duration;
    ++run.steps;
    run.messages += static_cast<std::int64_t>(step.messages.size());
  });
  return run;
}

}  // namespace meshstep
