// Line (a torus dimension that does not close): blocks travel away from their owner both ways. The
// links next to the ends carry p - 1 blocks: (p - 1) (alpha + S / (p B)).
// Source: "How To Scale Your Model", chapter 3 (no wraparound).
// Example: 4 TPU v5e at 45 GB/s, 34 MB: 3 us + 567 us.

#include "sim/cost/collective_registry.h"
#include "sim/cost/one_dim_gather.h"

namespace meshstep::collectives {
namespace {

class LineAlgorithm final : public OneDimGather {
 public:
  LineAlgorithm() : OneDimGather(GatherPattern::kLine) {}
  std::string_view name() const override { return "line"; }

 protected:
  bool SupportsDim(const Group::Dim& dim) const override {
    return dim.kind == Level::Kind::kTorus && !dim.ring;
  }
};

}  // namespace

const CollectiveAlgorithm& Line() {
  static const LineAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
