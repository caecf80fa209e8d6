#include "strategies/einsum/notation/spelling.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>

#include "sim/base/number.h"

namespace meshstep::einsum {
namespace {

constexpr std::size_t kMaxSizes = 65536;  // characters

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
    const std::optional<double> size =
        is == std::string::npos
            ? std::nullopt
            : ParseNumber(std::string_view(entry).substr(is + 1), CountSuffixes());
    if (dim.empty() || !size) {
      return InvalidInput("size \"" + entry.substr(0, 60) +
                          "\" is not NAME=NUMBER; write sizes as B=1024,D=8*1024,F=2^15");
    }
    if (!sizes.emplace(dim, *size).second) {
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
