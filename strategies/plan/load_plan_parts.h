// Parts of a plan that load by themselves; strategies/plan/load_plan.cc calls them.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_PARTS_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_PARTS_H_

#include <string>
#include <utility>
#include <vector>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Plan;
}  // namespace v1

// The axes of more than one device, innermost first: in the order of `degrees`, or in that of
// `order`, a list of their names with commas, which may leave out context where it is 1.
std::vector<AxisRequest> OrderAxes(const std::vector<std::pair<std::string, int>>& degrees,
                                   const std::string& order, const std::string& field,
                                   Diagnostics* diagnostics);

// Heads and widths of every kind of layer against the devices that share them. `field`: the degree.
void CheckLayers(const Plan& plan, const Model& model, const std::string& field,
                 Diagnostics* diagnostics);

// How attention works on a sharded sequence. Requires the rules and the attention kernel.
void LoadContext(const v1::Plan& proto, const std::string& field, const Model& model,
                 const Workload& workload, Plan* plan, Diagnostics* diagnostics);

// Steps that are forward only: refuses what only training has, and moves the axes that shard T to
// the KV cache in decode. Requires the rest of the plan.
void LoadInference(const v1::Plan& proto, const std::string& field, const Model& model,
                   const Workload& workload, Plan* plan, Diagnostics* diagnostics);

// Clears what only training has and what LoadInference refuses.
void ClearTraining(v1::Plan* proto);

// Notes every axis that lies as a line in a dimension of a torus that closes, and what that costs.
void NoteLines(const Cluster& cluster, const Plan& plan, const std::string& field,
               Diagnostics* diagnostics);

// Notes fields that a scenario sets in `own` and that change nothing in this plan. `merged` also has
// what its framework sets. Requires the whole plan.
void NoteUnread(const v1::Plan& own, const v1::Plan& merged, const std::string& field,
                const Model& model, const Plan& plan, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_PARTS_H_
