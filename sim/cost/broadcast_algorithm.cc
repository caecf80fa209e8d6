#include "sim/cost/broadcast_algorithm.h"

#include <algorithm>
#include <utility>

#include "sim/cost/gather_algorithm.h"

namespace meshstep {

bool BroadcastAlgorithm::Supports(Collective collective, const Group& group) const {
  return (collective == Collective::kBroadcast || collective == Collective::kReduce) &&
         group.size() > 1;
}

std::vector<TrafficPhase> BroadcastAlgorithm::Traffic(Collective collective, Bytes bytes,
                                                      const Group& group) const {
  std::vector<TrafficPhase> phases = BroadcastTraffic(bytes, group);
  if (collective == Collective::kBroadcast) return phases;
  return Transpose(std::move(phases), group);
}

MessageSchedule BroadcastAlgorithm::Messages(Collective collective, const Group& group) const {
  MessageSchedule schedule = BroadcastMessages(group);
  if (collective == Collective::kReduce) {
    schedule = Transpose(std::move(schedule));
    // A piece of the message is the same piece of every part of the vector.
    for (Message& m : schedule.messages) {
      const std::vector<int> pieces = std::exchange(m.chunks, {});
      for (int chunk = 0; chunk < group.size(); ++chunk) {
        for (const int piece : pieces) m.chunks.push_back(chunk * schedule.splits + piece);
      }
    }
  }
  std::stable_sort(schedule.messages.begin(), schedule.messages.end(),
                   [](const Message& a, const Message& b) { return a.step < b.step; });
  return schedule;
}

Seconds BroadcastAlgorithm::ClosedForm(Collective, Bytes bytes, const Group& group) const {
  return BroadcastClosedForm(bytes, group);
}

}  // namespace meshstep
