#include "sim/report/framework.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

constexpr int kWidth = 96, kIndent = 4;

// One line of text proto.
std::string OneLine(const google::protobuf::Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(message, &text);
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string Wrapped(const std::string& text) {
  return absl::StrCat(std::string(kIndent, ' '), WrapText(text, kWidth - kIndent, kIndent), "\n");
}

void AppendEntry(const v1::FrameworkEntry& entry, std::string* out) {
  const std::string when = OneLine(entry.when());
  absl::StrAppend(out, "\n  ", when.empty() ? "always" : absl::StrCat("when ", when), "\n");
  std::string fields = OneLine(entry.plan());
  if (entry.expert_tensor_as_tensor()) {
    absl::StrAppend(&fields, fields.empty() ? "" : " ", "expert_tensor as wide as tensor");
  }
  absl::StrAppend(out, Wrapped(fields), Wrapped(absl::StrCat("(", entry.source(), ")")));
}

void AppendRow(const v1::OpRow& row, std::string* out) {
  constexpr const char* kDirections[] = {"", " forward", " backward"};
  constexpr const char* kPlaces[] = {" also runs", " runs before", " runs instead"};
  const std::string when = OneLine(row.when());
  absl::StrAppend(out, "\n  ", absl::StrJoin(row.role(), ", "), kDirections[row.direction()],
                  when.empty() ? "" : absl::StrCat(", when ", when), "\n");
  std::string what = absl::StrCat(row.label(), ":");
  for (const v1::OpKernel& kernel : row.kernel()) {
    absl::StrAppend(&what, " { ", OneLine(kernel), " }");
  }
  if (!row.kernel().empty()) what.insert(0, absl::StrCat(kPlaces[row.place()] + 1, " "));
  if (row.has_host_ops()) {
    absl::StrAppend(&what, " host_ops ", row.host_ops() - row.counted_host_ops());
  }
  if (row.per() != v1::OpRow::OP) {
    absl::StrAppend(&what, " for each ", v1::OpRow::Unit_Name(row.per()));
  }
  if (row.host_waits()) absl::StrAppend(&what, " the host waits");
  if (!row.holds().empty()) absl::StrAppend(&what, " holds ", row.holds());
  absl::StrAppend(out, Wrapped(what), Wrapped(absl::StrCat("(", row.source(), ")")));
}

void AppendRows(const std::vector<v1::Framework>& files, std::string* out) {
  bool any = false;
  for (const v1::Framework& file : files) any = any || !file.op().empty();
  if (!any) {
    absl::StrAppend(out,
                    "\nNo kernels of its own: plan.kernels above says which of those of "
                    "`meshstep show framework ideal` it runs.\n");
    return;
  }
  absl::StrAppend(out,
                  "\nKernels and operations of the host, beside products, attention and "
                  "collectives:\n");
  for (const v1::Framework& file : files) {
    for (const v1::OpRow& row : file.op()) AppendRow(row, out);
  }
}

}  // namespace

std::string FrameworkToText(const std::string& name, const std::vector<v1::Framework>& files) {
  std::string out = absl::StrCat(name, ": ", files.back().description(), "\n");
  std::string release;
  for (const v1::Framework& file : files) {
    if (!file.release().empty()) release = file.release();
  }
  if (!release.empty()) {
    absl::StrAppend(&out, "Release unless the plan names another (", name, "@...): ", release,
                    "\n");
  }
  out += "Defaults of plan fields; a later one overrides an earlier one, the scenario all.\n";
  for (const v1::Framework& file : files) {
    for (const v1::FrameworkEntry& entry : file.entries()) AppendEntry(entry, &out);
  }
  for (const v1::Framework& file : files) {
    for (const v1::RecomputePolicy& policy : file.recompute_policies()) {
      absl::StrAppend(&out, "\n  recompute: \"", policy.name(), "\"\n",
                      Wrapped(OneLine(policy.plan())),
                      Wrapped(absl::StrCat("(", policy.source(), ")")));
    }
    for (const v1::FrameworkOption& option : file.options()) {
      absl::StrAppend(&out, "\n  framework_options: \"", option.name(), "\"\n",
                      Wrapped(option.description()));
    }
  }
  AppendRows(files, &out);
  return out;
}

}  // namespace meshstep
