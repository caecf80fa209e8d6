#include "sim/cli/values.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/base/number.h"

namespace meshstep {
namespace {

// Products of a few numbers stay finite.
constexpr double kLargest = 1e40;
constexpr double kMostBytes = 1e18;

}  // namespace

StatusOr<double> ReadCount(const std::string& option, const std::string& text) {
  const std::optional<double> number = ParseNumber(text, CountSuffixes());
  if (!number || *number < 0) {
    return InvalidInput(absl::StrCat(option, ": is \"", text,
                                     "\", expected a number such as 4096, 1e9, 8Ki or 70B"));
  }
  if (*number > kLargest) {
    return InvalidInput(absl::StrCat(option, ": is above ", kLargest, ", expected less"));
  }
  return *number;
}

StatusOr<double> ReadBytes(const std::string& option, const std::string& text) {
  const std::optional<double> bytes = ParseNumber(text, ByteSuffixes());
  if (!bytes || !(*bytes >= 0 && *bytes <= kMostBytes)) {
    return InvalidInput(absl::StrCat(option, ": is \"", text.substr(0, 60),
                                     "\", expected bytes from 0 to 1e18, as 64MiB"));
  }
  return *bytes;
}

StatusOr<Values> ParseValues(const std::string& option, const std::vector<std::string>& lists,
                             const std::vector<std::string>& known) {
  Values values;
  for (const std::string& list : lists) {
    for (const std::string& item :
         std::vector<std::string>(absl::StrSplit(list, ',', absl::SkipWhitespace()))) {
      const std::size_t equals = item.find('=');
      if (equals == std::string::npos || equals == 0) {
        return InvalidInput(absl::StrCat(option, ": is \"", item, "\", expected NAME=NUMBER"));
      }
      const std::string key = item.substr(0, equals);
      if (!known.empty() && std::find(known.begin(), known.end(), key) == known.end()) {
        return InvalidInput(absl::StrCat(option, ": has no \"", key, "\", expected one of ",
                                         absl::StrJoin(known, ", ")));
      }
      ASSIGN_OR_RETURN(const double number,
                       ReadCount(absl::StrCat(option, ": ", key), item.substr(equals + 1)));
      if (!values.emplace(key, number).second) {
        return InvalidInput(absl::StrCat(option, ": \"", key, "\" is given twice"));
      }
    }
  }
  return values;
}

}  // namespace meshstep
