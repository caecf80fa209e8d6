#include "strategies/step/step_memory.h"

#include "sim/base/index.h"

namespace meshstep {

StepMemory::StepMemory(const StepBuilder& builder, StepGraph* out) : builder_(builder), out_(*out) {
  out->resident.resize(out->units.size());
}

void StepMemory::HoldAllStep(int stage, const std::array<double, kMemoryBuckets>& bytes) {
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    out_.resident[Index(builder_.unit(stage, u))] = bytes;
  }
}

void StepMemory::AtStart(int stage, const UnitTasks& tasks, MemoryBucket bucket, double bytes) {
  Record(stage, tasks, false, bucket, bytes);
}

void StepMemory::AtEnd(int stage, const UnitTasks& tasks, MemoryBucket bucket, double bytes) {
  Record(stage, tasks, true, bucket, bytes);
}

void StepMemory::Record(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket,
                        double bytes) {
  if (bytes == 0 || tasks.empty()) return;
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    if (tasks[Index(u)] < 0) continue;
    out_.memory.push_back({tasks[Index(u)], at_end, builder_.unit(stage, u), bucket, bytes});
  }
}

}  // namespace meshstep
