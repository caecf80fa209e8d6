#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "strategies/block/block_context.h"
#include "strategies/model/model.h"
#include "strategies/passes/lower_block.h"
#include "strategies/step/lowered_model.h"
#include "strategies/step/matrix_directions.h"
#include "strategies/step/step_graph.h"

namespace meshstep {
namespace {

// Blocks of each part in the order of the forward. Layers that predict further tokens run after the
// head, each with the head again; where a layout puts them on a part of their own, before it.
std::vector<std::vector<LayerRef>> LayersOfParts(const std::vector<PipelinePart>& parts,
                                                 const Model& model) {
  std::vector<std::vector<LayerRef>> all;
  int depth = 0;
  for (const PipelinePart& part : parts) {
    std::vector<LayerRef>& layers = all.emplace_back();
    if (part.embedding) layers.push_back(LayerRef::Embedding());
    for (int l = part.begin; l < part.end; ++l) layers.push_back(LayerRef::Layer(l));
    if (part.head) layers.push_back(LayerRef::Head());
    const int first = part.head ? 0 : depth, heads = part.head ? model.mtp_layers : 0;
    for (int d = first; d < std::max(depth + part.mtp_layers, heads); ++d) {
      if (d >= depth && d < depth + part.mtp_layers) layers.push_back(LayerRef::MtpLayer(d));
      if (d < heads) layers.push_back(LayerRef::MtpHead(d));
    }
    depth += part.mtp_layers;
  }
  return all;
}

// The head once more: its gradients add to the head's and leave with them. Parameters on the host
// come again; the head itself writes them back.
LoweredBlock SharedHead(LoweredBlock head) {
  head.reduces.clear();
  head.last_reduces.clear();
  head.regathers.clear();
  head.parameters = head.gradients = head.optimizer = 0;
  head.matrix_elements = head.optimizer_bytes = 0;
  head.parameter_bytes = head.cast_bytes = 0;
  head.host_parameters.to = -1;
  head.host_optimizer = {};
  return head;
}

Status LowerPrediction(const Transformer& transformer, const BlockContext& context,
                       LoweredModel* model) {
  model->mtp_head = SharedHead(model->head);
  if (context.model->mtp_layers < 2) return absl::OkStatus();
  // On one stage shared parameters count once.
  Plan one_stage = *context.plan;
  one_stage.stages = 1;
  BlockContext again = context;
  again.plan = &one_stage;
  ASSIGN_OR_RETURN(model->mtp_again, LowerBlock(transformer.kinds[Index(transformer.mtp_kind)],
                                                again, context.plan->recompute));
  return absl::OkStatus();
}

// Lowers each kind of layer once for each of the settings that layers of that kind have.
class KindsOfLayers {
 public:
  KindsOfLayers(const Transformer& transformer, const BlockContext& context, LoweredModel* model)
      : transformer_(transformer), context_(context), model_(*model) {
    for (const LayerRange& range : context.plan->layer_ranges) {
      plans_.push_back(WithRange(*context.plan, range));
    }
  }

  // Layers of a part beyond the first Plan::recompute_layers run nothing again. Megatron's method
  // "block" counts in each TransformerBlock, of which a stage has one per virtual stage
  // (megatron/core/transformer/transformer_block.py).
  Status LowerAll() {
    const int limit = context_.plan->recompute_layers;
    model_.layer_kind.resize(transformer_.layer_kind.size());
    for (const PipelinePart& part : context_.plan->parts) {
      for (int l = part.begin; l < part.end; ++l) {
        const bool limited = limit >= 0 && l - part.begin >= limit;
        ASSIGN_OR_RETURN(model_.layer_kind[Index(l)], Find(transformer_.layer_kind[Index(l)],
                                                           RangeOf(*context_.plan, l), limited));
      }
    }
    if (context_.model->mtp_layers == 0) return absl::OkStatus();
    ASSIGN_OR_RETURN(model_.mtp_kind, Find(transformer_.mtp_kind, -1, false));
    return absl::OkStatus();
  }

 private:
  // Index into LoweredModel::kinds. range: of the plan, -1: none.
  StatusOr<int> Find(int kind, int range, bool limited) {
    const auto [it, added] =
        index_.try_emplace({kind, range, limited}, static_cast<int>(model_.kinds.size()));
    if (!added) return it->second;
    BlockContext own = context_;
    if (range >= 0) own.plan = &plans_[Index(range)];
    const Recompute recompute = limited ? Recompute::kNone : own.plan->recompute;
    ASSIGN_OR_RETURN(LoweredBlock block,
                     LowerBlock(transformer_.kinds[Index(kind)], own, recompute));
    model_.kinds.push_back(std::move(block));
    return it->second;
  }

  const Transformer& transformer_;
  const BlockContext& context_;
  LoweredModel& model_;
  std::vector<Plan> plans_;  // by range
  std::map<std::tuple<int, int, bool>, int> index_;
};

Bytes LargestTransfer(const std::vector<int>& transfers, const TransferTable& table) {
  Bytes bytes;
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
  ids.reserve(merged.size());
  for (const TransferSpec& spec : merged) ids.push_back(table->Intern(spec));
  return ids;
}

std::vector<GradientBucket> MakeBuckets(const std::vector<LayerRef>& layers,
                                        const LoweredModel& model, const BlockContext& context) {
  const Plan& plan = *context.plan;
  std::vector<GradientBucket> buckets;
  std::vector<TransferSpec> open;
  Bytes bytes;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const std::vector<int>& transfers = model.of(*layer).last_reduces;
    for (const int t : transfers) open.push_back((*context.transfers)[t]);
    bytes += LargestTransfer(transfers, *context.transfers);
    const bool at_end = layer + 1 == layers.rend();
    const bool waits = plan.gradient_bucket_bytes > 0 ? bytes.value() < plan.gradient_bucket_bytes
                                                      : !plan.overlap_gradients;
    if (open.empty() || (waits && !at_end)) continue;
    buckets.push_back({*layer, Merge(open, context.transfers)});
    open.clear();
    bytes = Bytes();
  }
  return buckets;
}

// A tied table is on the stage of the embedding and on that of the head; under DualPipe every part
// is on two stages, and the embedding brings the table to both.
void FindShared(const Transformer& transformer, const BlockContext& context, LoweredModel* model) {
  const Plan& plan = *context.plan;
  if (plan.pipeline < 0) return;
  const Pipeline shape = plan.pipeline_shape();
  const Bytes size = SizeOf(plan.precision.reduce);
  std::map<std::pair<int, int>, Bytes> bytes;  // per pair of stages
  const auto add = [&](int a, int b, double elements) {
    if (a != b && elements > 0) bytes[std::minmax(a, b)] += elements * size;
  };
  double tied = 0;
  for (const Array& array : transformer.head.arrays) {
    if (array.shared) {
      tied += context.LocalElements(Apply(plan.rules.optimizer, array.dims));
    }
  }
  int first = 0, last = 0, mirror = 0;
  for (std::size_t part = 0; part < plan.parts.size(); ++part) {
    const int index = static_cast<int>(part);
    const ChunkPlace place = plan.order->PlaceOf(index, 0, shape);
    const ChunkPlace other = plan.order->PlaceOf(index, plan.micro_batches - 1, shape);
    if (plan.parts[part].embedding) {
      first = place.stage;
      mirror = other.stage;
    }
    if (plan.parts[part].head) last = place.stage;
    double elements = 0;
    for (const LayerRef layer : model->layers[part]) elements += model->of(layer).optimizer;
    add(place.stage, other.stage, elements);
  }
  if (mirror == first || mirror != last) add(first, last, tied);
  for (const auto& [stages, amount] : bytes) {
    model->shared.push_back(
        {stages.first, stages.second,
         context.transfers->Intern(
             {Collective::kPermute, {plan.pipeline}, Role::kPipeline, amount})});
  }
}

// The head of prefill: the last position of each sequence, which one of the devices that shard the
// sequence sends to the others.
StatusOr<LoweredBlock> LowerLastPosition(const Block& head, const BlockContext& context) {
  Workload workload = *context.workload;
  workload.sequence = 1;
  Plan plan = *context.plan;
  for (std::vector<Rule>* rules : {&plan.rules.compute, &plan.rules.residual}) {
    std::erase_if(*rules, [](const Rule& rule) { return rule.dim == "T"; });
  }
  BlockContext last = context;
  last.workload = &workload;
  last.plan = &plan;
  last.broadcast = Apply(context.plan->rules.residual, {"T"}).dims[0].axes;
  return LowerBlock(head, last);
}

}  // namespace

const LoweredBlock& LoweredModel::of(const LayerRef& layer) const {
  switch (layer.kind) {
    case LayerRef::Kind::kEmbedding:
      return embedding;
    case LayerRef::Kind::kLayer:
      return kinds[Index(layer_kind[Index(layer.index)])];
    case LayerRef::Kind::kHead:
      return head;
    case LayerRef::Kind::kMtpLayer:
      return layer.index == 0 ? kinds[Index(mtp_kind)] : mtp_again;
    case LayerRef::Kind::kMtpHead:
      return mtp_head;
    case LayerRef::Kind::kNone:
      break;
  }
  CHECK(false) << "no block ";
  return head;
}

StatusOr<LoweredModel> LowerModel(const BlockContext& context) {
  const Transformer transformer = BuildTransformer(
      *context.model,
      {.unfused_attention = context.plan->unfused_attention, .dropout = context.plan->dropout});
  LoweredModel model;
  ASSIGN_OR_RETURN(model.embedding, LowerBlock(transformer.embedding, context));
  const bool prefill = context.workload->mode == Workload::Mode::kPrefill;
  ASSIGN_OR_RETURN(model.head, prefill ? LowerLastPosition(transformer.head, context)
                                       : LowerBlock(transformer.head, context));
  RETURN_IF_ERROR(KindsOfLayers(transformer, context, &model).LowerAll());
  RETURN_IF_ERROR(LowerPrediction(transformer, context, &model));
  model.layers = LayersOfParts(context.plan->parts, *context.model);
  const int further = context.model->mtp_layers;
  model.last = further > 0 ? LayerRef::MtpHead(further - 1) : LayerRef::Head();
  for (const std::vector<LayerRef>& layers : model.layers) {
    model.buckets.push_back(MakeBuckets(layers, model, context));
    model.directions.push_back(MatrixDirections(layers, model, context));
  }
  if (!context.workload->forward_only()) FindShared(transformer, context, &model);
  return model;
}

}  // namespace meshstep
