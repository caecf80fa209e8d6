#include "sim/simulate/write_scenario_table.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "sim/base/csv.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// Has lists of messages in it, which no column can name.
bool HasLists(const pb::Descriptor* message) {
  for (int i = 0; i < message->field_count(); ++i) {
    const Field* field = message->field(i);
    if (field->cpp_type() != Field::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated() || HasLists(field->message_type())) return true;
  }
  return false;
}

bool IsUsed(const pb::Message& message) {
  std::vector<const Field*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const Field* field : fields) {
    if (field->cpp_type() == Field::CPPTYPE_MESSAGE && field->is_repeated()) return true;
    if (field->cpp_type() == Field::CPPTYPE_MESSAGE &&
        IsUsed(message.GetReflection()->GetMessage(message, field))) {
      return true;
    }
  }
  return false;
}

std::string Scalar(const pb::Message& message, const Field* field, int index) {
  if (field->cpp_type() == Field::CPPTYPE_STRING) {
    std::string scratch;
    const pb::Reflection* r = message.GetReflection();
    return index < 0 ? r->GetStringReference(message, field, &scratch)
                     : r->GetRepeatedStringReference(message, field, index, &scratch);
  }
  std::string text;
  pb::TextFormat::PrintFieldValueToString(message, field, index, &text);
  return text;
}

void AppendFields(const pb::Message& message, const std::string& prefix, Cells* cells) {
  std::vector<const Field*> fields;
  const pb::Reflection* r = message.GetReflection();
  r->ListFields(message, &fields);
  for (const Field* field : fields) {
    const std::string path = prefix.empty() ? field->name() : prefix + "." + field->name();
    if (field->is_repeated()) {
      std::vector<std::string> elements;
      for (int i = 0; i < r->FieldSize(message, field); ++i) {
        elements.push_back(Scalar(message, field, i));
      }
      cells->emplace_back(path, absl::StrJoin(elements, ";"));
    } else if (field->cpp_type() != Field::CPPTYPE_MESSAGE) {
      cells->emplace_back(path, Scalar(message, field, -1));
    } else if (const pb::Message& inner = r->GetMessage(message, field);
               HasLists(field->message_type()) && IsUsed(inner)) {
      pb::TextFormat::Printer printer;
      printer.SetSingleLineMode(true);
      std::string text;
      printer.PrintToString(inner, &text);
      cells->emplace_back(path, absl::StrCat("{ ", text, "}"));
    } else {
      AppendFields(inner, path, cells);
    }
  }
}

const Field* FieldOf(const std::string& path) {
  const pb::Descriptor* message = v1::Scenario::descriptor();
  const Field* field = nullptr;
  for (std::size_t begin = 0; begin <= path.size() && message != nullptr;) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    field = message->FindFieldByName(path.substr(begin, end - begin));
    message = field == nullptr ? nullptr : field->message_type();
    begin = end + 1;
  }
  return field;
}

}  // namespace

Cells FieldCells(const v1::Scenario& scenario) {
  Cells cells;
  AppendFields(scenario, "", &cells);
  return cells;
}

std::pair<std::string, std::string> CellOf(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  std::string path = assignment.substr(0, equals);
  std::string value = equals == std::string::npos ? "" : assignment.substr(equals + 1);
  const Field* field = FieldOf(path);
  if (field != nullptr && field->is_repeated()) value = absl::StrReplaceAll(value, {{",", ";"}});
  return {std::move(path), std::move(value)};
}

std::string CellOf(double value) {
  char buffer[32];
  const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end.ptr);
}

std::string VerdictName(const v1::Memory& memory) {
  return memory.fits() ? "FITS" : "DOES_NOT_FIT";
}

void AppendResult(const v1::SimulateReport& report, Cells* row) {
  const v1::Memory& memory = report.memory();
  row->insert(row->end(), {{"chips", absl::StrCat(report.chips())},
                           {"step_time_s", CellOf(report.step_time_s())},
                           {"tokens_per_s_per_chip", CellOf(report.tokens_per_s_per_chip())},
                           {"mfu", CellOf(report.mfu())},
                           {"memory.peak_bytes", absl::StrCat(memory.peak_bytes())},
                           {"memory.capacity_bytes", absl::StrCat(memory.capacity_bytes())},
                           {"memory.verdict", VerdictName(memory)}});
}

std::string WriteScenarioTable(std::span<const Cells> rows) {
  std::vector<std::string> columns;
  std::map<std::string, std::size_t> place;
  for (const Cells& row : rows) {
    for (const auto& [column, cell] : row) {
      if (place.try_emplace(column, columns.size()).second) columns.push_back(column);
    }
  }
  std::vector<std::vector<std::string>> table = {columns};
  for (const Cells& row : rows) {
    std::vector<std::string>& line = table.emplace_back(columns.size());
    for (const auto& [column, cell] : row) line[place.at(column)] = cell;
  }
  return WriteCsv(table);
}

}  // namespace meshstep
