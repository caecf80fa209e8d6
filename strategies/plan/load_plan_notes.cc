#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/format.h"
#include "strategies/model/model.h"
#include "strategies/plan/load_plan_parts.h"
#include "topologies/build_fabric.h"

namespace meshstep {
namespace {

// A field that is set, and why it changes nothing in this plan; "" if it does.
struct Unread {
  std::string field, reason;
};

bool HasAxis(const Plan& plan, const std::string& name) {
  return std::any_of(plan.axes.begin(), plan.axes.end(),
                     [&](const auto& axis) { return axis.name == name && axis.size > 1; });
}

bool Uses(const std::vector<Rule>& rules, AxisId axis, const std::string& dim = "") {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    const bool here = std::find(rule.axes.begin(), rule.axes.end(), axis) != rule.axes.end();
    return here && (dim.empty() || rule.dim == dim);
  });
}

// What hand-written rules leave to every rank of an axis.
std::string LeftWhole(const Rules& rules, AxisId axis) {
  const bool anywhere = Uses(rules.compute, axis) || Uses(rules.parameters, axis) ||
                        Uses(rules.optimizer, axis) || Uses(rules.experts, axis);
  if (!anywhere) return "no rule uses it, so that its ranks all do the same work";
  const bool width = Uses(rules.compute, axis, "F");
  const bool attention = Uses(rules.compute, axis, "N") || Uses(rules.compute, axis, "T") ||
                         Uses(rules.compute, axis, "B");
  if (width && !attention) {
    return "it shards F of COMPUTE but not N and K, so that its ranks all run the whole attention";
  }
  const bool heads = Uses(rules.compute, axis, "N");
  if ((width || heads) && !Uses(rules.parameters, axis)) {
    return "no rule of PARAMETERS uses it, so that its ranks all store and update whole parameters";
  }
  for (const char* dim : {"B", "T"}) {
    if (Uses(rules.compute, axis, dim) && !Uses(rules.residual, axis)) {
      return absl::StrCat("it shards ", dim,
                          " of COMPUTE but nothing of RESIDUAL, so that what is ",
                          "between blocks is gathered over it and whole on each of its ranks");
    }
  }
  return "";
}

// Parameters that nothing shards: each device stores and updates the whole model.
bool StoresTheWholeModel(const Plan& plan) {
  return plan.axes.size() > 1 && plan.stages == 1 && plan.rules.parameters.empty() &&
         plan.rules.optimizer.empty() && plan.rules.experts.empty();
}

void NoteMissingRules(const std::string& field, const Plan& plan, Diagnostics* diagnostics) {
  for (std::size_t a = 0; a < plan.axes.size(); ++a) {
    const auto axis = static_cast<AxisId>(a);
    if (axis == plan.pipeline) continue;
    const std::string left = LeftWhole(plan.rules, axis);
    if (left.empty()) continue;
    diagnostics->Note(absl::StrCat(field, ".rules: of axis \"", plan.axes[a].name, "\" of ",
                                   plan.axes[a].size, " ranks: ", left));
  }
  if (StoresTheWholeModel(plan)) {
    diagnostics->Note(absl::StrCat(field,
                                   ".rules: none is of PARAMETERS or OPTIMIZER, so that each ",
                                   "device stores and updates the whole model"));
  }
}

}  // namespace

void NoteLines(const Cluster& cluster, const Plan& plan, const std::string& field,
               Diagnostics* diagnostics) {
  if (!cluster.is_torus()) return;
  const std::unique_ptr<Fabric> fabric =
      BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
  const StatusOr<Mesh> mesh = Mesh::Place(*fabric, plan.axes);
  if (!mesh.ok()) return;  // told where the mesh is used
  for (const auto& [name, size] : Degrees(plan)) {
    const std::vector<AxisId> axes = FindAxes(plan, name);
    if (axes.empty() || size < 3) continue;
    double links = 0, of_rings = 0;
    std::vector<std::string> lines;
    for (const Group::Dim& dim : mesh->GroupOf(axes, 0).dims) {
      if (dim.kind != Level::Kind::kTorus) continue;
      const Level& level = fabric->levels()[static_cast<std::size_t>(dim.level)];
      const bool part = level.wraps && !dim.ring && dim.size > 2;
      of_rings += dim.ring || part ? 2 : 1;
      links += (dim.ring ? 2.0 : 1.0) / dim.stride;
      if (part) lines.push_back(absl::StrCat(dim.size, " of the ", dim.extent, " of ", level.name));
    }
    if (lines.empty()) continue;
    diagnostics->Note(
        absl::StrCat(field, ": axis \"", name, "\" of ", size, " lies in ",
                     absl::StrJoin(lines, " and "), ", a line: what is gathered over it takes ",
                     FormatNumber(of_rings / links, 2), " times as long as around rings"));
  }
}

void NoteUnread(const v1::Plan& proto, const v1::Plan& merged, const std::string& field,
                const Model& model, const Plan& plan, Diagnostics* diagnostics) {
  const v1::Kernels& kernels = proto.kernels();
  const bool by_degrees = !proto.has_mesh(), tensor = HasAxis(plan, "tensor");
  const std::string no_tensor = "there is no axis \"tensor\" of more than one rank";
  const std::string no_experts = absl::StrCat(model.name, " has no routed experts");
  std::vector<Unread> unread;
  if (proto.async_tensor() && by_degrees && !tensor) unread.push_back({"async_tensor", no_tensor});
  if (proto.async_tensor() && by_degrees && tensor && !merged.sequence_parallel()) {
    unread.push_back({"async_tensor", "without sequence_parallel nothing is gathered over tensor"});
  }
  if (proto.split_sends() && !tensor) unread.push_back({"split_sends", no_tensor});
  if (proto.split_sends() && tensor && plan.stages <= 1) {
    unread.push_back({"split_sends", "there is one stage"});
  }
  if (proto.recompute_drops_unread() && plan.recompute == Recompute::kNone) {
    unread.push_back({"recompute_drops_unread", "with recompute none nothing runs again"});
  }
  if (kernels.host_dispatch_ns() > 0 && kernels.launches() == "none") {
    unread.push_back({"kernels.host_dispatch_ns", "with launches none the host is not simulated"});
  }
  if (!model.moe) {
    if (kernels.experts() == "each") unread.push_back({"kernels.experts", no_experts});
    if (kernels.eager_expert_bias()) unread.push_back({"kernels.eager_expert_bias", no_experts});
    if (kernels.eager_expert_clamp()) unread.push_back({"kernels.eager_expert_clamp", no_experts});
    for (const std::string& part : kernels.graphs()) {
      if (part == "router") unread.push_back({"kernels.graphs router", no_experts});
    }
    for (const std::string& module : proto.recompute_modules()) {
      if (!module.starts_with("moe")) continue;
      unread.push_back({absl::StrCat("recompute_modules ", module), no_experts});
    }
  }
  if (proto.has_mesh()) NoteMissingRules(field, plan, diagnostics);
  for (const Unread& one : unread) {
    diagnostics->Note(absl::StrCat(field, ".", one.field, " changes nothing: ", one.reason));
  }
}

}  // namespace meshstep
