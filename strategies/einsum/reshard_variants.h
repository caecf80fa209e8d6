// Other ways from one sharding to another than the one Reshard() gives: slice what will be sliced
// before anything is moved, bring an axis that leaves to the minor place before it is gathered,
// gather several dimensions at once. The planner takes the cheapest.

#ifndef MESHSTEP_STRATEGIES_EINSUM_RESHARD_VARIANTS_H_
#define MESHSTEP_STRATEGIES_EINSUM_RESHARD_VARIANTS_H_

#include <vector>

#include "strategies/algebra/sharding.h"

namespace meshstep::einsum {

// The first is Reshard(from, to) itself. A step that gathers several dimensions at once has an
// empty `from`. Error: that of Reshard().
StatusOr<std::vector<std::vector<ReshardStep>>> ReshardVariants(const Sharding& from,
                                                                const Sharding& to);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_RESHARD_VARIANTS_H_
