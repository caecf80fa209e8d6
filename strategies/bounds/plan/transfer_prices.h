// What a transfer takes at least, whichever stage and group runs it; kept from plan to plan.
//
// A price depends on the mesh and on what moves. Where all plans place tensor and context before
// other axes, on nodes that are alike, what moves along these inside a node has one price for each
// of their sizes.
//
// Cost: a look-up; for a price that is new, what CollectiveModel takes to load the links.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_PLAN_TRANSFER_PRICES_H_
#define MESHSTEP_STRATEGIES_BOUNDS_PLAN_TRANSFER_PRICES_H_

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "sim/base/status.h"
#include "strategies/block/lowered_block.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/placement.h"
#include "strategies/step/step_units.h"

namespace meshstep {

struct TransferPrice {
  std::int64_t ps = 0;  // on links that nobody else uses
  double channels = 0;  // 0: it takes nothing of a processor
};

// For one thread.
class TransferPrices {
 public:
  // tensor_first: as above. units: of the step, made when a price is new. Error: the plan's algorithm
  // does not run there.
  StatusOr<TransferPrice> Of(int transfer, const PreparedStep& step, bool tensor_first,
                             std::optional<StepUnits>* units);

 private:
  struct Key {
    std::shared_ptr<const PricedMesh> mesh;  // null: inside a node
    int tensor = 0, context = 0;
    TransferSpec spec;
    auto operator<=>(const Key&) const = default;
  };
  static Key KeyOf(int transfer, const PreparedStep& step, bool tensor_first);

  std::map<Key, TransferPrice> kept_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_PLAN_TRANSFER_PRICES_H_
