// Logs of nccl-tests.

#include "fuzz.h"
#include "sim/calibration/log_line.h"
#include "sim/calibration/nccl_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  const std::string text = fuzz::TextOf(data, size);
  const std::string_view rest = WithoutPrefixes(text);
  CHECK_LE(rest.size(), text.size());
  CHECK_EQ(WithoutPrefixes(rest), rest);
  const StatusOr<std::vector<NcclLog>> logs = ParseNcclLog("f.log", text, 0);
  fuzz::CheckStatus(logs.status());
  if (!logs.ok()) return 0;
  for (const NcclLog& log : *logs) {
    CHECK_GE(log.ranks, 2);
    CHECK(!log.samples.empty());
    for (const CollectiveSample& sample : log.samples) {
      CHECK(sample.bytes > Bytes(0) && sample.time > Seconds(0));
    }
  }
  return 0;
}
