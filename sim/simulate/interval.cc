#include "sim/simulate/interval.h"

#include <string>

#include "meshstep/v1/interval.pb.h"

namespace meshstep {
namespace {

bool Fits(const v1::Interval& interval, const Scenario& scenario) {
  const std::string& full = scenario.plan.framework;
  const std::string name = full.substr(0, full.find('@'));
  const std::string& wanted = interval.framework();
  if (wanted == "none" ? !name.empty() : (name.empty() || (!wanted.empty() && wanted != name))) {
    return false;
  }
  if (interval.has_experts() && interval.experts() != scenario.model.moe.has_value()) return false;
  return scenario.cluster.chip.name.starts_with(interval.chip());
}

}  // namespace

void AddInterval(const Scenario& scenario, const Catalog& catalog, v1::SimulateReport* report) {
  if (scenario.workload.forward_only()) return;
  v1::Intervals file;
  if (!catalog.Read("examples/validation", "intervals", &file).ok()) return;
  for (const v1::Interval& interval : file.intervals()) {
    if (!Fits(interval, scenario)) continue;
    report->set_step_time_low_s(report->step_time_s() * interval.low());
    report->set_step_time_high_s(report->step_time_s() * interval.high());
    return;
  }
}

}  // namespace meshstep
