// Look-up in numbers by name, for reports of what was asked for.

#ifndef MESHSTEP_SIM_REPORT_NUMBERS_H_
#define MESHSTEP_SIM_REPORT_NUMBERS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/status.h"

namespace meshstep {

inline bool HasNumber(const std::map<std::string, double>& numbers, const std::string& name) {
  return numbers.contains(name);
}

inline double NumberOr(const std::map<std::string, double>& numbers, const std::string& name,
                       double otherwise) {
  const auto it = numbers.find(name);
  return it == numbers.end() ? otherwise : it->second;
}

// Error: one of `names` is missing or 0; names them all.
inline Status Need(const std::map<std::string, double>& numbers, const std::string& question,
                   const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (NumberOr(numbers, name, 0) <= 0) missing.push_back(name);
  }
  if (missing.empty()) return absl::OkStatus();
  return InvalidInput(absl::StrCat(question, ": needs ", absl::StrJoin(missing, ", "),
                                   " above 0 (--dims=", missing.front(), "=...)"));
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_NUMBERS_H_
