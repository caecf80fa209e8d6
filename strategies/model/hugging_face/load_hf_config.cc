#include "strategies/model/hugging_face/load_hf_config.h"

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/data_path.h"
#include "strategies/model/hugging_face/hf_json.h"
#include "strategies/model/hugging_face/load_hf_model.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

}  // namespace

Status ParseHfConfig(const std::string& file, const std::string& content, v1::Model* model,
                     std::vector<std::string>* assumptions, std::string_view as) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseHfJson(file, content));
  Diagnostics problems([&file](const std::string&) { return file; });
  model->Clear();
  HfImporter(json, as, &problems, assumptions, model).Import();
  return problems.status();
}

void ResolveHfConfig(const std::string& field, v1::Model* model, Diagnostics* diagnostics) {
  if (model->hf_config().empty()) return;
  const std::string path = model->hf_config();
  const std::string name = field + ".hf_config";
  if (!model->preset().empty()) {
    diagnostics->Error(name, absl::StrCat("is \"", path, "\" and preset is \"", model->preset(),
                                          "\", expected one of them"));
    return;
  }
  const StatusOr<std::string> content = ReadFile(path, kMaxBytes);
  if (!content.ok()) {
    diagnostics->Error(name, std::string(content.status().message()));
    return;
  }
  v1::Model merged;
  std::vector<std::string> assumptions;
  if (const Status status = ParseHfConfig(path, *content, &merged, &assumptions); !status.ok()) {
    diagnostics->Error(name, std::string(status.message()));
    return;
  }
  for (const std::string& text : assumptions) diagnostics->Note(path + ": " + text);
  merged.MergeFrom(*model);
  merged.clear_hf_config();
  *model = merged;
}

}  // namespace meshstep
