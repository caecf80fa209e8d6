// The part of a plan that speaks of routed experts.
//
// Experts are spread over the same ranks as the rest of the model, folded another way. The ranks of
// one pipeline stage, innermost first, are one line; the dense axes (tensor, fsdp, data, ...) cut
// it at the products of their sizes, and so do expert-tensor, expert and expert-data. Axes are
// divided at the cuts of the others, so that each degree is a list of whole axes.
//
//   tensor 8, data 16; expert 64:  tensor 8 | data.0 8 | data.1 2
//                                  expert = {data.0, tensor}, expert-data = {data.1}
//
// This is the folding of Megatron Core (arXiv 2504.14960 §3.2, "MoE Parallel Folding").

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_EXPERTS_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_EXPERTS_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep::v1 {
class Plan;
}

namespace meshstep {

// Divides the axes of `plan`, whose dense rules are complete, and adds the rules of experts. Leaves
// the plan of a model without experts as it is.
void LoadExperts(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                 Diagnostics* diagnostics);

// What holds only when all rules are there: divisibility, and the range of the imbalance.
void CheckExperts(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                  Diagnostics* diagnostics);

// The way back of what is not a rule.
void ExpandExperts(const Plan& plan, v1::Plan* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_EXPERTS_H_
