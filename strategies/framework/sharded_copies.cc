#include "strategies/framework/sharded_copies.h"

#include "strategies/block/block_view.h"

namespace meshstep {
namespace {

using Kind = Kernels::ShardedCopies;

// As gathered; 0: it is not.
double GatheredElements(const BlockView& pass, ArrayId parameter) {
  const Sharding used = pass.Used(parameter);
  return pass.Stored(parameter) == used ? 0 : pass.context().LocalElements(used);
}

}  // namespace

double GatherCopyBytes(const BlockView& pass, ArrayId parameter) {
  const Plan& plan = *pass.context().plan;
  if (plan.kernels.sharded_copies != Kind::kEach) return 0;
  const bool matmul = pass.IsMatmulWeight(parameter);
  return GatheredElements(pass, parameter) * 2 * SizeOf(plan.precision.Gathered(matmul)).value();
}

double ReduceCopyBytes(const BlockView& pass, ArrayId parameter) {
  const Plan& plan = *pass.context().plan;
  // Gradients that are kept whole between micro-batches are kept in their own type.
  const double made =
      SizeOf(plan.accumulate_unsharded ? plan.precision.gradients : plan.precision.activations)
          .value();
  switch (plan.kernels.sharded_copies) {
    case Kind::kNone:
      return 0;
    case Kind::kFlat:
      return GatheredElements(pass, parameter) * 2 * made;
    case Kind::kEach:
      return GatheredElements(pass, parameter) * (made + SizeOf(plan.precision.reduce).value());
  }
  return 0;
}

}  // namespace meshstep
