#include "sim/cost/copies.h"

#include <algorithm>
#include <cmath>

namespace meshstep {

double JoinedShare(const Copies& copies, double places) {
  const double in_group = std::max(1.0, places / copies.groups);
  const double reached = std::min(places, copies.groups_of_item * in_group);
  const double distinct = reached * (1 - std::pow(1 - 1 / reached, copies.copies));
  return std::min(1.0, distinct / copies.copies);
}

std::string_view NameOf(Mover mover) {
  switch (mover) {
    case Mover::kLibrary:
      return "";
    case Mover::kDeepEp:
      return "deepep";
    case Mover::kHybridEp:
      return "hybridep";
    case Mover::kHybridEpCombine:
      return "hybridep-combine";
    case Mover::kLowLatency:
      return "deepep-low-latency";
    case Mover::kLowLatencyCombine:
      return "deepep-low-latency-combine";
  }
  return "";
}

}  // namespace meshstep
