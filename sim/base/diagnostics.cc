#include "sim/base/diagnostics.h"

#include "absl/strings/str_join.h"

namespace meshstep {

void Diagnostics::Error(const std::string& field, const std::string& problem) {
  std::string where = locator_ ? locator_(field) : "";
  if (!where.empty()) where += ": ";
  errors_.push_back(where + field + ": " + problem);
}

Status Diagnostics::status() const {
  if (ok()) return absl::OkStatus();
  return InvalidInput(absl::StrJoin(errors_, "\n"));
}

}  // namespace meshstep
