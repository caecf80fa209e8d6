#include "strategies/plan/schedules/schedule.h"

#include <array>
#include <string>

#include "absl/strings/str_cat.h"

namespace meshstep {

std::string_view NameOf(Action::Kind kind) {
  switch (kind) {
    case Action::Kind::kForward:
      return "forward";
    case Action::Kind::kBackward:
      return "backward";
    case Action::Kind::kBackwardInput:
      return "input backward";
    case Action::Kind::kBackwardWeight:
      return "weight backward";
  }
  return "";
}

ChunkPlace Schedule::PlaceOf(int part, std::int64_t, const Pipeline& p) const {
  return {part % p.stages, part / p.stages};
}

std::span<const PublishedSchedule* const> Schedules() {
  static const auto all = std::to_array<const PublishedSchedule*>(
      {&GPipe(), &OneFOneB(), &Interleaved(), &ZbH1(), &ZbV(), &DualPipe()});
  return all;
}

const PublishedSchedule* FindSchedule(std::string_view name) {
  for (const PublishedSchedule* schedule : Schedules()) {
    if (schedule->name() == name) return schedule;
  }
  return nullptr;
}

double BubbleFraction(const PublishedSchedule& schedule, const Pipeline& pipeline) {
  const StageTimes times{1, 1, 1};
  return schedule.Bubble(pipeline, times) / (3 * static_cast<double>(pipeline.micro_batches));
}

Status WrongVirtualStages(std::string_view name, int v, std::string_view expected) {
  return InvalidInput(absl::StrCat("is \"", std::string(name), "\" with virtual_stages ", v,
                                   ", expected ", std::string(expected)));
}

}  // namespace meshstep
