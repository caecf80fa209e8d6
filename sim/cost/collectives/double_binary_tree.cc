// Double binary tree, for all-reduce: half of the data along each of two trees, so chosen that an
// inner rank of one is a leaf of the other and every port is busy both ways. Pieces follow one
// another up, then down.
//   p ranks of a switch or network:  2 (D alpha + S / B), D the depth of the trees, about log2 p.
// Over k nodes of g chips there are g such pairs of trees, one per rail and g-th part of the data:
// a chain inside each node leads from the last chip to the rail's, the trees join the rail's chips.
// All in one pipeline; a NIC carries its part twice (once for k = 2), and a port each of g - 1
// parts up and down; on a full mesh of even g the chains zigzag (see rail_ring.cc) and a link
// carries one:
//   2 ((g - 1) alpha_in + D alpha_net) + (2 S / g) max((g - 1) / B_in or 1 / B_link, 1 / b).
// Source: P. Sanders, J. Speck and J. L. Träff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 35(12), 2009; NCCL 2.4 (chains inside nodes:
// NVIDIA/nccl src/graph/trees.cc, connect.cc).
// Example: 8 nodes, 1 GiB through NICs of 50 GB/s: 2 (4 alpha + 21.5 ms).

#include <algorithm>
#include <vector>

#include "sim/base/index.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/double_tree.h"
#include "sim/cost/gather_algorithm.h"

namespace meshstep::collectives {
namespace {

// Pieces per tree in the message-by-message form; the closed form is the limit of many.
constexpr int kPieces = 4;

// g chips of a node on k nodes; one dim alone counts as k nodes of one chip.
struct Shape {
  int g = 1, k = 1;
  bool mesh = false;
  Seconds inside, network;  // alpha

  explicit Shape(const Group& group) {
    const Group::Dim& first = group.dims.front();
    if (group.dims.size() > 1 && first.kind != Level::Kind::kNetwork) {
      g = first.size;
      mesh = first.kind == Level::Kind::kFullMesh;
      inside = first.latency;
    }
    k = group.size() / g;
    for (std::size_t d = g > 1 ? 1 : 0; d < group.dims.size(); ++d) {
      network = std::max(network, group.dims[d].latency);
    }
  }
  // Chip at place i of the chain of rail c; place 0 is on the rail.
  int ChipAt(int c, int i) const {
    const int step = !mesh ? i : i % 2 == 1 ? (i + 1) / 2 : g - i / 2;
    return (c + step) % g;
  }
};

// The most edges of the trees that lead out of, or into, `unit` nodes in a row.
int MostEdges(const std::vector<Tree>& trees, int unit) {
  std::vector<int> out, in;
  for (const Tree& tree : trees) {
    const int nodes = static_cast<int>(tree.parent.size());
    out.resize(Index(nodes / unit));
    in.resize(out.size());
    for (int node = 0; node < nodes; ++node) {
      const int parent = tree.parent[Index(node)];
      if (parent < 0 || parent / unit == node / unit) continue;
      ++out[Index(node / unit)];
      ++in[Index(parent / unit)];
    }
  }
  return std::max(*std::max_element(out.begin(), out.end()),
                  *std::max_element(in.begin(), in.end()));
}

class DoubleBinaryTreeAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "double-binary-tree"; }

  bool Supports(Collective collective, const Group& group) const override {
    if (collective != Collective::kAllReduce || group.size() < 2) return false;
    const Group::Dim& first = group.dims.front();
    if (group.dims.size() == 1) {
      return first.kind == Level::Kind::kSwitch || first.kind == Level::Kind::kNetwork;
    }
    const bool node = first.kind == Level::Kind::kSwitch || first.kind == Level::Kind::kNetwork ||
                      (first.kind == Level::Kind::kFullMesh && first.size % 2 == 0);
    return node && std::all_of(group.dims.begin() + 1, group.dims.end(),
                               [](const auto& dim) { return dim.kind == Level::Kind::kNetwork; });
  }

  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    const Shape shape(group);
    const std::vector<Tree> trees = TwoTrees(shape.k);
    TrafficPhase up{(shape.g - 1) * shape.inside + Depth(trees) * shape.network, {}};
    up.uneven = true;
    const Bytes part = bytes / shape.g;
    for (int node = 0; node < shape.k; ++node) {
      for (int c = 0; c < shape.g; ++c) {
        for (int i = 1; i < shape.g; ++i) {
          up.flows.push_back(
              {node * shape.g + shape.ChipAt(c, i), node * shape.g + shape.ChipAt(c, i - 1), part});
        }
        for (const Tree& tree : trees) {
          const int parent = tree.parent[Index(node)];
          if (parent >= 0) up.flows.push_back({node * shape.g + c, parent * shape.g + c, part / 2});
        }
      }
    }
    std::vector<TrafficPhase> phases = Transpose({up}, group);
    phases.insert(phases.begin(), std::move(up));
    return phases;
  }

  MessageSchedule Messages(Collective, const Group& group) const override {
    const Shape shape(group);
    const std::vector<Tree> trees = TwoTrees(shape.k);
    const int depth = Depth(trees);
    MessageSchedule schedule;
    schedule.splits = 2 * kPieces;
    for (int t = 0; t < 2; ++t) {
      for (int c = 0; c < shape.g; ++c) {
        for (int node = 0; node < shape.k; ++node)
          AppendUp(shape, trees[Index(t)], {t, c, node, depth}, &schedule);
      }
    }
    const int turn = shape.g - 1 + depth + kPieces - 1;
    const std::size_t up = schedule.messages.size();
    for (std::size_t i = 0; i < up; ++i) {
      const Message m = schedule.messages[i];
      schedule.messages.push_back({2 * turn - 1 - m.step, m.dst, m.src, m.chunks, false});
    }
    std::stable_sort(schedule.messages.begin(), schedule.messages.end(),
                     [](const Message& a, const Message& b) { return a.step < b.step; });
    return schedule;
  }

  // The two ways follow one another, each as long as its own busiest link: S / g into the inner
  // chips of a tree.
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    const Shape shape(group);
    const Bytes part = bytes / shape.g;
    Seconds drain;
    if (shape.g > 1) {
      drain = part * (shape.mesh ? 1 : shape.g - 1) / LinkBandwidth(group.dims.front());
    }
    const std::vector<Tree> trees = TwoTrees(shape.k);
    int unit = 1;  // nodes below the tier
    for (std::size_t d = shape.g > 1 ? 1 : 0; d < group.dims.size(); ++d) {
      const Group::Dim& dim = group.dims[d];
      drain = std::max(drain, part / 2 * MostEdges(trees, unit) / unit / dim.bandwidth);
      unit *= dim.size;
    }
    return 2 * ((shape.g - 1) * shape.inside + Depth(TwoTrees(shape.k)) * shape.network + drain);
  }

 private:
  struct Place {
    int tree, rail, node, depth;
  };

  // What one node sends up for one rail and tree: along its chain, then to its parent.
  static void AppendUp(const Shape& shape, const Tree& tree, const Place& at,
                       MessageSchedule* schedule) {
    const int first = at.depth - tree.depth[Index(at.node)];
    const int parent = tree.parent[Index(at.node)];
    const int p = shape.g * shape.k;
    for (int k = 0; k < kPieces; ++k) {
      std::vector<int> pieces;
      for (int chunk = at.rail; chunk < p; chunk += shape.g) {
        pieces.push_back(chunk * schedule->splits + at.tree * kPieces + k);
      }
      for (int i = shape.g - 1; i > 0; --i) {
        schedule->messages.push_back(
            {shape.g - 1 - i + k, at.node * shape.g + shape.ChipAt(at.rail, i),
             at.node * shape.g + shape.ChipAt(at.rail, i - 1), pieces, true});
      }
      if (parent < 0) continue;
      schedule->messages.push_back({shape.g - 1 + first + k, at.node * shape.g + at.rail,
                                    parent * shape.g + at.rail, pieces, true});
    }
  }
};

}  // namespace

const CollectiveAlgorithm& DoubleBinaryTree() {
  static const DoubleBinaryTreeAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
