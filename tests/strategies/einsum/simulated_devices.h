// A tiny executor of the sharding algebra: every device of a mesh holds its block of an array of
// integers, and the collectives are done literally, block by block, as chapter 3 of "How To Scale
// Your Model" defines them. Slow and simple on purpose: it is what the algebra is checked against.

#ifndef MESHSTEP_TESTS_STRATEGIES_EINSUM_SIMULATED_DEVICES_H_
#define MESHSTEP_TESTS_STRATEGIES_EINSUM_SIMULATED_DEVICES_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/check.h"
#include "strategies/algebra/sharding.h"

namespace meshstep::testing {

// Dense array, last dimension fastest.
struct Dense {
  std::vector<int> shape;
  std::vector<long> values;

  std::size_t size() const {
    std::size_t n = 1;
    for (int s : shape) n *= static_cast<std::size_t>(s);
    return n;
  }
};

inline Dense Zeros(std::vector<int> shape) {
  Dense dense{std::move(shape), {}};
  dense.values.assign(dense.size(), 0);
  return dense;
}

// Calls visit(index) for every index of `shape`, last dimension fastest.
template <class Visit>
void ForEachIndex(const std::vector<int>& shape, Visit visit) {
  std::vector<int> index(shape.size(), 0);
  while (true) {
    visit(index);
    std::size_t d = shape.size();
    while (d > 0 && ++index[d - 1] == shape[d - 1]) index[--d] = 0;
    if (d == 0) return;
  }
}

inline long& At(Dense& dense, const std::vector<int>& index) {
  std::size_t flat = 0;
  for (std::size_t d = 0; d < index.size(); ++d) {
    flat = flat * static_cast<std::size_t>(dense.shape[d]) + static_cast<std::size_t>(index[d]);
  }
  return dense.values[flat];
}
inline long At(const Dense& dense, const std::vector<int>& index) {
  return At(const_cast<Dense&>(dense), index);
}

// Block `number` of `count` equal blocks along dimension d.
inline Dense BlockOf(const Dense& dense, std::size_t d, int number, int count) {
  CHECK_EQ(dense.shape[d] % count, 0);
  Dense block = dense;
  block.shape[d] /= count;
  block.values.assign(block.size(), 0);
  ForEachIndex(block.shape, [&](const std::vector<int>& index) {
    std::vector<int> source = index;
    source[d] += number * block.shape[d];
    At(block, index) = At(dense, source);
  });
  return block;
}

inline Dense Concatenate(const std::vector<Dense>& blocks, std::size_t d) {
  Dense whole = blocks[0];
  whole.shape[d] *= static_cast<int>(blocks.size());
  whole.values.assign(whole.size(), 0);
  ForEachIndex(whole.shape, [&](const std::vector<int>& index) {
    std::vector<int> source = index;
    const int length = blocks[0].shape[d];
    source[d] %= length;
    At(whole, index) = At(blocks[static_cast<std::size_t>(index[d] / length)], source);
  });
  return whole;
}

inline Dense Sum(const std::vector<Dense>& terms) {
  Dense sum = Zeros(terms[0].shape);
  for (const Dense& term : terms) {
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += term.values[i];
  }
  return sum;
}

// The devices of a mesh, numbered with the last axis fastest.
class DeviceMesh {
 public:
  explicit DeviceMesh(std::vector<int> sizes) : sizes_(std::move(sizes)) {
    for (int s : sizes_) devices_ *= s;
  }
  int devices() const { return devices_; }
  const std::vector<int>& sizes() const { return sizes_; }

  int Coordinate(int device, AxisId axis) const {
    for (std::size_t a = sizes_.size() - 1; a > static_cast<std::size_t>(axis); --a) {
      device /= sizes_[a];
    }
    return device % sizes_[static_cast<std::size_t>(axis)];
  }
  // Position along `axes`, the first one major.
  int Rank(int device, const std::vector<AxisId>& axes) const {
    int rank = 0;
    for (AxisId a : axes) rank = rank * sizes_[static_cast<std::size_t>(a)] + Coordinate(device, a);
    return rank;
  }
  int Count(const std::vector<AxisId>& axes) const {
    int count = 1;
    for (AxisId a : axes) count *= sizes_[static_cast<std::size_t>(a)];
    return count;
  }
  // Devices that differ from `device` only along `axes`, in the order of their rank there.
  std::vector<int> Group(int device, const std::vector<AxisId>& axes) const {
    std::vector<int> group(static_cast<std::size_t>(Count(axes)));
    for (int other = 0; other < devices_; ++other) {
      bool same = true;
      for (AxisId a = 0; a < static_cast<AxisId>(sizes_.size()); ++a) {
        bool along = false;
        for (AxisId b : axes) along |= a == b;
        same &= along || Coordinate(device, a) == Coordinate(other, a);
      }
      if (same) group[static_cast<std::size_t>(Rank(other, axes))] = other;
    }
    return group;
  }

 private:
  std::vector<int> sizes_;
  int devices_ = 1;
};

// What every device holds.
using Blocks = std::vector<Dense>;

// The blocks of `whole` under `sharding`, without its unreduced axes.
inline Blocks Shard(const DeviceMesh& mesh, const Dense& whole, const Sharding& sharding) {
  Blocks blocks(static_cast<std::size_t>(mesh.devices()), whole);
  for (int device = 0; device < mesh.devices(); ++device) {
    Dense& block = blocks[static_cast<std::size_t>(device)];
    for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
      const std::vector<AxisId>& axes = sharding.dims[d].axes;
      block = BlockOf(block, d, mesh.Rank(device, axes), mesh.Count(axes));
    }
  }
  return blocks;
}

// The blocks of a group put together, dimension by dimension (a step may gather several at once):
// every dimension loses the axes of the step, which are its minor ones.
inline Dense Gathered(const DeviceMesh& mesh, const ReshardStep& step, const Blocks& held,
                      int device) {
  Dense whole = held[static_cast<std::size_t>(device)];
  std::vector<int> blocks(whole.shape.size(), 1);
  std::vector<std::vector<AxisId>> leaving(whole.shape.size());
  for (std::size_t d = 0; d < whole.shape.size(); ++d) {
    const std::vector<AxisId>& before = step.before.dims[d].axes;
    const std::size_t kept = step.after.dims[d].axes.size();
    leaving[d].assign(before.begin() + static_cast<std::ptrdiff_t>(kept), before.end());
    blocks[d] = whole.shape[d];
    whole.shape[d] *= mesh.Count(leaving[d]);
  }
  whole.values.assign(whole.size(), 0);
  const std::vector<int> members = mesh.Group(device, step.axes);
  ForEachIndex(whole.shape, [&](const std::vector<int>& index) {
    std::vector<int> within = index;
    for (int member : members) {
      bool holds = true;
      for (std::size_t d = 0; d < index.size(); ++d) {
        holds = holds && mesh.Rank(member, leaving[d]) == index[d] / blocks[d];
        within[d] = index[d] % blocks[d];
      }
      if (!holds) continue;
      At(whole, index) = At(held[static_cast<std::size_t>(member)], within);
      break;
    }
  });
  return whole;
}

// One device's new block, from what the devices of its group hold.
inline Dense BlockAfter(const DeviceMesh& mesh, const ReshardStep& step, const Blocks& held,
                        int device) {
  using Op = ReshardStep::Op;
  const int rank = mesh.Rank(device, step.axes), count = mesh.Count(step.axes);
  const Dense& own = held[static_cast<std::size_t>(device)];
  Blocks group;
  for (int member : mesh.Group(device, step.axes)) {
    group.push_back(held[static_cast<std::size_t>(member)]);
  }
  auto dim = [&](const std::string& name) {
    return static_cast<std::size_t>(step.before.Find(name));
  };
  switch (step.op) {
    case Op::kAllGather:
      return Gathered(mesh, step, held, device);
    case Op::kAllReduce:
      return Sum(group);
    case Op::kReduceScatter:
      return BlockOf(Sum(group), dim(step.to), rank, count);
    case Op::kSlice:
      return BlockOf(own, dim(step.to), rank, count);
    case Op::kAllToAll:
      for (Dense& block : group) block = BlockOf(block, dim(step.to), rank, count);
      return Concatenate(group, dim(step.from));
    case Op::kPermute: {
      const std::size_t d = dim(step.from);
      const int wanted = mesh.Rank(device, step.after.dims[d].axes);
      for (int member : mesh.Group(device, step.axes)) {
        if (mesh.Rank(member, step.before.dims[d].axes) == wanted) {
          return held[static_cast<std::size_t>(member)];
        }
      }
    }
  }
  CHECK(false) << "no device holds the block";
  return own;
}

inline Blocks Execute(const DeviceMesh& mesh, const ReshardStep& step, const Blocks& held) {
  Blocks next;
  for (int device = 0; device < mesh.devices(); ++device) {
    next.push_back(BlockAfter(mesh, step, held, device));
  }
  return next;
}

}  // namespace meshstep::testing

#endif  // MESHSTEP_TESTS_STRATEGIES_EINSUM_SIMULATED_DEVICES_H_
