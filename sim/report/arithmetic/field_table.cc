#include "sim/report/arithmetic/field_table.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "google/protobuf/message.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;
using Row = std::pair<std::string, std::string>;

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// "activation_bytes" -> "activation", "B".
std::pair<std::string, std::string> NameAndUnit(const std::string& field) {
  const std::pair<const char*, const char*> units[] = {
      {"_bytes_per_s", "B/s"},
      {"_flops_per_s", "FLOP/s"},
      {"_bytes", "B"},
      {"_flops", "FLOP"},
      {"_s", "s"},
      {"_hz", "Hz"},
  };
  for (const auto& [end, unit] : units) {
    const bool rate = EndsWith(field, "_per_s") && std::string(unit) == "s";
    if (EndsWith(field, end) && !rate) {
      return {field.substr(0, field.size() - std::string(end).size()), unit};
    }
  }
  const std::pair<const char*, const char*> whole[] = {
      {"bytes", "B"}, {"flops", "FLOP"}, {"flops_per_s", "FLOP/s"}, {"intensity", "FLOP/B"}};
  for (const auto& [name, unit] : whole) {
    if (field == name) return {field == "flops_per_s" ? "flops" : field, unit};
  }
  // "kv_bytes_per_token": the unit is in the middle and stays in the name.
  if (field.find("_bytes_per_") != std::string::npos) return {field, "B"};
  return {field, ""};
}

std::string Title(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Four significant digits with a prefix: "70.55 G", "1.2 ms" for unit "s".
std::string WithPrefix(double value, const std::string& unit) {
  if (!std::isfinite(value)) return "unlimited";
  const char* const large[] = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
  const char* const small[] = {"", "m", "u", "n", "p"};
  double scaled = value;
  std::string prefix;
  const double magnitude = std::abs(value);
  if (magnitude >= 1e4 || (magnitude >= 1e3 && !unit.empty() && unit != "s")) {
    std::size_t i = 0;
    while (std::abs(scaled) >= 999.95 && i + 1 < std::size(large)) scaled /= 1e3, ++i;
    prefix = unit == "s" ? "" : large[i];
    if (unit == "s") scaled = value;
  } else if (unit == "s" && magnitude > 0 && magnitude < 1) {
    std::size_t i = 0;
    while (std::abs(scaled) < 1 && i + 1 < std::size(small)) scaled *= 1e3, ++i;
    prefix = small[i];
  }
  const std::string number = absl::StrFormat("%.4g", scaled), suffix = prefix + unit;
  return suffix.empty() ? number : number + " " + suffix;
}

// Empty if there is nothing to say.
std::string ScalarText(const pb::Message& m, const pb::FieldDescriptor* f,
                       const std::string& unit) {
  const pb::Reflection* r = m.GetReflection();
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value = r->GetDouble(m, f);
      return value == 0 && !f->has_presence() ? "" : WithPrefix(value, unit);
    }
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return r->GetString(m, f);
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return r->GetBool(m, f) ? "yes" : "no";
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(r->GetInt32(m, f));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(r->GetInt64(m, f));
    default:
      return "";
  }
}

std::string Padded(const std::string& text, std::size_t width, bool right) {
  const std::string pad(width > text.size() ? width - text.size() : 0, ' ');
  return right ? pad + text : text + pad;
}

// One line per message, one column per field that any of them has.
std::string TableText(const pb::Message& m, const pb::FieldDescriptor* field) {
  const pb::Reflection* r = m.GetReflection();
  const pb::Descriptor* row_type = field->message_type();
  std::vector<std::vector<std::string>> lines;
  for (int c = 0; c < row_type->field_count(); ++c) {
    const auto [name, unit] = NameAndUnit(row_type->field(c)->name());
    std::vector<std::string> column = {Title(name)};
    for (int i = 0; i < r->FieldSize(m, field); ++i) {
      column.push_back(ScalarText(r->GetRepeatedMessage(m, field, i), row_type->field(c), unit));
    }
    const bool any = std::any_of(column.begin() + 1, column.end(),
                                 [](const std::string& cell) { return !cell.empty(); });
    if (any) lines.push_back(column);
  }
  std::string text;
  const auto rows = static_cast<std::size_t>(r->FieldSize(m, field)) + 1;
  for (std::size_t i = 0; i < rows; ++i) {
    std::string line = " ";
    for (const std::vector<std::string>& column : lines) {
      std::size_t width = 0;
      for (const std::string& cell : column) width = std::max(width, cell.size());
      const bool number = row_type->field(0)->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING;
      line += " " + Padded(column[i], width + 1, number);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

// Repeated strings, one line each: "assumed: one layer, as L is not given".
void AppendSentences(const pb::Message& message, const std::string& indent, std::string* text) {
  const pb::Descriptor* descriptor = message.GetDescriptor();
  const pb::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor->field(i);
    const bool strings =
        field->is_repeated() && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
    if (!strings) continue;
    for (int k = 0; k < reflection->FieldSize(message, field); ++k) {
      *text += indent + Title(field->name()) + ": " +
               reflection->GetRepeatedString(message, field, k) + "\n";
    }
  }
}

// unit: what plain numbers of this message are in, from the name of the field that holds it.
void Append(const pb::Message& message, const std::string& indent, const std::string& unit_above,
            std::string* text) {
  const pb::Descriptor* descriptor = message.GetDescriptor();
  const pb::Reflection* reflection = message.GetReflection();
  std::vector<Row> rows;
  std::size_t width = 0;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor->field(i);
    if (field->is_repeated() || field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->has_presence() && !reflection->HasField(message, field)) continue;
    auto [name, unit] = NameAndUnit(field->name());
    if (unit.empty()) unit = unit_above;
    const std::string value = ScalarText(message, field, unit);
    if (value.empty()) continue;
    rows.emplace_back(Title(name), value);
    width = std::max(width, rows.back().first.size());
  }
  for (const auto& [name, value] : rows) {
    *text += indent + Padded(name, width + 2, false) + value + "\n";
  }
  AppendSentences(message, indent, text);
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor->field(i);
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated() && reflection->FieldSize(message, field) > 0) {
      *text += "\n" + indent + Title(field->name()) + "\n" + TableText(message, field);
    } else if (!field->is_repeated() && reflection->HasField(message, field)) {
      const std::string unit = field->name().find("_bytes") != std::string::npos ? "B" : "";
      *text += "\n" + indent + Title(NameAndUnit(field->name()).first) + "\n";
      Append(reflection->GetMessage(message, field), indent + "  ", unit, text);
    }
  }
}

}  // namespace

std::string FieldTable(const pb::Message& message) {
  std::string text;
  Append(message, "", "", &text);
  return text;
}

}  // namespace meshstep
