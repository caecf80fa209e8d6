#include "sim/base/number.h"

#include <charconv>
#include <cmath>

namespace meshstep {
namespace {

constexpr double kKi = 1024;
constexpr NumberSuffix kCounts[] = {
    {"k", 1e3},  {"K", 1e3},  {"M", 1e6},  {"G", 1e9},       {"B", 1e9},           {"T", 1e12},
    {"P", 1e15}, {"E", 1e18}, {"Ki", kKi}, {"Mi", kKi* kKi}, {"Gi", kKi* kKi* kKi}};
constexpr NumberSuffix kBytes[] = {{"B", 1},
                                   {"kB", 1e3},
                                   {"KB", 1e3},
                                   {"MB", 1e6},
                                   {"GB", 1e9},
                                   {"TB", 1e12},
                                   {"KiB", kKi},
                                   {"MiB", kKi* kKi},
                                   {"GiB", kKi* kKi* kKi},
                                   {"TiB", kKi* kKi* kKi* kKi},
                                   {"K", kKi},
                                   {"M", kKi* kKi},
                                   {"G", kKi* kKi* kKi}};

// Takes a number from the front of `text`; false if there is none.
bool TakeNumber(std::string_view* text, double* number) {
  if (text->starts_with('+')) text->remove_prefix(1);
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  return true;
}

// Takes the longest of `suffixes` that is at the front of `text`; 1 if there is none.
double TakeSuffix(std::string_view* text, std::span<const NumberSuffix> suffixes) {
  const std::string_view before = *text;
  while (text->starts_with(' ')) text->remove_prefix(1);
  NumberSuffix longest{"", 1};
  for (const NumberSuffix& suffix : suffixes) {
    if (text->starts_with(suffix.name) && suffix.name.size() > longest.name.size()) {
      longest = suffix;
    }
  }
  if (longest.name.empty()) *text = before;
  text->remove_prefix(longest.name.size());
  return longest.factor;
}

}  // namespace

std::span<const NumberSuffix> CountSuffixes() { return kCounts; }
std::span<const NumberSuffix> ByteSuffixes() { return kBytes; }

std::optional<double> ParseNumber(std::string_view text, std::span<const NumberSuffix> suffixes) {
  double product = 1;
  bool divide = false;
  while (true) {
    double factor = 0;
    if (!TakeNumber(&text, &factor)) return std::nullopt;
    if (text.starts_with('^')) {
      double power = 0;
      text.remove_prefix(1);
      if (!TakeNumber(&text, &power)) return std::nullopt;
      factor = std::pow(factor, power);
    }
    factor *= TakeSuffix(&text, suffixes);
    product = divide ? product / factor : product * factor;
    if (!std::isfinite(product)) return std::nullopt;
    if (text.empty()) return product;
    if (text[0] != '*' && text[0] != 'x' && text[0] != '/') return std::nullopt;
    divide = text[0] == '/';
    text.remove_prefix(1);
  }
}

}  // namespace meshstep
