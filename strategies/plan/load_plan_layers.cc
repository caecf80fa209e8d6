#include <set>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "strategies/plan/load_plan_parts.h"

namespace meshstep {
namespace {

int Shards(const Plan& plan, const char* dim) {
  const Sharding sharding = Apply(plan.rules.compute, {dim});
  int shards = 1;
  for (const AxisId axis : sharding.dims[0].axes) shards *= plan.axis_size(axis);
  return shards;
}

class LayerChecker {
 public:
  LayerChecker(const Plan& plan, const Model& model, std::string field, Diagnostics* diagnostics)
      : plan_(plan), model_(model), field_(std::move(field)), diagnostics_(*diagnostics) {}

  void Attention(const Layer& layer);
  void Mlp(const Layer& layer);
  void State(const Layer& layer);

 private:
  void Error(const std::string& problem) { diagnostics_.Error(field_, problem); }
  // Fewer heads than shards are replicated.
  void Replicated(int shards, std::int64_t heads, const char* what, const char* copied);

  const Plan& plan_;
  const Model& model_;
  const std::string field_;
  Diagnostics& diagnostics_;
};

void LayerChecker::Replicated(int shards, std::int64_t heads, const char* what,
                              const char* copied) {
  if (shards <= heads ? heads % shards != 0 : heads == 0 || shards % heads != 0) {
    Error(absl::StrCat("is ", shards, ", expected a divisor or a multiple of the ", heads, " ",
                       what, " of ", model_.name));
  } else if (shards > heads) {
    diagnostics_.Note(absl::StrCat(copied, " are replicated ", shards / heads, " times: ", heads,
                                   " heads over ", shards, " devices"));
  }
}

void LayerChecker::Attention(const Layer& layer) {
  if (!layer.HasAttention()) return;
  const int heads = Shards(plan_, "N");
  if (layer.heads % heads != 0) {
    Error(absl::StrCat("is ", heads, ", which does not divide the ", layer.heads,
                       " query heads of ", model_.name));
  } else if (layer.compressed && layer.compressed->output_groups % heads != 0) {
    Error(absl::StrCat("is ", heads, ", which does not divide the ",
                       layer.compressed->output_groups, " groups of heads of ", model_.name));
  }
  Replicated(Shards(plan_, "K"), layer.kv_heads, "key/value heads", "keys and values");
}

void LayerChecker::Mlp(const Layer& layer) {
  const int shards = Shards(plan_, "F");
  if (layer.ffn > 0 && layer.ffn % shards != 0) {
    Error(absl::StrCat("is ", shards, ", which does not divide the MLP width ", layer.ffn, " of ",
                       model_.name));
  }
}

void LayerChecker::State(const Layer& layer) {
  if (!layer.HasState()) return;
  const Model model = WithLayer(model_, layer);
  const std::int64_t heads = DimSize(model, "M", 1, 1), groups = DimSize(model, "G", 1, 1);
  const int shards = Shards(plan_, "M");
  if (heads % shards != 0) {
    Error(absl::StrCat("is ", shards, ", which does not divide the ", heads,
                       " heads of the state of ", model_.name));
  }
  if (layer.mamba && layer.mamba->dt_rank > 0) return;  // no groups
  Replicated(Shards(plan_, "G"), groups, "groups of heads", "keys of groups");
}

}  // namespace

void CheckLayers(const Plan& plan, const Model& model, const std::string& field,
                 Diagnostics* diagnostics) {
  LayerChecker checker(plan, model, field, diagnostics);
  std::set<std::tuple<bool, int, int>> attention;
  std::set<int> mlp;
  std::set<std::tuple<Mixer, std::int64_t, std::int64_t>> state;
  for (const Layer& layer : model.Kinds()) {
    if (attention.emplace(layer.HasAttention(), layer.heads, layer.kv_heads).second) {
      checker.Attention(layer);
    }
    if (mlp.insert(layer.ffn).second) checker.Mlp(layer);
    if (!layer.HasState()) continue;
    const Model with = WithLayer(model, layer);
    if (state.emplace(layer.mixer, DimSize(with, "M", 1, 1), DimSize(with, "G", 1, 1)).second) {
      checker.State(layer);
    }
  }
}

}  // namespace meshstep
