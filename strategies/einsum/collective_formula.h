// Time of one collective over some axes of a mesh, in the models that editions of "How To Scale
// Your Model" use (chapter 3) and in the one that the chip's wraparound rules give.
//
//   V  bytes of the array as the group sees it: gathered, or before it is reduced, divided by all
//      other axes that shard it; for an AllToAll all blocks of the group together
//   N  chips of the group, n physical dimensions it spans
//   w  one link, one way; W = 2w both ways; a switch: all links of a chip, one way
//
//              book               ring                 no-wrap                 AllReduce
//   gather     V/(W n)            V(N-1)/(N W n)       V(N-1)/(N w n)          twice
//   AllToAll   V D/(4 N W)        V D/(4 N W)          V D/(4 N w)
// with D the longest dimension. The chip's own model takes the column of rings where it closes
// (Rings), else that of no wraparound, and the latency of the hops; it is what `meshstep
// collective` takes on an idle fabric at the same rates.
//
// On a switch: strategies/bounds/tiers.h; "book" drops (D-1)/D inside a domain.
// Example: AllGather_X of 34 MB over a ring of 4, w = 4.5e10: book 377 us, ring 283 us, no-wrap
// 566 us.

#ifndef MESHSTEP_STRATEGIES_EINSUM_COLLECTIVE_FORMULA_H_
#define MESHSTEP_STRATEGIES_EINSUM_COLLECTIVE_FORMULA_H_

#include <optional>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/status.h"
#include "strategies/algebra/sharding.h"
#include "strategies/einsum/hardware.h"

namespace meshstep::einsum {

// kChip: rings and lines as the chip has them, and the latency of the hops. The others are named in
// the table above and have no latency unless one is given.
enum class CostModel { kChip, kBook, kRing, kNoWrap };
std::string_view NameOf(CostModel model);
StatusOr<CostModel> ParseCostModel(const std::string& name);

struct CollectiveTime {
  double bandwidth_s = 0;
  double latency_s = 0;
  double hops = 0;      // one after the other; 0 on a switch
  std::string formula;  // of the larger one, in the symbols above
  // NaN if the bandwidth part is.
  double total() const { return latency_s > bandwidth_s ? latency_s : bandwidth_s; }
};

// Bytes one chip sends: V(N-1)/N for a gather, scatter, twice that for an AllReduce, V(N-1)/N^2
// for an AllToAll, one block for a change of order. Nothing for a slice.
double SentBytes(ReshardStep::Op op, double chips, double volume);

class CollectiveFormula {
 public:
  // `hop_latency` replaces that of the model. `order`: see SolveOptions.
  CollectiveFormula(const Hardware& hardware, const MeshShape& mesh, CostModel model,
                    std::optional<double> hop_latency, const std::vector<AxisId>& order = {});

  // NaN seconds if the link rate is not known. Axes of size 1 are ignored.
  CollectiveTime Of(ReshardStep::Op op, const std::vector<AxisId>& axes, double volume) const;

 private:
  struct Shape {
    double chips = 1;
    int dims = 0;  // physical dimensions of size > 1
    int longest = 1;
    bool any_line = false;
    double bandwidth = 0;  // sum over dimensions, both ways on a ring, one way on a line
    double hops = 0;
  };
  Shape ShapeOf(const std::vector<AxisId>& axes) const;
  CollectiveTime OnTorus(ReshardStep::Op op, const Shape& shape, double volume) const;
  CollectiveTime OnSwitch(ReshardStep::Op op, const std::vector<AxisId>& axes, const Shape& shape,
                          double volume) const;

  const Hardware& hardware_;
  const MeshShape& mesh_;
  CostModel model_;
  double hop_latency_;
  std::vector<std::vector<bool>> rings_;
  std::vector<double> locals_;  // per axis: its chips in one domain of a switch
};

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_COLLECTIVE_FORMULA_H_
