#include "sim/report/html/html_use.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/report/html/html_parts.h"

namespace meshstep {
namespace {

// Where the colours begin, of the mean use.
constexpr std::array<double, 5> kColours = {0.005, 0.1, 0.25, 0.5, 0.75};

}  // namespace

std::string UseStyle(double use) {
  const auto above = std::ranges::upper_bound(kColours, use);
  return absl::StrCat("u", above - kColours.begin());
}

std::string UseKey() {
  std::vector<std::pair<std::string, std::string>> key = {{"u0", "under 0.5 % busy"}};
  for (std::size_t i = 0; i < kColours.size(); ++i) {
    const double to = i + 1 < kColours.size() ? kColours[i + 1] : 1;
    key.emplace_back(absl::StrCat("u", i + 1),
                     i == 0 ? absl::StrCat("to ", 100 * to, " %")
                            : absl::StrCat(100 * kColours[i], " to ", 100 * to, " % busy"));
  }
  return Key(key);
}

}  // namespace meshstep
