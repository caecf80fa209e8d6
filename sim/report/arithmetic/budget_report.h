// The answers of `meshstep budget` as a report message: FLOPs, tokens, time, money and memory of a
// training run, worked out from whatever of them is given (strategies/bounds/scaling_law.h).

#ifndef MESHSTEP_SIM_REPORT_ARITHMETIC_BUDGET_REPORT_H_
#define MESHSTEP_SIM_REPORT_ARITHMETIC_BUDGET_REPORT_H_

#include <map>
#include <string>

#include "sim/base/status.h"

namespace meshstep {

namespace v1 {
class BudgetReport;
}

struct BudgetInput {
  // params, active, tokens, flops, chips, mfu, hours (of all chips), days, step-time, batch-tokens,
  // price (dollars of one chip-hour), inference-tokens, tokens-per-parameter, layers, checkpoint
  // (elements per token and layer), model-parallel, bytes-per-param.
  std::map<std::string, double> numbers;
  double flops_per_s = 0, hbm_bytes = 0;  // of one chip; 0: not known
  double node_chips = 0;
  double parameter_bytes = 2, gradient_bytes = 4, optimizer_bytes = 12, activation_bytes = 2;
};

v1::BudgetReport MakeBudgetReport(const BudgetInput& in);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ARITHMETIC_BUDGET_REPORT_H_
