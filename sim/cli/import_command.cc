// meshstep import: models from other tools' configurations.

#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/import_report.pb.h"
#include "sim/base/data_path.h"
#include "sim/cli/commands.h"
#include "strategies/model/hugging_face/load_hf_config.h"
#include "strategies/model/load_model.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

struct Options {
  std::string file, as;
  OutputFormat format = OutputFormat::kText;
};

// A file of the kind that lies in strategies/models.
std::string ToText(const v1::ImportReport& report) {
  std::string text =
      "# proto-file: meshstep/v1/model.proto\n# proto-message: meshstep.v1.Model\n\n";
  for (const std::string& assumption : report.assumptions()) {
    absl::StrAppend(&text, "# assumption: ", assumption, "\n");
  }
  return absl::StrCat(text, report.assumptions().empty() ? "" : "\n",
                      Serialize(report.model(), OutputFormat::kTextproto));
}

void RunImport(const Options& options) {
  std::string content;
  if (options.file == "-") {
    content.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    StatusOr<std::string> read = ReadFile(options.file, kMaxBytes);
    if (!read.ok()) Fail(read.status());
    content = *std::move(read);
  }
  v1::ImportReport report;
  std::vector<std::string> assumptions;
  Status status =
      ParseHfConfig(options.file, content, report.mutable_model(), &assumptions, options.as);
  if (!status.ok()) Fail(status);
  Diagnostics diagnostics([&options](const std::string&) { return options.file; });
  LoadModel(report.model(), "model", &diagnostics);
  if (!diagnostics.ok()) Fail(diagnostics.status());
  for (const std::string& assumption : assumptions) report.add_assumptions(assumption);
  Print(options.format == OutputFormat::kText ? ToText(report) : Serialize(report, options.format));
}

}  // namespace

void AddImportCommand(CLI::App* app) {
  CLI::App* import = app->add_subcommand("import", "Read another tool's configuration");
  import->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* command = import->add_subcommand(
      "hf", "A model from the config.json of Hugging Face, and the assumptions made");
  command->add_option("CONFIG", options->file, "config.json, or - for standard input")->required();
  command->add_option("--as", options->as,
                      "The model_type whose keys are read where that of the file is unknown");
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n"
      "  meshstep import hf config.json > my-model.textproto");
  command->callback([options] { RunImport(*options); });
}

}  // namespace meshstep
