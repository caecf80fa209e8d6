#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/plan.pb.h"
#include "strategies/plan/load_plan_parts.h"

namespace meshstep {
namespace {

int Shards(const Plan& plan, const ShardedDim& dim) {
  int shards = 1;
  for (const AxisId axis : dim.axes) shards *= plan.axis_size(axis);
  return shards;
}

ContextMethod LoadMethod(const std::string& name, const std::string& field,
                         Diagnostics* diagnostics) {
  if (name.empty() || name == "ring") return ContextMethod::kRing;
  if (name == "all-gather") return ContextMethod::kAllGather;
  if (name == "ulysses") return ContextMethod::kUlysses;
  if (name == "gathered-ring") return ContextMethod::kGatheredRing;
  diagnostics->Error(
      field,
      absl::StrCat("is \"", name, "\", expected ring, all-gather, ulysses or gathered-ring"));
  return ContextMethod::kRing;
}

// Heads take the place of the sequence: those of one device are spread over `context` devices, and
// keys and values that are fewer are replicated.
void CheckHeads(const Plan& plan, const Model& model, const Layer& layer, const Sharding& q,
                const Sharding& k, const std::string& field, Diagnostics* diagnostics) {
  const int context = Shards(plan, q.dims[1]);
  const auto error = [&](int heads, const char* what, const char* expected) {
    diagnostics->Error(
        field, absl::StrCat("is \"ulysses\" over ", context, " devices, but the tensor axes leave ",
                            heads, " ", what, " heads of ", model.name, " to each, expected a ",
                            expected, " of ", context));
  };
  if (layer.HasState()) {
    const auto states = static_cast<int>(DimSize(WithLayer(model, layer), "M", 1, 1));
    const int own = states / Shards(plan, Apply(plan.rules.compute, {"M"}).dims[0]);
    if (own % context != 0) error(own, "state", "multiple");
  }
  // Sparse and compressed attention gather their keys whatever the method is.
  if (!layer.HasAttention() || layer.indexer || layer.compressed) return;
  const int heads = layer.heads / Shards(plan, q.dims[2]);
  const int kv = std::max(1, layer.kv_heads / Shards(plan, k.dims[2]));
  if (heads % context != 0) error(heads, "query", "multiple");
  if (kv % context != 0 && context % kv != 0) error(kv, "key/value", "multiple or a divisor");
}

// A scan by one kernel has no state of its own part before it ends.
bool ScansInOneKernel(const Layer& layer) {
  return layer.recurrent_unit || (layer.mamba && layer.mamba->dt_rank > 0);
}

}  // namespace

std::vector<AxisRequest> OrderAxes(const std::vector<std::pair<std::string, int>>& degrees,
                                   const std::string& order, const std::string& field,
                                   Diagnostics* diagnostics) {
  std::vector<std::pair<std::string, int>> sorted = degrees;
  if (!order.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, size] : degrees) names.push_back(name);
    std::vector<std::string> wanted;
    for (const auto part : absl::StrSplit(order, ',')) {
      wanted.emplace_back(absl::StripAsciiWhitespace(part));
    }
    for (const auto& [name, size] : degrees) {
      const bool named = std::find(wanted.begin(), wanted.end(), name) != wanted.end();
      if (name == "context" && size == 1 && !named) wanted.push_back(name);
    }
    if (!std::is_permutation(wanted.begin(), wanted.end(), names.begin(), names.end())) {
      diagnostics->Error(field, absl::StrCat("is \"", order, "\", expected each of ",
                                             absl::StrJoin(names, ", "), " once, innermost first"));
    } else {
      const auto place = [&](const auto& degree) {
        return std::find(wanted.begin(), wanted.end(), degree.first) - wanted.begin();
      };
      std::sort(sorted.begin(), sorted.end(),
                [&](const auto& a, const auto& b) { return place(a) < place(b); });
    }
  }
  std::vector<AxisRequest> axes;
  for (const auto& [name, size] : sorted) {
    if (size > 1) axes.push_back({name, size, ""});
  }
  return axes;
}

void LoadContext(const v1::Plan& proto, const std::string& field, const Model& model,
                 const Workload& workload, Plan* plan, Diagnostics* diagnostics) {
  const std::string method = field + ".context_method";
  plan->context_method = LoadMethod(proto.context_method(), method, diagnostics);
  plan->context_splits_documents = proto.context_splits_documents();
  plan->context_balanced = !proto.has_context_load_balanced() || proto.context_load_balanced();
  const Sharding q = Apply(plan->rules.compute, {"B", "T", "N", "H"});
  const Sharding k = Apply(plan->rules.compute, {"B", "T", "K", "H"});
  const int context = Shards(*plan, q.dims[1]);
  if (context == 1) return;
  const std::string degree = field + (proto.has_mesh() ? ".rules" : ".context");
  if (workload.sequence % (2 * context) != 0) {
    diagnostics->Error(degree,
                       absl::StrCat("is ", context, ", but the sequence of ", workload.sequence,
                                    " tokens is not a multiple of 2 × ", context));
  }
  if (workload.mode == Workload::Mode::kDecode) return;
  if (q.dims[1].axes != k.dims[1].axes) {
    diagnostics->Error(field + ".rules",
                       "shard T of queries and of keys over different axes, expected the same");
    return;
  }
  const bool gathers = plan->context_method == ContextMethod::kAllGather ||
                       plan->context_method == ContextMethod::kUlysses;
  if (proto.kernels().repeated_heads() && gathers) {
    diagnostics->Error(field + ".kernels.repeated_heads",
                       absl::StrCat("is true beside context_method \"", proto.context_method(),
                                    "\", expected ring or gathered-ring beside it"));
  }
  const bool ring = plan->context_method == ContextMethod::kRing ||
                    plan->context_method == ContextMethod::kGatheredRing;
  if (ring && plan->unfused_attention) {
    diagnostics->Error(field + ".attention_kernel",
                       "is \"unfused\", but ring attention never has a whole row of scores; "
                       "expected flash, or context_method all-gather or ulysses");
  }
  if (plan->context_method == ContextMethod::kUlysses) {
    for (const Layer& layer : model.Kinds()) {
      const bool known = diagnostics->ok();
      if (known) CheckHeads(*plan, model, layer, q, k, method, diagnostics);
    }
  } else if (std::ranges::any_of(model.Kinds(), ScansInOneKernel)) {
    diagnostics->Error(
        method,
        absl::StrCat(
            "is \"", proto.context_method(), "\" over ", context, " devices, but ", model.name,
            " has layers whose scan is one kernel (Mamba-1, recurrent units), expected ulysses"));
  }
}

}  // namespace meshstep
