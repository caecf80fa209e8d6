// What a plan's framework decides, as defaults of the plan's fields.
//
// plan.framework names a file under strategies/frameworks (proto/meshstep/v1/framework.proto), with
// a release after @. Its entries hold in order, those of its base first: an entry whose conditions
// hold writes its fields over the defaults so far, and the plan's own fields stand over all.
// Conditions see the plan's own fields over the defaults so far, the model and the chip.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_H_

#include <string>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Framework;
class Plan;
}  // namespace v1

// The file of `name` and those that it builds on, lowest first. Error: a file that cannot be read,
// or that builds on itself.
StatusOr<std::vector<v1::Framework>> ReadFramework(const std::string& name, const Catalog& catalog);

// Of plan.framework, NAME or NAME@RELEASE; a release that it does not name is that of the highest of
// `files` that names one.
std::string FrameworkName(const std::string& framework);
std::string ReleaseOf(const std::string& framework, const std::vector<v1::Framework>& files);

// Replaces `proto` by the defaults of its framework with its own fields over them; nothing happens
// if it names none. `field` names the plan in errors ("plan"). Fields that only training has are no
// defaults of a step that goes forward alone, nor degrees beside a mesh.
void MergeFramework(const std::string& field, const Model& model, const Cluster& cluster,
                    const Workload& workload, const Catalog& catalog, v1::Plan* proto,
                    Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_H_
