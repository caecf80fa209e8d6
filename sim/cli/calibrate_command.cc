// meshstep calibrate: a chip file with the constants of one's own cluster.

#include <iostream>
#include <memory>
#include <regex>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "sim/base/catalog.h"
#include "sim/calibration/calibrate.h"
#include "sim/cli/commands.h"
#include "sim/cost/collective.h"
#include "sim/report/output_file.h"

namespace meshstep {
namespace {

struct Options {
  CalibrationInput input;
  std::string output;  // path; empty: standard output
};

Status CheckOptions(const Options& options) {
  if (options.input.collectives.empty() && options.input.matmuls.empty()) {
    return InvalidInput("calibrate: needs --collectives, --matmuls or both");
  }
  if (options.input.ranks != 0 && options.input.collectives.empty()) {
    return InvalidInput("--ranks: is of --collectives, which is not given");
  }
  if (options.input.kind && options.input.collectives.empty()) {
    return InvalidInput("--kind: is of --collectives, which is not given");
  }
  if (!options.input.device.empty() && options.input.matmuls.empty()) {
    return InvalidInput("--device: is of --matmuls, which is not given");
  }
  static const std::regex kDate("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])");
  if (!options.input.date.empty() && !std::regex_match(options.input.date, kDate)) {
    return InvalidInput(absl::StrCat("--date: is \"",
                                     absl::CHexEscape(options.input.date.substr(0, 64)),
                                     "\", expected YYYY-MM-DD"));
  }
  return absl::OkStatus();
}

void RunCalibrate(const Options& options) {
  if (const Status status = CheckOptions(options); !status.ok()) Fail(status);
  std::vector<std::string> inputs = options.input.collectives;
  inputs.insert(inputs.end(), {options.input.chip, options.input.matmuls});
  const Status outputs = CheckOutputs({{"--output", options.output}}, inputs);
  if (!outputs.ok()) Fail(outputs);
  const StatusOr<Calibration> calibration = Calibrate(options.input, Catalog());
  if (!calibration.ok()) Fail(calibration.status());
  const std::string text = ChipFile(options.input, *calibration);
  if (options.output.empty()) {
    Print(text);
  } else if (const Status s = WriteFile("--output", options.output, text); !s.ok()) {
    Fail(s);
  }
  for (const std::string& note : calibration->notes) std::cerr << note << "\n";
}

}  // namespace

void AddCalibrateCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app->add_subcommand("calibrate", "Fit a chip to your own nccl-tests logs and matmul timings");
  command
      ->add_option("--chip", options->input.chip,
                   "The chip to start from: a name of `meshstep list chips`, or a chip file")
      ->required();
  command
      ->add_option("--collectives", options->input.collectives,
                   "Output of all_reduce_perf, all_gather_perf, reduce_scatter_perf or "
                   "alltoall_perf inside one domain: LOG[,LOG...]")
      ->delimiter(',');
  command->add_option("--ranks", options->input.ranks, "Of the logs, where they list no \"# Rank\"")
      ->check(CLI::Range(2, 1 << 17));
  command->add_option_function<std::string>(
      "--kind",
      [options](const std::string& name) {
        const StatusOr<Collective> kind = ParseCollective(name);
        if (!kind.ok()) {
          Fail(InvalidInput("--kind: " + std::string(kind.status().message())));
        }
        options->input.kind = *kind;
      },
      "Of logs that do not say which test ran: all-reduce, all-gather, reduce-scatter, "
      "all-to-all");
  command->add_option("--matmuls", options->input.matmuls,
                      "CSV with the columns of matmul_runs.csv (tests/validation/measure_gpu.py "
                      "writes it) or matmul_tables.csv");
  command->add_option("--device", options->input.device,
                      "Take the rows whose chip or device is this; default: those of --chip");
  command->add_option("--date", options->input.date,
                      "YYYY-MM-DD of the measurements, for the comments");
  command->add_option("--output", options->output,
                      "FILE.textproto instead of standard output; `--set "
                      "cluster.chip.preset=FILE.textproto` simulates with it");
  command->footer(
      "Example:\n"
      "  meshstep calibrate --chip=h100-sxm --collectives=all_reduce.log,all_gather.log "
      "--matmuls=gpu.csv --date=2026-11-20 --output=my-h100.textproto");
  command->callback([options] { RunCalibrate(*options); });
}

}  // namespace meshstep
