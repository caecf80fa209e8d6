// A chip with the constants of one's own cluster, fitted to nccl-tests logs and matmul timings.
//
//   ASSIGN_OR_RETURN(const Calibration fitted, Calibrate({.chip = "h100-sxm", ...}, catalog));
//   const std::string file = ChipFile(input, fitted);

#ifndef MESHSTEP_SIM_CALIBRATION_CALIBRATE_H_
#define MESHSTEP_SIM_CALIBRATION_CALIBRATE_H_

#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"
#include "sim/cost/collective.h"
#include "topologies/chip.h"

namespace meshstep {

struct CalibrationInput {
  std::string chip;                      // a preset or a chip file, to start from
  std::string matmuls;                   // path of a CSV of measured matmuls; empty: none
  std::string device;                    // its rows of this chip or device; empty: of `chip`
  std::string date;                      // of the measurements, for the comments
  std::vector<std::string> collectives;  // paths of nccl-tests logs inside one domain
  int ranks = 0;                         // of logs that do not list them
  std::optional<Collective> kind = {};   // of logs that do not say which test ran
};

// The chip as it is filled with what was fitted, and what is said of it.
struct Calibration {
  Chip base;
  v1::Chip message;
  std::vector<std::string> notes;  // residuals, and what was left out
};

// Error: a file that cannot be read or is not of the chip, or measurements that no chip has.
StatusOr<Calibration> Calibrate(const CalibrationInput& input, const Catalog& catalog);

// The chip as a text proto, with where its constants come from as comments.
std::string ChipFile(const CalibrationInput& input, const Calibration& calibration);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_CALIBRATE_H_
