// Tables of pipeline schedules. The first byte says how many stages and micro-batches.

#include "fuzz.h"
#include "strategies/plan/schedule_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  if (size == 0) return 0;
  const int stages = 1 + data[0] % 4, micro_batches = 1 + data[0] / 4 % 8;
  const auto table =
      ParseScheduleTable("t.csv", fuzz::TextOf(data + 1, size - 1), stages, micro_batches);
  fuzz::CheckStatus(table.status());
  if (!table.ok()) return 0;
  const Pipeline pipeline{stages, 1, micro_batches};
  for (int stage = 0; stage < stages; ++stage) {
    CHECK(!(*table)->Actions(stage, pipeline).empty());
    for (const Action& action : (*table)->Actions(stage, pipeline)) {
      CHECK(action.micro_batch >= 0 && action.micro_batch < micro_batches);
      const int part = (*table)->PartOf({stage, action.chunk}, pipeline);
      CHECK(part >= 0 && part < (*table)->Parts(pipeline));
    }
  }
  return 0;
}
