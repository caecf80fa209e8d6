#include "sim/cost/compute.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace meshstep {
namespace {

Rates PerDevice(Rates rates, int devices_per_chip) {
  const double share = 1.0 / devices_per_chip;
  for (FlopsPerSecond& peak : rates.matmul) peak = peak * share;
  rates.vector = rates.vector * share;
  rates.hbm = rates.hbm * share;
  rates.hbm_rate = rates.hbm_rate * share;
  return rates;
}

// One of many that follow each other; see chip.proto exposed_results.
Seconds Sustained(const MatmulShape& shape, const MatmulDevice& device, const MatmulCalibration& c,
                  double fraction) {
  constexpr Bytes kMeasured{2};  // results of the matmuls that sustained rates are of
  const Bytes more =
      shape.batch * shape.m * shape.n * std::max(device.result - kMeasured, Bytes(0));
  return shape.flops() / (device.peak * fraction) +
         c.exposed_results * (more / (device.hbm * c.hbm_fraction));
}

}  // namespace

ComputeModel::ComputeModel(const Chip& chip, RateSet rates, Fidelity fidelity)
    : chip_(chip),
      rates_(PerDevice(chip.rates(rates), chip.devices_per_chip)),
      calibrated_(fidelity == Fidelity::kCalibrated) {
  CHECK_GT(rates_.hbm_rate.value(), 0);
}

Status ComputeModel::Supports(Dtype dtype) const {
  if (rates_.peak(dtype).value() > 0) return absl::OkStatus();
  std::string known;
  for (int d = 0; d < kDtypes; ++d) {
    if (rates_.peak(static_cast<Dtype>(d)).value() <= 0) continue;
    known += (known.empty() ? "" : ", ") + std::string(NameOf(static_cast<Dtype>(d)));
  }
  return InvalidInput("is \"" + std::string(NameOf(dtype)) + "\", which " + chip_.name +
                      " has no matrix rate for; it has " + known);
}

MatmulDevice ComputeModel::DeviceOf(Dtype dtype, Bytes result) const {
  return {.units = std::max(1.0, static_cast<double>(chip_.compute_units) / chip_.devices_per_chip),
          .peak = rates_.peak(dtype),
          .hbm = rates_.hbm_rate,
          .operand = SizeOf(dtype),
          .result = result};
}

Time ComputeModel::Matmul(const MatmulShape& shape, Dtype dtype, Bytes result) const {
  if (!calibrated_) return MatmulAlone(shape, dtype, result);
  const MatmulCalibration& c = chip_.calibration.matmul[static_cast<std::size_t>(dtype)];
  const double fraction = shape.grouped ? c.grouped_fraction : c.sustained_fraction;
  MatmulDevice device = DeviceOf(dtype, result);
  if (shape.precise) device.peak = device.peak * c.precise_fraction;
  const Seconds sustained = Sustained(shape, device, c, fraction);
  return Time::RoundUp(std::max(CalibratedMatmulInPlace(shape, device, c), sustained));
}

Time ComputeModel::MatmulEach(const MatmulShape& shape, Dtype dtype, Bytes result) const {
  if (!calibrated_) return Matmul(shape, dtype, result);
  MatmulCalibration c = chip_.calibration.matmul[static_cast<std::size_t>(dtype)];
  c.cache = Bytes(0);
  MatmulShape one = shape;
  one.batch = 1;
  MatmulDevice device = DeviceOf(dtype, result);
  if (shape.precise) device.peak = device.peak * c.precise_fraction;
  const Seconds sustained = Sustained(one, device, c, c.sustained_fraction);
  const Seconds time = std::max(CalibratedMatmulInPlace(one, device, c), sustained);
  return Time::RoundUp(shape.batch * time);
}

Time ComputeModel::MatmulAlone(const MatmulShape& shape, Dtype dtype, Bytes result) const {
  const FlopsPerSecond peak = rates_.peak(dtype);
  CHECK_GT(peak.value(), 0);
  if (!calibrated_) {
    return Time::RoundUp(
        std::max(shape.flops() / peak, shape.bytes(dtype, result) / rates_.hbm_rate));
  }
  return Time::RoundUp(CalibratedMatmul(shape, DeviceOf(dtype, result),
                                        chip_.calibration.matmul[static_cast<std::size_t>(dtype)]));
}

Flops ComputeModel::AttentionFlops(const AttentionShape& s) {
  return Flops((s.backward ? 4 : 2) * s.batch * s.heads * s.queries * s.keys *
               (s.head_dim + s.value_dim) * s.visible);
}

Flops ComputeModel::AttentionKernelFlops(const AttentionShape& s) {
  const Flops scores(2 * s.batch * s.heads * s.queries * s.keys * s.head_dim * s.visible);
  return AttentionFlops(s) + (s.backward ? scores : Flops());
}

Bytes ComputeModel::AttentionBytes(const AttentionShape& s, Dtype dtype) {
  const double sizes = s.head_dim + s.value_dim;
  const double q = s.batch * s.queries * s.heads * sizes;
  const double kv = s.batch * s.keys * s.kv_heads * sizes;
  return (s.backward ? 2 * q + 2 * kv : q + kv) * SizeOf(dtype);
}

// Nearest measured head size, the mean of queries and values counting; between measured lengths
// linear in log2 of the length.
ComputeModel::Rate ComputeModel::AttentionRate(const AttentionShape& shape) const {
  const auto& points = chip_.calibration.attention;
  const bool causal = shape.visible < 0.75;
  const double head_dim = (shape.head_dim + shape.value_dim) / 2;
  const double length = shape.document > 0 ? std::min(shape.document, shape.keys) : shape.keys;
  double best_score = 1e300;
  for (const AttentionCalibration& p : points) {
    best_score = std::min(best_score, std::abs(std::log2(p.head_dim / head_dim)) +
                                          (p.causal != causal ? 0.25 : 0) +
                                          (p.backward != shape.backward ? 10 : 0));
  }
  const AttentionCalibration *below = nullptr, *above = nullptr;
  for (const AttentionCalibration& p : points) {
    const double score = std::abs(std::log2(p.head_dim / head_dim)) +
                         (p.causal != causal ? 0.25 : 0) + (p.backward != shape.backward ? 10 : 0);
    if (score > best_score) continue;
    if (p.sequence_length <= length && (!below || p.sequence_length > below->sequence_length)) {
      below = &p;
    }
    if (p.sequence_length >= length && (!above || p.sequence_length < above->sequence_length)) {
      above = &p;
    }
  }
  if (below == nullptr && above == nullptr) return {};
  if (below == nullptr) {
    return {above->peak_fraction * length / above->sequence_length, above->heads};
  }
  if (above == nullptr || above == below) return {below->peak_fraction, below->heads};
  const double x = std::log2(length / below->sequence_length) /
                   std::log2(static_cast<double>(above->sequence_length) / below->sequence_length);
  return {below->peak_fraction + x * (above->peak_fraction - below->peak_fraction), below->heads};
}

// Units that the kernel keeps busy over those that the measurement of its rate kept busy.
double ComputeModel::AgainstMeasuredHeads(const AttentionShape& shape, const AttentionTiles& tiles,
                                          double heads) const {
  const double units =
      std::max(1.0, static_cast<double>(chip_.compute_units) / chip_.devices_per_chip);
  double measured = heads > 0 ? heads : tiles.heads;
  if (measured == 0) measured = tiles.tokens_times_width / (shape.queries * shape.head_dim);
  return BusyUnits(shape, shape.batch * shape.heads, tiles, units) /
         BusyUnits(shape, std::max(1.0, measured), tiles, units);
}

Seconds ComputeModel::CalibratedAttention(const AttentionShape& s, Dtype dtype) const {
  const ComputeCalibration& c = chip_.calibration;
  if (c.attention_blocks) {
    const double devices = chip_.devices_per_chip;
    return BlockedAttention(s,
                            {.peak = rates_.peak(dtype),
                             .share = 1 / devices,
                             .units = std::max(1.0, chip_.compute_units / devices)},
                            *c.attention_blocks);
  }
  auto [fraction, heads] = AttentionRate(s);
  if (fraction <= 0) fraction = c.matmul[static_cast<std::size_t>(dtype)].peak_fraction / 2;
  if (c.attention_tiles) fraction *= AgainstMeasuredHeads(s, *c.attention_tiles, heads);
  return AttentionKernelFlops(s) / (fraction * rates_.peak(dtype));
}

Time ComputeModel::Attention(const AttentionShape& s, Dtype dtype) const {
  const Bytes bytes = AttentionBytes(s, dtype);
  if (!calibrated_) {
    return Time::RoundUp(std::max(AttentionFlops(s) / rates_.peak(dtype), bytes / rates_.hbm_rate));
  }
  const ComputeCalibration& c = chip_.calibration;
  return Time::RoundUp(
      c.matmul[static_cast<std::size_t>(dtype)].launch +
      std::max(CalibratedAttention(s, dtype), bytes / (c.hbm_fraction * rates_.hbm_rate)));
}

Time ComputeModel::Fused(Flops flops, Bytes bytes, Dtype dtype) const {
  const FlopsPerSecond peak = rates_.peak(dtype);
  if (!calibrated_) return Time::RoundUp(std::max(flops / peak, bytes / rates_.hbm_rate));
  const ComputeCalibration& c = chip_.calibration;
  const MatmulCalibration& matmul = c.matmul[static_cast<std::size_t>(dtype)];
  return Time::RoundUp(matmul.launch + std::max(flops / (matmul.peak_fraction * peak),
                                                bytes / (c.hbm_fraction * rates_.hbm_rate)));
}

Time ComputeModel::Permutation(Bytes bytes) const {
  const ComputeCalibration& c = chip_.calibration;
  if (!calibrated_ || c.permutation_fraction >= c.hbm_fraction) return Elementwise(bytes);
  return Time::RoundUp(c.elementwise_launch + bytes / (c.permutation_fraction * rates_.hbm_rate));
}

Time ComputeModel::Streamed(const StreamedWork& work) const {
  if (!calibrated_) return Time::RoundUp(work.bytes / rates_.hbm_rate);
  const ComputeCalibration& c = chip_.calibration;
  const BytesPerSecond rate = c.hbm_fraction * rates_.hbm_rate;
  const double strided = c.strided_elements_per_s / chip_.devices_per_chip;
  const Seconds issued(strided > 0 ? work.strided_elements / strided : 0);
  return Time::RoundUp((work.bytes - work.strided_bytes) / rate +
                       std::max(work.strided_bytes / rate, issued) + work.fixed);
}

Time ComputeModel::Elementwise(Bytes bytes) const {
  if (!calibrated_) return Time::RoundUp(bytes / rates_.hbm_rate);
  const ComputeCalibration& c = chip_.calibration;
  return Time::RoundUp(c.elementwise_launch + bytes / (c.hbm_fraction * rates_.hbm_rate));
}

}  // namespace meshstep
