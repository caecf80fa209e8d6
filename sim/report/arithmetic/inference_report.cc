#include <algorithm>
#include <cmath>

#include "meshstep/v1/roofline_report.pb.h"
#include "sim/report/arithmetic/roofline_report.h"
#include "sim/report/numbers.h"
#include "strategies/bounds/inference_bounds.h"
#include "strategies/bounds/matmul_roofline.h"
#include "strategies/bounds/training_bounds.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

// Parameters and cache of the model, where one is given; numbers go before it.
struct Served {
  DecodeCase decode;
  double kv_per_token = 0;
  double experts = 1;  // E / k
};

Served ServedOf(const RooflineInput& in) {
  Served served;
  const double s = NumberOr(in.dims, "S", 0);
  DecodeCase& d = served.decode;
  if (in.model) {
    const ModelArithmetic a(*in.model, {1, 1, std::max(s, 1.0)});
    const ParameterCounts counts = a.Parameters();
    d.parameters = counts.total;
    d.active_parameters = counts.active;
    served.kv_per_token = a.KvBytesPerToken(in.kv_bytes);
    d.kv_bytes_per_sequence = s > 0 ? a.KvBytesPerSequence(s, in.kv_bytes) : 0;
    if (in.model->moe) {
      served.experts =
          static_cast<double>(in.model->moe->experts) / in.model->moe->experts_per_token;
    }
  }
  if (HasNumber(in.numbers, "params")) {
    d.parameters = NumberOr(in.numbers, "params", 0);
    d.active_parameters = NumberOr(in.numbers, "active", d.parameters);
  }
  if (HasNumber(in.numbers, "kv-per-token")) {
    served.kv_per_token = NumberOr(in.numbers, "kv-per-token", 0);
    d.kv_bytes_per_sequence = served.kv_per_token * s;
  }
  d.kv_bytes_per_sequence = NumberOr(in.numbers, "kv-per-sequence", d.kv_bytes_per_sequence);
  d.parameter_bytes = in.weight_bytes;
  d.batch = NumberOr(in.dims, "B", 1);
  d.chips = NumberOr(in.numbers, "chips", 1);
  return served;
}

void FillMemory(const Served& s, const ChipLimits& chip, v1::InferenceBounds* out) {
  const DecodeCase& d = s.decode;
  out->set_parameter_bytes(d.weight_bytes());
  out->set_kv_bytes_per_token(s.kv_per_token);
  out->set_kv_bytes_per_sequence(d.kv_bytes_per_sequence);
  out->set_kv_bytes(d.kv_bytes());
  out->set_memory_bytes(d.weight_bytes() + d.kv_bytes());
  out->set_capacity_bytes(d.chips * chip.hbm_bytes);
  out->set_fits(out->memory_bytes() <= out->capacity_bytes());
  out->set_free_bytes(out->capacity_bytes() - d.weight_bytes());
  if (d.kv_bytes_per_sequence > 0) out->set_max_batch(MaxDecodeBatch(d, chip));
  out->set_chips_for_parameters(d.weight_bytes() / chip.hbm_bytes);
  out->set_chips_for_all(out->memory_bytes() / chip.hbm_bytes);
  out->set_slice_for_parameters(SliceOf(out->chips_for_parameters()));
  out->set_slice_for_all(SliceOf(out->chips_for_all()));
}

// The time of a step is worked out, or given.
double StepSeconds(const RooflineInput& in, const v1::InferenceBounds& out) {
  return NumberOr(in.numbers, "step-time", out.step_s());
}

void FillStep(const RooflineInput& in, const Served& s, v1::InferenceBounds* out) {
  const DecodeCase& d = s.decode;
  const DecodeStep step = StepOf(d, in.chip);
  out->set_kv_s(step.kv);
  out->set_parameters_s(step.weights);
  out->set_compute_s(step.compute);
  out->set_linear_s(step.linear());
  out->set_step_s(step.total());
  out->set_bound(step.compute > step.weights && step.compute > step.kv ? "compute" : "memory");
  out->set_flops_per_token(2 * d.active_parameters);
  out->set_tokens_per_s(d.batch / StepSeconds(in, *out));
  out->set_tokens_per_s_per_chip(out->tokens_per_s() / d.chips);
  out->set_full_hbm_s(in.chip.hbm_bytes / in.chip.hbm_bytes_per_s);
  out->set_critical_batch(s.experts * CriticalBatch(in.chip.hbm_intensity(), in.weight_bytes));
  if (HasNumber(in.numbers, "steps")) {
    const double time = NumberOr(in.numbers, "steps", 1) * StepSeconds(in, *out);
    out->set_decode_s(time);
    out->set_full_hbm_decode_s(NumberOr(in.numbers, "steps", 1) * out->full_hbm_s());
    out->set_requests_per_s_per_chip(d.batch / time / d.chips);
    if (out->max_batch() > 0) {
      // A full HBM is read once per step.
      const double full = HasNumber(in.numbers, "step-time")
                              ? time
                              : NumberOr(in.numbers, "steps", 1) * out->full_hbm_s();
      out->set_max_batch_requests_per_s_per_chip(out->max_batch() / full / d.chips);
    }
  }
  if (HasNumber(in.numbers, "latency")) {
    const double latency = NumberOr(in.numbers, "latency", 0);
    out->set_latency_batch(BatchWithin(d, in.chip, latency));
    out->set_latency_tokens_per_s_per_chip(out->latency_batch() / latency / d.chips);
  }
}

void FillPrefill(const RooflineInput& in, const Served& s, v1::InferenceBounds* out) {
  const DecodeCase& d = s.decode;
  if (HasNumber(in.dims, "T")) {
    const double tokens = NumberOr(in.dims, "T", 0);
    out->set_prefill_flops(2 * d.active_parameters * tokens * d.batch);
    if (in.model) {
      const ModelArithmetic a(*in.model, {d.batch, tokens, tokens});
      out->set_prefill_with_attention_flops(a.Forward(Square::kFull).total());
    }
    out->set_prefill_s(out->prefill_flops() /
                       (d.chips * in.chip.flops_per_s * NumberOr(in.numbers, "mfu", 1)));
  }
  if (HasNumber(in.numbers, "prefill-time")) {
    out->set_prefill_s(NumberOr(in.numbers, "prefill-time", 0));
  }
  if (HasNumber(in.dims, "T") && HasNumber(in.numbers, "steps")) {
    const double steps = NumberOr(in.numbers, "steps", 1);
    out->set_evicted_tokens_per_step(d.batch * (NumberOr(in.dims, "T", 0) + steps) / steps);
  }
  // One prefill server makes 1 / t of the sequences that a decode server takes in B / (t_step ·
  // steps).
  if (out->has_prefill_s() && out->has_decode_s()) {
    out->set_prefill_servers(out->prefill_s() * d.batch / out->decode_s());
  }
}

void FillSharding(const RooflineInput& in, v1::InferenceBounds* out) {
  const double f = NumberOr(in.dims, "F", in.model ? in.model->ffn : 0);
  const double hidden = NumberOr(in.dims, "D", in.model ? in.model->hidden : 0);
  const double batch = NumberOr(in.dims, "B", 1);
  const double chips = NumberOr(in.numbers, "chips", 1);
  if (in.chip.link_bytes_per_s > 0) {
    const double axes = NumberOr(in.dims, "My", in.chip.axes);
    const double beta = in.chip.hbm_bytes_per_s / in.chip.link_bytes_per_s;
    out->set_hbm_over_link(beta);
    if (f > 0) {
      out->set_tensor_max(MaxTensor(f, axes, in.chip.alpha()));
      out->set_tensor_max_memory(
          MaxTensorOfWeightLoads(f, batch, NumberOr(in.numbers, "beta", beta)));
    }
    if (f > 0 && hidden > 0) {
      const WeightStationary times =
          StationaryTimes(batch, hidden, f, chips, in.chip.link_bytes_per_s);
      out->set_stationary_2d_x(times.x);
      out->set_stationary_2d_s(times.two_d);
      out->set_stationary_1d_s(times.one_d);
      out->set_stationary_2d_chips(times.chips);
      out->set_matmul_link_s(in.activation_bytes * batch * hidden / in.chip.link_bytes_per_s);
      out->set_matmul_hbm_s(in.weight_bytes * hidden * f / (chips * in.chip.hbm_bytes_per_s));
      out->set_matmul_compute_s(2 * batch * hidden * f / (chips * in.chip.flops_per_s));
    }
  }
  const double kv_heads = NumberOr(in.dims, "K", in.model ? in.model->kv_heads : 0);
  if (kv_heads > 0) {
    out->set_kv_head_ways(std::min(kv_heads, chips));
    out->set_kv_batch_ways(std::ceil(chips / kv_heads));
  }
}

}  // namespace

StatusOr<v1::RooflineReport> InferenceQuestion(const RooflineInput& in) {
  if (!in.model && !HasNumber(in.numbers, "params")) {
    return InvalidInput("inference: needs a model (a preset, or --dims with L) or --params");
  }
  if (in.chip.hbm_bytes_per_s <= 0 || in.chip.hbm_bytes <= 0) {
    return InvalidInput(
        "inference: needs the HBM of the chip (--chip, or --hw=hbm=...,hbm_bw=...)");
  }
  v1::RooflineReport report;
  report.set_chip(in.chip_name);
  v1::InferenceBounds* out = report.mutable_inference();
  const Served served = ServedOf(in);
  FillMemory(served, in.chip, out);
  FillStep(in, served, out);
  FillPrefill(in, served, out);
  FillSharding(in, out);
  return report;
}

}  // namespace meshstep
