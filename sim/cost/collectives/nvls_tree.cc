// Switch reduction inside nodes, trees between them (NCCL's NVLSTree), for all-reduce. Chip l of
// each of k nodes of g owns the l-th of g parts of the vector. The node's switch adds up the part
// on its way to l; the chips of equal l reduce it along a double binary tree of depth D over the
// nodes and send the sum back; the switch copies it to the whole node. All in one pipeline:
//   2 (alpha_in + D alpha_net) + max(S / B_in, S / (g b) for k = 2, else 2 S / (g b)).
// An inner node of one tree is a leaf of the other, so that for k > 2 a NIC carries its part twice.
// Source: NVIDIA/nccl src/device/all_reduce.h (NVLS tree), since 2.18; trees:
// sim/cost/double_tree.h. Example: 2 nodes of 8 H100 with 50 GB/s NICs, 16 GiB: S / 400 GB/s on the
// NICs, S / 450 on NVLink.

#include <algorithm>

#include "sim/cost/collective_registry.h"
#include "sim/cost/double_tree.h"

namespace meshstep::collectives {
namespace {

// Pieces of half a part in the message-by-message form.
constexpr int kPieces = 4;

class NvlsTreeAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "nvls-tree"; }

  bool Supports(Collective collective, const Group& group) const override {
    return collective == Collective::kAllReduce && group.dims.size() > 1 &&
           group.dims.front().kind != Level::Kind::kNetwork &&
           group.dims.front().in_network_reduction &&
           std::all_of(group.dims.begin() + 1, group.dims.end(),
                       [](const Group::Dim& dim) { return dim.kind == Level::Kind::kNetwork; });
  }

  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    const int p = group.size(), g = group.dims.front().size;
    const Bytes part = bytes / g;
    TrafficPhase phase{Latency(group), {}};
    phase.uneven = true;
    for (int owner = 0; owner < p; ++owner) {
      for (int i = 1; i < g; ++i) {
        const int other = owner / g * g + (owner + i) % g;
        phase.flows.push_back({other, owner, part, Combine::kReduce});
        phase.flows.push_back({owner, other, part, Combine::kMulticast});
      }
    }
    for (const Tree& tree : TwoTrees(p / g)) {
      for (int rank = 0; rank < p; ++rank) {
        const int parent = tree.parent[static_cast<std::size_t>(rank / g)];
        if (parent < 0) continue;
        const int up = parent * g + rank % g;
        phase.flows.push_back({rank, up, part / 2});
        phase.flows.push_back({up, rank, part / 2});
      }
    }
    return {phase};
  }

  MessageSchedule Messages(Collective, const Group& group) const override {
    const int p = group.size(), g = group.dims.front().size;
    const std::vector<Tree> trees = TwoTrees(p / g);
    const int depth = Depth(trees);
    MessageSchedule schedule;
    schedule.splits = 2 * kPieces;
    const int turn = 1 + depth + kPieces - 1;
    AppendSwitch(p, g, 0, true, &schedule);
    for (int t = 0; t < 2; ++t) {
      const Tree& tree = trees[static_cast<std::size_t>(t)];
      for (int rank = 0; rank < p; ++rank) {
        const int parent = tree.parent[static_cast<std::size_t>(rank / g)];
        if (parent < 0) continue;
        const int up = parent * g + rank % g;
        const int first = 1 + depth - tree.depth[static_cast<std::size_t>(rank / g)];
        for (int k = 0; k < kPieces; ++k) {
          const std::vector<int> pieces = PiecesOf(rank % g, p, g, t * kPieces + k, 1);
          schedule.messages.push_back({first + k, rank, up, pieces, true});
          schedule.messages.push_back({2 * turn - 1 - (first + k), up, rank, pieces, false});
        }
      }
    }
    AppendSwitch(p, g, 2 * turn - 1, false, &schedule);
    std::stable_sort(schedule.messages.begin(), schedule.messages.end(),
                     [](const Message& a, const Message& b) { return a.step < b.step; });
    return schedule;
  }

  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    const double g = group.dims.front().size;
    const double k = group.size() / g;
    Seconds drain = bytes / group.dims.front().bandwidth;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind != Level::Kind::kNetwork) continue;
      drain = std::max(drain, (k == 2 ? 1.0 : 2.0) * (bytes / (g * dim.bandwidth)));
    }
    return Latency(group) + drain;
  }

 private:
  static Seconds Latency(const Group& group) {
    Seconds network;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind == Level::Kind::kNetwork) network = std::max(network, dim.latency);
    }
    const int nodes = group.size() / group.dims.front().size;
    return 2.0 * (group.dims.front().latency + Depth(TwoTrees(nodes)) * network);
  }

  // Pieces [first, first + count) of every chunk that chip `local` of a node owns.
  static std::vector<int> PiecesOf(int local, int p, int g, int first, int count) {
    std::vector<int> pieces;
    for (int chunk = local; chunk < p; chunk += g) {
      for (int i = 0; i < count; ++i) pieces.push_back(chunk * 2 * kPieces + first + i);
    }
    return pieces;
  }

  static void AppendSwitch(int p, int g, int step, bool reduce, MessageSchedule* schedule) {
    for (int owner = 0; owner < p; ++owner) {
      const std::vector<int> part = PiecesOf(owner % g, p, g, 0, 2 * kPieces);
      for (int i = 1; i < g; ++i) {
        const int other = owner / g * g + (owner + i) % g;
        schedule->messages.push_back({step, reduce ? other : owner, reduce ? owner : other, part,
                                      reduce, reduce ? Combine::kReduce : Combine::kMulticast});
      }
    }
  }
};

}  // namespace

const CollectiveAlgorithm& NvlsTree() {
  static const NvlsTreeAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
