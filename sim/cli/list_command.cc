// meshstep list: what there is.

#include <memory>

#include "CLI/CLI.hpp"
#include "sim/cli/commands.h"
#include "sim/cli/terminal.h"
#include "sim/report/text.h"
#include "sim/simulate/listing.h"

namespace meshstep {
namespace {

struct Options {
  std::string kind;
  OutputFormat format = OutputFormat::kText;
};

void RunList(const Options& options) {
  const StatusOr<v1::ListReport> report = List(options.kind, Catalog());
  if (!report.ok()) Fail(report.status());
  Print(options.format == OutputFormat::kText ? ToText(*report, TerminalStyle())
                                              : Serialize(*report, options.format));
}

}  // namespace

void AddListCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "list", "List chips, clusters, models, frameworks, collectives, schedules or examples");
  command->add_option("KIND", options->kind, "chips, clusters, models, collectives, ...")
      ->required()
      ->check(CLI::IsMember(ListKinds()));
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  meshstep list models");
  command->callback([options] { RunList(*options); });
}

}  // namespace meshstep
