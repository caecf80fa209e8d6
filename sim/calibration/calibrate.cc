#include "sim/calibration/calibrate.h"

#include <cstddef>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/counted.h"
#include "sim/base/data_path.h"
#include "sim/calibration/calibrated_chip.h"
#include "sim/calibration/device_names.h"
#include "sim/calibration/measured_matmuls.h"
#include "sim/calibration/nccl_log.h"
#include "sim/cost/compute.h"
#include "sim/report/output.h"
#include "strategies/einsum/load_hardware.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

// Fewer matmuls of a format do not tell three constants apart.
constexpr std::size_t kLeastMatmuls = 8;
// Domains of at most so many chips are boards of one host (HGX, MI300X); larger ones are racks.
constexpr int kMostChipsOfHost = 16;

std::string Shown(const std::string& path) { return absl::CHexEscape(path); }

std::string Source(const char* what, const std::string& files, const CalibrationInput& input) {
  return absl::StrCat("meshstep calibrate, ", what, " of ", files,
                      input.date.empty() ? "" : absl::StrCat(" (", input.date, ")"));
}

StatusOr<Calibration> ReadBase(const CalibrationInput& input, const Catalog& catalog) {
  Calibration calibration;
  calibration.message.set_preset(ChipPreset(input.chip));
  Diagnostics diagnostics;
  catalog.Resolve("topologies/chips", "chip", &calibration.message, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  calibration.message.clear_preset();
  calibration.base = LoadChip(calibration.message, "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return calibration;
}

Status FitMatmuls(const CalibrationInput& input, Calibration* calibration) {
  const Chip& chip = calibration->base;
  const ComputeModel model(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  ASSIGN_OR_RETURN(const MeasuredMatmuls measured,
                   ReadMeasuredMatmuls(input.matmuls, chip.name, input.device, model));
  std::vector<std::string>& notes = calibration->notes;
  const std::string source = Source("matmuls", Shown(input.matmuls), input);
  for (const auto& [dtype, samples] : measured.samples) {
    const std::string name(NameOf(dtype));
    if (samples.size() < kLeastMatmuls) {
      notes.push_back(absl::StrCat("matmul ", name, ": ", Counted(std::ssize(samples), "row"),
                                   ", fewer than ", kLeastMatmuls, ": left as it was"));
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
    notes.push_back(absl::StrCat("left out: ", Counted(count, "row"), " ", reason));
  }
  return absl::OkStatus();
}

// The log is of the chip, on as many hosts as its domain has; what is passed over is told.
Status CheckLog(const std::string& path, const NcclLog& log, Calibration* calibration) {
  const Chip& chip = calibration->base;
  if (log.hosts > 1 && chip.interconnect.domain_chips <= kMostChipsOfHost) {
    return InvalidInput(absl::StrCat(Shown(path), ": is of ", log.hosts, " hosts, expected 1: the ",
                                     "domain of ", chip.name, " is one host"));
  }
  for (const std::string& device : log.devices) {
    const DeviceMatch match = MatchDevice(device, chip.name);
    if (match == DeviceMatch::kOther) {
      return InvalidInput(absl::StrCat(Shown(path), ": its ranks are \"", Shown(device),
                                       "\", but --chip is ", chip.name));
    }
    if (match == DeviceMatch::kUnknown) {
      calibration->notes.push_back(absl::StrCat(Shown(path), ": its ranks are \"", Shown(device),
                                                "\", taken for ", chip.name));
    }
  }
  if (log.passed_over > 0) {
    calibration->notes.push_back(absl::StrCat(Shown(path), ": ", log.passed_over,
                                              log.passed_over == 1 ? " line" : " lines",
                                              " among the rows passed over"));
  }
  return absl::OkStatus();
}

Status FitCollectives(const CalibrationInput& input, Calibration* calibration) {
  std::map<Collective, std::vector<CollectiveSample>> samples;
  std::map<Collective, std::vector<std::string>> files;
  for (const std::string& path : input.collectives) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
    ASSIGN_OR_RETURN(const std::vector<NcclLog> logs,
                     ParseNcclLog(Shown(path), content, input.ranks, input.kind));
    for (const NcclLog& log : logs) {
      RETURN_IF_ERROR(CheckLog(path, log, calibration));
      std::vector<CollectiveSample>& own = samples[log.collective];
      own.insert(own.end(), log.samples.begin(), log.samples.end());
      std::vector<std::string>& of = files[log.collective];
      if (of.empty() || of.back() != Shown(path)) of.push_back(Shown(path));
    }
  }
  for (const auto& [collective, own] : samples) {
    ASSIGN_OR_RETURN(
        const std::vector<FittedCollective> fitted,
        FitCollectiveInto(std::string(NameOf(collective)), own, calibration->base,
                          Source("nccl-tests", absl::StrJoin(files[collective], ", "), input),
                          &calibration->message));
    for (const FittedCollective& entry : fitted) calibration->notes.push_back(entry.summary);
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Calibration> Calibrate(const CalibrationInput& input, const Catalog& catalog) {
  ASSIGN_OR_RETURN(Calibration calibration, ReadBase(input, catalog));
  if (!input.collectives.empty()) RETURN_IF_ERROR(FitCollectives(input, &calibration));
  if (!input.matmuls.empty()) RETURN_IF_ERROR(FitMatmuls(input, &calibration));
  Diagnostics diagnostics;
  LoadChip(calibration.message, "chip", &diagnostics);
  if (!diagnostics.ok()) {
    return InvalidInput("the measurements are of no chip:\n" +
                        std::string(diagnostics.status().message()));
  }
  return calibration;
}

std::string ChipFile(const CalibrationInput& input, const Calibration& calibration) {
  std::string text =
      absl::StrCat("# proto-file: meshstep/v1/chip.proto\n# proto-message: meshstep.v1.Chip\n\n# ",
                   calibration.base.name, " with constants fitted by meshstep calibrate",
                   input.date.empty() ? "" : ", measured " + input.date, ".\n");
  for (const std::string& path : input.collectives) {
    absl::StrAppend(&text, "# collectives: ", Shown(path), "\n");
  }
  if (!input.matmuls.empty()) {
    absl::StrAppend(&text, "# matmuls: ", Shown(input.matmuls), "\n");
  }
  for (const std::string& note : calibration.notes) absl::StrAppend(&text, "# ", note, "\n");
  return absl::StrCat(text, "\n", Serialize(calibration.message, OutputFormat::kTextproto));
}

}  // namespace meshstep
