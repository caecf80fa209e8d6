#include "sim/calibration/fit_matmul.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

namespace meshstep {
namespace {

constexpr Flops kLarge{1e9};
constexpr double kSmallWeight = 0.15;
constexpr Seconds kLong{1e-3};
constexpr std::size_t kBestRows = 3;
// Pull towards the constants given, in the loss of one unit of logarithm: enough to keep what no
// row answers to, far below what one row in a thousand asks for.
constexpr double kPull = 1e-5;
// Of one kernel launch; 0.1 us is below any device, 1 ms above any.
constexpr double kLeastLaunch = 1e-7, kMostLaunch = 1e-3;
constexpr double kLeastFraction = 0.01;
constexpr int kRounds = 4, kIterations = 300;

double LogError(const MatmulSample& sample, const MatmulCalibration& c) {
  return std::log(CalibratedMatmul(sample.shape, sample.device, c) / sample.time);
}

// x: logarithms of launch, peak_fraction and hbm_fraction.
MatmulCalibration Decode(std::span<const double> x, MatmulCalibration c) {
  c.launch = Seconds(std::clamp(std::exp(x[0]), kLeastLaunch, kMostLaunch));
  c.peak_fraction = std::clamp(std::exp(x[1]), kLeastFraction, 1.0);
  c.hbm_fraction = std::clamp(std::exp(x[2]), kLeastFraction, 1.0);
  return c;
}

std::vector<double> Encode(const MatmulCalibration& c) {
  return {std::log(std::max(c.launch.value(), kLeastLaunch)), std::log(c.peak_fraction),
          std::log(c.hbm_fraction)};
}

double Loss(std::span<const MatmulSample> samples, const MatmulCalibration& base,
            std::span<const double> x) {
  const MatmulCalibration c = Decode(x, base);
  double total = 0, weights = 0;
  for (const MatmulSample& sample : samples) {
    const double weight = sample.shape.flops() >= kLarge ? 1 : kSmallWeight;
    total += weight * RobustLoss(LogError(sample, c));
    weights += weight;
  }
  // Beyond a bound the time no longer changes; the search must come back.
  const std::vector<double> at = Encode(c), from = Encode(base);
  double pull = 0, outside = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    pull += std::abs(at[i] - from[i]);
    outside += std::abs(x[i] - at[i]);
  }
  return total / weights + kPull * pull + outside;
}

Residuals ErrorsWith(std::span<const MatmulSample> samples, const MatmulCalibration& c) {
  std::vector<double> errors;
  for (const MatmulSample& sample : samples) {
    errors.push_back(std::abs(std::expm1(LogError(sample, c))));
  }
  return ResidualsOf(std::move(errors));
}

void MeasureSustained(std::span<const MatmulSample> samples, MatmulFit* fit) {
  std::vector<double> fractions;
  for (const MatmulSample& sample : samples) {
    if (sample.time < kLong) continue;
    fractions.push_back(sample.shape.flops() / sample.time / sample.device.peak);
  }
  if (fractions.size() < kBestRows) return;
  std::sort(fractions.begin(), fractions.end(), std::greater<>());
  fit->sustained = true;
  fit->calibration.sustained_fraction = std::clamp(fractions[kBestRows / 2], kLeastFraction, 1.0);
}

}  // namespace

MatmulFit FitMatmul(std::span<const MatmulSample> samples, const MatmulCalibration& base) {
  const auto loss = [&](std::span<const double> x) { return Loss(samples, base, x); };
  std::vector<double> best = Encode(base);
  // Each round starts a fresh simplex where the last one ended, in turn wide and narrow.
  for (int round = 0; round < kRounds; ++round) {
    best = Minimize(loss, best, round % 2 == 0 ? -0.4 : 0.1, kIterations);
  }
  MatmulFit fit;
  fit.calibration = Decode(best, base);
  fit.before = ErrorsWith(samples, base);
  fit.after = ErrorsWith(samples, fit.calibration);
  MeasureSustained(samples, &fit);
  return fit;
}

}  // namespace meshstep
