#include "sim/cli/values.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace meshstep {
namespace {

// Products of a few numbers stay finite.
constexpr double kLargest = 1e40;

}  // namespace

StatusOr<double> ParseNumber(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::map<std::string, double> factors = {
      {"", 1},     {"k", 1e3},  {"K", 1e3},  {"M", 1e6},   {"G", 1e9},          {"B", 1e9},
      {"T", 1e12}, {"P", 1e15}, {"E", 1e18}, {"Ki", 1024}, {"Mi", 1024 * 1024}, {"Gi", 1 << 30}};
  const auto factor = factors.find(end);
  if (end == text.c_str() || factor == factors.end() || !std::isfinite(number) || number < 0 ||
      number * factor->second > kLargest) {
    return InvalidInput(absl::StrCat(option, ": is \"", text,
                                     "\", expected a number such as 4096, 1e9, 8Ki or 70B"));
  }
  return number * factor->second;
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
                       ParseNumber(absl::StrCat(option, ": ", key), item.substr(equals + 1)));
      if (!values.emplace(key, number).second) {
        return InvalidInput(absl::StrCat(option, ": \"", key, "\" is given twice"));
      }
    }
  }
  return values;
}

double ValueOr(const Values& values, const std::string& key, double otherwise) {
  const auto it = values.find(key);
  return it == values.end() ? otherwise : it->second;
}

}  // namespace meshstep
