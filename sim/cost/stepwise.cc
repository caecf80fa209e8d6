#include "sim/cost/stepwise.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/engine/flow_network.h"

namespace meshstep {
namespace {

// One flow of a step.
struct Transfer {
  Time latency;
  Bytes bytes;
  std::map<std::int32_t, Bytes> load;  // per link
  std::vector<FlowDemand> demands;
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

  // Messages of one step, with their bytes; all start at `now`. Returns when the last has ended.
  Time Run(std::span<const Message* const> messages, std::span<const Bytes> bytes, Time now) {
    std::vector<Transfer> transfers = Transfers(messages, bytes);
    std::stable_sort(transfers.begin(), transfers.end(),
                     [](const Transfer& a, const Transfer& b) { return a.latency < b.latency; });
    return Drain(transfers, now);
  }

 private:
  std::vector<Transfer> Transfers(std::span<const Message* const> messages,
                                  std::span<const Bytes> bytes) const {
    std::vector<Transfer> transfers;
    std::map<std::pair<Combine, int>, std::size_t> joint;  // index of the transfer
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& m = *messages[i];
      std::size_t index = transfers.size();
      if (m.combine != Combine::kNone) {
        const int end = m.combine == Combine::kReduce ? m.dst : m.src;
        index = joint.emplace(std::pair(m.combine, end), index).first->second;
      }
      if (index == transfers.size()) transfers.emplace_back();
      AddMessage(m, bytes[i], &transfers[index]);
    }
    for (Transfer& transfer : transfers) {
      for (const auto& [link, amount] : transfer.load) {
        if (amount > Bytes()) transfer.demands.push_back({link, amount.value()});
      }
    }
    return transfers;
  }

  void AddMessage(const Message& m, Bytes bytes, Transfer* transfer) const {
    const DeviceId src = group_.members[Index(m.src)], dst = group_.members[Index(m.dst)];
    std::vector<Hop> hops;
    fabric_.Route(src, dst, &hops);
    std::map<std::int32_t, Bytes> own;
    for (const Hop& hop : hops) own[hop.link] += bytes * hop.fraction;
    for (const auto& [link, amount] : own) {
      Bytes& most = transfer->load[link];
      most = std::max(most, amount);
    }
    transfer->latency = std::max(transfer->latency, Time::RoundUp(fabric_.Latency(src, dst)));
    transfer->bytes = std::max(transfer->bytes, bytes);
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
};

// Whether two steps send as many bytes between the same ranks, in the same order.
bool SameLoads(std::span<const Message* const> a, std::span<const Bytes> a_bytes,
               std::span<const Message* const> b, std::span<const Bytes> b_bytes) {
  if (!std::equal(a_bytes.begin(), a_bytes.end(), b_bytes.begin(), b_bytes.end())) return false;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Message* x, const Message* y) {
    return x->src == y->src && x->dst == y->dst && x->combine == y->combine;
  });
}

}  // namespace

StepwiseRun Stepwise(const Fabric& fabric, const Group& group, const CollectiveAlgorithm& algorithm,
                     Collective collective, Bytes bytes) {
  const MessageSchedule schedule = algorithm.Messages(collective, group);
  const Bytes chunk = ChunkBytes(collective, bytes, group.size());
  StepRunner runner(fabric, group);
  StepwiseRun run;
  std::vector<const Message*> step;
  std::vector<Bytes> sizes;
  std::vector<const Message*> before;
  std::vector<Bytes> sizes_before;
  Time duration;
  for (std::size_t i = 0; i < schedule.messages.size(); ++i) {
    const Message& m = schedule.messages[i];
    Bytes size;
    for (const int id : m.chunks) {
      size +=
          chunk * (schedule.fractions.empty() ? 1.0 / schedule.splits
                                              : schedule.fractions[Index(id % schedule.splits)]);
    }
    step.push_back(&m);
    sizes.push_back(size);
    ++run.messages;
    const bool last = i + 1 == schedule.messages.size();
    CHECK(last || schedule.messages[i + 1].step >= m.step) << "messages are not in step order ";
    if (!last && schedule.messages[i + 1].step == m.step) continue;
    // A step that loads the fabric as the one before takes as long: rings solve one step in all.
    if (!SameLoads(step, sizes, before, sizes_before)) {
      duration = runner.Run(step, sizes, run.time) - run.time;
      before = step;
      sizes_before = sizes;
    }
    run.time += duration;
    ++run.steps;
    step.clear();
    sizes.clear();
  }
  return run;
}

}  // namespace meshstep
