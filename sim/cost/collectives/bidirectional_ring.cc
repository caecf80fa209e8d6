// Ring, both directions at once: every block travels half-way around each way, and the block at
// p / 2 comes half from each side. All-gather of S bytes: ceil((p - 1) / 2) alpha +
// S (p - 1) / (2 p B), B one link one way.
// Source: "How To Scale Your Model", chapter 3 (AllGather on a bidirectional ICI ring).
// Example: 16 TPU v5e at 45 GB/s, 34 MB: 8 us + 354 us.

#include "sim/cost/collective_registry.h"
#include "sim/cost/one_dim_gather.h"

namespace meshstep::collectives {
namespace {

class BidirectionalRingAlgorithm final : public OneDimGather {
 public:
  BidirectionalRingAlgorithm() : OneDimGather(GatherPattern::kBidirectional) {}
  std::string_view name() const override { return "bidirectional-ring"; }

 protected:
  bool SupportsDim(const Group::Dim& dim) const override {
    return dim.kind == Level::Kind::kTorus && dim.ring;
  }
};

}  // namespace

const CollectiveAlgorithm& BidirectionalRing() {
  static const BidirectionalRingAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
