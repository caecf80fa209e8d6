// The way back: a plan as a message.

#include "meshstep/v1/plan.pb.h"
#include "strategies/plan/load_muon.h"
#include "strategies/plan/load_offload.h"
#include "strategies/plan/load_plan.h"
#include "strategies/plan/load_plan_experts.h"
#include "strategies/plan/load_plan_kernels.h"
#include "strategies/plan/load_precision.h"
#include "strategies/plan/load_recompute.h"

namespace meshstep {
namespace {

void ExpandRules(const Plan& plan, const std::vector<Rule>& rules, v1::Rule::Of of,
                 v1::Plan* proto) {
  for (const Rule& rule : rules) {
    v1::Rule* out = proto->add_rules();
    out->set_of(of);
    out->set_dimension(rule.dim);
    for (const AxisId axis : rule.axes) {
      out->add_axes(plan.axes[static_cast<std::size_t>(axis)].name);
    }
  }
}

std::string NameOf(ContextMethod method) {
  switch (method) {
    case ContextMethod::kRing:
      return "ring";
    case ContextMethod::kAllGather:
      return "all-gather";
    case ContextMethod::kUlysses:
      return "ulysses";
    case ContextMethod::kGatheredRing:
      return "gathered-ring";
  }
  return "";
}

}  // namespace

void ExpandPlan(const Plan& plan, v1::Plan* proto) {
  proto->Clear();
  for (const AxisRequest& axis : plan.axes) {
    v1::Axis* out = proto->mutable_mesh()->add_axes();
    out->set_name(axis.name);
    out->set_size(axis.size);
    out->set_physical(axis.physical);
    out->set_part_of(axis.part_of);
  }
  proto->mutable_mesh();
  ExpandRules(plan, plan.rules.compute, v1::Rule::COMPUTE, proto);
  if (!plan.cache_axes.empty()) {
    ExpandRules(plan, {{"T", plan.cache_axes}}, v1::Rule::COMPUTE, proto);
  }
  ExpandRules(plan, plan.rules.parameters, v1::Rule::PARAMETERS, proto);
  ExpandRules(plan, plan.rules.optimizer, v1::Rule::OPTIMIZER, proto);
  ExpandRules(plan, plan.rules.residual, v1::Rule::RESIDUAL, proto);
  ExpandRules(plan, plan.rules.experts, v1::Rule::EXPERTS, proto);
  ExpandRules(plan, plan.rules.expert_parameters, v1::Rule::EXPERT_PARAMETERS, proto);
  ExpandRules(plan, plan.rules.expert_optimizer, v1::Rule::EXPERT_OPTIMIZER, proto);
  ExpandExperts(plan, proto);
  // Its rules are above; that gradients follow them is not a rule.
  if (plan.zero_stage == 2) proto->set_zero_stage(2);
  proto->set_micro_batch_sequences(static_cast<int>(plan.micro_batch_sequences));
  proto->set_schedule(plan.schedule);
  proto->set_schedule_table(plan.schedule_table);
  proto->set_virtual_stages(plan.virtual_stages);
  proto->set_layout(plan.layout);
  proto->set_overlap_gradients(plan.overlap_gradients);
  proto->set_overlap_parameters(plan.overlap_parameters);
  proto->set_gradient_bucket_bytes(plan.gradient_bucket_bytes);
  proto->set_collectives_take_units(plan.collectives_take_units);
  proto->set_async_tensor(plan.async_tensor);
  proto->set_split_sends(plan.split_sends);
  proto->set_stragglers(plan.stragglers);
  proto->set_reductions_in_flight(plan.reductions_in_flight);
  ExpandRecompute(plan, proto);
  proto->set_attention_kernel(AttentionKernelOf(plan));
  proto->set_dropout(plan.dropout);
  proto->set_accumulate_unsharded(plan.accumulate_unsharded);
  proto->set_prefetch_layers(plan.prefetch_layers);
  proto->set_context_method(NameOf(plan.context_method));
  proto->set_context_load_balanced(plan.context_balanced);
  proto->set_context_splits_documents(plan.context_splits_documents);
  ExpandOffload(plan, proto);
  ExpandMuon(plan, proto);
  proto->set_framework(plan.framework);
  proto->set_collective_library(plan.collective_library);
  proto->mutable_framework_options()->Assign(plan.framework_options.begin(),
                                             plan.framework_options.end());
  ExpandKernels(plan.kernels, !plan.framework.empty(), proto->mutable_kernels());
  ExpandMemoryReserve(plan.memory_reserve, proto);
  ExpandPrecision(plan.precision, proto->mutable_precision());
  for (const CollectiveChoice& choice : plan.collectives) {
    v1::CollectiveChoice* out = proto->add_collectives();
    out->set_collective(choice.collective);
    out->set_axis(choice.axis);
    out->set_algorithm(choice.algorithm);
  }
}

}  // namespace meshstep
