#include "sim/simulate/scenario_fields.h"

#include "sim/base/overlay.h"
#include "sim/base/set_field.h"

namespace meshstep {
namespace {

// Of the batch `to` keeps the field that `given` has, if that has one of the two.
void KeepBatch(const v1::Workload& given, v1::Workload* to) {
  const bool tokens = !given.global_batch_tokens().empty();
  if (tokens == (given.global_batch_sequences() != 0)) return;
  tokens ? to->clear_global_batch_sequences() : to->clear_global_batch_tokens();
}

}  // namespace

Status SetScenarioField(const std::string& assignment, v1::Scenario* scenario) {
  RETURN_IF_ERROR(SetField(assignment, scenario));
  if (!assignment.starts_with("workload.global_batch")) return absl::OkStatus();
  v1::Scenario given;
  RETURN_IF_ERROR(SetField(assignment, &given));
  KeepBatch(given.workload(), scenario->mutable_workload());
  return absl::OkStatus();
}

void OverlayScenario(const v1::Scenario& from, v1::Scenario* to) {
  Overlay(from, to);
  if (from.has_workload()) KeepBatch(from.workload(), to->mutable_workload());
}

}  // namespace meshstep
