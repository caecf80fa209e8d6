#include "sim/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace meshstep {
namespace {

// Levenshtein distance of two short names.
std::size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0u);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> NearestNames(const std::string& name, std::vector<std::string> names,
                                      std::size_t count) {
  // "h100" most likely means "h100-sxm", though "h200" is fewer edits away.
  const auto distance = [&](const std::string& candidate) {
    const bool part = !name.empty() && candidate.find(name) != std::string::npos;
    return std::pair(!part, EditDistance(candidate, name));
  };
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return distance(a) < distance(b);
  });
  names.resize(std::min(names.size(), count));
  return names;
}

}  // namespace meshstep
