#include "strategies/model_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "strategies/model.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<int> LayersOf(const LayoutPart& part, int model_layers) {
  std::vector<int> layers;
  if (part.embedding) layers.push_back(kEmbeddingLayer);
  for (int l = part.begin; l < part.end; ++l) layers.push_back(l);
  if (part.head) layers.push_back(model_layers);
  return layers;
}

double LargestTransfer(const std::vector<int>& transfers, const TransferTable& table) {
  double bytes = 0;
  for (const int t : transfers) bytes = std::max(bytes, table[t].bytes);
  return bytes;
}

// Transfers of the same collective and axes become one, in the order in which they first appear.
std::vector<int> Merge(const std::vector<TransferSpec>& specs, TransferTable* table) {
  std::vector<TransferSpec> merged;
  for (const TransferSpec& spec : specs) {
    const auto there = std::find_if(merged.begin(), merged.end(), [&](const TransferSpec& m) {
      return m.collective == spec.collective && m.axes == spec.axes;
    });
    if (there == merged.end()) {
      merged.push_back(spec);
    } else {
      there->bytes += spec.bytes;
    }
  }
  std::vector<int> ids;
  for (const TransferSpec& spec : merged) ids.push_back(table->Intern(spec));
  return ids;
}

std::vector<GradientBucket> MakeBuckets(const std::vector<int>& layers, const ModelPlan& model,
                                        const BlockContext& context) {
  const Plan& plan = *context.plan;
  std::vector<GradientBucket> buckets;
  std::vector<TransferSpec> open;
  double bytes = 0;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const std::vector<int>& transfers = model.of(*layer).last_reduces;
    for (const int t : transfers) open.push_back((*context.transfers)[t]);
    bytes += LargestTransfer(transfers, *context.transfers);
    const bool at_end = layer + 1 == layers.rend();
    const bool waits = plan.gradient_bucket_bytes > 0 ? bytes < plan.gradient_bucket_bytes
                                                      : !plan.overlap_gradients;
    if (open.empty() || (waits && !at_end)) continue;
    buckets.push_back({*layer, Merge(open, context.transfers)});
    open.clear();
    bytes = 0;
  }
  return buckets;
}

// A tied table is on the stage of the embedding and on that of the head; under DualPipe every part
// is on two stages.
void FindShared(const Transformer& transformer, const BlockContext& context, ModelPlan* model) {
  const Plan& plan = *context.plan;
  if (plan.pipeline < 0) return;
  const Pipeline shape = plan.pipeline_shape();
  const double size = SizeOf(plan.precision.reduce).value();
  std::map<std::pair<int, int>, double> bytes;  // per pair of stages
  const auto add = [&](int a, int b, double elements) {
    if (a != b && elements > 0) bytes[std::minmax(a, b)] += elements * size;
  };
  double tied = 0;
  for (const Array& array : transformer.head.arrays) {
    if (array.shared) {
      tied += context.LocalElements(Apply(plan.rules.optimizer, array.dims));
    }
  }
  int first = 0, last = 0;
  for (std::size_t part = 0; part < plan.parts.size(); ++part) {
    const int index = static_cast<int>(part);
    const Place place = plan.order->PlaceOf(index, 0, shape);
    const Place other = plan.order->PlaceOf(index, plan.micro_batches - 1, shape);
    if (plan.parts[part].embedding) first = place.stage;
    if (plan.parts[part].head) last = place.stage;
    double elements = 0;
    for (const int layer : model->layers[part]) elements += model->of(layer).optimizer;
    add(place.stage, other.stage, elements);
  }
  add(first, last, tied);
  for (const auto& [stages, amount] : bytes) {
    model->shared.push_back(
        {stages.first, stages.second,
         context.transfers->Intern(
             {Collective::kPermute, {plan.pipeline}, Role::kPipeline, amount})});
  }
}

}  // namespace

const BlockPlan& ModelPlan::of(int layer) const {
  if (layer == kEmbeddingLayer) return embedding;
  if (Index(layer) == layer_kind.size()) return head;
  return kinds[Index(layer_kind[Index(layer)])];
}

StatusOr<ModelPlan> LowerModel(const BlockContext& context) {
  const Transformer transformer = BuildTransformer(
      *context.model,
      {.unfused_attention = context.plan->unfused_attention, .dropout = context.plan->dropout});
  ModelPlan plan;
  ASSIGN_OR_RETURN(plan.embedding, LowerBlock(transformer.embedding, context));
  ASSIGN_OR_RETURN(plan.head, LowerBlock(transformer.head, context));
  for (const Block& kind : transformer.kinds) {
    ASSIGN_OR_RETURN(BlockPlan block, LowerBlock(kind, context));
    plan.kinds.push_back(std::move(block));
  }
  plan.layer_kind = transformer.layer_kind;
  for (const LayoutPart& part : context.plan->parts) {
    plan.layers.push_back(LayersOf(part, context.model->layers));
    plan.buckets.push_back(MakeBuckets(plan.layers.back(), plan, context));
  }
  FindShared(transformer, context, &plan);
  return plan;
}

}  // namespace meshstep
