#include "strategies/bounds/matmul_roofline.h"

#include <limits>

namespace meshstep {

double CriticalBatch(double intensity, double weight_bytes) { return intensity * weight_bytes / 2; }

double ExactCriticalBatch(const MatmulCase& c, double intensity) {
  // Per row of A: bytes that its FLOPs pay for, less its own traffic.
  const double spare = 2 * c.d * c.f / intensity - c.activation_bytes * (c.d + c.f);
  if (spare <= 0) return std::numeric_limits<double>::infinity();
  return c.weight_bytes * c.d * c.f / spare;
}

double CriticalLength(const AttentionCase& c, double intensity) {
  return intensity * c.element_bytes / 2 * (c.group() + 1) / c.group();
}

}  // namespace meshstep
