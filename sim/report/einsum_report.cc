#include "sim/report/einsum_report.h"

#include <cmath>

#include "strategies/einsum/answer.h"
#include "strategies/einsum/formula.h"

namespace meshstep {
namespace {

using einsum::Answer;
using einsum::Expression;
using einsum::SolveOptions;

std::string OpName(const einsum::Step& step) {
  return step.is_product ? "Einsum" : std::string(NameOf(step.reshard.op));
}

void FillStep(const einsum::Step& step, const einsum::MeshShape& mesh, v1::EinsumStep* out) {
  out->set_op(OpName(step));
  for (AxisId axis : step.axes) out->add_axes(mesh.axes[static_cast<std::size_t>(axis)].name);
  out->set_array(step.array);
  out->set_from(step.from);
  out->set_to(step.to);
  out->set_bytes(step.volume);
  out->set_sent_bytes_per_chip(step.sent);
  out->set_time_s(step.seconds);
  out->set_dim(step.dim);
  out->set_formula(step.formula);
  out->set_flops(step.flops);
  out->set_hbm_bytes(step.hbm_bytes);
  out->set_amount_formula(einsum::AmountFormula(step, mesh));
  out->set_group(step.chips);
  out->set_hops(step.hops);
}

void FillPlan(const einsum::Derivation& plan, const einsum::MeshShape& mesh, v1::EinsumPlan* out) {
  out->set_name(plan.name);
  for (const einsum::Step& step : plan.steps) FillStep(step, mesh, out->add_steps());
  out->set_compute_s(plan.compute_s);
  out->set_communication_s(plan.communication_s);
  out->set_hbm_s(plan.hbm_s);
  out->set_overlapped_s(plan.overlapped_s);
  out->set_sequential_s(plan.sequential_s);
  out->set_bound(plan.bound);
  out->set_book(plan.book);
  out->set_flops_per_chip(plan.flops_per_chip);
  out->set_peak_bytes(plan.peak_bytes);
}

void FillMemory(const einsum::ArrayMemory& memory, v1::EinsumArrayMemory* out) {
  out->set_array(memory.array);
  for (double size : memory.local_shape) {
    if (!std::isnan(size)) out->add_local_shape(static_cast<std::int64_t>(size));
  }
  out->set_bytes_per_chip(memory.bytes_per_chip);
  out->set_bytes_total(memory.bytes_all_chips);
  out->set_bytes_one_copy(memory.bytes_one_copy);
  out->set_formula(memory.formula);
  out->set_fraction_per_chip(memory.fraction);
  out->set_copies(memory.copies);
}

}  // namespace

v1::EinsumReport MakeEinsumReport(const Expression& expression, const SolveOptions& options,
                                  const Answer& answer) {
  const einsum::MeshShape& mesh = expression.mesh;
  v1::EinsumReport report;
  v1::EinsumFlops* flops = report.mutable_flops();
  flops->set_theoretical(answer.flops_theoretical);
  flops->set_executed(answer.flops_executed);
  flops->set_per_chip(answer.flops_per_chip);
  const std::vector<einsum::Step>& steps = answer.BookDerivation().steps;
  flops->set_theoretical_formula(einsum::FlopsFormula(steps, mesh, false));
  flops->set_per_chip_formula(einsum::FlopsFormula(steps, mesh, true));
  report.set_replication(answer.replication);
  for (const einsum::ArrayMemory& memory : answer.memory) FillMemory(memory, report.add_memory());
  for (const einsum::Derivation& plan : answer.derivations)
    FillPlan(plan, mesh, report.add_plans());
  report.set_result(answer.result);
  report.set_expression(ToString(expression));
  if (options.hardware) {
    report.set_cost_model(std::string(NameOf(options.model)));
    report.set_chip(options.hardware->name);
    report.set_cost_formula(CostFormula(options));
  }
  report.set_overlap(options.sequential ? "sum" : "max");
  for (const std::string& dim : answer.missing) report.add_missing_sizes(dim);
  for (const std::string& note : answer.notes) report.add_notes(note);
  for (const std::string& warning : answer.warnings) report.add_warnings(warning);
  report.set_placement(answer.placement);
  report.set_plans_found(static_cast<std::int64_t>(answer.derivations_found));
  return report;
}

}  // namespace meshstep
