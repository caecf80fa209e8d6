#include "sim/cost/copies.h"

#include <algorithm>
#include <cmath>

namespace meshstep {

double CrossingShare(const Copies& copies, double nodes) {
  const double reached = std::max(1.0, copies.reach * nodes);
  const double distinct = reached * (1 - std::pow(1 - 1 / reached, copies.copies));
  return std::min(1.0, distinct / copies.copies);
}

}  // namespace meshstep
