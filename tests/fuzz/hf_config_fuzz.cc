// Hugging Face configurations, and the models they give.

#include "fuzz.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/diagnostics.h"
#include "strategies/model/hugging_face/load_hf_config.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  v1::Model proto;
  std::vector<std::string> assumptions;
  const Status status =
      ParseHfConfig("config.json", fuzz::TextOf(data, size), &proto, &assumptions);
  fuzz::CheckStatus(status);
  if (!status.ok()) return 0;
  Diagnostics diagnostics;
  LoadModel(proto, "model", &diagnostics);
  fuzz::CheckStatus(diagnostics.status());
  return 0;
}
