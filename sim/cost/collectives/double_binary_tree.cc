// Double binary tree, for all-reduce: half of the data along each of two
// trees, so chosen that an inner rank of one is a leaf of the other and every port is busy both
// ways. Pieces follow one another up, then down:
//   2 (D alpha + S / B), D the depth of the trees, about log2 p.
// Tree A is the in-order binary tree over ranks 0 .. p-2 hung under rank p-1; tree B is its mirror
// image (p even) or A moved on by one rank (p odd).
// Source: P. Sanders, J. Speck and J. L. Träff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 35(12), 2009; NCCL 2.4.
// Example: 8 nodes, 1 GiB through NICs of 50 GB/s: 2 (4 alpha + 21.5 ms).

#include <algorithm>
#include <vector>

#include "sim/cost/collective_registry.h"
#include "sim/cost/double_tree.h"
#include "sim/cost/gather_algorithm.h"

namespace meshstep::collectives {
namespace {

// Pieces per tree in the message-by-message form; the closed form is the limit of many.
constexpr int kPieces = 4;

class DoubleBinaryTreeAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "double-binary-tree"; }

  bool Supports(Collective collective, const Group& group) const override {
    if (collective != Collective::kAllReduce || group.dims.size() != 1) return false;
    const Level::Kind kind = group.dims.front().kind;
    return kind == Level::Kind::kSwitch || kind == Level::Kind::kNetwork;
  }

  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    const std::vector<Tree> trees = TwoTrees(group.size());
    TrafficPhase up{Depth(trees) * group.dims.front().latency, {}};
    up.uneven = true;
    for (const Tree& tree : trees) {
      for (int rank = 0; rank < group.size(); ++rank) {
        const int parent = tree.parent[static_cast<std::size_t>(rank)];
        if (parent >= 0) up.flows.push_back({rank, parent, bytes / 2});
      }
    }
    std::vector<TrafficPhase> phases = Transpose({up}, group);
    phases.insert(phases.begin(), std::move(up));
    return phases;
  }

  MessageSchedule Messages(Collective, const Group& group) const override {
    const int p = group.size();
    const std::vector<Tree> trees = TwoTrees(p);
    const int depth = Depth(trees);
    MessageSchedule schedule;
    schedule.splits = 2 * kPieces;
    for (int t = 0; t < 2; ++t) {
      const Tree& tree = trees[static_cast<std::size_t>(t)];
      for (int rank = 0; rank < p; ++rank) {
        const int parent = tree.parent[static_cast<std::size_t>(rank)];
        if (parent < 0) continue;
        for (int k = 0; k < kPieces; ++k) {
          std::vector<int> pieces;
          for (int c = 0; c < p; ++c) pieces.push_back(c * schedule.splits + t * kPieces + k);
          schedule.messages.push_back(
              {depth - tree.depth[static_cast<std::size_t>(rank)] + k, rank, parent, pieces, true});
        }
      }
    }
    const int turn = depth + kPieces - 1;
    const std::size_t up = schedule.messages.size();
    for (std::size_t i = 0; i < up; ++i) {
      const Message m = schedule.messages[i];
      schedule.messages.push_back({2 * turn - 1 - m.step, m.dst, m.src, m.chunks, false});
    }
    std::stable_sort(schedule.messages.begin(), schedule.messages.end(),
                     [](const Message& a, const Message& b) { return a.step < b.step; });
    return schedule;
  }

  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    const Group::Dim& dim = group.dims.front();
    // With two ranks each tree is one edge.
    const double load = group.size() == 2 ? 0.5 : 1;
    return 2 * (Depth(TwoTrees(group.size())) * dim.latency + bytes * load / dim.bandwidth);
  }
};

}  // namespace

const CollectiveAlgorithm& DoubleBinaryTree() {
  static const DoubleBinaryTreeAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
