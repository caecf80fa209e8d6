#include "strategies/step/stragglers.h"

#include <cmath>

namespace meshstep {
namespace {

// z with P(X <= z) = p for a standard normal X, p in [0.5, 1).
double Quantile(double p) {
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double z = (low + high) / 2;
    (std::erfc(-z / std::sqrt(2.0)) / 2 < p ? low : high) = z;
  }
  return low;
}

}  // namespace

double SlowestOf(double chips, double spread) {
  if (chips <= 1 || spread <= 0) return 1;
  return 1 + spread * Quantile((chips - 0.375) / (chips + 0.25));
}

}  // namespace meshstep
