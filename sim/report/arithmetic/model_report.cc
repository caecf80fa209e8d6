#include "sim/report/arithmetic/model_report.h"

#include <algorithm>

#include "meshstep/v1/model_report.pb.h"

namespace meshstep {
namespace {

// Training is forward and a backward of twice its matmuls.
constexpr double kTraining = 3;

// 0 where there is nothing to compare with: a model may have no attention, or no MLP.
double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

void FillParameters(const ModelArithmetic& a, double weight_bytes, v1::ModelParameters* out) {
  const ParameterCounts c = a.Parameters();
  const double layers = a.model().layers;
  out->set_total(c.total);
  out->set_active(c.active);
  out->set_embedding(c.embedding);
  out->set_head(c.head);
  out->set_position(c.position);
  out->set_vocabulary(c.embedding + c.head);
  out->set_attention(c.attention);
  out->set_mlp(c.mlp);
  out->set_router(c.router);
  out->set_norm(c.norm);
  out->set_prediction(c.prediction);
  out->set_attention_per_layer(c.attention / layers);
  out->set_mlp_per_layer(c.mlp / layers);
  out->set_router_per_layer(c.router / layers);
  const double final_norm =
      a.model().final_norm ? a.model().hidden * (a.model().norm_bias ? 2.0 : 1.0) : 0;
  out->set_norm_per_layer((c.norm - final_norm) / layers);
  out->set_per_layer((c.attention + c.mlp + c.router + c.norm - final_norm) / layers);
  out->set_without_embedding(c.total - c.embedding - c.position);
  out->set_without_vocabulary(c.total - c.embedding - c.position - c.head);
  out->set_attention_fraction_of_layer(c.attention / (c.attention + c.mlp));
  out->set_attention_fraction(c.attention / c.total);
  out->set_bytes(c.total * weight_bytes);
  out->set_matmul_per_layer((c.attention + c.mlp + c.router) / layers);
}

void FillParts(const Model& m, const FlopCounts& c, double factor, double head_factor,
               v1::PartFlops* out) {
  out->set_qkvo(c.qkvo * factor);
  out->set_scores(c.scores * factor);
  out->set_mlp(c.mlp * factor);
  out->set_router(c.router * factor);
  out->set_head(c.head * head_factor);
  out->set_layer((c.qkvo + c.scores + c.state + c.mlp + c.router) * factor);
  out->set_matmuls((c.qkvo + c.mlp + c.router) * factor);
  out->set_attention((c.qkvo + c.scores + c.state) * factor);
  // Scores contract over a query head, AV over the keys for each element of a value head.
  const double qk = m.head_dim, av = m.mla ? m.mla->v_head_dim : m.head_dim;
  out->set_scores_qk(qk + av > 0 ? out->scores() * qk / (qk + av) : 0);
  out->set_scores_av(out->scores() - out->scores_qk());
}

void FillFlops(const ModelArithmetic& a, v1::ModelFlops* out) {
  const FlopCounts full = a.Forward(Square::kFull), masked = a.Forward(Square::kMasked);
  const double layers = a.model().layers, tokens = a.shape().tokens();
  const double forward = full.total();
  out->set_forward(forward);
  out->set_training(kTraining * forward);
  out->set_per_token_forward(forward / tokens);
  out->set_per_token_training(kTraining * forward / tokens);
  out->set_qkvo(full.qkvo);
  out->set_scores(full.scores);
  out->set_state(full.state);
  out->set_mlp(full.mlp);
  out->set_router(full.router);
  out->set_head(full.head);
  out->set_prediction(full.prediction);
  out->set_scores_causal(masked.scores);
  out->set_forward_causal(masked.total());
  out->set_training_causal(kTraining * masked.total());
  FillParts(a.model(), full, 1 / forward, 1 / forward, out->mutable_share());
  FillParts(a.model(), full, 1 / layers, 1, out->mutable_per_layer_forward());
  FillParts(a.model(), full, kTraining / layers, kTraining, out->mutable_per_layer_training());
  FillParts(a.model(), full, kTraining, kTraining, out->mutable_training_parts());
  const ParameterCounts counts = a.Parameters();
  out->set_six_nd(6 * counts.total * tokens);
  out->set_model_6nd(a.Model6ND());
  out->set_training_full_recompute(kTraining * forward +
                                   a.RecomputedFlops(Keep::kInput, Square::kFull));
  out->set_recompute_selective(a.RecomputedFlops(Keep::kSelective, Square::kFull));
  out->set_recompute_matmuls(a.RecomputedFlops(Keep::kMatmuls, Square::kFull));
  out->set_attention_over_matmul(Ratio(full.scores, full.qkvo + full.mlp));
  out->set_attention_over_mlp(Ratio(full.scores, full.mlp));
  out->set_matmul_training_per_parameter_token(
      kTraining * (full.qkvo + full.mlp + full.router) /
      (tokens * (counts.attention + counts.mlp + counts.router)));
}

double MeanKept(const ModelArithmetic& a, Keep keep, const ActivationSharding& sharding) {
  double bytes = 0;
  for (const int kind : a.transformer().layer_kind) {
    bytes += a.KeptBytes(a.transformer().kinds[static_cast<std::size_t>(kind)], keep, sharding);
  }
  return bytes / a.model().layers;
}

void FillActivations(const ModelArithmetic& a, const ModelReportOptions& options, double layers,
                     v1::LayerActivations* out) {
  const ActivationSharding& sharding = options.sharding;
  out->set_none(layers * MeanKept(a, Keep::kAll, sharding));
  out->set_selective(layers * MeanKept(a, Keep::kSelective, sharding));
  out->set_matmuls(layers * MeanKept(a, Keep::kMatmuls, sharding));
  out->set_block(layers * MeanKept(a, Keep::kInput, sharding));
  out->set_full(out->block());
  const Model& m = a.model();
  const TokenShape& shape = a.shape();
  const auto megatron = [&](bool selective) {
    return layers * MegatronActivationBytes(shape.queries, shape.batch, m.hidden, m.heads,
                                            sharding.tensor, sharding.sequence_parallel, selective);
  };
  out->set_megatron(megatron(false));
  out->set_megatron_selective(megatron(true));
  out->set_hidden_array(layers * shape.tokens() * m.hidden * options.activation_bytes);
  out->set_ffn_array(layers * shape.tokens() * m.ffn * options.activation_bytes);
}

void FillOps(const ModelArithmetic& a, const Block& block, double layers, v1::ModelReport* out) {
  for (const Op& op : block.ops) {
    v1::OpCount* row = out->add_ops();
    row->set_block(block.name);
    row->set_layers(layers);
    row->set_name(op.name);
    row->set_flops(a.OpFlops(block, op, Square::kFull));
    row->set_bytes(a.OpBytes(block, op));
    row->set_parameters(a.OpParameters(block, op, false));
    row->set_intensity(row->bytes() > 0 ? row->flops() / row->bytes() : 0);
  }
}

double PartIntensity(const ModelArithmetic& a, const Block& block, Op::Part part, bool attention) {
  double flops = 0, bytes = 0;
  for (const Op& op : block.ops) {
    const double f = a.OpFlops(block, op, Square::kFull);
    if (f == 0 || op.part != part || (op.kind == Op::Kind::kAttention) != attention) continue;
    flops += f;
    bytes += a.OpBytes(block, op);
  }
  return bytes > 0 ? flops / bytes : 0;
}

// qkvo and mlp are linear in T, the dot products quadratic.
void FillCrossover(const ModelArithmetic& a, v1::Crossover* out) {
  const FlopCounts c = a.Forward(Square::kFull);
  const double per_key = c.scores / a.shape().keys;
  out->set_all_matmuls(Ratio(c.qkvo + c.mlp, per_key));
  out->set_mlp(Ratio(c.mlp, per_key));
  out->set_qkvo(Ratio(c.qkvo, per_key));
}

}  // namespace

v1::ModelReport MakeModelReport(const Model& model, const TokenShape& shape,
                                const ModelReportOptions& options) {
  const ModelArithmetic a(model, shape, options.transformer, options.activation_bytes);
  v1::ModelReport out;
  out.set_model(model.name);
  out.set_batch_sequences(shape.batch);
  out.set_queries(shape.queries);
  out.set_keys(shape.keys);
  out.set_tokens(shape.tokens());
  FillParameters(a, options.weight_bytes, out.mutable_parameters());
  FillFlops(a, out.mutable_flops());
  out.set_kv_cache_bytes_per_token(a.KvBytesPerToken(options.kv_bytes));
  out.set_kv_cache_bytes_per_sequence(a.KvBytesPerSequence(shape.keys, options.kv_bytes));
  out.set_kv_cache_bytes(shape.batch * out.kv_cache_bytes_per_sequence());
  FillActivations(a, options, 1, out.mutable_activation_bytes_per_layer());
  FillActivations(a, options, model.layers, out.mutable_activation_bytes());
  const Transformer& t = a.transformer();
  // Neither end has an input kept by the block before it.
  const double embedding =
      options.micro_batches_in_flight * a.KeptBytes(t.embedding, Keep::kAll, options.sharding);
  out.set_outside_layers_activation_bytes(embedding +
                                          a.KeptBytes(t.head, Keep::kAll, options.sharding));
  out.set_outside_layers_first_stage_bytes(embedding);
  const Block& layer = t.kinds[0];
  out.mutable_intensity()->set_qkvo(PartIntensity(a, layer, Op::Part::kAttention, false));
  out.mutable_intensity()->set_scores(PartIntensity(a, layer, Op::Part::kAttention, true));
  out.mutable_intensity()->set_mlp(PartIntensity(a, layer, Op::Part::kMlp, false));
  out.mutable_intensity()->set_head(PartIntensity(a, t.head, Op::Part::kHead, false));
  FillCrossover(a, out.mutable_crossover());
  FillOps(a, t.embedding, 1, &out);
  for (std::size_t kind = 0; kind < t.kinds.size(); ++kind) {
    const auto layers =
        std::count(t.layer_kind.begin(), t.layer_kind.end(), static_cast<int>(kind));
    const bool prediction = static_cast<int>(kind) == t.mtp_kind;
    FillOps(a, t.kinds[kind], prediction ? model.mtp_layers : static_cast<double>(layers), &out);
  }
  FillOps(a, t.head, 1, &out);
  return out;
}

}  // namespace meshstep
