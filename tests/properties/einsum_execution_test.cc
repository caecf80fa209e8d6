// Proves the plans: random small products and chains are planned, every plan is carried out on
// arrays of integers on simulated devices, and the result is the unsharded one, the FLOPs and the
// bytes sent those that were reported.

#include <random>

#include "gtest/gtest.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/notation/parser.h"
#include "strategies/einsum/solver.h"
#include "tests/strategies/einsum/simulated_devices.h"

namespace meshstep::einsum {
namespace {

using testing::At;
using testing::Blocks;
using testing::Dense;
using testing::DeviceMesh;
using Op = ReshardStep::Op;

constexpr double kBf16 = 2;

class Random {
 public:
  explicit Random(unsigned seed) : random_(seed) {}
  int Uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  // Every axis on one of the dimensions or on none, in random order.
  Sharding Draw(const std::string& dims, std::size_t axes) {
    Sharding sharding;
    for (char d : dims) sharding.dims.push_back({std::string(1, d), {}});
    std::vector<AxisId> order(axes);
    for (std::size_t a = 0; a < axes; ++a) order[a] = static_cast<AxisId>(a);
    std::shuffle(order.begin(), order.end(), random_);
    for (AxisId axis : order) {
      const int place = Uniform(-1, static_cast<int>(dims.size()) - 1);
      if (place >= 0) sharding.dims[static_cast<std::size_t>(place)].axes.push_back(axis);
    }
    return sharding;
  }

 private:
  std::mt19937 random_;
};

std::vector<std::string> NamesOf(const Sharding& sharding) {
  std::vector<std::string> names;
  for (const ShardedDim& dim : sharding.dims) names.push_back(dim.name);
  return names;
}

// out[...] = sum of left[...] . right[...] over the dimensions that are not in `out`. `multiplies`
// counts the terms.
Dense Multiply(const Dense& left, const std::vector<std::string>& left_dims, const Dense& right,
               const std::vector<std::string>& right_dims, const std::vector<std::string>& out_dims,
               double* multiplies) {
  std::vector<std::string> dims = left_dims;
  std::vector<int> shape = left.shape;
  for (std::size_t d = 0; d < right_dims.size(); ++d) {
    if (std::find(dims.begin(), dims.end(), right_dims[d]) != dims.end()) continue;
    dims.push_back(right_dims[d]);
    shape.push_back(right.shape[d]);
  }
  auto pick = [&](const std::vector<std::string>& names, const std::vector<int>& index) {
    std::vector<int> picked;
    for (const std::string& name : names) {
      const auto at = std::find(dims.begin(), dims.end(), name) - dims.begin();
      picked.push_back(index[static_cast<std::size_t>(at)]);
    }
    return picked;
  };
  Dense out = testing::Zeros(pick(out_dims, shape));
  testing::ForEachIndex(shape, [&](const std::vector<int>& index) {
    At(out, pick(out_dims, index)) +=
        At(left, pick(left_dims, index)) * At(right, pick(right_dims, index));
    ++*multiplies;
  });
  return out;
}

// Elements that one chip sends in a step, counted block by block. What a device has afterwards and
// had not before it received; sums receive the other chips' parts of what they keep.
double ElementsSent(const DeviceMesh& mesh, const ReshardStep& step, const Blocks& held) {
  Blocks tags = held;
  for (int device = 0; device < mesh.devices(); ++device) {
    auto& values = tags[static_cast<std::size_t>(device)].values;
    std::fill(values.begin(), values.end(), device);
  }
  const long group = mesh.Count(step.axes);
  double total = 0, largest = 0;
  const bool sums = step.op == Op::kAllReduce || step.op == Op::kReduceScatter;
  const Blocks moved = sums ? tags : testing::Execute(mesh, step, tags);
  for (int device = 0; device < mesh.devices(); ++device) {
    const auto& values = moved[static_cast<std::size_t>(device)].values;
    double received = 0;
    const int rank = mesh.Rank(device, step.axes);
    for (std::size_t e = 0; e < values.size(); ++e) {
      if (!sums) received += values[e] != device;
      // Element e is summed on the chip of rank e mod group, and sent back to all in an AllReduce.
      if (!sums) continue;
      const bool own = static_cast<long>(e) % group == rank;
      if (own) received += static_cast<double>(group - 1);
      if (!own && step.op == Op::kAllReduce) received += 1;
    }
    total += received;
    largest = std::max(largest, received);
  }
  // A change of order leaves some blocks where they are; the report is the busiest chip's.
  return step.op == Op::kPermute ? largest : total / mesh.devices();
}

void Rectify(Blocks* blocks) {
  for (Dense& block : *blocks) {
    for (long& value : block.values) value = std::max(value, 0L);
  }
}

// Carries out a plan on the arrays `held` and returns the blocks of the last result.
Blocks CarryOut(const DeviceMesh& mesh, const Derivation& plan, std::map<std::string, Blocks> held,
                const std::string& result) {
  for (const Step& step : plan.steps) {
    if (!step.is_product) {
      Blocks& blocks = held.at(step.array);
      EXPECT_DOUBLE_EQ(step.sent, kBf16 * ElementsSent(mesh, step.reshard, blocks))
          << NameOf(step.reshard.op) << " " << step.from << " -> " << step.to;
      blocks = testing::Execute(mesh, step.reshard, blocks);
      continue;
    }
    Blocks product;
    double multiplies = 0;
    if (step.product.left.name == "Tmp") Rectify(&held.at("Tmp"));
    for (std::size_t device = 0; device < static_cast<std::size_t>(mesh.devices()); ++device) {
      product.push_back(
          Multiply(held.at(step.product.left.name)[device], NamesOf(step.product.left.sharding),
                   held.at(step.product.right.name)[device], NamesOf(step.product.right.sharding),
                   step.product.out, &multiplies));
    }
    EXPECT_EQ(step.flops, 2 * multiplies / mesh.devices());
    held[step.array] = std::move(product);
  }
  return held.at(result);
}

void ExpectBlocks(const DeviceMesh& mesh, const Blocks& held, const Dense& whole,
                  const Sharding& sharding, const std::string& what) {
  const Blocks expected = testing::Shard(mesh, whole, sharding);
  for (int device = 0; device < mesh.devices(); ++device) {
    Blocks terms;
    for (int member : mesh.Group(device, sharding.unreduced)) {
      terms.push_back(held[static_cast<std::size_t>(member)]);
    }
    ASSERT_EQ(testing::Sum(terms).values, expected[static_cast<std::size_t>(device)].values)
        << what;
  }
}

struct Setting {
  std::vector<int> sizes;
  MeshShape mesh;
  DeviceMesh devices{{}};
  int length = 1;  // of every dimension
};

Setting DrawSetting(Random* draw) {
  Setting setting;
  std::vector<MeshShape::Axis> axes;
  for (int a = 0, n = draw->Uniform(1, 3); a < n; ++a) {
    setting.sizes.push_back(draw->Uniform(1, a == 2 ? 2 : 3));
    axes.push_back({std::string(1, "XYZ"[a]), setting.sizes.back(), {}});
  }
  setting.mesh = *MakeMeshShape(axes);
  setting.devices = DeviceMesh(setting.sizes);
  setting.length = setting.devices.devices();
  return setting;
}

Dense DrawArray(const Setting& setting, std::size_t dims, Random* draw) {
  Dense dense = testing::Zeros(std::vector<int>(dims, setting.length));
  for (long& value : dense.values) value = draw->Uniform(-3, 3);
  return dense;
}

std::string Text(const Setting& setting, const std::string& name, const Sharding& sharding) {
  return name + ToString(sharding, setting.mesh.Names());
}

StatusOr<Answer> Answered(const Setting& setting, const std::string& text) {
  ASSIGN_OR_RETURN(Expression expression, ParseExpression(text, setting.mesh));
  for (const std::string& dim : MissingSizes(expression)) {
    expression.sizes[dim] = setting.length;
  }
  return Solve(expression, SolveOptions());
}

// Products with free, batch and contracted dimensions, sharded at random, into a random output; now
// and then one that is left unreduced over what the contraction is sharded over.
TEST(EinsumExecutionTest, EveryPlanOfAProductGivesTheUnshardedResult) {
  Random draw(41);
  int plans = 0, unreduced = 0;
  for (int round = 0; round < 150; ++round) {
    const Setting setting = DrawSetting(&draw);
    const bool batch = setting.length <= 6 && draw.Uniform(0, 2) == 0;
    const std::string b = batch ? "B" : "";
    const Sharding left = draw.Draw(b + "IJ", setting.sizes.size());
    const Sharding right = draw.Draw(b + "JK", setting.sizes.size());
    Sharding out = draw.Draw(b + "IK", setting.sizes.size());
    const auto& contracted = left.dims.back().axes;
    if (!contracted.empty() && !out.Uses(contracted[0]) && draw.Uniform(0, 1) == 0) {
      out.unreduced.push_back(contracted[0]);
      ++unreduced;
    }
    const std::string text = Text(setting, "A", left) + " . " + Text(setting, "W", right) + " -> " +
                             Text(setting, "C", out);
    SCOPED_TRACE(text + " on " + ToString(setting.mesh));
    StatusOr<Answer> answer = Answered(setting, text);
    if (!answer.ok()) {
      // Sums that were asked for but that no layout can leave.
      ASSERT_FALSE(out.unreduced.empty()) << answer.status();
      continue;
    }
    const Dense a = DrawArray(setting, left.dims.size(), &draw);
    const Dense w = DrawArray(setting, right.dims.size(), &draw);
    double multiplies = 0;
    const Dense c = Multiply(a, NamesOf(left), w, NamesOf(right), NamesOf(out), &multiplies);
    EXPECT_EQ(answer->flops_theoretical, 2 * multiplies);
    for (std::size_t i = 0; i < std::min<std::size_t>(answer->derivations.size(), 12); ++i) {
      const Derivation& plan = answer->derivations[i];
      const Blocks held = CarryOut(setting.devices, plan,
                                   {{"A", testing::Shard(setting.devices, a, left)},
                                    {"W", testing::Shard(setting.devices, w, right)}},
                                   "C");
      ExpectBlocks(setting.devices, held, c, out, plan.name);
      ++plans;
    }
  }
  EXPECT_GT(plans, 500);
  EXPECT_GT(unreduced, 5);
}

// In . Win -> Tmp, rectified, . Wout -> Out: the intermediate must be reduced before.
TEST(EinsumExecutionTest, ChainsWithANonlinearityGiveTheUnshardedResult) {
  Random draw(42);
  for (int round = 0; round < 60; ++round) {
    const Setting setting = DrawSetting(&draw);
    const Sharding in = draw.Draw("BD", setting.sizes.size());
    const Sharding win = draw.Draw("DF", setting.sizes.size());
    const Sharding wout = draw.Draw("FD", setting.sizes.size());
    const Sharding out = draw.Draw("BD", setting.sizes.size());
    const std::string text = Text(setting, "In", in) + " . " + Text(setting, "Win", win) + " . " +
                             Text(setting, "Wout", wout) + " -> " + Text(setting, "Out", out);
    SCOPED_TRACE(text + " on " + ToString(setting.mesh));
    StatusOr<Answer> answer = Answered(setting, text);
    ASSERT_TRUE(answer.ok()) << answer.status();
    const Dense x = DrawArray(setting, 2, &draw);
    const Dense w1 = DrawArray(setting, 2, &draw);
    const Dense w2 = DrawArray(setting, 2, &draw);
    double multiplies = 0;
    Blocks tmp = {Multiply(x, {"B", "D"}, w1, {"D", "F"}, {"B", "F"}, &multiplies)};
    Rectify(&tmp);
    const Dense y = Multiply(tmp[0], {"B", "F"}, w2, {"F", "D"}, {"B", "D"}, &multiplies);
    EXPECT_EQ(answer->flops_theoretical, 2 * multiplies);
    for (std::size_t i = 0; i < std::min<std::size_t>(answer->derivations.size(), 8); ++i) {
      const Derivation& plan = answer->derivations[i];
      const Blocks held = CarryOut(setting.devices, plan,
                                   {{"In", testing::Shard(setting.devices, x, in)},
                                    {"Win", testing::Shard(setting.devices, w1, win)},
                                    {"Wout", testing::Shard(setting.devices, w2, wout)}},
                                   "Out");
      ExpectBlocks(setting.devices, held, y, out, plan.name);
    }
  }
}

}  // namespace
}  // namespace meshstep::einsum
