#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/plan.pb.h"
#include "strategies/plan/load_plan_parts.h"

namespace meshstep {
namespace {

// Every stage takes the micro-batches as they come, forward once.
class ForwardOnly final : public Schedule {
 public:
  std::vector<Action> Actions(int, const Pipeline& pipeline) const override {
    std::vector<Action> actions;
    for (std::int64_t i = 0; i < pipeline.micro_batches; ++i) {
      actions.push_back({Action::Kind::kForward, 0, i});
    }
    return actions;
  }
};

void RefuseTraining(const v1::Plan& proto, const std::string& field, const Plan& plan,
                    Diagnostics* diagnostics) {
  const auto refuse = [&](bool set, const char* name, const char* value, const char* expected) {
    if (!set) return;
    diagnostics->Error(absl::StrCat(field, ".", name),
                       absl::StrCat("is ", value, ", but this step has no backward and no ",
                                    "optimizer; expected ", expected));
  };
  refuse(plan.recompute != Recompute::kNone, "recompute", proto.recompute().c_str(), "none");
  refuse(proto.zero_stage() == 1 || proto.zero_stage() == 2, "zero_stage",
         proto.zero_stage() == 1 ? "1" : "2", "0, or 3 to shard the parameters");
  refuse(plan.accumulate_unsharded, "accumulate_unsharded", "true", "false");
  refuse(plan.dropout, "dropout", "true", "false");
  refuse(!proto.schedule().empty() && proto.schedule() != "1f1b", "schedule",
         proto.schedule().c_str(), "none: every stage takes the micro-batches in order");
  refuse(!proto.schedule_table().empty(), "schedule_table", proto.schedule_table().c_str(), "none");
  refuse(plan.virtual_stages > 1, "virtual_stages", "more than 1", "1");
  refuse(!plan.overlap_gradients, "overlap_gradients", "false", "true");
  refuse(plan.overlap_parameters, "overlap_parameters", "true", "false");
  refuse(plan.gradient_bucket_bytes > 0, "gradient_bucket_bytes", "more than 0", "0");
  const v1::Precision& p = proto.precision();
  refuse(!p.gradients().empty(), "precision.gradients", p.gradients().c_str(), "nothing");
  refuse(!p.reduce().empty(), "precision.reduce", p.reduce().c_str(), "nothing");
  refuse(!p.optimizer().empty(), "precision.optimizer", p.optimizer().c_str(), "nothing");
  for (const LayerRange& range : plan.layer_ranges) {
    refuse(range.recompute != Recompute::kNone, "layer_ranges", "with recomputation", "none");
  }
}

// One token cannot be sharded: what shards T holds a part of the cached sequence instead.
void ShardCache(Plan* plan, Diagnostics* diagnostics) {
  plan->cache_axes = Apply(plan->rules.compute, {"T"}).dims[0].axes;
  bool other = false;
  const Sharding residual = Apply(plan->rules.residual, {"T"});
  for (const AxisId axis : residual.dims[0].axes) {
    other |= !Apply(plan->rules.compute, {"T"}).Uses(axis);
  }
  if (other) {
    diagnostics->Note("one new token is not sharded over the sequence: sequence_parallel is off");
  }
  for (std::vector<Rule>* rules : {&plan->rules.compute, &plan->rules.residual}) {
    std::erase_if(*rules, [](const Rule& rule) { return rule.dim == "T"; });
  }
}

}  // namespace

void ClearTraining(v1::Plan* proto) {
  for (const char* name : {"recompute", "recompute_keep", "recompute_modules", "recompute_layers",
                           "recompute_drops_unread", "accumulate_unsharded", "dropout", "schedule",
                           "schedule_table", "virtual_stages", "layout", "overlap_gradients",
                           "overlap_parameters", "gradient_bucket_bytes", "overlap_experts"}) {
    v1::Plan::GetReflection()->ClearField(proto, v1::Plan::descriptor()->FindFieldByName(name));
  }
  if (proto->zero_stage() != 3) proto->clear_zero_stage();
  proto->clear_muon();
  for (v1::LayerRange& range : *proto->mutable_layer_ranges()) {
    range.clear_recompute();
    range.clear_recompute_modules();
    range.clear_recompute_keep();
    if (!range.has_offload()) continue;
    range.mutable_offload()->clear_activations();
    range.mutable_offload()->clear_optimizer();
  }
  if (!proto->has_precision()) return;
  proto->mutable_precision()->clear_gradients();
  proto->mutable_precision()->clear_reduce();
  proto->mutable_precision()->clear_optimizer();
}

void LoadInference(const v1::Plan& proto, const std::string& field, const Model& model,
                   const Workload& workload, Plan* plan, Diagnostics* diagnostics) {
  const std::string cache = field + ".precision.kv_cache";
  if (!workload.forward_only()) {
    if (!proto.precision().kv_cache().empty()) {
      diagnostics->Error(cache, absl::StrCat("is \"", proto.precision().kv_cache(),
                                             "\", but training has no KV cache; expected it with "
                                             "workload.mode PREFILL or DECODE"));
    }
    return;
  }
  RefuseTraining(proto, field, *plan, diagnostics);
  plan->order = std::make_shared<ForwardOnly>();
  plan->precision.kv_cache = plan->precision.activations;
  if (!proto.precision().kv_cache().empty()) {
    const StatusOr<Dtype> dtype = ParseDtype(proto.precision().kv_cache());
    if (dtype.ok()) {
      plan->precision.kv_cache = *dtype;
    } else {
      diagnostics->Error(cache, std::string(dtype.status().message()));
    }
  }
  if (model.bidirectional) {
    diagnostics->Error("model.bidirectional",
                       "is true, but PREFILL and DECODE are of models that generate; expected a "
                       "causal model");
  }
  if (workload.mode != Workload::Mode::kDecode) return;
  if (plan->unfused_attention) {
    diagnostics->Error(field + ".attention_kernel",
                       "is \"unfused\", but one query has one row of scores; expected flash");
  }
  ShardCache(plan, diagnostics);
}

}  // namespace meshstep
