// The answers of `meshstep roofline` and `meshstep budget` as report messages: what the functions
// of strategies/{matmul_roofline,training_bounds,inference_bounds,scaling_law}.h say about what is
// given.

#ifndef MESHSTEP_SIM_REPORT_ARITHMETIC_ROOFLINE_REPORT_H_
#define MESHSTEP_SIM_REPORT_ARITHMETIC_ROOFLINE_REPORT_H_

#include <map>
#include <optional>
#include <string>

#include "sim/base/status.h"
#include "strategies/bounds/chip_limits.h"
#include "strategies/model/model.h"

namespace meshstep {

namespace v1 {
class RooflineReport;
class BudgetReport;
}  // namespace v1

// Numbers by name: dimensions ("B", "D", "F", ...) and options ("chips", "flops", ...).
using Numbers = std::map<std::string, double>;

struct RooflineInput {
  std::string chip_name;
  ChipLimits chip;
  bool is_switch = false;
  double memory_bytes_per_s = 0;  // of the memory that operands stream from
  Numbers dims, numbers;
  std::optional<Model> model;
  double activation_bytes = 2, weight_bytes = 2, kv_bytes = 2;
};

// Error: a dimension or number that the question needs is missing; the message names it.
StatusOr<v1::RooflineReport> ChipQuestion(const RooflineInput& in);
StatusOr<v1::RooflineReport> MatmulQuestion(const RooflineInput& in);
StatusOr<v1::RooflineReport> AttentionQuestion(const RooflineInput& in);
StatusOr<v1::RooflineReport> TrainingQuestion(const RooflineInput& in);
StatusOr<v1::RooflineReport> InferenceQuestion(const RooflineInput& in);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ARITHMETIC_ROOFLINE_REPORT_H_
