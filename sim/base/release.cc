#include "sim/base/release.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace meshstep {

bool IsBefore(std::string_view release, std::string_view other) {
  const std::vector<std::string> a = absl::StrSplit(std::string(release), '.');
  const std::vector<std::string> b = absl::StrSplit(std::string(other), '.');
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    int x = 0, y = 0;
    const bool numbers = absl::SimpleAtoi(a[i], &x) && absl::SimpleAtoi(b[i], &y);
    if (numbers ? x != y : a[i] != b[i]) return numbers ? x < y : a[i] < b[i];
  }
  return a.size() < b.size();
}

std::pair<std::string, std::string> NameAndRelease(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

}  // namespace meshstep
