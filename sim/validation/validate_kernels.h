// Published profiles of a step against its simulation, by groups of kernels: good totals hide errors
// that cancel.
//
// Groups: matmuls; attention (kernels of the op of that role); other_kernels, the optimizer's too; and collectives while they are in
// flight: tensor (of activations over tensor ranks), parameters, gradients, experts (routed tokens).

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_KERNELS_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_KERNELS_H_

#include <map>
#include <set>
#include <string>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/status.h"
#include "sim/validation/validate_runs.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// Names of the ops that attend, in any kind of layer of the model.
std::set<std::string> AttentionOps(const Model& model, const Plan& plan);

// Seconds of each group on the device that ends last.
std::map<std::string, double> BusyByGroup(const v1::SimulateReport& report,
                                          const std::set<std::string>& attention_ops);

// A row for every group that a row of the table measured (measured.busy.*), named after both. Error:
// the file cannot be read or is no table of scenarios.
StatusOr<v1::ValidateReport> ValidateKernels(const std::string& path, const RunOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_KERNELS_H_
