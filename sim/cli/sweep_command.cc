// meshstep sweep: a grid of plans as a table.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/advice/sweep/sweep.h"
#include "sim/advice/sweep/sweep_output.h"
#include "sim/base/format.h"
#include "sim/cli/commands.h"
#include "sim/cli/progress.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/html/html.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  std::vector<std::string> vary;
  int threads = 0;
  std::string format = "text";
};

// What every row of a table stands on: the scenario by name, or, from standard input, whole.
Cells BaseCells(const Options& options, const ScenarioFile& input) {
  if (input.path == "-") {
    Cells cells = FieldCells(input.proto);
    std::erase_if(cells, [](const auto& cell) { return cell.first == "name"; });
    return cells;
  }
  Cells cells = {{"base", options.scenarios.names.front()}};
  for (const std::string& set : options.scenarios.files.sets) {
    std::pair<std::string, std::string> cell = CellOf(set);
    std::erase_if(cells, [&](const auto& there) { return there.first == cell.first; });
    cells.push_back(std::move(cell));
  }
  return cells;
}

std::string Written(const v1::SweepReport& report, const Options& options,
                    const ScenarioFile& input) {
  if (options.format == "text") return SweepToText(report);
  if (options.format == "csv") return SweepToCsv(report, BaseCells(options, input));
  if (options.format == "markdown") return SweepToMarkdown(report);
  if (options.format == "html") {
    return HtmlPage(absl::StrCat("Sweep of ", report.scenario()), SweepToHtml(report));
  }
  return Serialize(report, options.format == "json"        ? OutputFormat::kJson
                           : options.format == "textproto" ? OutputFormat::kTextproto
                                                           : OutputFormat::kBinary);
}

// Shows how far it is and the best so far.
class SweepProgress {
 public:
  explicit SweepProgress(std::int64_t points) : points_(points) {}

  void Done(const v1::SweepRow& row) {
    ++done_;
    if (row.reason().empty() && row.memory().fits() &&
        (best_.empty() || row.tokens_per_s_per_chip() > most_)) {
      most_ = row.tokens_per_s_per_chip();
      best_ = absl::StrCat("; best ", FormatSeconds(row.step_time_s()), ", ", row.name());
    }
    progress_.Show([this] {
      const double part = static_cast<double>(done_) / static_cast<double>(points_);
      return absl::StrCat(ProgressBar(part), " ", FormatCount(done_), " of ", FormatCount(points_),
                          ", ", FormatNumber(static_cast<double>(done_) / progress_.seconds(), 2),
                          "/s, ", FormatSeconds(progress_.seconds() * (1 - part) / part), " left",
                          best_);
    });
  }

 private:
  const std::int64_t points_;
  std::int64_t done_ = 0;
  double most_ = 0;
  std::string best_;
  Progress progress_;
};

StatusOr<v1::SweepReport> RunGrid(const Options& options, const ScenarioFile& input) {
  std::vector<Vary> varied;
  for (const std::string& text : options.vary) {
    ASSIGN_OR_RETURN(Vary vary, ParseVary(text));
    varied.push_back(std::move(vary));
  }
  ASSIGN_OR_RETURN(const std::int64_t points, GridSize(varied));
  SweepProgress progress(points);
  SweepOptions sweep{.simulate = options.simulate, .threads = options.threads};
  sweep.done = [&](const v1::SweepRow& row) { progress.Done(row); };
  ASSIGN_OR_RETURN(v1::SweepReport report, Sweep(input.proto, varied, sweep));
  *report.mutable_vary() = {options.vary.begin(), options.vary.end()};
  return report;
}

void RunSweep(const Options& options) {
  const StatusOr<ScenarioFile> input =
      ReadScenarioProto(options.scenarios.names.front(), options.scenarios.files);
  if (!input.ok()) Fail(input.status());
  const StatusOr<v1::SweepReport> report = RunGrid(options, *input);
  if (!report.ok()) Fail(report.status());
  Print(Written(*report, options, *input));
}

}  // namespace

void AddSweepCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "sweep", "Simulate a grid of plans: a table, best first, with a reason where there is none");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  command
      ->add_option("--vary", options->vary,
                   "PATH=V,V or PATH=A..BxF or PATH=A..B+S: values of a field; PATH=rest: the "
                   "degree that the others leave; repeat")
      ->required()
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  AddSimulateOptions(command, &options->simulate);
  options->simulate.catalog = &options->catalog;
  command->add_option("--threads", options->threads, "Default: as many as the machine has")
      ->check(CLI::Range(1, 256));
  command
      ->add_option("--format", options->format,
                   "text (default), csv, markdown, html, json, textproto or binary")
      ->check(CLI::IsMember({"text", "csv", "markdown", "html", "json", "textproto", "binary"}));
  command->footer(
      "Examples:\n"
      "  meshstep sweep llama3-70b-h100-512 --vary plan.tensor=1,2,4,8 --vary plan.fsdp=rest\n"
      "  meshstep sweep llama3-70b-h100-512 --vary cluster.chips=64..1024x2 --vary plan.fsdp=rest "
      "--format=csv");
  command->callback([options] { RunSweep(*options); });
}

}  // namespace meshstep
