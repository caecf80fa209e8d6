#include "sim/engine/flow_network.h"

#include <cmath>
#include <map>
#include <random>

#include "gtest/gtest.h"
#include "tests/sim/engine/fluid_truth.h"

namespace meshstep {
namespace {

using Random = std::mt19937_64;

int Uniform(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// Log-uniform in [low, high].
double Spread(Random& random, double low, double high) {
  return low * std::pow(high / low, std::uniform_real_distribution<double>(0, 1)(random));
}

std::vector<BytesPerSecond> Rates(const std::vector<double>& capacities) {
  std::vector<BytesPerSecond> rates;
  for (const double c : capacities) rates.emplace_back(c);
  return rates;
}

std::vector<double> RandomCapacities(Random& random, int links) {
  std::vector<double> capacities;
  // Few distinct values, as in a real fabric, so that ties happen; now and then any value.
  for (int i = 0; i < links; ++i) {
    capacities.push_back(Uniform(random, 0, 3) > 0 ? 1e9 * Uniform(random, 1, 3)
                                                   : Spread(random, 1e8, 1e12));
  }
  return capacities;
}

TrueFlow RandomFlow(Random& random, int links) {
  TrueFlow flow;
  flow.weight = Uniform(random, 0, 1) > 0 ? 1e6 : Spread(random, 1, 1e9);
  const bool even = Uniform(random, 0, 1) > 0;
  for (int link = 0; link < links; ++link) {
    if (Uniform(random, 0, links - 1) > 3) continue;
    flow.demands.push_back({link, even ? flow.weight : flow.weight * Spread(random, 1e-6, 1e3)});
  }
  if (flow.demands.empty()) flow.demands.push_back({Uniform(random, 0, links - 1), flow.weight});
  return flow;
}

// Two flows over one link: half the rate each, or all of it to both.
TEST(FlowNetworkTest, AloneEveryFlowHasItsLinksToItself) {
  const std::vector<BytesPerSecond> rates = Rates({1e9, 4e9});
  const std::vector<FlowDemand> narrow = {{0, 1e9}, {1, 1e9}}, wide = {{0, 2e9}, {1, 8e9}};
  for (const auto sharing : {FlowNetwork::Sharing::kFair, FlowNetwork::Sharing::kAlone}) {
    FlowNetwork network(rates, sharing);
    const FlowNetwork::FlowId a = network.Add(narrow, 1e9, Time(0));
    network.Update(Time(0));
    EXPECT_DOUBLE_EQ(network.rate(a), 1);  // 1e9 bytes at 1e9 a second
    const FlowNetwork::FlowId b = network.Add(wide, 8e9, Time(0));
    network.Update(Time(0));
    const bool alone = sharing == FlowNetwork::Sharing::kAlone;
    if (alone) {
      EXPECT_DOUBLE_EQ(network.rate(a), 1);
      EXPECT_DOUBLE_EQ(network.rate(b), 0.5);  // either link takes 2 s
    } else {
      EXPECT_LT(network.rate(a) + network.rate(b), 1.5);
    }
    network.Remove(b);
    network.Update(Time(0));
    EXPECT_DOUBLE_EQ(network.rate(a), 1);
    EXPECT_EQ(network.NextCompletion(), Time::RoundUp(Seconds(1)));
  }
}

TEST(FlowNetworkTest, RandomNetworksAgreeWithRescanAndHaveBottlenecks) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const int links = Uniform(random, 1, 20);
    const std::vector<double> capacities = RandomCapacities(random, links);
    std::vector<TrueFlow> flows(static_cast<std::size_t>(Uniform(random, 1, 40)));
    for (TrueFlow& flow : flows) flow = RandomFlow(random, links);

    FlowNetwork network(Rates(capacities));
    std::vector<FlowNetwork::FlowId> ids;
    for (const TrueFlow& f : flows) ids.push_back(network.Add(f.demands, f.weight, Time(0)));
    network.Update(Time(0));

    const std::vector<double> truth = TrueRates(capacities, flows);
    std::vector<double> used(capacities.size(), 0), largest_phi(capacities.size(), 0);
    for (std::size_t f = 0; f < flows.size(); ++f) {
      const double rate = network.rate(ids[f]);
      ASSERT_NEAR(rate / truth[f], 1, 1e-9);
      for (const FlowDemand& d : flows[f].demands) {
        const auto l = static_cast<std::size_t>(d.link);
        used[l] += d.bytes * rate;
        largest_phi[l] = std::max(largest_phi[l], flows[f].weight * rate);
      }
    }
    for (std::size_t l = 0; l < used.size(); ++l) ASSERT_LE(used[l], capacities[l] * (1 + 1e-9));
    // Bertsekas and Gallager 6.5.2: rates are max-min fair if and only if each flow has a
    // bottleneck.
    for (std::size_t f = 0; f < flows.size(); ++f) {
      const double phi = flows[f].weight * network.rate(ids[f]);
      EXPECT_TRUE(
          std::any_of(flows[f].demands.begin(), flows[f].demands.end(), [&](const FlowDemand& d) {
            const auto l = static_cast<std::size_t>(d.link);
            return used[l] >= capacities[l] * (1 - 1e-9) && phi >= largest_phi[l] * (1 - 1e-9);
          }));
    }
  }
}

// Two flows cross a shared link, one of them then a narrow one: it gets the narrow link's 1 GB/s,
// the other the rest, 3 - 1.
TEST(FlowNetworkTest, TextbookExample) {
  const std::vector<BytesPerSecond> capacities = {BytesPerSecond(3e9), BytesPerSecond(1e9)};
  const std::vector<FlowDemand> both = {{0, 1e6}, {1, 1e6}}, wide = {{0, 1e6}};
  FlowNetwork network(capacities);
  const auto a = network.Add(both, 1e6, Time(0));
  const auto b = network.Add(wide, 1e6, Time(0));
  network.Update(Time(0));
  EXPECT_EQ(network.rate(a) * 1e6, 1e9);
  EXPECT_EQ(network.rate(b) * 1e6, 2e9);
  EXPECT_EQ(network.NextCompletion(), Time(static_cast<std::int64_t>(1e6 / 2e9 * 1e12)));
}

// A fluid simulator that rescans: rates from scratch after every change, remaining work of every
// flow moved forward at every event, time in long double seconds.
class RescanningFluid {
 public:
  explicit RescanningFluid(std::vector<double> capacities) : capacities_(std::move(capacities)) {}

  void Add(int key, TrueFlow flow) { flows_[key] = {std::move(flow), 1.0L, 0}; }
  void Remove(int key) { flows_.erase(key); }
  void Solve() {
    std::vector<TrueFlow> flows;
    for (const auto& [key, state] : flows_) flows.push_back(state.flow);
    const std::vector<double> rates = TrueRates(capacities_, flows);
    std::size_t i = 0;
    for (auto& [key, state] : flows_) state.rate = rates[i++];
  }
  void Advance(long double seconds) {
    for (auto& [key, state] : flows_) state.remaining -= state.rate * seconds;
  }
  // Seconds until the flow ends at present rates.
  long double UntilEnd(int key) const { return flows_.at(key).remaining / flows_.at(key).rate; }
  std::vector<int> keys() const {
    std::vector<int> keys;
    for (const auto& [key, state] : flows_) keys.push_back(key);
    return keys;
  }

 private:
  struct State {
    TrueFlow flow;
    long double remaining;
    double rate;
  };
  std::vector<double> capacities_;
  std::map<int, State> flows_;
};

TEST(FlowNetworkTest, ComingAndGoingAgreesWithRescanningFluid) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const int links = Uniform(random, 1, 12);
    const std::vector<double> capacities = RandomCapacities(random, links);
    std::vector<TrueFlow> flows(60);
    for (TrueFlow& flow : flows) flow = RandomFlow(random, links);

    FlowNetwork network(Rates(capacities));
    RescanningFluid fluid(capacities);
    std::map<FlowNetwork::FlowId, int> key_of;
    std::size_t next = 0;
    Time now(0);
    while (next < flows.size() || !key_of.empty()) {
      const int arrivals = key_of.empty() ? 1 : Uniform(random, 0, 3);
      for (int i = 0; i < arrivals && next < flows.size(); ++i, ++next) {
        const auto id = network.Add(flows[next].demands, flows[next].weight, now);
        ASSERT_EQ(key_of.count(id), 0u) << "an id of a living flow was given again";
        key_of[id] = static_cast<int>(next);
        fluid.Add(static_cast<int>(next), flows[next]);
      }
      network.Update(now);
      fluid.Solve();
      ASSERT_EQ(network.active(), key_of.size());
      if (key_of.empty()) continue;

      long double first = std::numeric_limits<long double>::infinity();
      for (const int key : fluid.keys()) first = std::min(first, fluid.UntilEnd(key));
      const Time completion = network.NextCompletion();
      // The network rounds the end up to a picosecond.
      const auto ps = static_cast<double>((completion - now).ps());
      const auto true_ps = static_cast<double>(first * 1e12L);
      ASSERT_NEAR(ps, true_ps, 1 + 1e-9 * true_ps);

      // Half of the time something else happens before that end.
      const bool early = next < flows.size() && Uniform(random, 0, 1) > 0;
      const Time until = early ? Time((completion - now).ps() / 2) : completion - now;
      fluid.Advance(static_cast<long double>(until.ps()) * 1e-12L);
      now = now + until;
      std::vector<FlowNetwork::FlowId> drained;
      if (network.NextCompletion() <= now) network.Drained(now, &drained);
      ASSERT_EQ(drained.empty(), now < completion);
      for (const auto id : drained) {
        ASSERT_LE(std::abs(fluid.UntilEnd(key_of.at(id))), 1.1e-12L + 1e-9L * now.seconds());
        fluid.Remove(key_of.at(id));
        key_of.erase(id);
        network.Remove(id);
      }
    }
    EXPECT_EQ(network.NextCompletion(), Time(0) + Time::Max());
  }
}

// Flows that a symmetry maps to each other end at one instant, so their rates are one double.
TEST(FlowNetworkTest, EqualFlowsGetBitEqualRates) {
  for (const int ring : {3, 7, 12, 100}) {
    for (const double capacity : {1e9, 0.7e9, 46.7e9 / 3}) {
      SCOPED_TRACE(testing::Message() << ring << " links of " << capacity);
      std::vector<std::vector<FlowDemand>> demands;
      for (int i = 0; i < ring; ++i) {
        for (int length = 1; length <= 3; ++length) {
          std::vector<FlowDemand> path;
          for (int hop = 0; hop < length; ++hop) path.push_back({(i + hop) % ring, 1e6 / 3});
          demands.push_back(path);
        }
      }
      FlowNetwork network(Rates(std::vector<double>(static_cast<std::size_t>(ring), capacity)));
      for (const auto& d : demands) network.Add(d, 1e6 / 3, Time(0));
      network.Update(Time(0));
      // Each link carries 1 + 2 + 3 equal flows.
      for (std::size_t f = 0; f < demands.size(); ++f) {
        ASSERT_EQ(network.rate(static_cast<int>(f)), network.rate(0));
        ASSERT_NEAR(network.rate(static_cast<int>(f)), capacity / 6 / (1e6 / 3), 1e-3);
      }
      std::vector<FlowNetwork::FlowId> drained;
      network.Drained(network.NextCompletion(), &drained);
      EXPECT_EQ(drained.size(), demands.size());
      EXPECT_TRUE(std::is_sorted(drained.begin(), drained.end()));
    }
  }
}

// One flow of weight w and demand n·d is n flows of weight w and demand d: the folding of
// symmetric groups relies on it.
TEST(FlowNetworkTest, OneFlowStandsForManyEqualOnes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const int links = Uniform(random, 2, 10);
    const std::vector<double> capacities = RandomCapacities(random, links);
    std::vector<TrueFlow> folded, explicit_flows;
    std::vector<std::size_t> first;
    for (int i = 0; i < 6; ++i) {
      const TrueFlow flow = RandomFlow(random, links);
      const int copies = Uniform(random, 1, 9);
      folded.push_back(flow);
      for (FlowDemand& d : folded.back().demands) d.bytes *= copies;
      first.push_back(explicit_flows.size());
      explicit_flows.insert(explicit_flows.end(), static_cast<std::size_t>(copies), flow);
    }
    FlowNetwork one(Rates(capacities)), many(Rates(capacities));
    for (const TrueFlow& f : folded) one.Add(f.demands, f.weight, Time(0));
    for (const TrueFlow& f : explicit_flows) many.Add(f.demands, f.weight, Time(0));
    one.Update(Time(0));
    many.Update(Time(0));
    for (std::size_t i = 0; i < folded.size(); ++i) {
      const double rate = many.rate(static_cast<FlowNetwork::FlowId>(first[i]));
      ASSERT_NEAR(one.rate(static_cast<FlowNetwork::FlowId>(i)) / rate, 1, 1e-12);
    }
  }
}

// What happens on links of its own must not move a flow's completion by a rounding.
TEST(FlowNetworkTest, DisjointFlowsDoNotDisturbEachOther) {
  const std::vector<FlowDemand> mine = {{0, 1e9 / 7}}, other = {{1, 1e3 / 3}};
  FlowNetwork network(Rates({1e9 / 3, 1e9}));
  const auto id = network.Add(mine, 1e9 / 7, Time(0));
  network.Update(Time(0));
  const double rate = network.rate(id);
  const Time end = network.NextCompletion();
  std::vector<FlowNetwork::FlowId> drained;
  for (Time now(0); now < end;) {
    network.Add(other, 1e3 / 3, now);
    network.Update(now);
    now = network.NextCompletion();
    drained.clear();
    network.Drained(now, &drained);
    for (const auto d : drained) network.Remove(d);
    network.Update(now);
  }
  EXPECT_EQ(drained.back(), id);
  EXPECT_EQ(network.rate(id), rate);
  // Only the other flows were ever solved again: one solve each to come and to go.
  EXPECT_GT(network.solves(), 1000);
}

TEST(FlowNetworkTest, SlowFlowEndsAtTheLongestTime) {
  const std::vector<FlowDemand> demands = {{0, 1e30}};
  FlowNetwork network(Rates({1}));
  network.Add(demands, 1e30, Time(0));
  network.Update(Time(0));
  EXPECT_EQ(network.NextCompletion(), Time::Longest());
}

TEST(FlowNetworkDeathTest, BrokenInvariants) {
  const std::vector<BytesPerSecond> none = {BytesPerSecond(0)};
  EXPECT_DEATH(FlowNetwork network(none), "CHECK failed");
  const std::vector<FlowDemand> demands = {{0, 1}};
  FlowNetwork network(Rates({1}));
  EXPECT_DEATH(network.Add({}, 1, Time(0)), "a flow needs a demand");
  EXPECT_DEATH(network.Add(demands, 0, Time(0)), "CHECK failed");
  const auto id = network.Add(demands, 1, Time(0));
  network.Remove(id);
  EXPECT_DEATH(network.Remove(id), "is not active");
}

}  // namespace
}  // namespace meshstep
