#include "strategies/bounds/scaling_law.h"

#include <cmath>
#include <limits>

namespace meshstep {
namespace {

// Hoffmann et al. eq. 10.
constexpr double kE = 1.69, kA = 406.4, kB = 410.7, kAlpha = 0.34, kBeta = 0.28;
// Kaplan et al. Table 6: optimal model size N = 1.3e9 (C_min / PF-day)^0.73.
constexpr double kKaplanParameters = 1.3e9, kKaplanExponent = 0.73, kPetaFlopDay = 8.64e19;

constexpr int kSearchSteps = 200;  // each narrows the bracket by a third; far below rounding

}  // namespace

Optimum ChinchillaOptimum(double flops, double tokens_per_parameter) {
  const double parameters = std::sqrt(flops / (6 * tokens_per_parameter));
  return {parameters, tokens_per_parameter * parameters};
}

double ParametricLoss(double parameters, double tokens) {
  return kE + kA / std::pow(parameters, kAlpha) + kB / std::pow(tokens, kBeta);
}

// Eq. 4: N = G (C/6)^(b/(a+b)), D = (C/6)^(a/(a+b)) / G, G = (a A / b B)^(1/(a+b)).
Optimum ParametricOptimum(double flops) {
  const double g = std::pow(kAlpha * kA / (kBeta * kB), 1 / (kAlpha + kBeta));
  const double parameters = g * std::pow(flops / 6, kBeta / (kAlpha + kBeta));
  return {parameters, flops / 6 / parameters};
}

double TokensForLoss(double parameters, double loss) {
  const double left = loss - kE - kA / std::pow(parameters, kAlpha);
  if (left <= 0) return std::numeric_limits<double>::infinity();
  return std::pow(kB / left, 1 / kBeta);
}

Optimum KaplanOptimum(double flops) {
  const double parameters = kKaplanParameters * std::pow(flops / kPetaFlopDay, kKaplanExponent);
  return {parameters, flops / 6 / parameters};
}

Optimum OverTrainingOptimum(double loss, double inference_tokens) {
  const auto cost = [&](double log_n) {
    const double n = std::exp(log_n);
    return n * (6 * TokensForLoss(n, loss) + 2 * inference_tokens);
  };
  // Below the smallest N that reaches the loss the cost is infinite; above it there is one minimum.
  double low = std::log(std::pow(kA / (loss - kE), 1 / kAlpha)), high = low + 20;
  for (int i = 0; i < kSearchSteps; ++i) {
    const double third = (high - low) / 3;
    if (cost(low + third) < cost(high - third)) {
      high -= third;
    } else {
      low += third;
    }
  }
  const double parameters = std::exp((low + high) / 2);
  return {parameters, TokensForLoss(parameters, loss)};
}

}  // namespace meshstep
