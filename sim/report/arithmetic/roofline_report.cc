#include "sim/report/arithmetic/roofline_report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/roofline_report.pb.h"
#include "sim/report/numbers.h"
#include "strategies/bounds/inference_bounds.h"
#include "strategies/bounds/matmul_roofline.h"
#include "strategies/bounds/tiers.h"
#include "strategies/bounds/training_bounds.h"

namespace meshstep {
namespace {

constexpr double kSecondsPerHour = 3600;

double Quotient(double a, double b) { return b > 0 ? a / b : 0; }

v1::RooflineReport ReportOf(const RooflineInput& in) {
  v1::RooflineReport report;
  report.set_chip(in.chip_name);
  return report;
}

// Experts: each sees k/E of the tokens, so k/E as many FLOPs for its bytes.
double ExpertFactor(const RooflineInput& in) {
  if (in.model && in.model->moe && !in.dims.contains("E")) {
    return static_cast<double>(in.model->moe->experts) / in.model->moe->experts_per_token;
  }
  return NumberOr(in.dims, "E", 1) / NumberOr(in.dims, "k", 1);
}

void FillClock(const RooflineInput& in, v1::ChipRoofline* out) {
  if (!HasNumber(in.numbers, "lanes")) return;
  const double per_cycle = NumberOr(in.numbers, "units", 1) * NumberOr(in.numbers, "lanes", 1) *
                           NumberOr(in.numbers, "flops-per-lane", 1);
  out->set_flops_per_cycle(per_cycle);
  if (HasNumber(in.numbers, "clock")) {
    out->set_clock_hz(NumberOr(in.numbers, "clock", 0));
    out->set_vector_flops_per_s(per_cycle * out->clock_hz());
    out->set_matmul_over_vector(in.chip.flops_per_s / out->vector_flops_per_s());
  } else if (HasNumber(in.numbers, "vector-flops")) {
    out->set_vector_flops_per_s(NumberOr(in.numbers, "vector-flops", 0));
    out->set_clock_hz(out->vector_flops_per_s() / per_cycle);
  }
}

std::string Bound(double compute, double other, const std::string& name) {
  return compute >= other ? "compute" : name;
}

}  // namespace

StatusOr<v1::RooflineReport> ChipQuestion(const RooflineInput& in) {
  v1::RooflineReport report = ReportOf(in);
  v1::ChipRoofline* out = report.mutable_chip_roofline();
  const ChipLimits& c = in.chip;
  out->set_flops_per_s(c.flops_per_s);
  out->set_hbm_bytes(c.hbm_bytes);
  out->set_hbm_bytes_per_s(c.hbm_bytes_per_s);
  out->set_link_bytes_per_s(c.link_bytes_per_s);
  out->set_link_one_way_bytes_per_s(c.link_one_way_bytes_per_s);
  out->set_host_bytes_per_s(c.host_bytes_per_s);
  out->set_scale_out_bytes_per_s(c.scale_out_bytes_per_s);
  out->set_node_scale_out_bytes_per_s(c.node_bytes_per_s());
  out->set_hbm_intensity(Quotient(c.flops_per_s, c.hbm_bytes_per_s));
  out->set_link_intensity(Quotient(c.flops_per_s, c.link_bytes_per_s));
  out->set_all_axes_intensity(Quotient(c.flops_per_s, c.link_bytes_per_s * c.axes));
  out->set_host_intensity(Quotient(c.flops_per_s, c.host_bytes_per_s));
  out->set_scale_out_intensity(Quotient(c.flops_per_s, c.scale_out_bytes_per_s));
  out->set_node_scale_out_intensity(Quotient(c.flops_per_s, c.node_bytes_per_s()));
  out->set_hbm_over_link(Quotient(c.hbm_bytes_per_s, c.link_bytes_per_s));
  out->set_hbm_over_link_one_way(Quotient(c.hbm_bytes_per_s, c.link_one_way_bytes_per_s));
  out->set_two_chip_contraction(Quotient(2 * c.flops_per_s, c.link_one_way_bytes_per_s));
  const double chips = NumberOr(in.numbers, "chips", c.pod_chips);
  out->set_chips(chips);
  out->set_total_flops_per_s(chips * c.flops_per_s);
  out->set_total_hbm_bytes(chips * c.hbm_bytes);
  out->set_total_scale_out_bytes_per_s(chips * c.scale_out_bytes_per_s);
  if (in.is_switch) {
    out->set_domain_bytes_per_s(c.domain_chips * c.link_bytes_per_s);
    out->set_bisection_bytes_per_s(c.domain_chips / 2 * c.link_bytes_per_s * 2);
  }
  const double work_chips = NumberOr(in.numbers, "chips", 1);
  if (HasNumber(in.numbers, "flops")) {
    out->set_compute_s(NumberOr(in.numbers, "flops", 0) / (work_chips * c.flops_per_s));
  }
  if (HasNumber(in.numbers, "bytes")) {
    out->set_bytes_per_chip(NumberOr(in.numbers, "bytes", 0) / work_chips);
    out->set_hbm_s(Quotient(out->bytes_per_chip(), c.hbm_bytes_per_s));
    out->set_host_s(Quotient(out->bytes_per_chip(), c.host_bytes_per_s));
  }
  if (HasNumber(in.numbers, "price")) {
    out->set_flops_per_dollar(c.flops_per_s * kSecondsPerHour / NumberOr(in.numbers, "price", 1));
  }
  FillClock(in, out);
  return report;
}

StatusOr<v1::RooflineReport> MatmulQuestion(const RooflineInput& in) {
  v1::RooflineReport report = ReportOf(in);
  v1::MatmulRoofline* out = report.mutable_matmul();
  const double memory = in.memory_bytes_per_s, peak = in.chip.flops_per_s;
  const double intensity = Quotient(peak, memory);
  out->set_memory_bytes_per_s(memory);
  out->set_critical_intensity(intensity);
  out->set_critical_batch(CriticalBatch(intensity, in.weight_bytes) * ExpertFactor(in));
  if (!HasNumber(in.dims, "D") && !HasNumber(in.dims, "F")) return report;
  const MatmulCase c{NumberOr(in.dims, "B", 1), NumberOr(in.dims, "D", 1),
                     NumberOr(in.dims, "F", 1), in.activation_bytes, in.weight_bytes};
  out->set_flops(c.flops());
  out->set_backward_flops(2 * c.flops());
  out->set_training_flops(3 * c.flops());
  out->set_bytes(c.bytes());
  out->set_input_elements(c.b * c.d + c.d * c.f);
  out->set_intensity(c.flops() / c.bytes());
  out->set_compute_s(c.flops() / peak);
  out->set_memory_s(Quotient(c.bytes(), memory));
  out->set_time_s(std::max(out->compute_s(), out->memory_s()));
  out->set_sequential_s(out->compute_s() + out->memory_s());
  out->set_bound(Bound(out->compute_s(), out->memory_s(), "memory"));
  out->set_exact_critical_batch(ExactCriticalBatch(c, intensity));
  return report;
}

StatusOr<v1::RooflineReport> AttentionQuestion(const RooflineInput& in) {
  RETURN_IF_ERROR(Need(in.dims, "attention", {"T"}));
  v1::RooflineReport report = ReportOf(in);
  v1::AttentionRoofline* out = report.mutable_attention();
  AttentionCase c;
  c.batch = NumberOr(in.dims, "B", 1);
  c.queries = NumberOr(in.dims, "T", 1);
  c.keys = NumberOr(in.dims, "S", c.queries);
  c.kv_heads = NumberOr(in.dims, "K", HasNumber(in.dims, "G") ? 1 : NumberOr(in.dims, "N", 1));
  c.heads = NumberOr(in.dims, "N", c.kv_heads * NumberOr(in.dims, "G", 1));
  c.head_dim = NumberOr(in.dims, "H", NumberOr(in.dims, "D", 128 * c.heads) / c.heads);
  c.element_bytes = in.activation_bytes;
  RETURN_IF_ERROR(
      Need({{"K", c.kv_heads}, {"N", c.heads}, {"S", c.keys}}, "attention", {"K", "N", "S"}));
  out->set_flops(c.flops());
  out->set_causal_flops(c.queries == c.keys ? c.flops() / 2 : c.flops());
  out->set_bytes(c.bytes());
  out->set_intensity(c.flops() / c.bytes());
  const double intensity = Quotient(in.chip.flops_per_s, in.memory_bytes_per_s);
  out->set_critical_intensity(intensity);
  out->set_compute_s(c.flops() / in.chip.flops_per_s);
  out->set_memory_s(Quotient(c.bytes(), in.memory_bytes_per_s));
  out->set_time_s(std::max(out->compute_s(), out->memory_s()));
  out->set_bound(Bound(out->compute_s(), out->memory_s(), "memory"));
  out->set_critical_length(CriticalLength(c, intensity));
  out->set_decode_intensity_limit(c.group() * 2 / c.element_bytes);
  return report;
}

namespace {

void FillTimes(const MlpTimes& times, v1::LayerTimes* out) {
  out->set_compute_s(times.compute);
  out->set_fsdp_s(times.fsdp);
  out->set_tensor_s(times.tensor);
  out->set_communication_max_s(times.communication(Overlap::kMax));
  out->set_communication_sum_s(times.communication(Overlap::kSum));
  out->set_bound_max(Bound(times.compute, out->communication_max_s(), "communication"));
  out->set_bound_sum(Bound(times.compute, out->communication_sum_s(), "communication"));
}

void FillExperts(const RooflineInput& in, double alpha, v1::TrainingBounds* out) {
  if (!HasNumber(in.dims, "Z")) return;
  const double z = NumberOr(in.dims, "Z", 1), k = NumberOr(in.dims, "k", 1);
  const double node = in.chip.domain_chips;
  out->set_expert_ffn_min(MinExpertFfn(alpha, z, k, node));
  out->set_expert_ffn_min_many(node * alpha);
  out->set_expert_shards_expected(ExpectedShards(z, k));
  out->set_expert_shards_bound(ShardsBound(z, k));
}

void FillPipeline(const RooflineInput& in, v1::TrainingBounds* out) {
  if (!HasNumber(in.numbers, "stages") || !HasNumber(in.dims, "B") || !HasNumber(in.dims, "D")) {
    return;
  }
  const double micro_batches = NumberOr(in.numbers, "micro-batches", 1);
  const double rate = in.is_switch ? in.chip.scale_out_bytes_per_s : in.chip.link_bytes_per_s;
  const double hop =
      PipelineHop(NumberOr(in.dims, "B", 0), NumberOr(in.dims, "D", 0), micro_batches, rate);
  out->set_pipeline_hop_s(hop);
  out->set_pipeline_s(hop * (micro_batches + NumberOr(in.numbers, "stages", 1) - 2));
}

// Whether `chips` reach beyond the chips that one switch or torus joins.
bool SpansDomains(const RooflineInput& in, double chips) {
  const double domain = in.is_switch ? in.chip.domain_chips : in.chip.pod_chips;
  return domain > 1 && chips > domain;
}

// Bytes/s at which `ways` chips, `stride` apart, gather an array over `axes` of the torus.
double GatherRate(const RooflineInput& in, double ways, double stride, double axes) {
  Tiers tiers{in.is_switch ? in.chip.domain_chips : in.chip.pod_chips,
              in.chip.link_bytes_per_s * (in.is_switch ? 1 : axes), in.chip.scale_out_bytes_per_s,
              in.chip.full_mesh};
  // Rates given without a domain are those of one.
  if (tiers.domain <= 1) return tiers.link;
  if (tiers.full_mesh) tiers.link = in.chip.link_one_way_bytes_per_s;
  const TierGroup group{ways, LocalTo(tiers.domain, stride, ways)};
  const WithinDomain within = in.is_switch ? WithinDomain::kExact : WithinDomain::kBook;
  return 1 / GatherTime(tiers, group, 1, within).total();
}

// "X=512 is 1 chip in each of 512 nodes".
std::string PlaceOf(const RooflineInput& in, const std::string& axis, double ways, double stride) {
  const double domain = in.is_switch ? in.chip.domain_chips : in.chip.pod_chips;
  const std::string name = in.is_switch ? "node" : "pod";
  const std::string what = absl::StrCat(axis, "=", ways);
  if (domain <= 1) return "";
  const double local = LocalTo(domain, stride, ways);
  if (local >= ways) return absl::StrCat(what, " is inside a ", name);
  return absl::StrCat(what, " is ", local, local == 1 ? " chip" : " chips", " in each of ",
                      std::ceil(ways / local), " ", name, "s");
}

// What the times of a layer assume, before them.
void FillModel(const RooflineInput& in, double x, double y, double x_axes, double y_axes,
               v1::TrainingBounds* out) {
  if (in.is_switch) {
    out->set_cost_model(
        in.chip.domain_chips > 1
            ? absl::StrCat("V (D-1)/(D w) in a node of ", in.chip.domain_chips,
                           ", V (M-1)/(M D w_out) for D chips in each of M nodes; Y innermost")
            : "V (N-1)/(N w) inside one switch");
  } else {
    out->set_cost_model(absl::StrCat("V/(W M) on rings of the torus, M = ", x_axes, " axes for X, ",
                                     y_axes, " for Y"));
  }
  const std::string tensor = PlaceOf(in, "Y", y, 1), fsdp = PlaceOf(in, "X", x, y);
  if (y > 1) out->set_placement(tensor);
  if (x > 1) out->set_placement(out->placement() + (y > 1 && !tensor.empty() ? ", " : "") + fsdp);
}

Status FillLayer(const RooflineInput& in, double x, double y, double x_axes, double y_axes,
                 v1::TrainingBounds* out) {
  if (SpansDomains(in, x * y) && in.chip.scale_out_bytes_per_s <= 0) {
    return InvalidInput(absl::StrCat("--dims: X x Y is ", x * y, " chips, more than the ",
                                     in.is_switch ? in.chip.domain_chips : in.chip.pod_chips,
                                     " that are joined, and the rate of a chip out of them is not "
                                     "known, expected --hw=dcn=..."));
  }
  FillModel(in, x, y, x_axes, y_axes, out);
  const MlpPlan plan{
      NumberOr(in.dims, "B", 0), NumberOr(in.dims, "D", 0), NumberOr(in.dims, "F", 0), x, y,
      in.activation_bytes};
  const MlpRates rates{GatherRate(in, x, y, x_axes), GatherRate(in, y, 1, y_axes)};
  if (x > 1) out->set_fsdp_bytes_per_s(rates.fsdp);
  if (y > 1) out->set_tensor_bytes_per_s(rates.tensor);
  FillTimes(MlpForward(plan, in.chip.flops_per_s, rates), out->mutable_forward());
  FillTimes(MlpBackward(plan, in.chip.flops_per_s, rates), out->mutable_backward());
  return absl::OkStatus();
}

void FillCritical(const RooflineInput& in, double x_axes, double y_axes, v1::TrainingBounds* out) {
  const double factor = ExpertFactor(in) / NumberOr(in.numbers, "nodes-per-replica", 1);
  const double alpha = out->alpha(), f = NumberOr(in.dims, "F", 0);
  out->set_critical_fsdp(factor * CriticalTokens(alpha, in.is_switch ? 1 : in.chip.axes));
  if (HasNumber(in.dims, "Mx") && !HasNumber(in.dims, "My")) {
    out->set_critical_fsdp(factor * CriticalTokens(alpha, x_axes));
  }
  out->set_critical_scale_out(factor * out->scale_out_alpha());
  // Across nodes FSDP has other links than tensor parallelism, and the mixed rule is of one kind.
  const bool mixed = f > 0 && !(in.is_switch && out->has_chips() && SpansDomains(in, out->chips()));
  if (mixed) {
    out->set_critical_mixed_max(factor *
                                CriticalTokensMixed(alpha, x_axes, y_axes, f, Overlap::kMax));
    out->set_critical_mixed_sum(factor *
                                CriticalTokensMixed(alpha, x_axes, y_axes, f, Overlap::kSum));
  }
  if (out->has_chips()) {
    const bool across = in.is_switch && SpansDomains(in, out->chips());
    out->set_min_batch_fsdp(out->chips() *
                            (across ? out->critical_scale_out() : out->critical_fsdp()));
    if (mixed) out->set_min_batch_mixed_max(out->chips() * out->critical_mixed_max());
    if (mixed) out->set_min_batch_mixed_sum(out->chips() * out->critical_mixed_sum());
  }
  if (!HasNumber(in.dims, "B")) return;
  const double b = NumberOr(in.dims, "B", 0);
  const bool across = in.is_switch && SpansDomains(in, b / out->critical_fsdp());
  out->set_max_chips_fsdp(b / (across ? out->critical_scale_out() : out->critical_fsdp()));
  if (mixed) out->set_max_chips_mixed_max(b / out->critical_mixed_max());
  if (mixed) out->set_max_chips_mixed_sum(b / out->critical_mixed_sum());
}

void FillSplit(const RooflineInput& in, double x_axes, double y_axes, v1::TrainingBounds* out) {
  const double b = NumberOr(in.dims, "B", 0), f = NumberOr(in.dims, "F", 0);
  if (b <= 0 || f <= 0 || !out->has_critical_mixed_max() || !out->has_chips()) return;
  const double x = OptimalX(b, f, x_axes, y_axes, out->chips());
  out->set_x_opt(x);
  out->set_y_opt(out->chips() / x);
  out->set_x(std::exp2(std::round(std::log2(x))));
  out->set_y(std::exp2(std::floor(std::log2(out->chips() / out->x()))));
}

void FillTensor(const RooflineInput& in, double y_axes, v1::TrainingBounds* out) {
  if (HasNumber(in.dims, "Y")) {
    out->set_ffn_for_tensor(NumberOr(in.dims, "Y", 1) * out->alpha() / y_axes);
  }
  if (!HasNumber(in.dims, "F")) return;
  const double f = NumberOr(in.dims, "F", 0);
  out->set_tensor_max(MaxTensor(f, y_axes, out->alpha()));
  if (!in.is_switch || out->scale_out_alpha() <= 0) return;
  out->set_tensor_max_scale_out(MaxTensor(f, 1, out->scale_out_alpha()));
  out->set_tensor_max_two_nodes(MaxTensorTwoNodes(f, in.chip.domain_chips, out->scale_out_alpha()));
}

}  // namespace

StatusOr<v1::RooflineReport> TrainingQuestion(const RooflineInput& in) {
  v1::RooflineReport report = ReportOf(in);
  v1::TrainingBounds* out = report.mutable_training();
  const double x = NumberOr(in.dims, "X", 1), y = NumberOr(in.dims, "Y", 1);
  // A plain plan on one torus gives data two axes of three and tensor one, as the book does.
  const double x_axes = NumberOr(in.dims, "Mx", std::max(1.0, in.chip.axes - 1));
  const double y_axes = NumberOr(in.dims, "My", 1);
  out->set_alpha(Quotient(in.chip.flops_per_s, in.chip.link_bytes_per_s));
  out->set_alpha_over_axes(out->alpha() / x_axes);
  if (in.chip.scale_out_bytes_per_s > 0) {
    out->set_scale_out_alpha(ScaleOutAlpha(in.chip, in.is_switch));
  }
  if (HasNumber(in.numbers, "chips")) {
    out->set_chips(NumberOr(in.numbers, "chips", 0));
  } else if (HasNumber(in.dims, "X") || HasNumber(in.dims, "Y")) {
    out->set_chips(x * y);
  }
  if (out->has_chips() && HasNumber(in.dims, "B")) {
    out->set_tokens_per_chip(NumberOr(in.dims, "B", 0) / out->chips());
  }
  FillCritical(in, x_axes, y_axes, out);
  FillSplit(in, x_axes, y_axes, out);
  FillTensor(in, y_axes, out);
  if (HasNumber(in.dims, "B") && HasNumber(in.dims, "D") && HasNumber(in.dims, "F")) {
    RETURN_IF_ERROR(FillLayer(in, x, y, x_axes, y_axes, out));
  }
  FillExperts(in, out->scale_out_alpha(), out);
  FillPipeline(in, out);
  return report;
}

}  // namespace meshstep
