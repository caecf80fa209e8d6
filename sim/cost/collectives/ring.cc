// Ring, one direction: in each of p - 1 steps every rank passes on to the next what it received in
// the step before. All-gather of S bytes: (p - 1) alpha + S (p - 1) / (p B).
// Source: P. Patarasuk and X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
// workstations", JPDC 69(2), 2009.
// Example: 8 H100 at 450 GB/s, 1 GiB: 7 alpha + 2.09 ms.

#include "sim/cost/collective_registry.h"
#include "sim/cost/one_dim_gather.h"

namespace meshstep::collectives {
namespace {

class RingAlgorithm final : public OneDimGather {
 public:
  RingAlgorithm() : OneDimGather(GatherPattern::kRing) {}
  std::string_view name() const override { return "ring"; }

 protected:
  bool SupportsDim(const Group::Dim& dim) const override {
    return dim.kind != Level::Kind::kTorus || dim.ring;
  }
};

}  // namespace

const CollectiveAlgorithm& Ring() {
  static const RingAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
