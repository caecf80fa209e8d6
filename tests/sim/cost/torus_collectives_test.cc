// Collectives of TPUs as XLA runs them: measured rows, and what must hold of every torus.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/lower_bound.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

constexpr Collective kAll[] = {Collective::kAllGather, Collective::kReduceScatter,
                               Collective::kAllReduce, Collective::kAllToAll, Collective::kPermute};

// All devices of a slice (of several slices) as one axis.
class Torus {
 public:
  Torus(const std::string& preset, const std::string& slice, int slices = 1, bool twisted = false) {
    v1::Cluster proto;
    proto.set_preset(preset);
    proto.set_slice(slice);
    if (slices > 1) proto.set_slices(slices);
    if (twisted) proto.set_twisted(true);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
    EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
    fabric_ = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
    const std::vector<AxisRequest> requests = {{"all", cluster.devices(), ""}};
    mesh_.emplace(*Mesh::Place(*fabric_, requests));
    classes_.emplace(*mesh_, std::vector<AxisId>{});
    model_.emplace(*mesh_, &*classes_, Fidelity::kCalibrated);
  }

  double Time(Collective collective, double bytes) const {
    return model_->Cost(collective, Bytes(bytes), std::vector<AxisId>{0}, 0)->idle_time.value();
  }
  double Bound(Collective collective, double bytes) const {
    const Group group = mesh_->GroupOf(std::vector<AxisId>{0}, 0);
    return LowerBoundOf(*fabric_, group, collective, Bytes(bytes)).value().value();
  }

 private:
  std::unique_ptr<Fabric> fabric_;
  std::optional<Mesh> mesh_;
  std::optional<LinkClasses> classes_;
  std::optional<CollectiveModel> model_;
};

// AI-Hypercomputer/accelerator-microbenchmarks issue 71: psum over the 32 devices of 2x2x4.
TEST(TorusCollectives, AllReducesOfV7x) {
  const Torus v7x("tpu-v7x", "2x2x4");
  EXPECT_NEAR(v7x.Time(Collective::kAllReduce, 2097152), 123.8e-6, 0.06 * 123.8e-6);
  EXPECT_NEAR(v7x.Time(Collective::kAllReduce, 4194304), 129.9e-6, 0.06 * 129.9e-6);
  EXPECT_NEAR(v7x.Time(Collective::kAllReduce, 8388608), 162.3e-6, 0.06 * 162.3e-6);
}

// marin-community/marin issue 6736: ppermute on v5p-8 and v6e-8; 1 MiB takes 16.9 and 17.5 us.
TEST(TorusCollectives, Permutes) {
  const Torus v5p("tpu-v5p", "2x1x1"), v6e("tpu-v6e", "2x1");
  EXPECT_GT(v5p.Time(Collective::kPermute, 16384), 4.5e-6);
  EXPECT_LT(v5p.Time(Collective::kPermute, 16384), 5.5e-6);
  EXPECT_GT(v6e.Time(Collective::kPermute, 16384), 5.6e-6);
  EXPECT_LT(v6e.Time(Collective::kPermute, 16384), 5.9e-6);
  EXPECT_NEAR(v5p.Time(Collective::kPermute, 1 << 20), 16.94e-6, 0.06 * 16.94e-6);
  EXPECT_NEAR(v6e.Time(Collective::kPermute, 1 << 20), 17.45e-6, 0.06 * 17.45e-6);
}

// AI-Hypercomputer/tpu-recipes c8cfe2f, microbenchmarks/trillium/collectives: bus bandwidth per
// chip of 235.8 GB/s over 16x16 and of 4.11 GB/s between two slices.
TEST(TorusCollectives, AllReducesOfV6e) {
  constexpr double kBytes = 606076928;
  const Torus one("tpu-v6e", "16x16"), two("tpu-v6e", "1x1", 2);
  EXPECT_NEAR(2 * 255.0 / 256 * kBytes / one.Time(Collective::kAllReduce, kBytes), 235.8e9,
              0.02 * 235.8e9);
  EXPECT_NEAR(kBytes / 2 / two.Time(Collective::kAllReduce, kBytes / 2), 4.11e9, 0.02 * 4.11e9);
}

TEST(TorusCollectives, TimeNeverFallsAsBytesGrowNorBelowTheBound) {
  struct Case {
    const char* preset;
    const char* slice;
    int slices;
    bool twisted;
  };
  for (const Case& c : {Case{"tpu-v5e", "4x4", 1, false}, Case{"tpu-v5e", "16x16", 1, false},
                        Case{"tpu-v6e", "8x16", 2, false}, Case{"tpu-v5p", "2x2x4", 1, false},
                        Case{"tpu-v5p", "4x4x8", 1, false}, Case{"tpu-v5p", "4x4x8", 1, true},
                        Case{"tpu-v7x", "2x2x1", 3, false}, Case{"tpu-v7x", "4x4x4", 1, false}}) {
    const Torus torus(c.preset, c.slice, c.slices, c.twisted);
    for (const Collective collective : kAll) {
      double before = 0;
      for (double bytes = 1; bytes <= 64.0 * (1 << 30); bytes *= 32) {
        SCOPED_TRACE(std::string(c.preset) + " " + c.slice + " " + std::string(NameOf(collective)) +
                     " " + std::to_string(bytes));
        const double time = torus.Time(collective, bytes);
        EXPECT_GE(time, before);
        EXPECT_GE(time, torus.Bound(collective, bytes) * (1 - 1e-9));
        before = time;
      }
    }
  }
}

// All-reduces of the same bytes per chip: nothing gets faster as slices are added.
TEST(TorusCollectives, MoreSlicesAreNeverFaster) {
  for (const double bytes : {1e3, 1e6, 1e9}) {
    double before = 0;
    for (const int slices : {1, 2, 4, 8}) {
      const double time = Torus("tpu-v5e", "4x4", slices).Time(Collective::kAllReduce, bytes);
      EXPECT_GE(time, before) << slices << " slices, " << bytes << " bytes";
      before = time;
    }
  }
}

// Every chip of a twisted torus keeps its six links.
TEST(TorusCollectives, TwistedToriGatherAsFastAsUntwisted) {
  const Torus plain("tpu-v4", "4x4x8"), twisted("tpu-v4", "4x4x8", 1, true);
  for (const Collective collective :
       {Collective::kAllGather, Collective::kReduceScatter, Collective::kAllReduce}) {
    EXPECT_NEAR(twisted.Time(collective, 1e9), plain.Time(collective, 1e9),
                1e-3 * plain.Time(collective, 1e9));
  }
  EXPECT_LT(twisted.Time(Collective::kAllToAll, 1e9), plain.Time(Collective::kAllToAll, 1e9));
}

}  // namespace
}  // namespace meshstep
