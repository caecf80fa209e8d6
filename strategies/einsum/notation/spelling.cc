#include "strategies/einsum/notation/spelling.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

namespace meshstep::einsum {
namespace {

constexpr std::size_t kMaxSizes = 65536;  // characters

// What a suffix at the front of `text` multiplies by, and is removed: Ki is 1024, k or K 1000.
double TakeSuffix(std::string_view* text) {
  static constexpr std::array<std::pair<std::string_view, double>, 8> kSuffixes = {{
      {"Ki", 1024.0},
      {"Mi", 1024.0 * 1024},
      {"Gi", 1024.0 * 1024 * 1024},
      {"k", 1e3},
      {"K", 1e3},
      {"M", 1e6},
      {"G", 1e9},
      {"B", 1e9},
  }};
  for (const auto& [suffix, factor] : kSuffixes) {
    if (!text->starts_with(suffix)) continue;
    text->remove_prefix(suffix.size());
    return factor;
  }
  return 1;
}

// "8*1024", "2^17", "1e15", "8Ki", "4096". NaN if it is none of these.
double EvaluateSize(std::string_view text) {
  double product = 1;
  while (true) {
    double factor = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), factor);
    if (error != std::errc()) return std::nan("");
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text[0] == '^') {
      double power = 0;
      text.remove_prefix(1);
      const auto result = std::from_chars(text.data(), text.data() + text.size(), power);
      if (result.ec != std::errc()) return std::nan("");
      text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
      factor = std::pow(factor, power);
    }
    product *= factor * TakeSuffix(&text);
    if (text.empty()) return product;
    if (text[0] != '*' && text[0] != 'x') return std::nan("");
    text.remove_prefix(1);
  }
}

}  // namespace

std::string Plain(const std::string& text) {
  std::string plain;
  for (char c : text) {
    if (c != '-') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain;
}

StatusOr<Dtype> ParseDtypeSpelling(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, Dtype>, 22> kSpellings = {{
      {"bfloat16", Dtype::kBf16}, {"f32", Dtype::kFp32},   {"float32", Dtype::kFp32},
      {"float", Dtype::kFp32},    {"f16", Dtype::kFp16},   {"float16", Dtype::kFp16},
      {"half", Dtype::kFp16},     {"f8", Dtype::kFp8},     {"float8", Dtype::kFp8},
      {"e4m3", Dtype::kFp8},      {"e5m2", Dtype::kFp8},   {"f8e4m3fn", Dtype::kFp8},
      {"f8e5m2", Dtype::kFp8},    {"s8", Dtype::kInt8},    {"i8", Dtype::kInt8},
      {"u8", Dtype::kInt8},       {"uint8", Dtype::kInt8}, {"s4", Dtype::kInt4},
      {"i4", Dtype::kInt4},       {"uint4", Dtype::kInt4}, {"f4", Dtype::kFp4},
      {"float4", Dtype::kFp4},
  }};
  const std::string lower = Plain(name);
  for (const auto& [spelling, dtype] : kSpellings) {
    if (lower == spelling) return dtype;
  }
  return ParseDtype(lower);
}

StatusOr<std::map<std::string, double>> ParseSizes(const std::string& text) {
  if (text.size() > kMaxSizes) {
    return InvalidInput("the sizes are " + std::to_string(text.size()) +
                        " characters long, expected at most " + std::to_string(kMaxSizes));
  }
  std::map<std::string, double> sizes;
  std::string entry;
  auto add = [&]() -> Status {
    if (entry.empty()) return absl::OkStatus();
    const std::size_t is = entry.find_first_of("=:");
    const std::string dim = entry.substr(0, std::min(is, entry.size()));
    const double size = is == std::string::npos ? std::nan("") : EvaluateSize(entry.substr(is + 1));
    if (dim.empty() || std::isnan(size)) {
      return InvalidInput("size \"" + entry.substr(0, 60) +
                          "\" is not NAME=NUMBER; write sizes as B=1024,D=8*1024,F=2^15");
    }
    if (!sizes.emplace(dim, size).second) {
      return InvalidInput("dim " + dim + " has two sizes; give it one");
    }
    entry.clear();
    return absl::OkStatus();
  };
  for (char c : text) {
    const bool separates = c == ',' || c == ' ' || c == '{' || c == '}' || c == ';' || c == '\t';
    if (separates) {
      RETURN_IF_ERROR(add());
    } else if (c != '\'' && c != '"') {
      entry += c;
    }
  }
  RETURN_IF_ERROR(add());
  return sizes;
}

}  // namespace meshstep::einsum
