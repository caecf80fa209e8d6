// What must hold of every algorithm in the registry: data ends where the collective says, messages
// and traffic agree, and the three ways to time it agree.

#include <algorithm>
#include <bitset>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/rank_grid.h"
#include "sim/cost/stepwise.h"
#include "tests/sim/cost/cost_fixtures.h"

namespace meshstep {
namespace {

constexpr int kMostRanks = 128;
using Ranks = std::bitset<kMostRanks>;

constexpr Collective kAll[] = {Collective::kAllGather, Collective::kReduceScatter,
                               Collective::kAllReduce, Collective::kAllToAll,
                               Collective::kBroadcast, Collective::kReduce,
                               Collective::kPermute,   Collective::kExchange};

struct NamedPlace {
  std::string name;
  Placed placed;
};

// Rings, lines, switches, full meshes and networks of 1..17 and 32 ranks; tori; nodes.
std::vector<NamedPlace> Places() {
  std::vector<NamedPlace> places;
  const auto add = [&](std::string name, const Cluster& cluster) {
    places.push_back({std::move(name), PlaceWhole(cluster)});
  };
  std::vector<int> sizes;
  for (int p = 1; p <= 17; ++p) sizes.push_back(p);
  sizes.push_back(32);
  for (const int p : sizes) {
    const std::string n = std::to_string(p);
    add("ring " + n, Ring({p}));
    add("line " + n, Torus({p}, {false}));
    add("switch " + n, Switched(1, p, p, {}));
    add("network " + n, Switched(p, 1, 1, {}));
    Cluster sharp = Switched(1, p, p, {});
    sharp.chip.interconnect.in_network_reduction = true;
    add("reducing switch " + n, sharp);
    Cluster mesh = Switched(1, p, p, {});
    mesh.chip.interconnect.kind = Interconnect::Kind::kFullMesh;
    add("full mesh " + n, mesh);
  }
  // Networks that add up: nodes of one chip, of chips that exchange by themselves, of switches that
  // add up too; one tier and two.
  for (const int nodes : {2, 3, 4, 8}) {
    for (const int chips : {1, 2, 4}) {
      for (const bool node_reduces : {false, true}) {
        Cluster sharp = Switched(nodes, chips, chips, {});
        sharp.nodes.network_reduction = true;
        sharp.chip.interconnect.in_network_reduction = node_reduces;
        add("reducing network " + std::to_string(nodes) + "x" + std::to_string(chips), sharp);
      }
    }
  }
  Cluster two_tiers =
      Switched(8, 2, 2, {{"leaf", 4, 1, Seconds(0), false}, {"spine", 0, 1, Seconds(1e-6), false}});
  two_tiers.nodes.network_reduction = true;
  add("reducing network 4x2x2", two_tiers);
  add("torus 4x4", Ring({4, 4}));
  add("torus 3x5", Ring({3, 5}));
  add("torus 2x4", Ring({2, 4}));
  add("torus 8x4", Ring({8, 4}));
  add("torus 4x3, a line", Torus({4, 3}, {true, false}));
  add("mesh 3x2", Torus({3, 2}, {false, false}));
  add("torus 2x2x2", Ring({2, 2, 2}));
  add("torus 3x3x3", Ring({3, 3, 3}));
  add("torus 4x4x4", Ring({4, 4, 4}));
  add("torus 3x4x5", Ring({3, 4, 5}));
  add("torus 4x2 of two dies", Torus({4, 2}, {true, false}, 2));
  add("nodes 2x4", Switched(2, 4, 4, {}));
  add("nodes 3x4", Switched(3, 4, 4, {}));
  add("nodes 8x8", Switched(8, 8, 8, {}));
  add("nodes 4x2x2",
      Switched(8, 2, 2,
               {{"leaf", 4, 1, Seconds(0), false}, {"spine", 0, 1, Seconds(1e-6), false}}));
  return places;
}

template <class Visit>
void ForEachCase(Visit visit) {
  for (const NamedPlace& place : Places()) {
    ASSERT_NE(place.placed.mesh, nullptr) << place.name;
    const Group group = place.placed.GroupOf({0});
    for (const Collective collective : kAll) {
      for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
        if (!algorithm->Supports(collective, group)) continue;
        SCOPED_TRACE(std::string(algorithm->name()) + ", " + std::string(NameOf(collective)) +
                     ", " + place.name);
        visit(place, group, collective, *algorithm);
      }
    }
  }
}

// Which ranks' data is summed up in each piece that each rank holds. State[rank][piece].
using State = std::vector<std::map<int, Ranks>>;

State Before(Collective collective, int p, int splits) {
  State state(static_cast<std::size_t>(p));
  for (int rank = 0; rank < p; ++rank) {
    auto& own = state[static_cast<std::size_t>(rank)];
    const auto hold = [&](int chunk) {
      for (int piece = 0; piece < splits; ++piece) {
        own[chunk * splits + piece] = Ranks().set(static_cast<std::size_t>(rank));
      }
    };
    switch (collective) {
      case Collective::kAllGather:
      case Collective::kPermute:
      case Collective::kExchange:
        hold(rank);
        break;
      case Collective::kBroadcast:
        if (rank == 0) hold(0);
        break;
      case Collective::kReduceScatter:
      case Collective::kAllReduce:
      case Collective::kReduce:
        for (int chunk = 0; chunk < p; ++chunk) hold(chunk);
        break;
      case Collective::kAllToAll:
        for (int dst = 0; dst < p; ++dst) hold(rank * p + dst);
        break;
    }
  }
  return state;
}

// Applies the messages; every failure is reported.
void Apply(const MessageSchedule& schedule, State* state) {
  State before = *state;
  int step = -1;
  for (const Message& m : schedule.messages) {
    ASSERT_GE(m.step, step) << "steps out of order";
    if (m.step != step) before = *state;
    step = m.step;
    ASSERT_NE(m.src, m.dst);
    for (const int piece : m.chunks) {
      const auto& from = before[static_cast<std::size_t>(m.src)];
      ASSERT_TRUE(from.contains(piece))
          << "rank " << m.src << " sends piece " << piece << " before it has it, step " << step;
      Ranks& to = (*state)[static_cast<std::size_t>(m.dst)][piece];
      if (m.reduce) {
        ASSERT_TRUE((to & from.at(piece)).none())
            << "piece " << piece << " is added twice at rank " << m.dst << ", step " << step;
        to |= from.at(piece);
      } else {
        to = from.at(piece);
      }
    }
  }
}

void ExpectDone(Collective collective, int p, int splits, const State& state) {
  const auto all = [&] {
    Ranks ranks;
    for (int r = 0; r < p; ++r) ranks.set(static_cast<std::size_t>(r));
    return ranks;
  }();
  const auto expect = [&](int rank, int chunk, const Ranks& sum) {
    for (int piece = chunk * splits; piece < (chunk + 1) * splits; ++piece) {
      const auto& own = state[static_cast<std::size_t>(rank)];
      ASSERT_TRUE(own.contains(piece)) << "rank " << rank << " lacks piece " << piece;
      ASSERT_EQ(own.at(piece), sum) << "rank " << rank << ", piece " << piece;
    }
  };
  const auto of = [](int rank) { return Ranks().set(static_cast<std::size_t>(rank)); };
  for (int rank = 0; rank < p; ++rank) {
    if (collective == Collective::kReduceScatter) expect(rank, rank, all);
    if (collective == Collective::kBroadcast) expect(rank, 0, of(0));
    if (collective == Collective::kPermute)
      expect(rank, (rank + p - 1) % p, of((rank + p - 1) % p));
    if (collective == Collective::kExchange) {
      const auto& own = state[static_cast<std::size_t>(rank)];
      ASSERT_TRUE(own.contains(2 * ((rank + p - 1) % p)) && own.contains(2 * ((rank + 1) % p) + 1));
    }
    for (int c = 0; c < p; ++c) {
      if (collective == Collective::kAllGather) expect(rank, c, of(c));
      if (collective == Collective::kAllReduce) expect(rank, c, all);
      if (collective == Collective::kReduce && rank == 0) expect(rank, c, all);
      if (collective == Collective::kAllToAll) expect(rank, c * p + rank, of(c));
    }
  }
}

TEST(CollectiveAlgorithms, DataEndsWhereTheCollectiveSays) {
  int cases = 0;
  ForEachCase([&](const NamedPlace&, const Group& group, Collective collective,
                  const CollectiveAlgorithm& algorithm) {
    const int p = group.size();
    const MessageSchedule schedule = algorithm.Messages(collective, group);
    State state = Before(collective, p, schedule.splits);
    ASSERT_NO_FATAL_FAILURE(Apply(schedule, &state));
    ExpectDone(collective, p, schedule.splits, state);
    ++cases;
  });
  EXPECT_GT(cases, 500);
}

std::map<std::pair<int, int>, double> TrafficBytes(const CollectiveAlgorithm& algorithm,
                                                   Collective collective, const Group& group) {
  std::map<std::pair<int, int>, double> bytes;
  const RankGrid grid(group);
  for (const TrafficPhase& phase : algorithm.Traffic(collective, Bytes(1), group)) {
    for (const RankFlow& flow : phase.flows) {
      for (int rank = 0; rank < (phase.shifted ? group.size() : 1); ++rank) {
        int src = flow.src, dst = flow.dst;
        for (int d = 0; d < grid.dims(); ++d) {
          src = grid.Shift(src, d, grid.Digit(rank, d));
          dst = grid.Shift(dst, d, grid.Digit(rank, d));
        }
        bytes[{src, dst}] += flow.bytes.value();
      }
    }
  }
  return bytes;
}

TEST(CollectiveAlgorithms, TrafficIsTheSumOfTheMessages) {
  ForEachCase([&](const NamedPlace&, const Group& group, Collective collective,
                  const CollectiveAlgorithm& algorithm) {
    const MessageSchedule schedule = algorithm.Messages(collective, group);
    std::map<std::pair<int, int>, double> sum;
    for (const Message& m : schedule.messages) {
      for (const int piece : m.chunks) {
        const double fraction =
            schedule.fractions.empty()
                ? 1.0 / schedule.splits
                : schedule.fractions[static_cast<std::size_t>(piece % schedule.splits)];
        sum[{m.src, m.dst}] += fraction * ChunkBytes(collective, Bytes(1), group.size()).value();
      }
    }
    const auto traffic = TrafficBytes(algorithm, collective, group);
    for (const auto& [pair, bytes] : traffic) {
      ASSERT_NEAR(bytes, sum[pair], 1e-12) << pair.first << " to " << pair.second;
    }
    for (const auto& [pair, bytes] : sum) {
      ASSERT_TRUE(bytes < 1e-12 || traffic.contains(pair)) << pair.first << " to " << pair.second;
    }
  });
}

bool EqualTorus(const Group& group) {
  const Group::Dim& last = group.dims.back();
  return std::all_of(group.dims.begin(), group.dims.end(), [&](const Group::Dim& dim) {
    return dim.kind == Level::Kind::kTorus && dim.size == last.size && dim.ring == last.ring;
  });
}

// Closed forms that are the limit of fine pieces that wait for nobody: chains and trees, stages
// that overlap, torus dims that are not equal. Step by step, with few pieces that wait for the
// slowest, they take longer. Messages of unequal latency (direct) need not wait for the longest.
bool IsLimit(const CollectiveAlgorithm& algorithm, Collective collective, const Group& group) {
  const std::string_view name = algorithm.name();
  if (name == "chain" || name == "double-binary-tree" || name == "rail-ring") return true;
  if (name == "in-network") return collective == Collective::kAllReduce;
  if (name == "collnet" || name == "nvls-sharp" || name == "nvls-tree") return true;
  if (name == "dimension-ordered") return true;
  if (name == "multi-axis-ring") return !EqualTorus(group);
  if (name == "direct") {
    return group.dims.size() > 1 || group.dims.front().kind == Level::Kind::kTorus;
  }
  if (name != "hierarchical") return false;
  const auto torus = std::count_if(group.dims.begin(), group.dims.end(), [](const Group::Dim& dim) {
    return dim.kind == Level::Kind::kTorus;
  });
  return collective == Collective::kAllToAll || torus > 1;
}

TEST(CollectiveAlgorithms, StepByStepTakesTheClosedForm) {
  int exact = 0;
  ForEachCase([&](const NamedPlace& place, const Group& group, Collective collective,
                  const CollectiveAlgorithm& algorithm) {
    const Bytes bytes(3e6);
    const double closed = algorithm.ClosedForm(collective, bytes, group).value();
    const StepwiseRun run = Stepwise(*place.placed.fabric, group, algorithm, collective, bytes);
    const double time = run.time.seconds();
    // Each step rounds its latency and its drain up to a picosecond.
    const double roundings = 2e-12 * run.steps + 1e-12 * closed;
    if (IsLimit(algorithm, collective, group)) {
      const double latency = algorithm.ClosedForm(collective, Bytes(0), group).value();
      EXPECT_GE(time, closed - latency - roundings);
      if (algorithm.name() == "chain") return;
      EXPECT_LE(time, 3 * closed);
    } else {
      EXPECT_NEAR(time, closed, roundings);
      ++exact;
    }
  });
  EXPECT_GT(exact, 400);
}

// A twisted torus taken whole is a lattice whose links are all alike: data arrives, and all six
// links (four in two dimensions) carry the injection bound.
TEST(CollectiveAlgorithms, TwistedToriGatherAtTheInjectionBound) {
  const CollectiveAlgorithm& algorithm = *FindAlgorithm("multi-axis-ring");
  const std::vector<std::vector<int>> slices = {{4, 8}, {3, 6}, {3, 3, 6}, {6, 3, 6}, {4, 4, 8}};
  for (const std::vector<int>& slice : slices) {
    const Placed placed = PlaceWhole(Twisted(slice));
    const Group group = placed.GroupOf({0});
    ASSERT_GT(group.twist, 0);
    const int p = group.size();
    for (const Collective collective :
         {Collective::kAllGather, Collective::kReduceScatter, Collective::kAllReduce}) {
      const MessageSchedule schedule = algorithm.Messages(collective, group);
      State state = Before(collective, p, schedule.splits);
      ASSERT_NO_FATAL_FAILURE(Apply(schedule, &state));
      ExpectDone(collective, p, schedule.splits, state);
      std::map<std::pair<int, int>, double> sum;
      for (const Message& m : schedule.messages) {
        ASSERT_NEAR(placed.fabric
                        ->Latency(group.members[static_cast<std::size_t>(m.src)],
                                  group.members[static_cast<std::size_t>(m.dst)])
                        .value(),
                    1e-6, 1e-15);  // to a neighbour
        for (const int piece : m.chunks) {
          sum[{m.src, m.dst}] +=
              schedule.fractions[static_cast<std::size_t>(piece % schedule.splits)] *
              ChunkBytes(collective, Bytes(1), p).value();
        }
      }
      for (const auto& [pair, bytes] : TrafficBytes(algorithm, collective, group)) {
        ASSERT_NEAR(bytes, sum[pair], 1e-12) << pair.first << " to " << pair.second;
      }
      const CollectiveModel model(*placed.mesh, nullptr, Fidelity::kIdeal);
      const double links = 2.0 * static_cast<double>(slice.size());
      const double passes = collective == Collective::kAllReduce ? 2 : 1;
      const auto drain = [&](double bytes) {
        return model.Cost(collective, Bytes(bytes), std::vector<AxisId>{0}, 0, "multi-axis-ring")
            ->idle_time.value();
      };
      EXPECT_NEAR(drain(3e9) - drain(0), passes * 3e9 * (1 - 1.0 / p) / (links * kLink), 1e-11);
    }
  }
}

TEST(CollectiveAlgorithms, ChainOfFourPiecesTakesXPlusTwoSteps) {
  for (const int p : {2, 3, 8, 17}) {
    const Placed placed = PlaceWhole(Torus({p}, {false}));
    const Bytes bytes(4e6);
    const StepwiseRun run = Stepwise(*placed.fabric, placed.GroupOf({0}), *FindAlgorithm("chain"),
                                     Collective::kBroadcast, bytes);
    EXPECT_EQ(run.steps, p - 2 + 4);
    EXPECT_NEAR(run.time.seconds(), (p - 2 + 4) * (1e-6 + 4e6 / 4 / kLink), 2e-12 * run.steps);
  }
}

TEST(CollectiveAlgorithms, RegistryIsTheFolder) {
  std::set<std::string> files, names;
  const std::string folder = std::string(MESHSTEP_SOURCE_DIR) + "/sim/cost/collectives";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".cc") continue;
    std::string stem = entry.path().stem().string();
    for (char& c : stem) c = c == '_' ? '-' : c;
    files.insert(stem);
  }
  std::string previous;
  for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
    EXPECT_LT(previous, algorithm->name());
    previous = algorithm->name();
    names.insert(previous);
    EXPECT_EQ(FindAlgorithm(previous), algorithm);
  }
  EXPECT_EQ(files, names);
  EXPECT_EQ(FindAlgorithm("no such algorithm"), nullptr);
}

}  // namespace
}  // namespace meshstep
