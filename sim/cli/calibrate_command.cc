// meshstep calibrate: a chip file with the constants of one's own cluster.

#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/check.h"
#include "sim/base/data_path.h"
#include "sim/calibration/calibrated_chip.h"
#include "sim/calibration/nccl_log.h"
#include "sim/cli/commands.h"
#include "sim/cost/compute.h"
#include "sim/report/output.h"
#include "sim/report/output_file.h"
#include "sim/validation/measured_matmuls.h"
#include "strategies/einsum/load_hardware.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

struct Options {
  std::string chip, matmuls, device, date, output;
  std::vector<std::string> collectives;
  int ranks = 0;
};

// Fewer matmuls of a format do not tell three constants apart.
constexpr std::size_t kLeastMatmuls = 8;
// Domains of at most so many chips are boards of one host (HGX, MI300X); larger ones are racks.
constexpr int kMostChipsOfHost = 16;

// The chip as it is filled with what was fitted, and what is said of it.
struct Calibration {
  Chip base;
  v1::Chip message;
  std::vector<std::string> notes;
};

std::string Shown(const std::string& path) { return absl::CHexEscape(path); }

std::string Source(const char* what, const std::string& files, const Options& options) {
  return absl::StrCat("meshstep calibrate, ", what, " of ", files,
                      options.date.empty() ? "" : absl::StrCat(" (", options.date, ")"));
}

StatusOr<Calibration> ReadBase(const Options& options) {
  Calibration calibration;
  calibration.message.set_preset(ChipPreset(options.chip));
  Diagnostics diagnostics;
  Catalog().Resolve("topologies/chips", "chip", &calibration.message, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  calibration.message.clear_preset();
  calibration.base = LoadChip(calibration.message, "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return calibration;
}

Status FitMatmuls(const Options& options, Calibration* calibration) {
  const Chip& chip = calibration->base;
  const ComputeModel model(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  ASSIGN_OR_RETURN(const MeasuredMatmuls measured,
                   ReadMeasuredMatmuls(options.matmuls, chip.name, options.device, model));
  std::vector<std::string>& notes = calibration->notes;
  const std::string source = Source("matmuls", Shown(options.matmuls), options);
  for (const auto& [dtype, samples] : measured.samples) {
    const std::string name(NameOf(dtype));
    if (samples.size() < kLeastMatmuls) {
      notes.push_back(absl::StrCat("matmul ", name, ": ", samples.size(), " rows, fewer than ",
                                   kLeastMatmuls, ": left as it was"));
      continue;
    }
    const MatmulFit fit =
        FitMatmul(samples, chip.calibration.matmul[static_cast<std::size_t>(dtype)]);
    SetMatmul(dtype, fit.calibration, &calibration->message);
    const std::string residuals = absl::StrCat("matmul ", name, ": ", ResidualsText(fit.after));
    calibration->message.mutable_calibration()->add_sources(absl::StrCat(source, ": ", residuals));
    notes.push_back(absl::StrCat(residuals, " (before: ", ResidualsText(fit.before), ")"));
    notes.push_back(absl::StrCat("matmul ", name, ": sustained_fraction ",
                                 fit.sustained ? "from the matmuls of at least 1 ms"
                                               : "left: fewer than 3 matmuls of at least 1 ms"));
  }
  for (const auto& [reason, count] : measured.left_out) {
    notes.push_back(absl::StrCat("left out: ", count, " rows ", reason));
  }
  return absl::OkStatus();
}

Status FitCollectives(const Options& options, Calibration* calibration) {
  std::map<Collective, std::vector<CollectiveSample>> samples;
  std::map<Collective, std::vector<std::string>> files;
  for (const std::string& path : options.collectives) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
    ASSIGN_OR_RETURN(const NcclLog log, ParseNcclLog(Shown(path), content, options.ranks));
    const Chip& chip = calibration->base;
    if (log.hosts > 1 && chip.interconnect.domain_chips <= kMostChipsOfHost) {
      return InvalidInput(absl::StrCat(Shown(path), ": is of ", log.hosts,
                                       " hosts, expected 1: the ", "domain of ", chip.name,
                                       " is one host"));
    }
    std::vector<CollectiveSample>& own = samples[log.collective];
    own.insert(own.end(), log.samples.begin(), log.samples.end());
    files[log.collective].push_back(Shown(path));
  }
  for (const auto& [collective, own] : samples) {
    ASSIGN_OR_RETURN(
        const std::vector<FittedCollective> fitted,
        FitCollectiveInto(std::string(NameOf(collective)), own, calibration->base,
                          Source("nccl-tests", absl::StrJoin(files[collective], ", "), options),
                          &calibration->message));
    for (const FittedCollective& entry : fitted) calibration->notes.push_back(entry.summary);
  }
  return absl::OkStatus();
}

std::string ToText(const Options& options, const Calibration& calibration) {
  std::string text =
      absl::StrCat("# proto-file: meshstep/v1/chip.proto\n# proto-message: meshstep.v1.Chip\n\n# ",
                   calibration.base.name, " with constants fitted by meshstep calibrate",
                   options.date.empty() ? "" : ", measured " + options.date, ".\n");
  for (const std::string& path : options.collectives) {
    absl::StrAppend(&text, "# collectives: ", Shown(path), "\n");
  }
  if (!options.matmuls.empty()) {
    absl::StrAppend(&text, "# matmuls: ", Shown(options.matmuls), "\n");
  }
  for (const std::string& note : calibration.notes) absl::StrAppend(&text, "# ", note, "\n");
  return absl::StrCat(text, "\n", Serialize(calibration.message, OutputFormat::kTextproto));
}

Status CheckOptions(const Options& options) {
  if (options.collectives.empty() && options.matmuls.empty()) {
    return InvalidInput("calibrate: needs --collectives, --matmuls or both");
  }
  if (options.ranks != 0 && options.collectives.empty()) {
    return InvalidInput("--ranks: is of --collectives, which is not given");
  }
  if (!options.device.empty() && options.matmuls.empty()) {
    return InvalidInput("--device: is of --matmuls, which is not given");
  }
  static const std::regex kDate("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])");
  if (!options.date.empty() && !std::regex_match(options.date, kDate)) {
    return InvalidInput(absl::StrCat("--date: is \"", absl::CHexEscape(options.date.substr(0, 64)),
                                     "\", expected YYYY-MM-DD"));
  }
  return absl::OkStatus();
}

void RunCalibrate(const Options& options) {
  if (const Status status = CheckOptions(options); !status.ok()) Fail(status);
  StatusOr<Calibration> calibration = ReadBase(options);
  if (!calibration.ok()) Fail(calibration.status());
  if (!options.collectives.empty()) {
    if (const Status s = FitCollectives(options, &*calibration); !s.ok()) Fail(s);
  }
  if (!options.matmuls.empty()) {
    if (const Status s = FitMatmuls(options, &*calibration); !s.ok()) Fail(s);
  }
  Diagnostics diagnostics;
  LoadChip(calibration->message, "chip", &diagnostics);
  CHECK(diagnostics.ok()) << std::string(diagnostics.status().message());
  const std::string text = ToText(options, *calibration);
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
      ->add_option("--chip", options->chip,
                   "The chip to start from: a name of `meshstep list chips`, or a chip file")
      ->required();
  command
      ->add_option("--collectives", options->collectives,
                   "Output of all_reduce_perf, all_gather_perf, reduce_scatter_perf or "
                   "alltoall_perf inside one domain: LOG[,LOG...], one run each")
      ->delimiter(',');
  command->add_option("--ranks", options->ranks, "Of the logs, where they list no \"# Rank\"")
      ->check(CLI::Range(2, 1 << 17));
  command->add_option("--matmuls", options->matmuls,
                      "CSV with the columns of matmul_runs.csv (tests/validation/measure_gpu.py "
                      "writes it) or matmul_tables.csv");
  command->add_option("--device", options->device,
                      "Take the rows whose chip or device is this; default: those of --chip");
  command->add_option("--date", options->date, "YYYY-MM-DD of the measurements, for the comments");
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
