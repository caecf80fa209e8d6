#include "sim/report/arithmetic/terms.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/message.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

constexpr int kWidth = 100;  // of a line

std::string Digits(double value) {
  if (std::abs(value) >= 9999.5) return FormatCount(static_cast<std::int64_t>(std::llround(value)));
  const std::string text = absl::StrFormat("%.4g", value);
  return text.size() == 4 && std::abs(value) >= 1000 ? text.substr(0, 1) + "," + text.substr(1)
                                                     : text;
}

bool TakesPrefix(std::string_view unit) {
  return unit == "B" || unit == "B/s" || unit == "FLOP" || unit == "FLOP/s" || unit == "Hz";
}

// A count in words from a million on.
std::string Counted(double value) {
  constexpr std::pair<double, const char*> kWords[] = {
      {1e12, " trillion"}, {1e9, " billion"}, {1e6, " million"}};
  for (const auto& [factor, word] : kWords) {
    if (std::abs(value) >= 0.99995 * factor) return Digits(value / factor) + word;
  }
  return Digits(value);
}

// The field that a path names and the message that holds it; none: a message on the way is unset.
struct Place {
  const pb::Message* message;
  const pb::FieldDescriptor* field;
};

std::optional<Place> Find(const pb::Message& report, const std::string& path) {
  const pb::Message* message = &report;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (std::size_t i = 0;; ++i) {
    const pb::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr) return std::nullopt;
    if (i + 1 == names.size()) return Place{message, field};
    if (!message->GetReflection()->HasField(*message, field)) return std::nullopt;
    message = &message->GetReflection()->GetMessage(*message, field);
  }
}

// Empty: there is nothing to say.
std::string ValueOf(const pb::Message& report, const std::string& path, std::string_view unit) {
  const std::optional<Place> place = Find(report, path);
  if (!place) return "";
  const auto& [message, field] = *place;
  const pb::Reflection* reflection = message->GetReflection();
  if (field->has_presence() && !reflection->HasField(*message, field)) return "";
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value = reflection->GetDouble(*message, field);
      return value == 0 && !field->has_presence() ? "" : Amount(value, unit);
    }
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(*message, field) ? "yes" : "no";
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(*message, field);
    default:
      return "";
  }
}

struct Row {
  std::string name, value;
  std::string_view says;
};

std::size_t Wide(const std::string& text) { return static_cast<std::size_t>(DisplayWidth(text)); }

std::string Padded(const std::string& text, std::size_t width) {
  return text + std::string(width > Wide(text) ? width - Wide(text) : 0, ' ');
}

// `text` in the columns from `at` on, the first line of which has been begun.
std::string Wrapped(std::string_view text, std::size_t at) {
  const std::string lines = WrapText(text, std::max(30, kWidth - static_cast<int>(at)), 0);
  return absl::StrReplaceAll(lines, {{"\n", "\n" + std::string(at, ' ')}}) + "\n";
}

void Print(const std::vector<Row>& rows, std::size_t names, bool explain, std::string* out) {
  std::size_t values = 0;
  for (const Row& row : rows) values = std::max(values, Wide(row.value));
  values = std::min<std::size_t>(values, 24);
  for (const Row& row : rows) {
    absl::StrAppend(out, "  ", Padded(row.name, names + 2));
    if (!explain) {
      *out += Wrapped(row.value, names + 4);
    } else if (Wide(row.value) > values) {  // a sentence
      *out += Wrapped(absl::StrCat(row.value, "; ", std::string(row.says)), names + 4);
    } else {
      absl::StrAppend(out, Padded(row.value, values + 2), Wrapped(row.says, names + values + 6));
    }
  }
}

// The sentences of "assumed", one line each.
std::string Assumptions(const pb::Message& report) {
  std::string out;
  const pb::FieldDescriptor* field = report.GetDescriptor()->FindFieldByName("assumed");
  if (field == nullptr) return out;
  const pb::Reflection* reflection = report.GetReflection();
  for (int i = 0; i < reflection->FieldSize(report, field); ++i) {
    absl::StrAppend(
        &out, WrapText("Assumed: " + reflection->GetRepeatedString(report, field, i), kWidth, 2),
        "\n");
  }
  return out;
}

}  // namespace

std::string Amount(double value, std::string_view unit) {
  std::string name(unit);
  // Nouns are given as of several.
  if (value == 1 && name.size() > 2 && name.ends_with('s')) name.pop_back();
  if (!std::isfinite(value)) return "unlimited";
  if (unit == "%") return Digits(100 * value) + " %";
  if (unit == "$") return "$ " + Counted(value);
  if (unit == "s") {
    constexpr std::array<const char*, 5> kSmall = {"s", "ms", "us", "ns", "ps"};
    std::size_t i = 0;
    double scaled = value;
    while (value != 0 && std::abs(scaled) < 0.99995 && i + 1 < kSmall.size()) scaled *= 1e3, ++i;
    return Digits(scaled) + " " + kSmall[i];
  }
  if (TakesPrefix(unit)) {
    constexpr std::array<const char*, 9> kLarge = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
    std::size_t i = 0;
    while (std::abs(value) >= 999.95 && i + 1 < kLarge.size()) value /= 1e3, ++i;
    return Digits(value) + " " + kLarge[i] + name;
  }
  if (unit == "FLOP/B" || unit == "x") return Digits(value) + " " + name;
  return Counted(value) + (unit.empty() ? "" : " " + name);
}

std::string TermsText(const pb::Message& report, const std::string& sentence,
                      const std::vector<TermGroup>& groups, bool explain) {
  std::vector<std::pair<std::string, std::vector<Row>>> shown;
  std::size_t names = 0;
  int hidden = 0;
  for (const TermGroup& group : groups) {
    std::vector<Row> rows;
    for (const Term& term : group.terms) {
      const std::string_view unit = term.unit.empty() ? group.unit : term.unit;
      std::string value =
          ValueOf(report, std::string(group.prefix) + std::string(term.field), unit);
      if (value.empty()) continue;
      if (!explain && !(term.main && group.main)) {
        ++hidden;
        continue;
      }
      rows.push_back({std::string(term.name), std::move(value), term.says});
      names = std::max(names, Wide(rows.back().name));
    }
    if (!rows.empty()) shown.emplace_back(std::string(group.title), std::move(rows));
  }
  std::string out = WrapText(sentence, kWidth, 0) + "\n" + Assumptions(report);
  for (const auto& [title, rows] : shown) {
    absl::StrAppend(&out, "\n", title, title.empty() ? "" : "\n");
    Print(rows, names, explain, &out);
  }
  if (!explain) {
    absl::StrAppend(&out, "\n--explain says what each figure is",
                    hidden > 0 ? absl::StrCat(", and prints ", hidden, " more") : "", ".\n");
  } else {
    absl::StrAppend(&out, SymbolsOf(out));
  }
  return out;
}

std::string SymbolsOf(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kSymbols[] = {
      {"C", "FLOP/s of a chip at its peak"},
      {"W",
       "bytes/s that a collective gets: a torus axis both ways, a chip's links into its switch"},
      {"w", "bytes/s of a link one way"},
      {"w_out", "bytes/s of a chip out of its node or pod"},
      {"W_hbm", "bytes/s of a chip's HBM"},
      {"alpha", "C / W, FLOPs per byte of a link"},
      {"beta", "W_hbm / W"},
      {"Mx", "axes of the torus that X has"},
      {"My", "axes of the torus that Y has"},
      {"T_math", "time of the FLOPs at C"},
      {"T_comms", "time of the collectives"},
      {"T_hbm", "time of what HBM reads and writes"},
  };
  const auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  std::string out;
  for (const auto& [symbol, meaning] : kSymbols) {
    bool used = false;
    for (std::size_t at = text.find(symbol); at != std::string_view::npos && !used;
         at = text.find(symbol, at + 1)) {
      const std::size_t end = at + symbol.size();
      // Not a part of a word, nor an array of that name ("C[I,K]", "(C)").
      used = (at == 0 || (!part(text[at - 1]) && text[at - 1] != '(')) &&
             (end == text.size() || (!part(text[end]) && text[end] != '['));
    }
    if (used) {
      absl::StrAppend(&out, out.empty() ? "\nSymbols\n" : "", "  ", Padded(std::string(symbol), 9),
                      std::string(meaning), "\n");
    }
  }
  return out;
}

}  // namespace meshstep
